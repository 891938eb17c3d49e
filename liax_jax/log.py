"""The program's own messages: one logger, lines that don't tear the progress bar.

Libraries log through absl at great length; a user of the commands sees their warnings only.
"""

import logging
import os
import sys

from absl import logging as absl_logging
from tqdm import tqdm

logger = logging.getLogger("liax_jax")


def bar_interval() -> float:
    """Seconds between updates of a progress bar (tqdm's `mininterval`): few of them into a file."""
    return 0.1 if sys.stderr.isatty() else 30.0


class _BarFriendlyHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        prefix = "" if record.levelno <= logging.INFO else f"{record.levelname}: "
        tqdm.write(prefix + self.format(record))


def _is_told_otherwise(record: logging.LogRecord) -> bool:
    """Whether Orbax warns of our own options, or logs an error that its next call raises."""
    of_orbax = f"{os.sep}orbax{os.sep}" in record.pathname
    return of_orbax and (bool(record.exc_info) or record.levelno < logging.ERROR)


def _hide_forgotten_reads() -> None:
    """Keeps quiet about the reads that Orbax forgets when another array couldn't be read.

    The error that counts is raised; these would add pages of tracebacks, whenever they end.
    """
    show = sys.unraisablehook

    def show_others(unraisable) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            show(unraisable)

    sys.unraisablehook = show_others
    logging.getLogger("asyncio").addFilter(
        lambda record: "exception was never retrieved" not in record.getMessage()
    )


def show_messages() -> None:
    """Prints the program's messages, for commands; libraries that import liax_jax decide for
    themselves what becomes of the logger "liax_jax"."""
    absl_logging.set_verbosity(absl_logging.WARNING)
    absl_logging.get_absl_handler().addFilter(lambda record: not _is_told_otherwise(record))
    _hide_forgotten_reads()
    if not logger.handlers:
        logger.addHandler(_BarFriendlyHandler())
    logger.setLevel(logging.INFO)
    logger.propagate = False
