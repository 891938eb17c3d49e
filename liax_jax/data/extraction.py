"""The unit of work of `liax prepare`: one item → the records of its clips, or why there are none.

`extract` is a function of its arguments: whatever runs it (this process, a pool of them, or an
engine over many machines) gets the same bytes. A source is read to its end before anything of it
is used, and so nothing of a broken one is.
"""

import dataclasses
import hashlib
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from liax_jax.data import clips, records, spans, video_io
from liax_jax.data.crop_options import CropOptions
from liax_jax.data.items import Item
from liax_jax.data.spans import Span
from liax_jax.faces import crops, detection

_LENGTH = struct.Struct("<I")  # of each record in a spool file

# The side at which sharpness is measured, so that it means the same whatever the resolution.
SHARPNESS_SIDE = 256
# Of so many frames of a clip.
_SHARPNESS_FRAMES = 15
# A source's fingerprint covers so much of its beginning and of its end.
_FINGERPRINT_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True)
class FrameOptions:
    """How the frames of a source become records.

    Attributes:
        resolution: height and width of the frames written, a power of two >= 32.
        stride: every stride-th frame is kept.
        min_frames: clips with fewer frames are left out; at least 2, as training takes pairs.
        max_frames: at most this many frames of a clip, from its start; None for all.
        quality: None for lossless, or a JPEG quality, 1 to 100.
        frame_folder_fps: frames per second of folders of images, which do not say.
        crop: which square becomes the frames, and the filters.
    """

    resolution: int
    stride: int = 1
    min_frames: int = 2
    max_frames: int | None = None
    quality: int | None = None
    frame_folder_fps: float = 25.0
    crop: CropOptions = CropOptions()

    def __post_init__(self) -> None:
        if self.resolution < 32 or self.resolution & (self.resolution - 1):
            raise ValueError(
                f"resolution must be a power of two from 32 on, as the models need "
                f"it; got {self.resolution}"
            )
        if self.stride < 1:
            raise ValueError(f"stride must be at least 1, got {self.stride}")
        if self.min_frames < 2:
            raise ValueError(
                "min-frames must be at least 2, since training takes two frames of "
                f"a clip; got {self.min_frames}"
            )
        if self.max_frames is not None and self.max_frames < self.min_frames:
            raise ValueError(
                f"max-frames ({self.max_frames}) is below min-frames ({self.min_frames})"
            )
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise ValueError(f"quality must be between 1 and 100, got {self.quality}")
        if not self.frame_folder_fps > 0:
            raise ValueError(f"fps must be positive, got {self.frame_folder_fps}")

    def to_json(self) -> dict[str, Any]:
        """What the records depend on."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {**fields, "crop": self.crop.to_json()}


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


@dataclasses.dataclass(frozen=True)
class Extracted:
    """The outcome of an item: its clips, and what was left out.

    Attributes:
        clips: in the order of the spool file.
        dropped: (name, kind of reason, reason in words).
        fingerprint: SHA-256 over the size, the first and the last megabyte of the source.
    """

    clips: tuple[Clip, ...] = ()
    dropped: tuple[tuple[str, str, str], ...] = ()
    fingerprint: str = ""

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Extracted":
        return cls(
            tuple(Clip(**{**clip, "box": tuple(clip["box"])}) for clip in fields["clips"]),
            tuple(tuple(drop) for drop in fields["dropped"]),
            fields["fingerprint"],
        )


# Is told of each step: (frames read, share of the item's bytes that they are).
Advance = Callable[[int, float], None]


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


def extract(item: Item, spool: Path, options: FrameOptions, advance: Advance) -> Extracted:
    """Reads an item and writes the records of its clips, each after its length, to a spool file.

    Args:
        item: what to read.
        spool: the file to write.
        options: how.
        advance: is told of the progress.

    Raises:
        OSError: the spool can't be written. What is wrong with the source is in the result.
    """
    told = 0.0

    def step(frames: int, share: float) -> None:
        nonlocal told
        share = min(share, 1.0 - told)
        told += share
        advance(frames, share * item.num_bytes)

    try:
        return _extract(item, spool, options, step)
    except (video_io.VideoError, FileNotFoundError) as error:
        reason = "unreadable"
        if isinstance(error, video_io.DamagedVideoError):
            reason = "damaged or truncated"
        elif item.missing:
            reason = "missing"
        detail = str(error).removeprefix(f"{item.path}: ")
        return Extracted((), ((item.name, reason, detail),), "")
    finally:
        step(0, 1.0)


def _extract(item: Item, spool: Path, options: FrameOptions, step: Advance) -> Extracted:
    if item.missing:
        raise FileNotFoundError("there is no such video")
    passes = 2 if options.crop.mode == "face" else 1
    share = 1 / passes / item.num_frames_estimate(options.frame_folder_fps)

    def watched(count: int = 1) -> Iterator[tuple[float, np.ndarray]]:
        for pair in item.read(fps):
            yield pair
            step(count, share)

    fps = item.fps(options.frame_folder_fps)
    print_ = fingerprint(item.path)
    found, first = _spans(item, options, watched)
    names = _names(item.name, len(found))
    kept, dropped = [], []
    for name, span in zip(names, found, strict=True):
        problem = (span.problem, span.detail)
        if not span.problem:
            problem = _misplaced(span, first, options)
        if problem[0]:
            dropped.append((name, *problem))
        else:
            kept.append((name, span))
    if not found:
        dropped.append((item.name, "no face", "no face was found in it"))
    written: list[Clip] = []
    more: list[tuple[str, str, str]] = []
    if kept:
        with spool.open("wb") as file:
            written, more = _write(item, kept, watched(2 - passes), file, options, fps)
    return Extracted(tuple(written), (*dropped, *more), print_)


def _names(name: str, number: int) -> list[str]:
    """Numbered before any is left out, so that other filters give no clip another's name."""
    return [name] if number == 1 else [f"{name}#{i}" for i in range(1, number + 1)]


def _spans(
    item: Item, options: FrameOptions, frames: Callable[[], Iterator[tuple[float, np.ndarray]]]
) -> tuple[list[Span], tuple[int, int]]:
    """The stretches of an item, and the size of its pictures."""
    crop = options.crop
    size = (0, 0)
    if crop.mode == "face":
        cut = dataclasses.replace(crop, min_seconds=0.0) if item.is_still else crop

        def sized() -> Iterator[tuple[float, np.ndarray]]:
            nonlocal size
            for pair in frames():
                size = pair[1].shape[:2]
                yield pair

        with detection.single_threaded():
            found = spans.find_spans(
                sized(), cut, detection.open_detector(crop.face_model), item.box
            )
        if size == (0, 0):
            raise video_io.VideoError(f"{item.path}: holds no frames in this stretch")
        return found, size
    pairs = item.read(options.frame_folder_fps)
    first = next(pairs, None)
    if first is None:
        raise video_io.VideoError(f"{item.path}: holds no frames in this stretch")
    size = first[1].shape[:2]
    if crop.mode == "center":
        square = crops.center_square(*size)
    elif item.box is None:
        square = crops.center_square(*size)
        return [Span(0, None, square, "no box", "the data set gives no box for it")], size
    else:
        square = crops.keep_inside(item.box.square(*size, crop.effective_scale), *size)
    return [Span(0, None, square)], size


def _misplaced(span: Span, size: tuple[int, int], options: FrameOptions) -> tuple[str, str]:
    """Why a stretch's square is no good, by kind and in words; empty if it is."""
    smallest = options.crop.smallest_side(options.resolution)
    outside = spans.outside_share(span.square, *size)
    if span.square.side < smallest:
        return "too small", f"{span.square.side:.0f} px where {smallest:.0f} px are needed"
    if outside > options.crop.max_outside:
        return "outside the picture", f"{outside:.0%} of the square"
    return "", ""


def _write(
    item: Item,
    kept: Sequence[tuple[str, Span]],
    frames: Iterator[tuple[float, np.ndarray]],
    file: BinaryIO,
    options: FrameOptions,
    fps: float,
) -> tuple[list[Clip], list[tuple[str, str, str]]]:
    """The second pass: writes the clips one after the other, and takes back the bad ones."""
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
        record = records.encode_frame(image, self.num_frames, options.quality)
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


def fingerprint(path: Path) -> str:
    """SHA-256 over the size, the first and the last megabyte of a file.

    Of a folder of images it covers the names and sizes of the images.
    """
    digest = hashlib.sha256()
    if path.is_dir():
        for image in clips.image_files(path):
            digest.update(f"{image.name} {image.stat().st_size}\n".encode())
        return digest.hexdigest()
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        digest.update(f"{size}\n".encode())
        file.seek(0)
        digest.update(file.read(_FINGERPRINT_BYTES))
        file.seek(max(_FINGERPRINT_BYTES, size - _FINGERPRINT_BYTES))
        digest.update(file.read(_FINGERPRINT_BYTES))
    return digest.hexdigest()


def read_spool(file: BinaryIO, num_frames: int) -> Iterator[bytes]:
    """Yields the records of the next clip of a spool file."""
    for _ in range(num_frames):
        yield file.read(_LENGTH.unpack(file.read(_LENGTH.size))[0])
