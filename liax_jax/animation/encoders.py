"""Encoders of moving pictures into one file: H.264 mp4, VP9 webm and apng.

Each takes frames one by one and keeps only as many as its codec looks ahead.
"""

import abc
import contextlib
import math
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from liax_jax.animation.output_files import (
    OutputError,
    check_writable,
    naming_full_disk,
    partial_path,
)
from liax_jax.animation.sound import Sound
from liax_jax.log import logger

_BT709 = 1
_LIMITED_RANGE = 1
# Ticks a second at the least: fine enough for the times of any recorder.
_MIN_TICKS = 90_000

DEFAULT_QUALITY = 80


class Encoder(abc.ABC):
    """Writes frames into a file that appears when it is complete.

    Attributes:
      path: the final name.
    """

    path: Path

    @abc.abstractmethod
    def open(self) -> None:
        """Begins; nothing is on disk before."""

    @abc.abstractmethod
    def add(self, frame: np.ndarray, seconds: float, start: float) -> None:
        """Adds a frame (h, w, c) uint8.

        Args:
          seconds: when it is shown, from the first frame on.
          start: when the first frame is shown on the clock of the sound's file.
        """

    @abc.abstractmethod
    def finish(self) -> None:
        """Completes the file and gives it its name."""

    @abc.abstractmethod
    def abort(self) -> None:
        """Removes what was written."""


@contextlib.contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Names the output in the errors of the codecs."""
    with naming_full_disk(path):
        try:
            yield
        except av.FFmpegError as error:
            if isinstance(error, OSError):
                raise
            raise OutputError(
                f"{path}: these frames can't be encoded ({error.strerror or error}); try another "
                "format or a smaller size"
            ) from None


class VideoEncoder(Encoder):
    """What the encoders of FFmpeg have in common.

    Args:
      size: (height, width) of the frames.
      fps: nominal frame rate; the last frame is shown for 1 / fps.
      alpha: frames have a fourth channel.
      quality: 0 to 100, or None for the default; lossless formats don't have it.
      audio_from: file whose sound goes along, or None.
    """

    container_format: str

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        fps: Fraction,
        *,
        alpha: bool = False,
        quality: int | None = None,
        audio_from: Path | None = None,
        overwrite: bool = True,
    ):
        check_writable(path, overwrite)
        self.path = path
        self._height, self._width = size
        self._fps = fps.limit_denominator(1001)
        self._alpha = alpha
        self._quality = DEFAULT_QUALITY if quality is None else quality
        self._audio_from = audio_from
        # A whole number of ticks for each frame at the nominal rate.
        per_second = self._fps.numerator * math.ceil(_MIN_TICKS / self._fps.numerator)
        self._time_base = Fraction(1, per_second)
        self._partial = partial_path(path)
        self._container: Any = None
        self._stream: Any = None
        self._sound: Sound | None = None
        self._end = 0  # ticks, where the last frame ends

    @property
    def _frame_ticks(self) -> int:
        return max(1, round(1 / (self._fps * self._time_base)))

    def _options(self) -> dict[str, str]:
        """Of the container."""
        return {}

    @abc.abstractmethod
    def _add_stream(self) -> Any:
        """Adds the stream of pictures to the container."""

    def _new_stream(
        self, codec: str, pixels: str, size: tuple[int, int], options: dict[str, str]
    ) -> Any:
        stream = self._container.add_stream(codec, rate=self._fps, options=options)
        stream.height, stream.width = size
        stream.pix_fmt = pixels
        stream.codec_context.time_base = self._time_base
        if "yuv" in pixels:
            context = stream.codec_context
            context.colorspace = context.color_primaries = context.color_trc = _BT709
            context.color_range = _LIMITED_RANGE
        return stream

    def _picture(self, frame: np.ndarray) -> av.VideoFrame:
        """The frame as the codec takes it."""
        layout = "rgba" if self._alpha else "rgb24"
        return av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format=layout)

    def _encode(self, picture: av.VideoFrame | None) -> None:
        """Encodes and muxes one picture; None at the end."""
        self._container.mux(self._stream.encode(picture))

    def open(self) -> None:
        with _reported(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._container = av.open(
                os.fspath(self._partial),
                "w",
                format=self.container_format,
                options=self._options(),
            )

    def add(self, frame: np.ndarray, seconds: float, start: float) -> None:
        with _reported(self.path):
            if self._stream is None:
                self._stream = self._add_stream()
                if self._audio_from is not None:
                    self._sound = Sound(self._audio_from, self._container, start)
            picture = self._picture(frame)
            picture.time_base, picture.pts = self._time_base, round(seconds / self._time_base)
            picture.duration = self._frame_ticks
            self._end = picture.pts + self._frame_ticks
            self._encode(picture)
            if self._sound is not None:
                self._sound.write_until(seconds)

    def finish(self) -> None:
        with _reported(self.path):
            self._encode(None)
            if self._sound is not None:
                self._sound.finish(float(self._end * self._time_base))
                self._sound.close()
            self._container.close()
            os.replace(self._partial, self.path)

    def abort(self) -> None:
        # Removed first: completing a large file that nobody wants would take its time.
        self._partial.unlink(missing_ok=True)
        for opened in (self._sound, self._container):
            with contextlib.suppress(av.FFmpegError, OSError, ValueError):
                if opened is not None:
                    opened.close()
        self._partial.unlink(missing_ok=True)


class Mp4Encoder(VideoEncoder):
    """H.264 (yuv420p, BT.709), which every browser and player shows.

    Quality 0 … 100 is x264's crf 40 … 10. Odd sizes grow by a repeated row or column.
    """

    container_format = "mp4"
    _held: Any = None
    _first_dts: int | None = None

    def _options(self) -> dict[str, str]:
        return {"movflags": "faststart"}

    def _add_stream(self) -> Any:
        size = (self._height + self._height % 2, self._width + self._width % 2)
        if size != (self._height, self._width):
            logger.info(
                "%s: %dx%d is written as %dx%d, as H.264 wants even sizes",
                self.path,
                self._width,
                self._height,
                size[1],
                size[0],
            )
        crf = 40 - 0.3 * self._quality
        return self._new_stream(
            "libx264", "yuv420p", size, {"crf": f"{crf:.1f}", "preset": "medium"}
        )

    def _picture(self, frame: np.ndarray) -> av.VideoFrame:
        if self._height % 2 or self._width % 2:
            frame = np.pad(frame, ((0, self._height % 2), (0, self._width % 2), (0, 0)), "edge")
        return super()._picture(frame).reformat(format="yuv420p", dst_colorspace="itu709")

    def _encode(self, picture: av.VideoFrame | None) -> None:
        # The file's length is the sum of the intervals between decoding times and the last
        # packet's duration. That packet is held back to make the sum the end of the last picture,
        # also where the intervals differ.
        packet: Any
        for packet in self._stream.encode(picture):
            if self._held is not None:
                self._container.mux(self._held)
            elif self._first_dts is None:
                self._first_dts = packet.dts
            self._held = packet
        if picture is None and self._held is not None:
            self._held.duration = self._end - (self._held.dts - (self._first_dts or 0))
            self._container.mux(self._held)


class WebmEncoder(VideoEncoder):
    """VP9 (yuv420p or yuva420p, BT.709). Quality 0 … 100 is libvpx's crf 50 … 15."""

    container_format = "webm"

    def _add_stream(self) -> Any:
        crf = round(50 - 0.35 * self._quality)
        options = {"crf": str(crf), "b": "0", "row-mt": "1", "cpu-used": "4"}
        if self._alpha:
            # Frames that are decoded but not shown don't go together with an alpha channel.
            options["auto-alt-ref"] = "0"
        pixels = "yuva420p" if self._alpha else "yuv420p"
        stream = self._new_stream("libvpx-vp9", pixels, (self._height, self._width), options)
        if self._alpha:
            stream.metadata["alpha_mode"] = "1"
        return stream

    def _picture(self, frame: np.ndarray) -> av.VideoFrame:
        pixels = "yuva420p" if self._alpha else "yuv420p"
        return super()._picture(frame).reformat(format=pixels, dst_colorspace="itu709")


class ApngEncoder(VideoEncoder):
    """Animated PNG: lossless, with alpha; plays for ever."""

    container_format = "apng"

    def _options(self) -> dict[str, str]:
        delay = 1 / self._fps
        return {"plays": "0", "final_delay": f"{delay.numerator}/{delay.denominator}"}

    def _add_stream(self) -> Any:
        pixels = "rgba" if self._alpha else "rgb24"
        return self._new_stream("apng", pixels, (self._height, self._width), {"pred": "mixed"})
