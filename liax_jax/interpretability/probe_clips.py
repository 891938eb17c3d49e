"""The clips that a model is measured on, by what a user names: records, videos, a run, drawn."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from liax_jax.animation import frames_in
from liax_jax.animation.cut_video import CutVideo
from liax_jax.animation.framing import WHOLE_OR_FACE, Framing
from liax_jax.animation.streaming import closing
from liax_jax.data.clip_sets import build_clips
from liax_jax.data.clips import ClipSet, find_clips
from liax_jax.data.procedural.clips import ProceduralClips
from liax_jax.data.record_index import INDEX_NAME, read_index
from liax_jax.data.records import RecordClips
from liax_jax.log import logger
from liax_jax.probe_frames import PROBE_SEED

PROCEDURAL = "procedural"
# Drawn clips are ten seconds long, so that frames spread over them are nearly independent.
_DRAWN_FRAMES = 250
_AHEAD = 8


class VideoClips:
    """Videos as a set of clips, each cut to squares as `liax animate` cuts a driving video.

    Args:
      paths: video files, or folders of numbered pictures. Those that can't be opened or have a
        single frame are left out, with a warning that names them.
      names: one each.
      resolution: R of the model.
      framing: how the square is chosen.

    Raises:
      ValueError: none is left.
    """

    def __init__(
        self, paths: list[Path], names: list[str], resolution: int, framing: Framing
    ) -> None:
        self._framing, self.resolution = framing, resolution
        self._paths: list[Path] = []
        self.names: list[str] = []
        self.lengths: list[int] = []
        self.fps: list[float] = []
        problems = []
        for path, name in zip(paths, names, strict=True):
            try:
                length, fps = _length_and_rate(path)
            except (ValueError, OSError) as error:
                problems.append(str(error))
                continue
            self._paths.append(path)
            self.names.append(name)
            self.lengths.append(length)
            self.fps.append(fps)
        if not self.names:
            several = f"none of {len(paths)} videos can be measured on; the first: "
            raise ValueError(f"{several if len(paths) > 1 else ''}{problems[0]}")
        for problem in problems:
            logger.warning("left out: %s", problem)

    def __len__(self) -> int:
        return len(self.names)

    def frames(self, clip: int) -> Iterator[np.ndarray]:
        """All frames of a clip in order, one at a time: (R, R, 3) uint8 RGB."""
        video = CutVideo(self._paths[clip], self._framing, self.resolution, _AHEAD)
        with closing(video.pictures()) as pictures:
            for picture in pictures:
                video.frame()
                yield picture

    def frame(self, clip: int, t: int) -> np.ndarray:
        """Frame t; reads all before it."""
        for number, picture in enumerate(self.frames(clip)):
            if number == t:
                return picture
        raise IndexError(f"{self._paths[clip]} has no frame {t}")


def _length_and_rate(path: Path) -> tuple[int, float]:
    """Frames of a video, and frames a second. Raises ValueError where there is a single one."""
    source = frames_in.open_frames(path)
    length = source.num_frames or 0
    if length < 2:  # or the header doesn't know
        length = sum(1 for _ in frames_in.read_frames(source))
    if length < 2:
        raise ValueError(f"{path}: has a single frame, and motion takes 2 or more")
    return length, float(source.fps)


def open_probe_clips(
    data: str | os.PathLike[str],
    resolution: int,
    *,
    split: str = "",
    num_clips: int = 64,
    distribution: str | None = None,
    seed: int = PROBE_SEED,
    framing: Framing | None = None,
) -> ClipSet:
    """Opens the clips to measure on.

    Args:
      data: a folder of `liax prepare`; a video, or a folder of videos; the workdir of a run, for
        its evaluation clips (of drawn portraits: `num_clips` people it never saw, moving as those
        it was trained on); or "procedural" for drawn portraits, whose factors are known.
      resolution: of the model.
      split: of records, by default "val" where it has clips, else "train"; of a folder of videos,
        by default all.
      num_clips: how many people to draw, of "procedural" and of a run with drawn portraits.
      distribution: of the factors of "procedural", by default "natural".
      seed: of "procedural", ≥ 0.
      framing: of videos.

    Raises:
      FileNotFoundError: nothing there.
      ValueError: neither of these, without clips or such a split, or an option that these data
        make no use of.
    """
    crop = "" if framing is None or framing.crop == WHOLE_OR_FACE.crop else framing.crop
    if str(data) == PROCEDURAL and not Path(data).exists():
        _refuse_idle("drawn portraits", split=split, crop=crop)
        return ProceduralClips(
            resolution, num_clips, _DRAWN_FRAMES, seed, distribution or "natural", cached_clips=1
        )
    path = Path(data)
    if not path.exists():
        raise FileNotFoundError(
            f"--data {path}: there is no file or directory of that name; name records, videos, a "
            f"run, or {PROCEDURAL!r} for drawn portraits"
        )
    if (path / INDEX_NAME).exists():
        _refuse_idle("records", distribution=distribution, crop=crop)
        splits = read_index(path)["splits"]
        chosen = split or ("val" if splits.get("val") else "train")
        clips = RecordClips(path, chosen)
        if not len(clips):
            raise ValueError(
                f"--data {path}: its split {chosen!r} holds no clips; name another with --split, "
                "or run `liax prepare` on more"
            )
        return clips
    if (path / "config.json").exists():
        _refuse_idle("a run's own clips", split=split, distribution=distribution, crop=crop)
        return _clips_of_run(path, resolution, num_clips)
    framing = framing or WHOLE_OR_FACE
    if path.is_file():
        _refuse_idle("single videos", split=split, distribution=distribution)
        return VideoClips([path], [path.stem], resolution, framing)
    _refuse_idle("videos", distribution=distribution)
    found = [source for source in find_clips(path) if not split or source.split == split]
    if not found:
        raise ValueError(f"--data {path}: no video is in a split {split!r}")
    return VideoClips([s.path for s in found], [s.name for s in found], resolution, framing)


def _refuse_idle(kind: str, **flags: str | None) -> None:
    """Raises ValueError for a flag that data of this kind make no use of."""
    for name, value in flags.items():
        if value:
            raise ValueError(f"--{name} {value}: {kind} make no use of it; leave it out")


def _clips_of_run(workdir: Path, resolution: int, num_clips: int) -> ClipSet:
    path = workdir / "config.json"
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is not a run's config: {error}") from error
    try:
        data = ConfigDict(content["data"])
        if data.kind == PROCEDURAL:
            data.procedural.num_eval_clips = num_clips
            data.procedural.frames_per_clip = _DRAWN_FRAMES
            # Frames that are kept in a folder come without their factors.
            data.procedural.keep_in = ""
        return build_clips(data, resolution, "eval")
    except (AttributeError, KeyError, TypeError) as error:  # a field that isn't there
        raise ValueError(f"{path} is not a run's config: {error}") from error
