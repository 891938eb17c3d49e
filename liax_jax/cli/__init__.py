"""The `liax` command: one file a command. They parse arguments; the packages do the work."""

import importlib
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from liax_jax import runtime
from liax_jax.cli.parsing import Parser, check_files
from liax_jax.log import show_messages

# Modules of this package with a `register(commands)`, in the order of --help.
_COMMANDS = (
    "animate",
    "edit",
    "motion",
    "batch",
    "convert",
    "info",
    "weights",
    "prepare",
    "compare",
    "plan",
    "readability",
    "interpret",
    "rotate",
    "stability",
)


def _parser() -> Parser:
    parser = Parser(prog="liax", description="LIA-X: portrait animation.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in _COMMANDS:
        importlib.import_module(f"liax_jax.cli.{name}").register(commands)
    return parser


def _terminate(signum: int, frame: object) -> NoReturn:
    sys.exit(128 + signum)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code: 0, or 2 for an error of the user's."""
    show_messages()
    runtime.keep_freed_memory_on_cpu()  # before a command imports JAX
    args = _parser().parse_args(argv)
    # An exception unwinds, so that what is half made is removed.
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        check_files(args)
        with runtime.interruptible():
            args.run(args)
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        message = " ".join(str(error).split())
        print(f"liax {args.command}: error: {message}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"liax {args.command}: interrupted", file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGTERM, previous)
    return 0
