"""Motion as a file: the coefficients of a driving video, to keep, to edit and to use again.

A motion file is an .npz archive, which `numpy.load(path, allow_pickle=False)` opens:

    alpha        (T, M) float32   motion coefficients of every frame
    fps          ()     float64   frames per second
    times        (T,)   float64   seconds of every frame; only where the frame rate varies
    fingerprint  ()     text      of the model whose dictionary the coefficients belong to
    source       ()     text      where the motion comes from, for people
    format       ()     text      "liax-motion 1"
"""

import dataclasses
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any, Protocol

import numpy as np

FORMAT = "liax-motion"
VERSION = 1
SUFFIX = ".npz"

# A day of video at 60 fps and 40 vectors is 0.8 GB; an archive that unpacks to more is no motion.
_MAX_BYTES = 1 << 30
# Frames this far off their places at a steady rate, in frames, come from rounded time stamps.
_RATE_TOLERANCE = 0.25
_DAMAGE = (
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


class MotionError(ValueError):
    """A motion, or a file of one, that can't be used as asked; says why and what to do."""


class _ModelConfig(Protocol):
    @property
    def num_vectors(self) -> int: ...


class ModelIdentity(Protocol):
    """What of a model's record decides whether a motion belongs to it."""

    @property
    def fingerprint(self) -> str: ...

    @property
    def config(self) -> _ModelConfig: ...


@dataclasses.dataclass(frozen=True, eq=False)
class Motion:
    """Motion coefficients of consecutive frames.

    Attributes:
      alpha: (T, M) float32, T ≥ 1: α of every frame.
      fps: frames per second; the average where the rate varies.
      fingerprint: of the model that the coefficients belong to.
      times: (T,) float64, seconds of every frame, rising; None for frame / fps. Given times that a
        steady rate explains, up to the rounding of time stamps, become None.
      source: where the motion comes from, for people.

    Raises:
      MotionError: a wrong shape, a value that isn't finite, a rate that isn't positive, times that
        don't rise.
    """

    alpha: np.ndarray
    fps: float
    fingerprint: str
    times: np.ndarray | None = None
    source: str = ""

    def __post_init__(self):
        alpha = np.array(self.alpha, np.float32)
        if alpha.ndim != 2 or not alpha.size:
            raise MotionError(
                f"a motion has (frames, vectors) coefficients, at least one of each; "
                f"got {alpha.shape}"
            )
        if not np.isfinite(alpha).all():
            frame = int(np.flatnonzero(~np.isfinite(alpha).all(1))[0])
            raise MotionError(f"the coefficients of frame {frame} aren't finite numbers")
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise MotionError(f"the frame rate has to be a positive number, got {self.fps}")
        object.__setattr__(self, "alpha", alpha)
        object.__setattr__(self, "fps", float(self.fps))
        object.__setattr__(self, "times", self._varying(self.times))

    @property
    def num_frames(self) -> int:
        return self.alpha.shape[0]

    @property
    def num_vectors(self) -> int:
        return self.alpha.shape[1]

    @property
    def frame_times(self) -> np.ndarray:
        """(T,) float64: seconds of every frame."""
        return np.arange(self.num_frames) / self.fps if self.times is None else self.times

    @property
    def duration(self) -> float:
        """Seconds, up to the end of the last frame."""
        times = self.frame_times
        return float(times[-1] - times[0]) + 1 / self.fps

    def _varying(self, times: np.ndarray | None) -> np.ndarray | None:
        if times is None:
            return None
        times = np.array(times, np.float64)
        count = len(self.alpha)
        if times.shape != (count,) or not np.isfinite(times).all():
            raise MotionError(f"a motion of {count} frames has as many times, got {times.shape}")
        if not (np.diff(times) > 0).all():
            frame = 1 + int(np.flatnonzero(~(np.diff(times) > 0))[0])
            raise MotionError(f"frame {frame} isn't later than the frame before it")
        off = times - times[0] - np.arange(count) / self.fps
        return times if np.abs(off).max() > _RATE_TOLERANCE / self.fps else None


def save_motion(path: str | os.PathLike[str], motion: Motion) -> None:
    """Writes a motion file; it appears under its name when it is complete, and replaces another.

    Raises:
      MotionError: the name doesn't end in .npz.
      OSError: the file can't be written.
    """
    path = Path(path)
    if path.suffix.lower() != SUFFIX:
        raise MotionError(f"{path}: a motion file's name ends in {SUFFIX}")
    content = {
        "format": np.str_(f"{FORMAT} {VERSION}"),
        "alpha": motion.alpha,
        "fps": np.float64(motion.fps),
        "fingerprint": np.str_(motion.fingerprint),
        "source": np.str_(motion.source),
    }
    if motion.times is not None:
        content["times"] = motion.times
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, **content)  # type: ignore[arg-type]
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def load_motion(path: str | os.PathLike[str]) -> Motion:
    """Reads a motion file. Nothing in it is executed.

    Raises:
      MotionError: it isn't one, is damaged, or comes from a newer version; names the file.
      OSError: it can't be read.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            content = _read_archive(file)
        return Motion(**content)
    except MotionError as error:
        raise MotionError(f"{path}: {error}") from None
    except _DAMAGE as error:
        raise MotionError(
            f"{path}: damaged, or not a motion file ({' '.join(str(error).split())}); "
            "`liax motion extract` makes one from a video"
        ) from None


def _read_archive(file: Any) -> dict[str, Any]:
    with zipfile.ZipFile(file) as archive:
        names = {entry.filename.removesuffix(".npy") for entry in archive.infolist()}
        size = sum(entry.file_size for entry in archive.infolist())
    missing = sorted({"alpha", "fps", "fingerprint"} - names)
    if missing:
        raise MotionError(f"not a motion file: it holds no {missing[0]!r}")
    if size > _MAX_BYTES:
        raise MotionError(f"not a motion file: it unpacks to {size / 1e9:.1f} GB")
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        form = str(arrays["format"].item()) if "format" in names else f"{FORMAT} {VERSION}"
        kind, _, version = form.rpartition(" ")
        if kind != FORMAT or not version.isdigit():
            raise MotionError(f"not a motion file but {form!r}")
        if int(version) > VERSION:
            raise MotionError(f"a motion file of version {version}; update liax-jax to read it")
        return {
            "alpha": arrays["alpha"],
            "fps": float(arrays["fps"].item()),
            "fingerprint": str(arrays["fingerprint"].item()),
            "times": arrays["times"] if "times" in names else None,
            "source": str(arrays["source"].item()) if "source" in names else "",
        }


def check_model(motion: Motion, record: ModelIdentity, name: str = "the motion") -> None:
    """Refuses a motion of another model, whose vectors mean something else.

    Args:
      record: the model's `ModelRecord`.
      name: of the motion, for the message.

    Raises:
      MotionError: it belongs to another model.
    """
    if motion.fingerprint != record.fingerprint:
        raise MotionError(
            f"{name} belongs to another model ({motion.fingerprint or 'unnamed'}; this one is "
            f"{record.fingerprint}): extract it again from its video with this model"
        )
    vectors = record.config.num_vectors
    if motion.num_vectors != vectors:
        raise MotionError(
            f"{name} has {motion.num_vectors} coefficients a frame and the model {vectors} vectors"
        )
