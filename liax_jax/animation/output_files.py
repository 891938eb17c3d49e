"""Files that appear under their final name only when they are complete."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path


class OutputError(ValueError):
    """An output that can't be written as asked; the message says what can."""


# What a full disk answers: no space, over the user's quota, over the limit on a file's size.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def partial_path(path: Path) -> Path:
    """Where a file is written until it is complete: hidden, beside its final place."""
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


@contextlib.contextmanager
def appearing_complete(path: Path, overwrite: bool = True) -> Iterator[Path]:
    """Gives the path to write to; it gets its final name at the end, or is removed on any error.

    Args:
      path: the final name; its folder is made if missing.

    Raises:
      FileExistsError: it exists and `overwrite` is off.
      OSError: no space, or the place can't be written to; names the final path.
    """
    check_writable(path, overwrite)
    partial = partial_path(path)
    try:
        with naming_full_disk(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def check_writable(path: Path, overwrite: bool) -> None:
    """Refuses a place that is taken.

    Raises:
      IsADirectoryError: a folder has the name.
      FileExistsError: it exists and `overwrite` is off.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path}: is a folder; give a file name")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path}: exists already; remove it or choose another name")


@contextlib.contextmanager
def naming_full_disk(path: Path) -> Iterator[None]:
    """Turns the errors of a full disk into one that names the file and says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        reason = os.strerror(error.errno)
        raise OSError(
            error.errno,
            f"{path}: could not be written ({reason}), nothing was left behind; free some space "
            "or write to another disk",
        ) from None
