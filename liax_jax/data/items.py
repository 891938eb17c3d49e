"""What a layout's reader yields: one stretch of one video, of a folder of images, or a picture."""

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from liax_jax.data import clips, video_io
from liax_jax.faces.crops import Square


@dataclasses.dataclass(frozen=True)
class Annotation:
    """A box that a data set gives, in pixels of a picture of its own size.

    Attributes:
        left, top, right, bottom: pixels.
        width, height: size of the picture that the pixels are of; where the width is None it
            follows from the height, and where both are None the pixels are the video's own.
    """

    left: float
    top: float
    right: float
    bottom: float
    width: float | None = None
    height: float | None = None

    def square(self, frame_height: int, frame_width: int, scale: float = 1.0) -> Square:
        """The smallest square around the box, in pixels of a frame; its side times a scale."""
        down = frame_height / self.height if self.height else 1.0
        across = frame_width / self.width if self.width else down
        side = max((self.right - self.left) * across, (self.bottom - self.top) * down)
        center_x = (self.left + self.right) / 2 * across
        return Square(center_x, (self.top + self.bottom) / 2 * down, side * scale)


@dataclasses.dataclass(frozen=True)
class Item:
    """One stretch of one source, not read yet: the unit of work of `liax prepare`.

    Attributes:
        name: unique in its split; the name of the clip, or the beginning of the clips' names.
        path: a video, a folder of images, or one image; where `missing`, what was looked for.
        source: the path relative to the folder prepared.
        num_bytes: size on disk.
        identity: who it shows; clips of one identity go to one split.
        dataset: name of the data set.
        split: where the data set says so, else None.
        missing: whether an annotation names a video that is not there.
        seconds: first and last second (None: to the end), by the clock of the video.
        frames: first frame, and the frame after the last one (None: to the end).
        box: the annotation's box, one for the whole stretch.
    """

    name: str
    path: Path
    source: str
    num_bytes: int
    identity: str
    dataset: str = ""
    split: str | None = None
    missing: bool = False
    seconds: tuple[float, float | None] = (0.0, None)
    frames: tuple[int, int | None] = (0, None)
    box: Annotation | None = None

    @property
    def is_still(self) -> bool:
        """Whether it is a single picture."""
        return self.path.suffix.lower() in clips.IMAGE_SUFFIXES and not self.path.is_dir()

    @property
    def is_video(self) -> bool:
        return self.path.suffix.lower() in clips.VIDEO_SUFFIXES and not self.path.is_dir()

    def fps(self, default: float) -> float:
        """Frames per second: the video's own, or the default for images."""
        return video_io.probe(self.path).fps if self.is_video else default

    def num_frames_estimate(self, default_fps: float) -> int:
        """Number of frames by the header or by counting files, for progress bars only."""
        if self.is_still:
            return 1
        if not self.is_video:
            return len(clips.image_files(self.path))
        info = video_io.probe(self.path)
        whole = info.num_frames or 1
        start, stop = self.seconds
        if stop is not None:
            return max(1, min(whole, round((stop - start) * info.fps)))
        return whole if self.frames[1] is None else max(1, self.frames[1] - self.frames[0])

    def read(self, fps: float) -> Iterator[tuple[float, np.ndarray]]:
        """Yields (seconds, (h, w, 3) uint8 RGB) in order, all of one size.

        Args:
            fps: the rate of images, which have no clock.

        Raises:
            VideoError: unreadable, truncated or damaged, with the reason.
        """
        start, stop = self.seconds
        timed: Iterator[tuple[float, np.ndarray]]
        if self.is_video:
            # One thread: where a damaged video breaks must not depend on the decoder's threads,
            # and the parallelism is over items.
            timed = video_io.read_timed_video(self.path, num_threads=1, start=start, stop=stop)
        elif self.is_still:
            timed = iter([(0.0, clips.read_image(self.path))])
        else:
            images = enumerate(clips.read_frame_folder(self.path))
            timed = ((number / fps, frame) for number, frame in images)
            timed = (pair for pair in timed if pair[0] >= start and (not stop or pair[0] < stop))
        if self.frames == (0, None):
            return timed
        return itertools.islice(timed, *self.frames)
