"""Reading and writing video files, one frame at a time.

Every function streams: the memory needed does not grow with the length of the video. A frame is a
(h, w, 3) uint8 RGB array with square pixels, upright as a player would show it.
"""

import contextlib
import dataclasses
import os
from collections.abc import Generator, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from liax_jax.data.upright import upright_square_pixels

# What the decoder does about the errors it notices: fail. Its default is to paint over the damage
# and go on, and a model trained on such frames learns the smears. (Not every changed bit makes an
# invalid stream; what decodes without a contradiction is taken as it is.)
_STRICT_DECODING = {"err_detect": "explode"}

# A video that stops this long before the length in its header has been cut off. Headers round.
_LENGTH_TOLERANCE_FRAMES = 1.5

# Times in a file are multiples of its clock's tick, often a millisecond.
_TIME_SLACK = 0.001

_BT709 = 1
_LIMITED_RANGE = 1
_HDR_TRANSFERS = (16, 18)  # PQ (SMPTE ST 2084) and HLG (ARIB STD-B67)
_DEFAULT_RATE = Fraction(25)


class VideoError(ValueError):
    """A file that cannot be read as a video; the message names the file and the reason."""


class DamagedVideoError(VideoError):
    """A video that begins well and then breaks: truncated, or not decodable from somewhere on."""


@dataclasses.dataclass(frozen=True)
class VideoInfo:
    """What the header of a video file says.

    Attributes:
        width, height: stored size in pixels, before any rotation.
        fps: frames per second (the average rate).
        num_frames: number of frames as far as the header tells, else the estimate
            duration * fps, else None. For progress and estimates; count what you read.
        duration: seconds, or None where the container does not say.
        codec: name of the codec, such as "h264".
        rate: `fps` as the file states it.
        has_audio: whether there is sound.
        high_dynamic_range: whether the colours are meant for an HDR screen (PQ or HLG); they are
            read as they are and look pale.
    """

    width: int
    height: int
    fps: float
    num_frames: int | None
    duration: float | None
    codec: str
    rate: Fraction = Fraction(25)
    has_audio: bool = False
    high_dynamic_range: bool = False


@contextlib.contextmanager
def _open_video(
    path: str | os.PathLike[str],
) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    """Opens a file and picks its first real video stream."""
    path = Path(path)
    if path.is_dir():
        raise VideoError(f"{path}: is a folder, not a video file")
    try:
        container = av.open(str(path))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except (av.FFmpegError, OSError, UnicodeDecodeError) as error:
        raise VideoError(f"{path}: not a readable video ({_reason(error)})") from None
    with container:
        streams = [
            stream
            for stream in container.streams.video
            # An audio file's cover picture is stored as a video stream too.
            if not stream.disposition & av.stream.Disposition.attached_pic
        ]
        if not streams:
            raise VideoError(f"{path}: holds no video stream, or its header is incomplete")
        stream = streams[0]
        if not stream.width or not stream.height:
            raise VideoError(
                f"{path}: the video stream has no picture size; the file is "
                "incomplete or its codec is unknown"
            )
        yield container, stream


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _duration_seconds(
    container: av.container.InputContainer, stream: av.VideoStream
) -> float | None:
    """Length of the video stream by the header, or None."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None and len(container.streams) == 1:
        return container.duration / av.time_base
    return None


def probe(path: str | os.PathLike[str]) -> VideoInfo:
    """Reads the header of a video file.

    Raises:
        FileNotFoundError: there is no such file.
        VideoError: it is not a video.
    """
    with _open_video(path) as (container, stream):
        rate = _frame_rate(stream)
        fps = float(rate)
        duration = _duration_seconds(container, stream)
        estimate = duration or (container.duration or 0) / av.time_base
        num_frames = stream.frames or round(estimate * fps) or None
        return VideoInfo(
            stream.width,
            stream.height,
            fps,
            num_frames,
            duration,
            stream.codec_context.name,
            rate,
            bool(container.streams.audio),
            stream.codec_context.color_trc in _HDR_TRANSFERS,
        )


def _frame_rate(stream: av.VideoStream) -> Fraction:
    return stream.average_rate or stream.guessed_rate or _DEFAULT_RATE


def read_video(path: str | os.PathLike[str], *, num_threads: int = 0) -> Iterator[np.ndarray]:
    """Yields the frames of a video file in order, from the first.

    Pixels that are not square (an anamorphic video) are made square by widening or narrowing the
    picture, and the rotation or mirroring that cameras write into the header is applied.

    Args:
        path: any file that FFmpeg reads.
        num_threads: threads of the decoder; 0 leaves the number to it.

    Yields:
        (h, w, 3) uint8 RGB frames, all of one size.

    Raises:
        FileNotFoundError: there is no such file.
        VideoError: it is not a video, or holds no frame.
        DamagedVideoError: it is truncated, or the decoder notices an error in it; raised after
            frames before the damage have been yielded.
    """
    for _, frame in read_timed_video(path, num_threads=num_threads):
        yield frame


def read_timed_video(
    path: str | os.PathLike[str],
    *,
    num_threads: int = 0,
    start: float = 0.0,
    stop: float | None = None,
) -> Generator[tuple[float, np.ndarray], None, None]:
    """Yields the frames of a video file with the times at which they are shown.

    Frames and errors are those of `read_video`; so are the args, but for two.

    Args:
        start, stop: only frames shown at start <= seconds < stop; a video is entered close to the
            start, not read from its beginning, and left at the stop.

    Yields:
        (seconds, frame); seconds count from the start of the pictures and increase from frame to
        frame. Where the file gives a frame no time, or one that doesn't increase, the frame
        follows the one before it by the average interval.
    """
    with _open_video(path) as (container, stream):
        context = stream.codec_context
        context.options = dict(_STRICT_DECODING)
        context.thread_count = num_threads
        num_frames = num_packets = 0
        end = 0.0  # seconds from the stream's start
        size = None
        time, interval = -1.0, float(1 / _frame_rate(stream))
        if start > 0 and stream.time_base:
            # To the key frame before it.
            offset = int(start / stream.time_base) + (stream.start_time or 0)
            with contextlib.suppress(av.FFmpegError):
                container.seek(offset, stream=stream, backward=True)
        try:
            for packet in container.demux(stream):
                num_packets += packet.size > 0
                if packet.is_corrupt:
                    raise DamagedVideoError(f"{path}: truncated after {num_frames} frames")
                if packet.pts is not None and packet.time_base is not None:
                    ticks = packet.pts + (packet.duration or 0) - (stream.start_time or 0)
                    end = max(end, float(ticks * packet.time_base))
                for frame in packet.decode():
                    image = upright_square_pixels(frame, stream.sample_aspect_ratio)
                    if size not in (None, image.shape):
                        raise DamagedVideoError(
                            f"{path}: the picture size changes after {num_frames} frames, from "
                            f"{size[1]}x{size[0]} to {image.shape[1]}x{image.shape[0]}"
                        )
                    size = image.shape
                    time = _frame_time(frame, stream, time, interval)
                    if stop is not None and time >= stop - _TIME_SLACK:
                        return
                    num_frames += 1
                    if time >= start - _TIME_SLACK:
                        yield time, image
        except av.FFmpegError as error:
            raise DamagedVideoError(
                f"{path}: damaged after {num_frames} frames ({_reason(error)})"
            ) from None
        if start == 0 and _stopped_early(container, stream, num_packets, end):
            raise DamagedVideoError(f"{path}: truncated after {num_frames} frames")
        if not num_frames:
            raise VideoError(f"{path}: holds no frames")


def _frame_time(
    frame: av.VideoFrame, stream: av.VideoStream, previous: float, interval: float
) -> float:
    """Seconds from the start of the stream; `previous` is negative before the first frame."""
    if frame.pts is not None and frame.time_base is not None:
        start = (stream.start_time or 0) * (stream.time_base or 0)
        time = float(frame.pts * frame.time_base - start)
        if time > previous and time >= 0:
            return time
    return max(0.0, previous + interval) if previous >= 0 else 0.0


def _stopped_early(
    container: av.container.InputContainer, stream: av.VideoStream, num_packets: int, end: float
) -> bool:
    """Whether the file ends before its header says, cut exactly between two packets.

    Both signs are wanted, fewer packets and less time: editing programs leave packets out of use,
    and recorders round the duration.
    """
    duration = _duration_seconds(container, stream)
    fps = float(stream.average_rate or 25)
    return (
        duration is not None
        and num_packets < stream.frames
        and end < duration - _LENGTH_TOLERANCE_FRAMES / fps
    )


def write_video(
    path: str | os.PathLike[str], frames: Iterable[np.ndarray], fps: float, crf: float = 17.0
) -> int:
    """Writes frames as an H.264 mp4 (yuv420p, BT.709), which every browser and player shows.

    The file appears under its name only when it is complete.

    Args:
        path: the mp4 file; its folder is made if missing, an existing file is replaced.
        frames: (h, w, 3) uint8 RGB arrays, all of one size, h and w even.
        fps: frames per second.
        crf: constant rate factor of x264: 0 is lossless, 17 hardly distinguishable, 51 worst.

    Returns:
        The number of frames written.

    Raises:
        ValueError: no frame at all, a wrong dtype or shape, an odd size, or fps or crf out of
            range.
    """
    path = Path(path)
    if not fps > 0:
        raise ValueError(f"{path}: fps must be positive, got {fps}")
    if not 0 <= crf <= 51:
        raise ValueError(f"{path}: crf must be between 0 and 51, got {crf}")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        num_frames = _encode(partial, path, frames, fps, crf)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return num_frames


def _encode(partial: Path, path: Path, frames: Iterable[np.ndarray], fps: float, crf: float) -> int:
    rate = Fraction(fps).limit_denominator(1001)
    num_frames = 0
    stream: av.VideoStream | None = None
    shape: tuple[int, ...] = ()
    with av.open(str(partial), "w", format="mp4", options={"movflags": "faststart"}) as container:
        for frame in frames:
            if stream is None:
                shape = _checked_shape(path, frame)
                options = {"crf": str(crf), "preset": "medium"} | _same_bytes(shape[1])
                stream = container.add_stream("libx264", rate=rate, options=options)
                stream.height, stream.width = shape[:2]
                stream.pix_fmt = "yuv420p"
                context = stream.codec_context
                context.colorspace = context.color_primaries = context.color_trc = _BT709
                context.color_range = _LIMITED_RANGE
            if frame.shape != shape or frame.dtype != np.uint8:
                raise ValueError(
                    f"{path}: frame {num_frames} is {frame.dtype}{frame.shape}; "
                    f"the first was uint8{shape}"
                )
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture = picture.reformat(format="yuv420p", dst_colorspace="itu709")
            picture.pts, picture.time_base = num_frames, 1 / rate
            container.mux(stream.encode(picture))
            num_frames += 1
        if stream is None:
            raise ValueError(f"{path}: there are no frames to write")
        container.mux(stream.encode())
    return num_frames


def _same_bytes(width: int) -> dict[str, str]:
    """Options with which x264 makes the same bytes of the same frames every time.

    Its macroblock tree reads memory that nobody has written unless a row has a multiple of eight
    macroblocks (seen with PyAV 18.1, where fresh memory was filled with other bytes).
    """
    return {"x264-params": "mbtree=0"} if -(-width // 16) % 8 else {}


def _checked_shape(path: Path, frame: np.ndarray) -> tuple[int, ...]:
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        raise ValueError(f"{path}: frames must be (h, w, 3) uint8, got {frame.dtype}{frame.shape}")
    if frame.shape[0] % 2 or frame.shape[1] % 2:
        raise ValueError(
            f"{path}: H.264 with yuv420p needs even sizes, got frames of "
            f"{frame.shape[1]}x{frame.shape[0]}; pad or crop them by one pixel"
        )
    return frame.shape
