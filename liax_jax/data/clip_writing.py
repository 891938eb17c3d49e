"""The second pass over a source: frames are cropped, scaled, encoded, and spooled clip by clip."""

import dataclasses
import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np
from PIL import Image

from liax_jax.data import frame_codec
from liax_jax.data.frame_options import FrameOptions
from liax_jax.data.items import Item
from liax_jax.data.spans import Span
from liax_jax.faces import crops

_LENGTH = struct.Struct("<I")  # of each record in a spool file

# The side at which sharpness is measured, so that it means the same whatever the resolution.
SHARPNESS_SIDE = 256
# Of so many frames of a clip.
_SHARPNESS_FRAMES = 15


@dataclasses.dataclass(frozen=True)
class Clip:
    """A clip whose records are in a spool file.

    Attributes:
        name: the item's name; with a number after it if the item has several.
        num_frames, num_bytes: of its records; the bytes include the lengths in the spool.
        fps: frames per second after the stride.
        height, width: size of the source.
        start, end: the part of the source, seconds.
        box: left, top and side of the square, pixels of the source.
    """

    name: str
    num_frames: int
    num_bytes: int
    fps: float
    height: int
    width: int
    start: float
    end: float
    box: tuple[float, float, float]


def center_square(frame: np.ndarray, resolution: int) -> np.ndarray:
    """Cuts the centre square out of a frame and scales it, antialiased.

    Args:
        frame: (h, w, 3) uint8.
        resolution: height and width of the result.

    Returns:
        (resolution, resolution, 3) uint8.
    """
    height, width = frame.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    if side == resolution:
        return frame[top : top + side, left : left + side]
    # The gap lets large frames be averaged to three times the target size first: half the time,
    # and within 56 dB of the exact filter.
    image = Image.fromarray(frame).resize(
        (resolution, resolution),
        Image.Resampling.LANCZOS,
        box=(left, top, left + side, top + side),
        reducing_gap=3.0,
    )
    return np.asarray(image)


def sharpness(image: np.ndarray) -> float:
    """Variance of the Laplacian of a crop's luma, in grey levels squared.

    Depends on the size of the crop. A picture enlarged from few pixels counts as blurred, as it is.

    Args:
        image: (h, w, 3) uint8, at `SHARPNESS_SIDE` to be compared with `min_sharpness`.
    """
    values = np.asarray(Image.fromarray(image).convert("L"), np.float32)
    around = values[:-2, 1:-1] + values[2:, 1:-1] + values[1:-1, :-2] + values[1:-1, 2:]
    return float((around - 4 * values[1:-1, 1:-1]).var())


def write_clips(
    item: Item,
    kept: Sequence[tuple[str, Span]],
    frames: Iterator[tuple[float, np.ndarray]],
    file: BinaryIO,
    options: FrameOptions,
    fps: float,
) -> tuple[list[Clip], list[tuple[str, str, str]]]:
    """Writes the clips of an item to a spool, one after the other, and takes back the bad ones.

    Args:
        item: what is read.
        kept: (name, stretch), in order.
        frames: all frames of the item: (seconds, (h, w, 3) uint8 RGB).
        file: the spool.
        options: how.
        fps: frames per second of the item.

    Returns:
        The clips, and what was left out: (name, kind of reason, reason in words).
    """
    written: list[Clip] = []
    dropped: list[tuple[str, str, str]] = []
    waiting = iter(kept)
    current = next(waiting, None)
    clip: _OpenClip | None = None
    for index, (time, frame) in enumerate(frames):
        while current is not None and current[1].stop is not None and index >= current[1].stop:
            _close(clip, file, item, options, written, dropped)
            current, clip = next(waiting, None), None
        if current is None:
            break
        if index >= current[1].start:
            clip = clip or _OpenClip(*current, file, options, fps, frame.shape[:2])
            if clip.full:
                if current[1].stop is None:
                    break
                continue
            clip.add(time, frame)
    _close(clip, file, item, options, written, dropped)
    return written, dropped


class _OpenClip:
    """A clip being written to a spool."""

    def __init__(
        self,
        name: str,
        span: Span,
        file: BinaryIO,
        options: FrameOptions,
        fps: float,
        size: tuple[int, int],
    ):
        self.name, self.span, self.offset = name, span, file.tell()
        self.sharpness: list[float] = []
        self.num_frames = 0
        self.start = self.end = 0.0
        self.fps, self.size = fps, size
        self._seen = 0
        self._file, self._options = file, options

    @property
    def full(self) -> bool:
        return self.num_frames == self._options.max_frames

    def add(self, time: float, frame: np.ndarray) -> None:
        options = self._options
        self._seen += 1
        if (self._seen - 1) % options.stride:
            return
        if not self.num_frames:
            self.start = time
        self.end = time + 1 / self.fps
        image = self._cut(frame, options.resolution)
        # Every power of two more frames, half as often: spread over clips of any length.
        every = 1 << max(0, (self.num_frames // _SHARPNESS_FRAMES).bit_length())
        if options.crop.smallest_sharpness and self.num_frames % every == 0:
            self.sharpness.append(sharpness(self._cut(frame, SHARPNESS_SIDE)))
        record = frame_codec.encode_frame(image, self.num_frames, options.quality)
        self._file.write(_LENGTH.pack(len(record)))
        self._file.write(record)
        self.num_frames += 1

    def _cut(self, frame: np.ndarray, resolution: int) -> np.ndarray:
        if self._options.crop.mode == "center":
            return center_square(frame, resolution)
        return crops.cut_out(frame, self.span.square, resolution)


def _close(
    clip: _OpenClip | None,
    file: BinaryIO,
    item: Item,
    options: FrameOptions,
    written: list[Clip],
    dropped: list[tuple[str, str, str]],
) -> None:
    if clip is None:
        return
    smallest = options.crop.smallest_sharpness
    needed = 1 if item.is_still else options.min_frames
    if clip.num_frames < needed:
        reason = "too short", f"{clip.num_frames} frames where {needed} are needed"
    elif smallest and float(np.median(clip.sharpness)) < smallest:
        sharp = float(np.median(clip.sharpness))
        reason = "blurred", f"sharpness {sharp:.1f} where {smallest:g} is needed"
    else:
        square = clip.span.square
        written.append(
            Clip(
                clip.name,
                clip.num_frames,
                file.tell() - clip.offset,
                clip.fps / options.stride,
                *clip.size,
                round(clip.start, 6),
                round(clip.end, 6),
                (round(square.left, 3), round(square.top, 3), round(square.side, 3)),
            )
        )
        return
    file.seek(clip.offset)
    file.truncate()
    dropped.append((clip.name, *reason))


def read_spool(file: BinaryIO, num_frames: int) -> Iterator[bytes]:
    """Yields the records of the next clip of a spool file."""
    for _ in range(num_frames):
        yield file.read(_LENGTH.unpack(file.read(_LENGTH.size))[0])
