"""The unit of work of `liax prepare`: one item → the records of its clips, or why there are none.

`extract` is a function of its arguments: whatever runs it (this process, a pool of them, or an
engine over many machines) gets the same bytes. A source is read to its end before anything of it
is used, and so nothing of a broken one is.
"""

import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from liax_jax.data import clips, spans, video_io
from liax_jax.data.clip_writing import Clip, write_clips
from liax_jax.data.frame_options import FrameOptions
from liax_jax.data.items import Item
from liax_jax.data.spans import Span
from liax_jax.faces import crops, detection

# A source's fingerprint covers so much of its beginning and of its end.
_FINGERPRINT_BYTES = 1 << 20


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
    try:
        fps = item.fps(options.frame_folder_fps)
        share = 1 / passes / item.num_frames_estimate(options.frame_folder_fps)
        mark = fingerprint(item.path)
    except FileNotFoundError:
        raise
    except OSError as error:  # one source that can't be read is no reason to stop
        raise video_io.VideoError(f"{item.path}: {error.strerror}") from None

    def watched(count: int = 1) -> Iterator[tuple[float, np.ndarray]]:
        for pair in item.read(fps):
            yield pair
            step(count, share)

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
            written, more = write_clips(item, kept, watched(2 - passes), file, options, fps)
    return Extracted(tuple(written), (*dropped, *more), mark)


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
