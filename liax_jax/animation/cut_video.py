"""A video as the model sees it: squares cut out of its frames, read in the background."""

import collections
import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from liax_jax.animation import frames_in
from liax_jax.animation.framing import Framing
from liax_jax.animation.streaming import in_background
from liax_jax.faces import crops
from liax_jax.faces.crops import Square


@dataclasses.dataclass(frozen=True)
class CutFrame:
    """One frame.

    Attributes:
      time: seconds.
      picture: (R, R, 3) uint8, the square.
      square: where it was.
      whole: (h, w, 3) uint8, the frame it was cut from.
    """

    time: float
    picture: np.ndarray
    square: Square
    whole: np.ndarray


class CutVideo:
    """A video, folder of pictures or picture, cut to squares.

    Args:
      path: as `frames_in.open_frames` takes it.
      framing: how the squares are chosen.
      resolution: R.
      ahead: frames read ahead.

    Attributes:
      fps: frames per second.
      num_frames: as far as the header tells, for progress; or None.
      still: a single picture.
      audio_from: the file, if it has sound; or None.
      whole: the square is the whole frame.
    """

    def __init__(self, path: str | os.PathLike[str], framing: Framing, resolution: int, ahead: int):
        self._source = frames_in.open_frames(path)
        self._framing, self._resolution, self._ahead = framing, resolution, ahead
        self._waiting: collections.deque[CutFrame] = collections.deque()
        self.fps, self.num_frames = self._source.fps, self._source.num_frames
        self.still = self._source.still
        self.audio_from = Path(path) if self._source.has_audio else None
        self.whole = self._source.height == self._source.width and framing.crop == "auto"

    def pictures(self) -> Iterator[np.ndarray]:
        """(R, R, 3) uint8 squares; `frame` gives what belongs to each, in order."""
        for frame in in_background(self._cut(), depth=self._ahead):
            self._waiting.append(frame)
            yield frame.picture

    def frame(self) -> CutFrame:
        """The next frame of those that `pictures` has yielded."""
        return self._waiting.popleft()

    def _cut(self) -> Iterator[CutFrame]:
        squares = self._framing.of_video(self._source)
        for time, rgb in frames_in.read_frames(self._source):
            square = next(squares)
            yield CutFrame(time, crops.cut_out(rgb, square, self._resolution), square, rgb)
