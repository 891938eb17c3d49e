"""Drawn frames kept on disk, for runs that show the same portraits again."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from liax_jax.data.procedural.clips import ProceduralClips
from liax_jax.source_version import source_version

_DRAWING = ("data/procedural/*.py",)


class KeptClips:
    """Drawn portraits whose frames are drawn once: a `ClipSet`.

    A clip is drawn as a whole when one of its frames is asked for the first time, and read from
    then on. The frames are those that `ProceduralClips` draws, byte for byte: another setting, or
    another version of the drawing, has other files. Several processes may fill and read a folder at
    once. A clip counts as kept if its checksum is right, so a process killed while it writes leaves
    nothing wrong.

    Space: num_clips * frames_per_clip * 3 * resolution² bytes, all taken at the start.

    Args:
      clips: what to draw.
      folder: made where it doesn't exist.

    Raises:
      OSError: the folder can't be written, or has no space.
    """

    def __init__(self, clips: ProceduralClips, folder: str | os.PathLike) -> None:
        self.clips = clips
        self._base = Path(folder) / _key(clips)
        self._open()

    def _open(self) -> None:
        side = self.clips.resolution
        shape = (len(self.clips), self.clips.lengths[0], side, side, 3)
        self._frames = _shared_array(self._base.with_suffix(".frames"), shape, np.uint8)
        self._checks = _shared_array(self._base.with_suffix(".crc32"), shape[:1], np.uint32)
        self._sound = np.zeros(shape[0], bool)  # whose checksums this process has looked at
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {"clips": self.clips, "_base": self._base}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    @property
    def resolution(self) -> int:
        return self.clips.resolution

    @property
    def names(self) -> Sequence[str]:
        return self.clips.names

    @property
    def lengths(self) -> Sequence[int]:
        return self.clips.lengths

    @property
    def fps(self) -> Sequence[float]:
        return self.clips.fps

    def __len__(self) -> int:
        return len(self.clips)

    def frame(self, clip: int, t: int) -> np.ndarray:
        """Frame t of a clip, uint8 (h w 3), RGB."""
        self.clips.check_index(clip, t)
        if not self._sound[clip]:
            with self._lock:
                self._make_sure_of(clip)
        return np.array(self._frames[clip, t])

    def frames(self, clip: int) -> Iterator[np.ndarray]:
        """All frames of a clip in order, each uint8 (h w 3)."""
        for t in range(self.lengths[clip]):
            yield self.frame(clip, t)

    def _make_sure_of(self, clip: int) -> None:
        if self._checks[clip] == 0 or self._checks[clip] != _checksum(self._frames[clip]):
            for t, frame in enumerate(self.clips.frames(clip)):
                self._frames[clip, t] = frame
            self._checks[clip] = _checksum(self._frames[clip])
        self._sound[clip] = True


def _checksum(frames: np.ndarray) -> int:
    """1 to 2³² - 1; 0 stands for a clip that isn't drawn."""
    return zlib.crc32(frames.data) or 1


def _key(clips: ProceduralClips) -> str:
    settings = [
        clips.resolution,
        clips.seed,
        clips.first_identity,
        len(clips),
        clips.lengths[0],
        clips.fps[0],
        dict(clips.distributions),
        list(clips.factor_names),
        clips.people,
        source_version(_DRAWING),
    ]
    return hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]


def _shared_array(path: Path, shape: Sequence[int], dtype: type) -> np.ndarray:
    """An array in a file that several processes map; of zeros where there is no file yet."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        begun = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.partial")
        try:
            with begun.open("wb") as file:
                # Written rather than left as a hole: where the disk is full this is an error,
                # while storing into a mapped hole would end the process.
                left = int(np.prod(shape)) * np.dtype(dtype).itemsize
                while left:
                    left -= file.write(bytes(min(left, 1 << 24)))
            os.link(begun, path)  # unlike a renaming, it never replaces what another has made
        except FileExistsError:
            pass
        finally:
            begun.unlink(missing_ok=True)
    return np.memmap(path, dtype, "r+", shape=tuple(shape))
