"""Checkpoints of training runs: Orbax, asynchronous, the last k kept.

A workdir holds `config.json` (the resolved config) and `checkpoints/STEP/`. A checkpoint that
can't be read is moved to `unreadable/`, said, and the one before it used.
"""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from ml_collections import ConfigDict

from liax_jax.log import logger
from liax_jax.models.config import ARITHMETIC_FIELDS
from liax_jax.training import distributed
from liax_jax.training.state import TrainState


class WorkdirError(ValueError):
    """A workdir that can't be used, with what to do about it."""


class Checkpoints:
    """Saves and restores the states of one run.

    Args:
      workdir: the run's folder.
      keep: how many checkpoints to keep.
      read_only: look at a run that may be going on: nothing is saved, deleted or moved.
    """

    def __init__(self, workdir: str | Path, keep: int = 1, *, read_only: bool = False):
        self._workdir = Path(workdir).absolute()
        self._directory = self._workdir / "checkpoints"
        self._keep = keep
        self._read_only = read_only
        self._manager = self._open()

    def _open(self) -> ocp.CheckpointManager:
        if self._read_only:
            options = ocp.CheckpointManagerOptions(read_only=True)
        else:
            options = ocp.CheckpointManagerOptions(
                max_to_keep=self._keep, create=True, cleanup_tmp_directories=True
            )
        return ocp.CheckpointManager(self._directory, options=options)

    def save(self, state: TrainState) -> None:
        """Starts saving; returns before it is written. Saving the same step again does nothing.

        Raises:
          WorkdirError: this save, or the one before it, couldn't be written.
        """
        step = int(state.step)
        if step in self._manager.all_steps():
            return
        try:
            self._manager.save(step, args=ocp.args.StandardSave(state))
        except Exception as error:
            raise self._unwritable(error) from error

    @property
    def saving(self) -> bool:
        """Whether a save that was started is not on disk yet."""
        return self._manager.is_saving_in_progress()

    def wait(self) -> None:
        """Returns when everything is on disk. Raises WorkdirError where that failed."""
        try:
            self._manager.wait_until_finished()
            self._manager.check_for_errors()
        except Exception as error:
            raise self._unwritable(error) from error

    def close(self) -> None:
        """Waits, then releases threads."""
        self.wait()
        self._manager.close()

    def restore_latest(self, like: TrainState) -> TrainState | None:
        """The newest readable state, with the shapes, types and shardings of `like`; None if none.

        Raises:
          WorkdirError: there are checkpoints, but none can be read.
        """
        steps = sorted(self._manager.all_steps(), reverse=True)
        for step in steps:
            state, reason = None, "another process could not read its part"
            try:
                state = self._manager.restore(step, args=ocp.args.StandardRestore(like))
            except Exception as error:  # Orbax and TensorStore raise many kinds for broken files
                reason = _first_line(error)
            if distributed.all_agree(state is not None):
                return state
            where = "left as it is" if self._read_only else f"moved to {self._set_aside(step)}"
            logger.error(
                "checkpoint of step %d can't be read (%s); %s, trying the one before",
                step,
                reason,
                where,
            )
        if not steps:
            return None
        message = f"none of the checkpoints in {self._directory} could be read"
        if not self._read_only:
            message += (
                f"; they are in {self._workdir / 'unreadable'} now. Start again to train from the "
                "beginning"
            )
        raise WorkdirError(message)

    def _set_aside(self, step: int) -> Path:
        """Moves a broken checkpoint out of the way, so that its step can be saved again."""
        destination = self._workdir / "unreadable" / str(step)
        self._manager.close()
        if jax.process_index() == 0:
            if destination.exists():
                shutil.rmtree(destination)
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(self._directory / str(step), destination)
        distributed.barrier(f"unreadable checkpoint {step} is out of the way")
        self._manager = self._open()
        return destination

    def _unwritable(self, error: Exception) -> WorkdirError:
        return WorkdirError(
            f"the checkpoint could not be written to {self._directory}: {_reason(error)}. Free "
            "space or choose another workdir and start again; training goes on from the newest "
            f"checkpoint there (step {self._manager.latest_step()})"
        )


def restore_params(workdir: str | Path, like: TrainState, use_ema: bool) -> tuple[Any, int]:
    """Generator parameters of the newest readable checkpoint, and its step.

    Args:
      workdir: of a training run.
      like: abstract state of the run's config.
      use_ema: the averaged parameters, where the run has any.

    Raises:
      FileNotFoundError: no checkpoint there.
    """
    if not (Path(workdir) / "checkpoints").is_dir():
        raise FileNotFoundError(
            f"there are no checkpoints in {workdir}; train first, with --workdir {workdir}"
        )
    checkpoints = Checkpoints(workdir, read_only=True)
    state = checkpoints.restore_latest(like)
    checkpoints.close()
    if state is None:
        raise FileNotFoundError(f"there is no finished checkpoint in {workdir}/checkpoints yet")
    averaged = use_ema and state.generator.ema is not None
    return (state.generator.ema if averaged else state.generator.params), int(state.step)


def abstract_state(state: TrainState, sharding: jax.sharding.Sharding) -> TrainState:
    """Shapes, types and placement of a state, as `restore_latest` takes them."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), state)


@contextlib.contextmanager
def writing_to(workdir: str | Path) -> Iterator[None]:
    """Turns a folder that can't be written to, or a full disk, into a WorkdirError."""
    try:
        yield
    except OSError as error:
        raise WorkdirError(
            f"the workdir {workdir} can't be written to: {error.strerror or error}. Choose another "
            "with --workdir, or free space there and start again"
        ) from error


def claim_workdir(config: ConfigDict, workdir: str | Path, *, write: bool = True) -> None:
    """Makes the workdir and writes `config.json`, or checks that it belongs to the same model.

    Args:
      config: of the run.
      workdir: of the run.
      write: False only checks, for all processes of a run but the first.

    Raises:
      WorkdirError: the folder can't be written to, or was made with another model; the fields
        that differ are named.
    """
    workdir = Path(workdir)
    path = workdir / "config.json"
    with writing_to(workdir):
        check_same_model(config, workdir)
        if not write:
            return
        workdir.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(config.to_json_best_effort(indent=2) + "\n")
        partial.replace(path)


def check_same_model(config: ConfigDict, workdir: str | Path) -> None:
    """Raises WorkdirError where `workdir` holds a run of another model, naming the fields."""
    path = Path(workdir) / "config.json"
    if not path.exists():
        return
    try:
        saved = json.loads(path.read_text())
    except ValueError as error:
        raise WorkdirError(f"{path} is not valid JSON ({error}); move the workdir away") from error
    before = _structural_fields(saved)
    now = _structural_fields(json.loads(config.to_json_best_effort()))
    differing = [
        f"{name}: {before.get(name)!r} there, {now.get(name)!r} now"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    if differing:
        raise WorkdirError(
            f"{workdir} was made with another model; choose another --workdir, or set these as "
            "they were:\n  " + "\n  ".join(differing)
        )


def _structural_fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """What decides which arrays a checkpoint holds; the rest of a config may change on resuming."""
    fields = {f"model.{name}": value for name, value in config.get("model", {}).items()}
    # Arithmetic may change between runs; parameters are float32 either way.
    for name in ARITHMETIC_FIELDS:
        fields.pop(f"model.{name}", None)
    # Not an array, but another model all the same; runs from before the field have masks.
    fields.setdefault("model.use_mask", True)
    adversarial = bool(config.get("loss", {}).get("adversarial"))
    fields["loss.adversarial > 0"] = adversarial
    if adversarial:
        fields["discriminator.width"] = config["discriminator"]["width"]
        fields["discriminator.stddev_group > 0"] = config["discriminator"]["stddev_group"] > 0
    fields["ema_decay > 0"] = config.get("ema_decay", 0) > 0
    for network in ("generator", "discriminator"):
        optimizer = config.get(f"{network}_optimizer", {})
        fields[f"{network}_optimizer.clip_norm > 0"] = optimizer.get("clip_norm", 0) > 0
    return fields


def _reason(error: Exception) -> str:
    """Why a write failed: the system's own words where TensorStore quotes its error number."""
    number = re.search(r"os_error_code='(\d+)'", str(error))
    return os.strerror(int(number[1])) if number else _first_line(error)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
