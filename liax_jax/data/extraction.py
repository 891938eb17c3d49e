"""Reading clips into frame records, in this process or in several.

A clip goes through a spool file: it is read to its end there before the first of its records is
used, and so nothing of a broken clip is. Only a few clips are spooled at a time.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import multiprocessing
import signal
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image
from tqdm import tqdm

from liax_jax.data import clips, records, video_io

_LENGTH = struct.Struct("<I")  # of each record in a spool file
_BAR_SECONDS = 0.2


@dataclasses.dataclass(frozen=True)
class FrameOptions:
    """How the frames of a clip become records.

    Attributes:
        resolution: height and width of the frames written, a power of two >= 32.
        stride: every stride-th frame is kept.
        min_frames: clips with fewer frames are skipped; at least 2, as training takes pairs.
        max_frames: at most this many frames of a clip, from its start; None for all.
        quality: None for lossless, or a JPEG quality, 1 to 100.
        frame_folder_fps: frames per second of folders of images, which do not say.
    """

    resolution: int
    stride: int = 1
    min_frames: int = 2
    max_frames: int | None = None
    quality: int | None = None
    frame_folder_fps: float = 25.0

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


@dataclasses.dataclass(frozen=True)
class Extracted:
    """The outcome of reading a clip: its frames, or the reason why it is skipped.

    Attributes:
        num_frames: frames kept (0 if skipped).
        fps: frames per second after the stride.
        height, width: size of the source.
        problem: "" or the kind of problem: "unreadable", "damaged or truncated", "too short".
        detail: the reason in words.
    """

    num_frames: int = 0
    fps: float = 0.0
    height: int = 0
    width: int = 0
    problem: str = ""
    detail: str = ""


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


def extract(
    source: clips.ClipSource,
    spool: Path,
    options: FrameOptions,
    num_threads: int,
    advance: Callable[[int, float], None],
) -> Extracted:
    """Reads a clip and writes its records, each after its length, to a spool file.

    Args:
        source: the clip.
        spool: the file to write.
        options: how frames become records.
        num_threads: threads of the decoder, 0 for its own choice.
        advance: is told of each step: (frames read, the share of the clip's bytes they are).
    """
    num_frames, size, bytes_left = 0, (0, 0), float(source.num_bytes)
    try:
        fps = source.fps(options.frame_folder_fps)
        share = source.num_bytes / max(source.num_frames_estimate() or 1, 1)
        with spool.open("wb") as file:
            for number, frame in enumerate(source.read(num_threads)):
                if number % options.stride == 0:
                    if num_frames == options.max_frames:
                        break
                    size = frame.shape[:2]
                    record = records.encode_frame(
                        center_square(frame, options.resolution), num_frames, options.quality
                    )
                    file.write(_LENGTH.pack(len(record)))
                    file.write(record)
                    num_frames += 1
                step = min(share, bytes_left)
                bytes_left -= step
                advance(1, step)
    except (video_io.VideoError, FileNotFoundError) as error:
        damaged = isinstance(error, video_io.DamagedVideoError)
        return Extracted(
            problem="damaged or truncated" if damaged else "unreadable",
            detail=str(error).removeprefix(f"{source.path}: "),
        )
    finally:
        advance(0, bytes_left)
    if num_frames < options.min_frames:
        return Extracted(
            problem="too short", detail=f"{num_frames} frames where {options.min_frames} are needed"
        )
    return Extracted(num_frames, fps / options.stride, size[0], size[1])


def read_spool(file: BinaryIO) -> Iterator[bytes]:
    """Yields the records of a spool file."""
    while prefix := file.read(_LENGTH.size):
        yield file.read(_LENGTH.unpack(prefix)[0])


def extract_all(
    sources: Sequence[clips.ClipSource],
    spool_folder: Path,
    options: FrameOptions,
    workers: int,
    bar: tqdm,
) -> Iterator[tuple[Path, Extracted]]:
    """Reads clips, in `workers` processes if more than one, and yields them in their order.

    Args:
        sources: the clips.
        spool_folder: an existing folder; the caller deletes each file when it has used it.
        options: how frames become records.
        workers: number of processes that read.
        bar: a progress bar in bytes of the sources; frames and their rate go into its postfix.

    Yields:
        (spool file, outcome) for each clip.

    Raises:
        RuntimeError: a worker process died.
    """
    spools = [spool_folder / f"{number:08d}" for number in range(len(sources))]
    counts = _Counts(bar, len(sources))
    if workers == 1:
        for source, spool in zip(sources, spools, strict=True):
            result = extract(source, spool, options, 0, counts.add)
            counts.clip_done()
            yield spool, result
        return
    # Spawned, not forked: the program that calls may have threads.
    context = multiprocessing.get_context("spawn")
    frames, num_bytes, stop = context.Value("q"), context.Value("d"), context.Event()
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(
            concurrent.futures.ProcessPoolExecutor(
                workers,
                mp_context=context,
                initializer=_start_worker,
                initargs=(frames, num_bytes, stop),
            )
        )
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        stack.callback(stop.set)
        waiting = iter(zip(sources, spools, strict=True))
        running: collections.deque[tuple[Path, concurrent.futures.Future[Extracted]]]
        running = collections.deque()
        while True:
            # A bounded number of clips ahead, so that spool files do not pile up.
            while len(running) < 2 * workers and (job := next(waiting, None)):
                running.append((job[1], pool.submit(_work, *job, options)))
            if not running:
                break
            spool, future = running.popleft()
            while not concurrent.futures.wait([future], timeout=_BAR_SECONDS).done:
                counts.show(frames.value, num_bytes.value)
            try:
                result = future.result()
            except BrokenProcessPool:
                raise RuntimeError(
                    "a worker process died, perhaps for want of memory; run again with "
                    "--workers 1, and the progress bar stops at the clip that does it"
                ) from None
            counts.clip_done(frames.value, num_bytes.value)
            yield spool, result


class _Counts:
    """Clips, frames and bytes read so far, shown in a progress bar."""

    def __init__(self, bar: tqdm, num_clips: int):
        self._bar = bar
        self._num_clips = num_clips
        self._start = self._shown = time.monotonic()
        self._clips, self._frames, self._bytes = 0, 0, 0.0

    def add(self, frames: int, num_bytes: float) -> None:
        self._frames += frames
        self._bytes += num_bytes
        if time.monotonic() - self._shown > _BAR_SECONDS:
            self.show()

    def clip_done(self, frames: int | None = None, num_bytes: float | None = None) -> None:
        self._clips += 1
        self.show(frames, num_bytes)

    def show(self, frames: int | None = None, num_bytes: float | None = None) -> None:
        self._frames = self._frames if frames is None else frames
        self._bytes = self._bytes if num_bytes is None else num_bytes
        self._shown = time.monotonic()
        rate = self._frames / max(self._shown - self._start, 1e-9)
        self._bar.set_postfix_str(
            f"{self._clips}/{self._num_clips} clips, {self._frames} frames, {rate:.0f} frames/s",
            refresh=False,
        )
        self._bar.update(min(self._bytes, self._bar.total) - self._bar.n)


# What a worker process reports to, set by its initialiser.
_worker: dict[str, Any] = {}


def _start_worker(frames: Any, num_bytes: Any, stop: Any) -> None:
    # Ctrl-C goes to the whole group of processes; the parent answers it, by `stop`.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker.update(frames=frames, num_bytes=num_bytes, stop=stop)


def _work(source: clips.ClipSource, spool: Path, options: FrameOptions) -> Extracted:
    def advance(frames: int, num_bytes: float) -> None:
        with _worker["frames"].get_lock():
            _worker["frames"].value += frames
        with _worker["num_bytes"].get_lock():
            _worker["num_bytes"].value += num_bytes
        if _worker["stop"].is_set():
            raise concurrent.futures.CancelledError

    # One decoding thread: the processes are the parallelism.
    return extract(source, spool, options, 1, advance)
