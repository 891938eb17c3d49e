"""What stops an evaluation, or the evaluation of one clip."""

import contextlib
import errno
import pathlib
from collections.abc import Iterator, Sequence


class EvaluationError(ValueError):
    """Something about the clips, the model's output or the output folder stops an evaluation."""


class ClipError(EvaluationError):
    """Something stops the evaluation of one clip; the message names it. Other clips go on."""


class ClipsFailed(EvaluationError):
    """The evaluation ended and its results are written, but some clips couldn't be evaluated."""


@contextlib.contextmanager
def explain_full_disk(out_dir: pathlib.Path) -> Iterator[None]:
    """Turns a full or read-only disk, met while a video is written, into an EvaluationError.

    Other system errors pass: clips are read while their video is written, and may fail too.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise unwritable(out_dir, error) from error
        raise


def unwritable(out_dir: pathlib.Path, error: OSError) -> EvaluationError:
    """The error for an output folder that can't be written to."""
    return EvaluationError(
        f"can't write evaluation results to {out_dir}: {error.strerror or error}; choose a folder "
        "that you can write to, on a disk with room"
    )


def some_of(names: Sequence[str], most: int = 5) -> str:
    """The first names of a list that may be long, for a message."""
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


def counted(number: int, what: str) -> str:
    """ "1 clip", "2 clips"."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
