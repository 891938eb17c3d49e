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
from liax_jax.animation.framing import Framing
from liax_jax.animation.streaming import closing
from liax_jax.data.clip_sets import build_clips
from liax_jax.data.clips import ClipSet, find_clips
from liax_jax.data.procedural.clips import ProceduralClips
from liax_jax.data.record_index import INDEX_NAME, read_index
from liax_jax.data.records import RecordClips

PROCEDURAL = "procedural"
# Of drawn portraits: another than any run's default, so that nobody of its training is among them.
PROBE_SEED = 90210
# Drawn clips are ten seconds long, so that frames spread over them are nearly independent.
_DRAWN_FRAMES = 250
_AHEAD = 8


class VideoClips:
    """Videos as a set of clips, each cut to squares as `liax animate` cuts a driving video.

    Args:
      paths: video files, or folders of numbered pictures.
      names: one each.
      resolution: R of the model.
      framing: how the square is chosen.
    """

    def __init__(
        self, paths: list[Path], names: list[str], resolution: int, framing: Framing
    ) -> None:
        self._paths, self._framing = paths, framing
        self.names, self.resolution = names, resolution
        sources = [frames_in.open_frames(path) for path in paths]
        self.lengths = [s.num_frames or sum(1 for _ in frames_in.read_frames(s)) for s in sources]
        self.fps = [float(source.fps) for source in sources]

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


def open_probe_clips(
    data: str | os.PathLike[str],
    resolution: int,
    *,
    split: str = "",
    num_clips: int = 64,
    distribution: str = "natural",
    seed: int = PROBE_SEED,
    framing: Framing | None = None,
) -> ClipSet:
    """Opens the clips to measure on.

    Args:
      data: a folder of `liax prepare`; a video, or a folder of videos; the workdir of a run, for
        its evaluation clips (of drawn portraits: `num_clips` people it never saw, moving as those
        it was trained on); or "procedural" for drawn portraits, whose factors are known.
      resolution: of the model.
      split: of records, by default "val" where there is one, else "train".
      num_clips, distribution, seed: of "procedural".
      framing: of videos.

    Raises:
      FileNotFoundError: nothing there.
      ValueError: neither of these, or without such a split.
    """
    if str(data) == PROCEDURAL and not Path(data).exists():
        return ProceduralClips(
            resolution, num_clips, _DRAWN_FRAMES, seed, distribution, cached_clips=1
        )
    path = Path(data)
    if not path.exists():
        raise FileNotFoundError(
            f"--data {path}: there is no file or directory of that name; name records, videos, a "
            f"run, or {PROCEDURAL!r} for drawn portraits"
        )
    if (path / INDEX_NAME).exists():
        splits = read_index(path)["splits"]
        chosen = split or ("val" if splits.get("val") else "train")
        return RecordClips(path, chosen)
    if (path / "config.json").exists():
        return _clips_of_run(path, resolution, num_clips)
    framing = framing or Framing()
    if path.is_file():
        return VideoClips([path], [path.stem], resolution, framing)
    found = [source for source in find_clips(path) if not split or source.split == split]
    if not found:
        raise ValueError(f"--data {path}: no video is in a split {split!r}")
    return VideoClips([s.path for s in found], [s.name for s in found], resolution, framing)


def _clips_of_run(workdir: Path, resolution: int, num_clips: int) -> ClipSet:
    try:
        content: dict[str, Any] = json.loads((workdir / "config.json").read_text())
        data = ConfigDict(content["data"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{workdir / 'config.json'} is not a run's config: {error}") from error
    if data.kind == PROCEDURAL:
        data.procedural.num_eval_clips = num_clips
        data.procedural.frames_per_clip = _DRAWN_FRAMES
        # Frames that are kept in a folder come without their factors.
        data.procedural.keep_in = ""
    return build_clips(data, resolution, "eval")
