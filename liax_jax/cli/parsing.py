"""Building blocks of the command line: parsers that report a wrong argument as one line."""

import argparse
import os
from collections.abc import Callable
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """Reports wrong arguments as one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


# Arguments that name one file or folder to read.
_INPUTS = ("source", "driving", "video")


def check_exists(path: str | os.PathLike[str]) -> None:
    """Raises FileNotFoundError where there is nothing of that name."""
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path}: there is no file or directory of that name")


def check_files(args: argparse.Namespace) -> None:
    """Looks at inputs and output before anything slow begins.

    Raises:
      FileNotFoundError: an input isn't there.
      ValueError: the output is one of the inputs.
    """
    out = getattr(args, "out", None)
    for name in _INPUTS:
        path = getattr(args, name, None)
        if path is None:
            continue
        check_exists(path)
        if out is not None and os.path.exists(out) and os.path.samefile(path, out):
            raise ValueError(
                f"--out {out} is the file of --{name} and would be overwritten; choose another name"
            )


# What `add_subparsers` returns; argparse names the type privately.
Commands = Any


def add_command(
    commands: Commands,
    name: str,
    run: Callable[[argparse.Namespace], None],
    *,
    help: str,
    description: str,
    examples: str,
) -> argparse.ArgumentParser:
    """Adds a command; `run(args)` does its work, `examples` ends its --help."""
    command = commands.add_parser(
        name,
        help=help,
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run)
    return command
