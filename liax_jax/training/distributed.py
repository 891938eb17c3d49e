"""Several processes as one run: how they find each other, stop together, and end if one is lost."""

import contextlib
import glob
import importlib.util
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from ml_collections import ConfigDict
from orbax.checkpoint import multihost

from liax_jax import runtime
from liax_jax.log import logger

# EX_TEMPFAIL (sysexits.h): start the same command again, and it goes on. Launchers requeue on it.
EXIT_START_AGAIN = 75
INITIALIZE = ("auto", "explicit", "none")


class Preempted(RuntimeError):
    """SIGTERM ended the run before its last step; everything is saved."""


def initialize(fields: ConfigDict) -> None:
    """Joins this process to the others of its run, where there are others.

    Args:
      fields: `config.distributed`:
        initialize: "auto" joins where the environment says that there are several processes: by
          JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID, or by what SLURM, Open MPI
          or a Cloud TPU (also on GKE) sets. "explicit" takes the three fields below, "none" runs
          alone.
        coordinator_address, num_processes, process_id: HOST:PORT of the first process, how many
          processes there are and which this is. They go before the environment's.
        start_timeout_seconds: to wait for the others at the start.
        heartbeat_timeout_seconds: after which a silent process counts as lost.

    Raises:
      ValueError: fields that contradict each other or aren't there.
      ConnectionError: the others didn't come in time.
    """
    if fields.initialize not in INITIALIZE:
        raise ValueError(
            f"distributed.initialize = {fields.initialize!r}: must be one of "
            + ", ".join(INITIALIZE)
        )
    if fields.initialize == "none" or jax.distributed.is_initialized():
        return
    where = _addresses(fields)
    launcher = None if where else _launcher()
    if not where and (launcher is None or fields.initialize == "explicit"):
        if fields.initialize == "explicit":
            raise ValueError(
                "distributed.initialize is 'explicit': set distributed.coordinator_address "
                "(HOST:PORT of the first process), num_processes and process_id"
            )
        return
    # Said before, as JAX aborts a first process that waits in vain.
    logger.info(
        "joining the other processes, found %s; waiting %d s at most; were all started, with the "
        "same coordinator address?",
        ", ".join(f"{name}={value}" for name, value in where.items()) or f"by {launcher}",
        fields.start_timeout_seconds,
    )
    try:
        jax.distributed.initialize(
            **where,
            initialization_timeout=fields.start_timeout_seconds,
            heartbeat_timeout_seconds=fields.heartbeat_timeout_seconds,
        )
    except RuntimeError as error:  # JaxRuntimeError, and JAX's own for a backend in use
        reason = str(error).splitlines()[0]
        raise ConnectionError(
            f"the processes of this run did not find each other ({reason}); look whether all were "
            "started, with the same coordinator address, and can reach it, or wait longer with "
            "distributed.start_timeout_seconds"
        ) from error


def several_processes() -> bool:
    """Whether this process belongs to a run of several, without starting a backend to see."""
    return jax.distributed.is_initialized() and jax.process_count() > 1


def _addresses(fields: ConfigDict) -> dict[str, Any]:
    """Arguments of `jax.distributed.initialize` from the config or the environment, or none."""
    address = fields.coordinator_address or os.environ.get("JAX_COORDINATOR_ADDRESS", "")
    if not address:
        return {}
    numbers = {}
    for name in ("num_processes", "process_id"):
        text = os.environ.get(f"JAX_{name.upper()}", "")
        number = fields[name] if fields[name] >= 0 else (int(text) if text.isdigit() else -1)
        if number < 0:
            raise ValueError(
                f"there is a coordinator address, {address}, but no distributed.{name}; set it, or "
                f"JAX_{name.upper()} in the environment"
            )
        numbers[name] = number
    if numbers["process_id"] >= numbers["num_processes"]:
        raise ValueError(
            f"distributed.process_id = {numbers['process_id']}: must be less than num_processes = "
            f"{numbers['num_processes']}"
        )
    return {"coordinator_address": address} | numbers


def _launcher() -> str | None:
    """What started several processes, of what JAX finds the addresses of by itself."""
    for name, variable in (("SLURM", "SLURM_NTASKS"), ("Open MPI", "OMPI_COMM_WORLD_SIZE")):
        if os.environ.get(variable, "1") not in ("", "1"):
            return name
    on_tpu = glob.glob("/dev/accel*") + glob.glob("/dev/vfio/*")
    if on_tpu and importlib.util.find_spec("libtpu") is not None:
        return "Cloud TPU"
    return None


@contextlib.contextmanager
def stop_requests() -> Iterator[Callable[[int], str | None]]:
    """Turns SIGINT and SIGTERM to any process into a stop of all after the same step.

    Of several processes, each has to ask after every step. A second SIGINT interrupts at once.

    Yields:
      A function: after a step of this number, the name of the signal to stop for, or None.
    """
    if jax.process_count() == 1:
        with runtime.stop_signals() as received:
            yield lambda step: received()
        return
    # JAX's coordination service takes SIGTERM, and finds the step that all can stop after.
    interrupts: list[int] = []

    def ask(number, frame):
        interrupts.append(number)
        if len(interrupts) > 1:
            raise KeyboardInterrupt
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield (
            lambda step: "SIGTERM" if multihost_utils.reached_preemption_sync_point(step) else None
        )
    finally:
        signal.signal(signal.SIGINT, before)


def agreed(value: bool) -> bool:
    """The first process's answer, on every process; all have to ask."""
    if jax.process_count() == 1:
        return value
    return bool(multihost_utils.broadcast_one_to_all(np.asarray(value)))


def all_agree(value: bool) -> bool:
    """Whether it is true on every process; all have to ask."""
    if jax.process_count() == 1:
        return value
    return bool(np.all(multihost_utils.process_allgather(np.asarray(value))))


def barrier(name: str, timeout_seconds: int = 3600) -> None:
    """Returns when every process has come here. Each name once in a run.

    By the coordination service, not by a computation as `sync_global_devices`: those give up after
    30 seconds where one process is still compiling (Gloo, on CPU). A process that is lost meanwhile
    shows by its heartbeat.
    """
    count = jax.process_count()
    if count > 1:
        multihost.sync_global_processes(name, timeout=timeout_seconds, processes=set(range(count)))


@contextlib.contextmanager
def end_if_others_are_lost() -> Iterator[None]:
    """Ends this process where a computation fails because another process is gone.

    At once, with status 75: whatever an orderly end would do waits for all processes. A process
    that isn't computing just then ends when the missing heartbeat is noticed.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1:
            raise
        reason = (str(error).splitlines() or [""])[0][:300]
        end_now(
            f"another process of this run has ended or can't be reached ({reason}). Training goes "
            "on from the newest checkpoint when all are started again",
            EXIT_START_AGAIN,
        )


def end_now(message: str, status: int) -> None:
    """Says the message and ends the process without waiting for the others of the run."""
    print(f"{os.path.basename(sys.argv[0])}: error: {message}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
