"""The `liax` command: one file a command. They parse arguments; the packages do the work."""

import importlib
import signal
import sys
from collections.abc import Sequence

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


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Returns:
      The exit code: 0, 2 for an error of the user's, 130 for Ctrl-C.

    Raises:
      SystemExit: with 2 for wrong arguments, with 143 for SIGTERM.
    """
    show_messages()
    runtime.keep_freed_memory_on_cpu()  # before a command imports JAX
    args = _parser().parse_args(argv)
    try:
        check_files(args)
        with runtime.interruptible():
            args.run(args)
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        message = " ".join(str(error).split())
        print(f"liax {args.command}: error: {message}", file=sys.stderr)
        return 2
    except runtime.Terminated:
        # Exits rather than returns: a job of `liax batch` ends the whole list.
        print(f"liax {args.command}: ended by SIGTERM", file=sys.stderr)
        sys.exit(128 + signal.SIGTERM)
    except KeyboardInterrupt:
        print(f"liax {args.command}: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    return 0
