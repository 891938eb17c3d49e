"""The flags that train.py and evaluate.py share, and errors as one line."""

import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from absl import app, flags
from ml_collections import ConfigDict, config_flags

from liax_jax import runtime
from liax_jax.log import show_messages

_CONFIG = config_flags.DEFINE_config_file("config", None, "Config file, e.g. configs/demo.py.")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder for checkpoints, logs and pictures.")


def run_with_config(function: Callable[[ConfigDict, Path], Any]) -> None:
    """Parses --config and --workdir, which have to be given, and calls `function(config, workdir)`.

    See `run_program`.
    """
    for name in ("config", "workdir"):
        flags.register_validator(name, bool, f"--{name} has to be given")
    run_program(lambda: function(_CONFIG.value, Path(str(_WORKDIR.value))))


def config_and_workdir() -> tuple[ConfigDict | None, Path | None]:
    """What --config and --workdir say, once they are parsed; None where they aren't given."""
    return _CONFIG.value, Path(_WORKDIR.value) if _WORKDIR.value else None


def run_program(
    function: Callable[[], Any],
    interrupted: str = "interrupted a second time; the last checkpoint is sound",
    sigterm_interrupts: bool = False,
) -> None:
    """Parses the flags and calls `function()`; `interrupted` is said where Ctrl-C ends it.

    With `sigterm_interrupts` SIGTERM ends it in the same way, with status 143; functions that save
    on SIGTERM see to that themselves.

    What a user can mend (a wrong field, file or folder) ends as one message and exit status 2; a
    run that diverged likewise with status 3, and one that is to be started again, because SIGTERM
    ended it or another of its processes is lost, with 75. Anything else is a defect and keeps its
    traceback.
    """
    program = Path(sys.argv[0]).name

    def parse(arguments: Sequence[str]) -> list[str]:
        # absl would end with status 1, and with a traceback for an unknown field of the config.
        try:
            remaining = flags.FLAGS(arguments)
        except flags.Error as error:
            _fail(program, f"{error}; see --help", status=2)
        except (KeyError, AttributeError) as error:
            _fail(program, f"unknown field of the config: {_one_line(error)}", status=2)
        if len(remaining) > 1:
            _fail(program, f"unexpected argument {remaining[1]!r}; see --help", status=2)
        return remaining

    def main(_: list[str]) -> None:
        from liax_jax.training import distributed
        from liax_jax.training.loop import TrainingDiverged

        show_messages()
        runtime.threads_for_cpu_devices()
        try:
            with runtime.interruptible(sigterm=sigterm_interrupts):
                function()
        except runtime.Terminated:
            _fail(program, interrupted, status=128 + signal.SIGTERM)
        except KeyboardInterrupt:
            _fail(program, interrupted, status=130)
        except distributed.Preempted as error:
            _fail(program, f"{error}; start again to go on", distributed.EXIT_START_AGAIN)
        except TrainingDiverged as error:
            _fail(program, error, status=3)
        except (ValueError, OSError, ImportError) as error:
            _fail_alone(program, error, status=2)

    app.run(main, flags_parser=parse)


def _one_line(error: Exception) -> str:
    """An error's message as it was given; str() of a KeyError would show its repr."""
    return " ".join(str(error.args[0]).split())


def _fail(program: str, error: Exception | str, status: int) -> NoReturn:
    print(f"{program}: error: {error}", file=sys.stderr)
    sys.exit(status)


def _fail_alone(program: str, error: Exception | str, status: int) -> NoReturn:
    """As `_fail`; where the run has other processes, without waiting for them to end too."""
    from liax_jax.training import distributed

    if distributed.several_processes():
        distributed.end_now(str(error), status)
    _fail(program, error, status)
