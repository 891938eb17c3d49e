"""The generator of a training run, read without the rest of the run's state."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import orbax.checkpoint as ocp
from flax import traverse_util
from jax import ShapeDtypeStruct, tree

from liax_jax.convert import parameter_shapes
from liax_jax.log import logger
from liax_jax.model_record import ModelFileError
from liax_jax.models import ModelConfig


def read_workdir(workdir: Path) -> tuple[ModelConfig, dict[str, Any], int, bool]:
    """The newest checkpoint of a workdir that can be read.

    Nothing is changed there, so that a run may be going on.

    Returns:
      The configuration, the generator's parameters as NumPy, the step, and whether they are the
      averaged ones, which they are in a run that averages.

    Raises:
      FileNotFoundError: no checkpoint there yet.
      ModelFileError: no config of a run, or there are checkpoints but none can be read.
    """
    try:
        content = json.loads((workdir / "config.json").read_text())
        config = ModelConfig(**content["model"])
        averaged = content["ema_decay"] > 0
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{workdir / 'config.json'} is not a run's config: {error}") from error
    wanted = {
        path: ShapeDtypeStruct(shape, np.float32)
        for path, shape in parameter_shapes(config).items()
    }
    which = "ema" if averaged else "params"
    like = {"generator": {which: traverse_util.unflatten_dict(wanted, sep="/")}}
    tried: set[int] = set()
    # Looked up anew each time: a run that goes on deletes old checkpoints and makes others.
    while untried := _steps(workdir) - tried:
        step = max(untried)
        tried.add(step)
        try:
            return config, _restore(workdir, step, like)["generator"][which], step, averaged
        except Exception as error:  # Orbax and TensorStore raise many kinds for broken files
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
            logger.warning(
                "checkpoint of step %d can't be read (%s); trying the one before", step, reason
            )
    if tried:
        raise ModelFileError(f"none of the checkpoints in {workdir / 'checkpoints'} could be read")
    raise FileNotFoundError(f"there is no finished checkpoint in {workdir} yet; train first")


def _steps(workdir: Path) -> set[int]:
    folder = workdir / "checkpoints"
    return {int(p.name) for p in folder.iterdir() if p.name.isdigit()} if folder.is_dir() else set()


def _restore(workdir: Path, step: int, like: dict[str, Any]) -> dict[str, Any]:
    """Reads those arrays that `like` names."""
    as_numpy = tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), like)
    arguments = ocp.args.PyTreeRestore(like, restore_args=as_numpy, partial_restore=True)
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
        folder = workdir.absolute() / "checkpoints" / str(step) / "default"
        return checkpointer.restore(folder, args=arguments)
