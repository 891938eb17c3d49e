"""The flags that train.py and evaluate.py share, and errors as one line."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from absl import app, flags
from ml_collections import ConfigDict, config_flags

from liax_jax.log import show_messages

_CONFIG = config_flags.DEFINE_config_file("config", None, "Config file, e.g. configs/demo.py.")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder for checkpoints, logs and pictures.")


def run_with_config(function: Callable[[ConfigDict, Path], Any]) -> None:
    """Parses --config and --workdir and calls `function(config, workdir)`.

    What a user can mend (a wrong field, file or folder) ends as one message and exit status 2; a
    run that diverged likewise with status 3. Anything else is a defect and keeps its traceback.
    """

    def main(arguments: list[str]) -> None:
        from liax_jax.training.loop import TrainingDiverged

        program = Path(sys.argv[0]).name
        if len(arguments) > 1:
            sys.exit(f"{program}: unexpected argument {arguments[1]!r}; see --help")
        show_messages()
        try:
            function(_CONFIG.value, Path(str(_WORKDIR.value)))
        except TrainingDiverged as error:
            _fail(program, error, status=3)
        except (ValueError, OSError, ImportError) as error:
            _fail(program, error, status=2)

    flags.mark_flags_as_required(["config", "workdir"])
    app.run(main)


def _fail(program: str, error: Exception, status: int) -> NoReturn:
    print(f"{program}: error: {error}", file=sys.stderr)
    sys.exit(status)
