"""The sound of a video, carried over to another one: copied where its container holds it.

The sound is read step by step with the pictures that are written, so that memory does not grow
with its length.
"""

import os
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from liax_jax.log import logger

# Codecs that are copied, and the encoder for all others, by container.
_COPIED = {
    "mp4": frozenset(("aac", "mp3", "mp3float", "ac3", "eac3", "alac", "opus")),
    "webm": frozenset(("opus", "vorbis")),
}
_ENCODER = {"mp4": "aac", "webm": "libopus"}
# What those encoders take: sample format and rates.
_SAMPLE_FORMAT = {"aac": "fltp", "libopus": "flt"}
_RATES = {
    "aac": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
    "libopus": (48000,),
}
_BITS_PER_CHANNEL = {"aac": 96_000, "libopus": 64_000}
# A WebM can't hold a packet that begins before the pictures, but for what a decoder of Opus drops.
_OPUS_PADDING = 0.01


class Sound:
    """Sound on its way from one file into an output container.

    Args:
      path: the file that has the sound.
      container: the output; the stream is added to it, so nothing may have been muxed yet.
      start: seconds in the pictures of `path` at which the output begins.
    """

    def __init__(self, path: Path, container: Any, start: float = 0.0):
        self._path = path
        self._input = av.open(os.fspath(path))
        try:
            self._stream = self._input.streams.audio[0]
            self._container = container
            self._zero = Fraction(start).limit_denominator(1_000_000) + _picture_start(self._input)
            name = container.format.name
            self._early = name == "mp4"
            self._until: float | None = None
            self._encodes = self._stream.codec_context.name not in _COPIED[name]
            self._pieces: Generator[tuple[float, Any], None, None]
            if self._encodes:
                self._out = self._add_encoder(_ENCODER[name])
                self._pieces = self._decoded()
            else:
                self._out = container.add_stream_from_template(self._stream)
                self._pieces = self._copied()
        except BaseException:
            self._input.close()
            raise
        self._held: tuple[float, Any] | None = None

    def write_until(self, seconds: float) -> None:
        """Muxes the sound up to `seconds`, counted from the output's first frame."""
        while True:
            piece = self._held or next(self._pieces, None)
            self._held = None
            if piece is None:
                return
            if piece[0] >= seconds:
                self._held = piece
                return
            self._mux(piece[1])

    def finish(self, seconds: float) -> None:
        """Writes the rest up to `seconds`, where the last picture ends."""
        self._until = seconds
        self.write_until(seconds)
        if self._encodes:
            self._container.mux(self._out.encode(None))

    def close(self) -> None:
        """Lets go of the input file."""
        self._pieces.close()
        self._input.close()

    def _mux(self, piece: Any) -> None:
        if isinstance(piece, av.Packet):
            piece.stream = self._out
            self._container.mux(piece)
            return
        if self._until is not None:
            piece = _cut(piece, self._until)
        if piece is not None:
            self._container.mux(self._out.encode(piece))

    def _copied(self) -> Generator[tuple[float, av.Packet], None, None]:
        """Packets with their middles in seconds of the output; a cut falls nearest to its time."""
        for packet in self._demuxed():
            if packet.pts is None or packet.time_base is None:
                continue
            duration = float((packet.duration or 0) * packet.time_base)
            shift = round(self._zero / packet.time_base)
            start = float((packet.pts - shift) * packet.time_base)
            # An mp4 says which part of its first packets isn't heard; the packet before the first
            # one that is heard goes along, as decoders need it.
            if start <= (-2 * duration if self._early else -_OPUS_PADDING):
                continue
            packet.pts -= shift
            if packet.dts is not None:
                packet.dts -= shift
            yield start + duration / 2, packet

    def _demuxed(self) -> Iterator[av.Packet]:
        end = 0.0
        try:
            for packet in self._input.demux(self._stream):
                if packet.is_corrupt:
                    raise av.error.InvalidDataError(0, "truncated")
                if packet.pts is not None:
                    end = float(packet.pts * packet.time_base - self._zero)
                yield packet
        except av.FFmpegError as error:
            logger.warning(
                "%s: the sound is damaged after %.2f s (%s); the rest is silent",
                self._path,
                max(end, 0.0),
                error.strerror or error,
            )

    def _add_encoder(self, encoder: str) -> Any:
        context = self._stream.codec_context
        rate = min(_RATES[encoder], key=lambda one: (one < context.sample_rate, one))
        if rate < context.sample_rate:
            rate = max(_RATES[encoder])
        channels = min(context.layout.nb_channels, 2)
        if context.layout.nb_channels > 2:
            logger.warning(
                "%s: its %d channels of sound are mixed down to stereo",
                self._path,
                context.layout.nb_channels,
            )
        out = self._container.add_stream(encoder, rate=rate)
        out.codec_context.layout = "stereo" if channels == 2 else "mono"
        out.codec_context.format = _SAMPLE_FORMAT[encoder]
        out.codec_context.bit_rate = _BITS_PER_CHANNEL[encoder] * channels
        return out

    def _decoded(self) -> Generator[tuple[float, Any], None, None]:
        """Frames for the encoder, from second 0 of the output on, holes filled with silence."""
        graph = None
        for frame in self._decoded_frames():
            if frame.pts is None or frame.time_base is None:
                continue
            frame.pts -= round(self._zero / frame.time_base)
            if (frame.pts * frame.time_base) + Fraction(frame.samples, frame.sample_rate) <= 0:
                continue
            if graph is None:
                graph = self._filters(frame)
            graph.push(frame)
            yield from _pulled(graph)
        if graph is not None:
            graph.push(None)
            yield from _pulled(graph)

    def _decoded_frames(self) -> Iterator[Any]:
        warned = False
        for packet in self._demuxed():
            try:
                frames = packet.decode()
            except av.FFmpegError:
                if not warned:
                    logger.warning("%s: damaged pieces of the sound are left silent", self._path)
                warned = True
                continue
            yield from frames

    def _filters(self, frame: av.AudioFrame) -> av.filter.Graph:
        context = self._out.codec_context
        graph = av.filter.Graph()
        source = graph.add_abuffer(
            sample_rate=frame.sample_rate,
            format=frame.format.name,
            layout=frame.layout.name,
            time_base=frame.time_base,
        )
        chain = [
            source,
            graph.add("atrim", "start=0"),
            graph.add("aresample", f"{context.sample_rate}:async=1:first_pts=0"),
            graph.add(
                "aformat",
                f"sample_fmts={context.format.name}:sample_rates={context.sample_rate}"
                f":channel_layouts={context.layout.name}",
            ),
            graph.add("asetnsamples", "1024:p=0"),
            graph.add("abuffersink"),
        ]
        graph.link_nodes(*chain).configure()
        return graph


def _picture_start(container: Any) -> Fraction:
    """Seconds on the file's clock at which its pictures begin; 0 for a file without pictures."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return (stream.start_time or 0) * (stream.time_base or Fraction(0))
    return Fraction(0)


def _pulled(graph: av.filter.Graph) -> Iterator[tuple[float, Any]]:
    frame: Any
    while True:
        try:
            frame = graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return
        yield float(frame.pts * frame.time_base), frame


def _cut(frame: Any, end: float) -> Any | None:
    """The part of a frame before `end` seconds."""
    keep = round((end - float(frame.pts * frame.time_base)) * frame.sample_rate)
    if keep >= frame.samples:
        return frame
    if keep <= 0:
        return None
    channels = 1 if frame.format.is_planar else frame.layout.nb_channels
    samples = np.ascontiguousarray(frame.to_ndarray()[:, : keep * channels])
    cut = av.AudioFrame.from_ndarray(samples, frame.format.name, frame.layout.name)
    cut.sample_rate, cut.pts, cut.time_base = frame.sample_rate, frame.pts, frame.time_base
    return cut


def has_sound(path: str | os.PathLike[str]) -> bool:
    """Whether a file holds sound; folders and pictures don't."""
    path = Path(path)
    if path.is_dir():
        return False
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file to take the sound from")
    try:
        with av.open(os.fspath(path)) as container:
            return bool(container.streams.audio)
    except av.FFmpegError:
        return False
