"""What drives an animation: a video, a picture or a motion file, read chunk by chunk."""

import collections
import dataclasses
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from tqdm import tqdm

from liax_jax.animation import crops, frames_in
from liax_jax.animation.framing import Framing
from liax_jax.animation.motion import Motion, check_model, load_motion
from liax_jax.animation.smoothing import smooth_stream
from liax_jax.animation.streaming import FrameStream, closing, in_background

MOTION_SUFFIX = ".npz"


@dataclasses.dataclass(frozen=True)
class DrivingFrame:
    """One frame: its time in seconds (None: by the frame rate), and what the encoder saw of it."""

    time: float | None
    picture: np.ndarray | None  # (R, R, 3) uint8; None from a motion file


class Driving:
    """A driving motion, streamed.

    Attributes:
      fps: frames per second.
      num_frames: as far as the header tells, for progress; or None.
      still: a single picture.
      audio_from: the file whose sound belongs to the frames, or None.
    """

    def __init__(self, path: str | os.PathLike[str], framing: Framing, stream: FrameStream):
        self._path = Path(path)
        self._framing = framing
        self._stream = stream
        self._waiting: collections.deque[DrivingFrame] = collections.deque()
        self._motion = None
        if self._path.suffix.lower() == MOTION_SUFFIX:
            self._motion = load_motion(self._path)
            check_model(self._motion, stream.animator.record)
            self.fps = Fraction(self._motion.fps).limit_denominator(1001)
            self.num_frames: int | None = len(self._motion.alpha)
            self.still, self.audio_from = False, None
        else:
            self._source = frames_in.open_frames(self._path)
            self.fps, self.num_frames = self._source.fps, self._source.num_frames
            self.still = self._source.still
            self.audio_from = self._path if self._source.has_audio else None

    def coefficients(self, smooth: float = 0.0) -> Iterator[np.ndarray]:
        """(n, M) coefficients, in pieces; `frame` gives the frames that belong to them, in order.

        Args:
          smooth: σ in frames of a Gaussian over time; 0 leaves them as they are.
        """
        pieces = self._from_file() if self._motion is None else self._from_motion()
        return smooth_stream(pieces, smooth) if smooth else pieces

    def frame(self) -> DrivingFrame:
        """The next frame whose coefficients have been yielded."""
        return self._waiting.popleft()

    def _from_motion(self) -> Iterator[np.ndarray]:
        assert self._motion is not None
        times = self._motion.times
        for start in range(0, len(self._motion.alpha), self._stream.chunk):
            piece = self._motion.alpha[start : start + self._stream.chunk]
            for index in range(start, start + len(piece)):
                self._waiting.append(
                    DrivingFrame(None if times is None else float(times[index]), None)
                )
            yield piece

    def _from_file(self) -> Iterator[np.ndarray]:
        def pictures() -> Iterator[np.ndarray]:
            for frame in in_background(self._cut_frames(), depth=2 * self._stream.chunk):
                self._waiting.append(frame)
                assert frame.picture is not None
                yield frame.picture

        return self._stream.coefficients(pictures())

    def _cut_frames(self) -> Iterator[DrivingFrame]:
        resolution = self._stream.animator.resolution
        squares = self._framing.of_video(self._source)
        for time, rgb in frames_in.read_frames(self._source):
            square = next(squares)
            yield DrivingFrame(time, crops.cut_out(rgb, square, resolution))


def extract_motion(
    stream: FrameStream,
    video: str | os.PathLike[str],
    framing: Framing,
    progress: bool = True,
) -> Motion:
    """The motion coefficients of a video's frames, with their times.

    Memory grows by M + 1 numbers a frame.
    """
    driving = Driving(video, framing, stream)
    alphas, times = [], []
    with (
        tqdm(total=driving.num_frames, unit="frame", desc="extract", disable=not progress) as bar,
        closing(driving.coefficients()) as pieces,
    ):
        for piece in pieces:
            alphas.append(piece)
            times += [driving.frame().time for _ in piece]
            bar.update(len(piece))
    known = [seconds for seconds in times if seconds is not None]
    return Motion(
        np.concatenate(alphas),
        float(driving.fps),
        stream.animator.record.fingerprint,
        times=np.array(known) - known[0] if len(known) == len(times) else None,
        source=Path(video).name,
    )
