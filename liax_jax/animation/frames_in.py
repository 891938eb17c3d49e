"""Frames with their times: from a video, an animated picture, a folder of pictures, or one still.

Everything streams: the memory needed does not grow with the length.
"""

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from liax_jax.animation.pictures import (
    PictureError,
    UnknownFormatError,
    opened_picture,
    picture_of,
    read_picture,
)
from liax_jax.data import video_io
from liax_jax.data.clips import image_files
from liax_jax.log import logger

# Of folders and stills, which have no frame rate of their own.
DEFAULT_FPS = Fraction(25)

_ANIMATED_FORMATS = ("GIF", "PNG", "WEBP", "AVIF")
# Browsers show frames that ask for no time, or for 10 ms in a GIF or WebP, for 100 ms.
_DEFAULT_DELAY = 100.0
_SHORTEST_DELAY = {"GIF": 10.0, "WEBP": 10.0}

VIDEO, ANIMATION, FOLDER, STILL = "video", "animation", "folder", "still"


@dataclasses.dataclass(frozen=True)
class FrameSource:
    """A sequence of frames on disk, opened but not read.

    Attributes:
      path: the file or folder.
      width, height: of the frames that `read_frames` yields, in pixels.
      fps: frames per second: the average of a video, the first of an animation, else what was
        asked for. The times say when each frame is shown.
      num_frames: by the header, for progress; count what you read. None where it isn't known.
      has_audio: whether the file has sound.
      kind: "video", "animation" (GIF, APNG, WebP, AVIF), "folder" or "still".
    """

    path: Path
    width: int
    height: int
    fps: Fraction
    num_frames: int | None
    has_audio: bool
    kind: str

    @property
    def still(self) -> bool:
        """Whether it is a single picture."""
        return self.kind == STILL


def open_frames(path: str | os.PathLike[str], fps: Fraction | None = None) -> FrameSource:
    """Looks at a file or folder: reads its header and its first frame.

    Args:
      path: a video (anything FFmpeg reads), an animated GIF, PNG, WebP or AVIF, a folder of
        numbered pictures, or a picture.
      fps: frames per second of a folder or a still; by default 25. Others have their own.

    Raises:
      FileNotFoundError: there is nothing at `path`.
      PictureError, VideoError (both ValueError): no pictures in it (only sound, empty, unknown
        format), or the first frame is damaged.
    """
    path = Path(path)
    if path.is_dir():
        return _open_folder(path, fps or DEFAULT_FPS)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    if path.stat().st_size == 0 and path.is_file():
        raise video_io.VideoError(f"{path}: is empty (0 bytes)")
    source = _open_picture(path, fps or DEFAULT_FPS) if _is_picture(path) else _open_video(path)
    if fps is not None and source.kind in (VIDEO, ANIMATION) and fps != source.fps:
        logger.warning(
            "%s: has its own frame rate, %.5g; the one given is not used", path, float(source.fps)
        )
    return source


def read_frames(
    source: FrameSource, stop_at_damage: bool = False
) -> Iterator[tuple[float, np.ndarray]]:
    """Yields (seconds, frame): (h, w, 3) uint8 RGB frames, upright, with square pixels.

    Seconds are those at which the frame is shown, from the start of the pictures; they increase.
    Transparent parts are painted over white.

    Args:
      stop_at_damage: end at the first damaged frame, with a warning, rather than raise.

    Raises:
      DamagedVideoError, PictureError (both ValueError): truncated or damaged; raised after the
        frames before the damage.
    """
    readers = {VIDEO: _video, ANIMATION: _animation, FOLDER: _folder, STILL: _still}
    num_frames = 0
    try:
        for time, frame in readers[source.kind](source):
            yield time, frame
            num_frames += 1
    except (video_io.DamagedVideoError, PictureError) as error:
        if not stop_at_damage or not num_frames:
            raise
        logger.warning("%s; going on with the %d frames before that", error, num_frames)


def _is_picture(path: Path) -> bool:
    """Whether Pillow knows the format, by the first bytes; the name's ending doesn't count."""
    try:
        with opened_picture(path):
            return True
    except UnknownFormatError:
        return False
    except PictureError:
        return True  # a damaged one; reading it says what is wrong


def _open_video(path: Path) -> FrameSource:
    info = video_io.probe(path)
    if info.high_dynamic_range:
        logger.warning(
            "%s: is an HDR video; its colours are taken as they are and will look pale", path
        )
    with contextlib.closing(video_io.read_timed_video(path, num_threads=1)) as frames:
        _, first = next(frames)
    height, width = first.shape[:2]
    return FrameSource(
        path,
        width,
        height,
        info.rate.limit_denominator(1001),
        info.num_frames,
        info.has_audio,
        VIDEO,
    )


def _video(source: FrameSource) -> Iterator[tuple[float, np.ndarray]]:
    try:
        yield from video_io.read_timed_video(source.path)
    except video_io.DamagedVideoError as error:
        raise video_io.DamagedVideoError(
            f"{error}; get a whole copy, or keep what is readable of it with "
            f"ffmpeg -i {source.path} repaired.mp4"
        ) from None


def _open_picture(path: Path, fps: Fraction) -> FrameSource:
    with opened_picture(path) as image:
        first = picture_of(image, path)
        height, width = first.rgb.shape[:2]
        num_frames = getattr(image, "n_frames", 1) - _hidden_frames(image)
        if num_frames == 1 or image.format not in _ANIMATED_FORMATS:
            return FrameSource(path, width, height, fps, 1, False, STILL)
        image.seek(_hidden_frames(image))
        image.load()
        rate = Fraction(1000 / _delay(image)).limit_denominator(1001)
    return FrameSource(path, width, height, rate, num_frames, False, ANIMATION)


def _animation(source: FrameSource) -> Iterator[tuple[float, np.ndarray]]:
    milliseconds = 0.0
    with opened_picture(source.path) as image:
        hidden = _hidden_frames(image)
        for index in range(hidden, getattr(image, "n_frames", 1)):
            image.seek(index)
            frame = picture_of(image, source.path).over()
            yield milliseconds / 1000, frame
            milliseconds += _delay(image)
        if image.format == "GIF" and not _ends_properly(source.path):
            logger.warning("%s: has no end mark; it may have been cut off", source.path)


def _ends_properly(path: Path) -> bool:
    """Whether a gif has its last byte; a file cut between two frames looks like a shorter one."""
    with open(path, "rb") as file:
        file.seek(-min(64, path.stat().st_size), os.SEEK_END)
        return file.read().rstrip(b"\0\r\n").endswith(b";")


def _hidden_frames(image: object) -> int:
    """1 where the first picture is for viewers that don't know animated PNG, and not part of it."""
    return int(bool(getattr(image, "default_image", False)))


def _delay(image: object) -> float:
    """Milliseconds for which the frame just loaded is shown."""
    delay = float(getattr(image, "info", {}).get("duration") or 0)
    shortest = _SHORTEST_DELAY.get(getattr(image, "format", ""), 0.0)
    return delay if delay > shortest else _DEFAULT_DELAY


def _open_folder(path: Path, fps: Fraction) -> FrameSource:
    files = image_files(path)
    if not files:
        raise PictureError(
            f"{path}: holds no pictures; a folder of frames holds 1.png, 2.png, … (or .jpg, .webp)"
        )
    height, width = read_picture(files[0]).rgb.shape[:2]
    return FrameSource(path, width, height, fps, len(files), False, FOLDER)


def _folder(source: FrameSource) -> Iterator[tuple[float, np.ndarray]]:
    for index, file in enumerate(image_files(source.path)):
        frame = read_picture(file).over()
        if frame.shape[:2] != (source.height, source.width):
            raise PictureError(
                f"{file}: is {frame.shape[1]}x{frame.shape[0]}, the pictures before it "
                f"{source.width}x{source.height}; all frames have to have one size"
            )
        yield float(index / source.fps), frame


def _still(source: FrameSource) -> Iterator[tuple[float, np.ndarray]]:
    yield 0.0, read_picture(source.path).over()
