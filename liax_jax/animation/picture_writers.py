"""Writers of frames as still pictures: a folder of numbered PNGs, or a single picture."""

import contextlib
import os
import re
import shutil
from pathlib import Path

import numpy as np

from liax_jax.animation import pictures
from liax_jax.animation.encoders import Encoder
from liax_jax.animation.output_files import OutputError, check_writable, naming_full_disk

# The number in the name of a sequence, as in frame_%05d.png.
NUMBER = re.compile(r"%0?\d*d")
_NUMBERED = "%05d.png"


class SinglePicture(Encoder):
    """One frame as a picture."""

    def __init__(self, path: Path, quality: int | None, overwrite: bool):
        check_writable(path, overwrite)
        pictures.picture_format(path)
        self.path = path
        self._quality = quality
        self._overwrite = overwrite
        self._frame: np.ndarray | None = None

    def open(self) -> None:
        with naming_full_disk(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)

    def add(self, frame: np.ndarray, seconds: float, start: float) -> None:
        if self._frame is not None:
            raise OutputError(
                f"{self.path}: holds one picture, and there are several frames; write .apng, "
                ".gif, .webm or .mp4, or end the name in / for a folder of PNGs"
            )
        self._frame = frame.copy()

    def finish(self) -> None:
        assert self._frame is not None
        quality = None if self.path.suffix.lower() == ".png" else self._quality
        pictures.write_picture(self.path, self._frame, quality, self._overwrite)

    def abort(self) -> None:
        self._frame = None


class PngSequence(Encoder):
    """A folder of numbered PNGs, collected in a hidden folder inside until all are written."""

    def __init__(self, name: str, overwrite: bool):
        numbered = bool(NUMBER.search(os.path.basename(name)))
        self.path = Path(name)
        self._folder = self.path.parent if numbered else self.path
        self._pattern = self.path.name if numbered else _NUMBERED
        before, number, after = re.split(rf"({NUMBER.pattern})", self._pattern)
        self._number = number
        self._own = re.compile(rf"{re.escape(before)}\d+{re.escape(after)}")
        if self._folder.exists() and not self._folder.is_dir():
            raise NotADirectoryError(f"{self._folder}: is a file; choose another folder")
        if not overwrite and self._existing():
            raise FileExistsError(
                f"{self._folder}: holds numbered pictures already; choose another folder"
            )
        self._hidden = self._folder / f".frames.{os.getpid()}.partial"
        self._made: list[Path] = []
        self._count = 0

    def _existing(self) -> list[Path]:
        if not self._folder.is_dir():
            return []
        return [path for path in self._folder.iterdir() if self._own.fullmatch(path.name)]

    def open(self) -> None:
        self._made = [
            folder for folder in (self._folder, *self._folder.parents) if not folder.exists()
        ]
        with naming_full_disk(self.path):
            self._hidden.mkdir(parents=True)

    def add(self, frame: np.ndarray, seconds: float, start: float) -> None:
        name = self._pattern.replace(self._number, self._number % self._count)
        with naming_full_disk(self.path):
            pictures.save_pixels(self._hidden / name, frame, "PNG", None, self.path)
        self._count += 1

    def finish(self) -> None:
        # Frames of an older, longer sequence would be taken for the end of this one.
        for path in self._existing():
            path.unlink()
        for path in sorted(self._hidden.iterdir()):
            os.replace(path, self._folder / path.name)
        self._hidden.rmdir()

    def abort(self) -> None:
        shutil.rmtree(self._hidden, ignore_errors=True)
        for folder in self._made:
            with contextlib.suppress(OSError):  # somebody else put something there
                folder.rmdir()
