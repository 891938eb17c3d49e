"""Writers of frames, chosen by the ending of the name: mp4, webm, gif, apng, PNGs, one picture.

All of them stream, and nothing appears under its final name before it is complete.
"""

import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import numpy as np

from liax_jax.animation import pictures
from liax_jax.animation.encoders import ApngEncoder, Encoder, Mp4Encoder, WebmEncoder
from liax_jax.animation.gif_encoder import GifEncoder
from liax_jax.animation.output_files import OutputError
from liax_jax.animation.picture_writers import NUMBER, PngSequence, SinglePicture
from liax_jax.animation.sound import has_sound
from liax_jax.log import logger

_VIDEO_ENCODERS: dict[str, type[Mp4Encoder | WebmEncoder | GifEncoder | ApngEncoder]] = {
    ".mp4": Mp4Encoder,
    ".webm": WebmEncoder,
    ".gif": GifEncoder,
    ".apng": ApngEncoder,
}
_WITH_SOUND = (".mp4", ".webm")
_WITH_QUALITY = (".mp4", ".webm", ".jpg", ".jpeg", ".webp")
_WITHOUT_ALPHA = (".mp4", ".jpg", ".jpeg")

_SEQUENCE = "sequence"


def output_suffixes() -> str:
    """What outputs may be called, for --help."""
    return (
        ".mp4, .webm, .gif, .apng, a folder ending in / or NAME_%05d.png (numbered PNGs), or for "
        "one frame .png, .jpg, .webp"
    )


def holds_alpha(path: str | os.PathLike[str]) -> bool:
    """Whether the format of an output name can hold transparency (a gif: on or off).

    Raises:
      OutputError: unknown ending.
    """
    return _kind(path) not in _WITHOUT_ALPHA


def holds_sound(path: str | os.PathLike[str]) -> bool:
    """Whether the format of an output name can hold sound.

    Raises:
      OutputError: unknown ending.
    """
    return _kind(path) in _WITH_SOUND


def _kind(path: str | os.PathLike[str]) -> str:
    """The ending in lower case, or "sequence"."""
    name = os.fspath(path)
    suffix = os.path.splitext(name)[1].lower()
    if NUMBER.search(os.path.basename(name)):
        if suffix != ".png" or len(NUMBER.findall(os.path.basename(name))) > 1:
            raise OutputError(f"{name}: numbered pictures are PNGs, such as frames/%05d.png")
        return _SEQUENCE
    if name.endswith(("/", os.sep)) or os.path.isdir(name):
        return _SEQUENCE
    if suffix in _VIDEO_ENCODERS or suffix in pictures.SUFFIXES:
        return suffix
    raise OutputError(
        f"{name}: {suffix or 'no ending'} is not a known output; use {output_suffixes()}"
    )


def open_writer(
    path: str | os.PathLike[str],
    height: int,
    width: int,
    fps: Fraction,
    *,
    quality: int | None = None,
    audio_from: str | os.PathLike[str] | None = None,
    alpha: bool = False,
    overwrite: bool = True,
) -> "FrameWriter":
    """Makes a writer for frames of one size; use it in a `with` block.

    If the block ends by any exception, what was written is removed and an older file of that name
    stays.

    Args:
      path: .mp4 (H.264), .webm (VP9), .gif, .apng; a folder ending in "/" or a name with %05d
        (PNGs numbered from 0); .png, .jpg or .webp for a single frame.
      height, width: of the frames, in pixels. Odd sizes of an mp4 grow by one repeated row or
        column.
      fps: nominal frames per second: the rate of frames without a time, and 1 / fps is how long
        the last frame is shown.
      quality: 0 (smallest) to 100 (hardly distinguishable); by default 80 for videos. mp4: crf
        40 to 10; webm: crf 50 to 15; jpg and webp: theirs. Others are lossless, or a gif, and warn.
      audio_from: a file whose sound goes along: copied, or encoded anew where the container can't
        hold it (AAC in mp4, Opus in webm), and cut to the length of the pictures. The times given
        to `write` are times of this file's pictures: frames from 2.0 s on get the sound from there.
      alpha: frames are (h, w, 4). An mp4 or jpg is painted over white, with a warning.
      overwrite: replace an existing file; of a folder, PNGs numbered in the same way.

    Raises:
      OutputError (a ValueError): unknown ending, wrong size, rate or quality.
      FileExistsError: it exists and `overwrite` is off.
      FileNotFoundError: `audio_from` doesn't exist.
    """
    kind = _kind(path)
    name = os.fspath(path)
    if height < 1 or width < 1:
        raise OutputError(f"{name}: frames of {width}x{height} pixels can't be written")
    if not fps > 0:
        raise OutputError(f"{name}: the frame rate must be positive, got {fps}")
    pictures.check_quality(name, quality)
    if quality is not None and kind not in _WITH_QUALITY:
        logger.warning("%s: this format has no quality setting; it is not used", name)
    sound = Path(audio_from) if audio_from is not None and has_sound(audio_from) else None
    if sound is not None and kind not in _WITH_SOUND:
        logger.warning("%s: this format holds no sound; write .mp4 or .webm to keep it", name)
        sound = None
    flatten = alpha and kind in _WITHOUT_ALPHA
    if flatten:
        logger.warning("%s: this format holds no transparency; painted over white", name)
    encoder: Encoder
    if kind in _VIDEO_ENCODERS:
        encoder = _VIDEO_ENCODERS[kind](
            Path(path),
            (height, width),
            Fraction(fps),
            alpha=alpha and not flatten,
            quality=quality,
            audio_from=sound,
            overwrite=overwrite,
        )
    elif kind == _SEQUENCE:
        encoder = PngSequence(name, overwrite)
    else:
        encoder = SinglePicture(Path(path), quality, overwrite)
    return FrameWriter(encoder, (height, width, 4 if alpha else 3), Fraction(fps), flatten)


class FrameWriter:
    """Takes frames one by one; made by `open_writer`, used in a `with` block."""

    def __init__(self, encoder: Encoder, shape: tuple[int, int, int], fps: Fraction, flatten: bool):
        self._encoder = encoder
        self._shape = shape
        self._fps = fps
        self._flatten = flatten
        self._timed: bool | None = None
        self._start = self._previous = 0.0
        self.num_frames = 0

    def __enter__(self) -> "FrameWriter":
        try:
            self._encoder.open()
        except BaseException:
            self._encoder.abort()
            raise
        return self

    def write(self, frame: np.ndarray, time: float | None = None) -> None:
        """Writes the next frame.

        Args:
          frame: (h, w, 3) uint8, or (h, w, 4) with alpha, of the size given to `open_writer`.
          time: seconds at which it is shown, later than the frame before; the first frame's is
            where the output begins. Without it, frames follow each other at the nominal rate;
            either all frames have a time or none.

        Raises:
          OutputError: another shape or dtype, a time that isn't later, or a second frame for a
            format that holds one.
          OSError: the disk is full, or writing fails in another way.
        """
        path = self._encoder.path
        if frame.dtype != np.uint8 or frame.shape != self._shape:
            raise OutputError(
                f"{path}: frame {self.num_frames} is {frame.dtype}{frame.shape}; expected "
                f"uint8{self._shape}"
            )
        if self._timed is None:
            self._timed = time is not None
            self._start = time or 0.0
        if self._timed != (time is not None):
            raise OutputError(f"{path}: give every frame a time, or none")
        seconds = float(self.num_frames / self._fps) if time is None else time - self._start
        if self.num_frames and not seconds > self._previous:
            raise OutputError(
                f"{path}: frame {self.num_frames} at {time} s doesn't come after the one before"
            )
        if self._flatten:
            frame = pictures.over_background(frame)
        self._encoder.add(frame, seconds, self._start)
        self._previous = seconds
        self.num_frames += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        complete = False
        try:
            if kind is None:
                if not self.num_frames:
                    raise OutputError(f"{self._encoder.path}: there are no frames to write")
                self._encoder.finish()
                complete = True
        finally:
            if not complete:
                self._encoder.abort()
