"""What drives an animation: a video, a picture or a motion file, read chunk by chunk."""

import collections
import dataclasses
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from tqdm import tqdm

from liax_jax.animation.cut_video import CutVideo
from liax_jax.animation.framing import Framing
from liax_jax.animation.motion import Motion, check_model, load_motion
from liax_jax.animation.smoothing import smooth_stream
from liax_jax.animation.streaming import FrameStream, closing

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
        self._stream = stream
        self._times: collections.deque[float | None] = collections.deque()
        self._motion, self._video = None, None
        if self._path.suffix.lower() == MOTION_SUFFIX:
            self._motion = load_motion(self._path)
            check_model(self._motion, stream.animator.record)
            self.fps = Fraction(self._motion.fps).limit_denominator(1001)
            self.num_frames: int | None = len(self._motion.alpha)
            self.still, self.audio_from = False, None
        else:
            resolution, ahead = stream.animator.resolution, 2 * stream.chunk
            self._video = CutVideo(self._path, framing, resolution, ahead)
            self.fps, self.num_frames = self._video.fps, self._video.num_frames
            self.still, self.audio_from = self._video.still, self._video.audio_from

    def coefficients(self, smooth: float = 0.0) -> Iterator[np.ndarray]:
        """(n, M) coefficients, in pieces; `frame` gives the frames that belong to them, in order.

        Args:
          smooth: σ in frames of a Gaussian over time; 0 leaves them as they are.
        """
        if self._video is None:
            pieces = self._from_motion()
        else:
            pieces = self._stream.coefficients(self._video.pictures())
        return smooth_stream(pieces, smooth) if smooth else pieces

    def frame(self) -> DrivingFrame:
        """The next frame whose coefficients have been yielded."""
        if self._video is None:
            return DrivingFrame(self._times.popleft(), None)
        frame = self._video.frame()
        return DrivingFrame(frame.time, frame.picture)

    def _from_motion(self) -> Iterator[np.ndarray]:
        assert self._motion is not None
        times = self._motion.times
        for start in range(0, len(self._motion.alpha), self._stream.chunk):
            piece = self._motion.alpha[start : start + self._stream.chunk]
            for index in range(start, start + len(piece)):
                self._times.append(None if times is None else float(times[index]))
            yield piece


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
