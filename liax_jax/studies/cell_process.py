"""One cell, in a process of its own: python -m liax_jax.studies.cell_process FOLDER

Trains what FOLDER/cell.json asks for, going on where it was stopped, measures it, and writes
FOLDER/result.json. Ends as train.py does: status 2 for what can be mended, 3 for a run that
diverged, 75 where SIGTERM stopped it.
"""

import ctypes
import fcntl
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from liax_jax.log import logger, show_messages
from liax_jax.studies.cell_measures import measure_cell
from liax_jax.studies.cells import REQUEST_NAME, RESULT_NAME, RUN_NAME, Probe
from liax_jax.training import distributed
from liax_jax.training.loop import TrainingDiverged, train_and_evaluate

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "scikit-learn")
_CURVE_POINTS = 40
_WAIT_SECONDS = 60.0
_CURVE = ("psnr", "loss/l1", "loss/sparsity", "alpha/mean_abs", "alpha/gini")


def run_cell(folder: Path) -> dict[str, Any]:
    """Trains and measures; returns what result.json holds.

    Raises:
      Preempted: stopped by SIGTERM, saved.
      TrainingDiverged, ValueError, OSError: as of the training.
    """
    request = json.loads((folder / REQUEST_NAME).read_text())
    config = ConfigDict(request["config"])
    workdir = folder / RUN_NAME
    started = time.monotonic()
    train_and_evaluate(config, workdir)
    if not _finished(workdir, config):
        raise distributed.Preempted("stopped before its last step")
    measured = time.monotonic()
    probe = None if request["probe"] is None else Probe(**request["probe"])
    curve = _read_curve(workdir)
    result = {
        "name": request["name"],
        "row": request["row"],
        "key": request["key"],
        "seed": config.seed,
        "steps": config.train_steps,
        "pairs": config.train_steps * config.batch_size,
        "seconds": {
            "training": _training_seconds(workdir),
            "last_attempt": measured - started,
            "process": time.process_time(),
        },
        "curve": curve,
        **measure_cell(config, workdir, folder, probe, request["rotations"]),
        "versions": {"python": platform.python_version(), **_versions()},
        "commit": commit(),
        "device": jax.devices()[0].device_kind,
    }
    result["seconds"]["measuring"] = time.monotonic() - measured
    partial = folder / f"{RESULT_NAME}.partial"
    partial.write_text(json.dumps(result, indent=1) + "\n")
    partial.replace(folder / RESULT_NAME)
    return result


def commit() -> str | None:
    """The commit of the working tree, with "+" where it has changes; None without git."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        found = git("rev-parse", "--short=12", "HEAD")
        return (found + "+" * bool(git("status", "--porcelain", "-uno"))) or None
    except OSError:
        return None


def _versions() -> dict[str, str]:
    return {name: version(name) for name in _PACKAGES}


def _rows(workdir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def _finished(workdir: Path, config: ConfigDict) -> bool:
    rows = _rows(workdir)
    return bool(rows) and rows[-1]["step"] >= config.train_steps


def _training_seconds(workdir: Path) -> float:
    """Of all attempts, without compiling; what a killed attempt did in vain is not in it."""
    total, before = 0.0, 0
    for row in _rows(workdir):
        total += row["time/step"] * (row["step"] - before)
        before = row["step"]
    return total


def _read_curve(workdir: Path) -> dict[str, list[float]]:
    """Means over stretches of the training, about `_CURVE_POINTS` of them."""
    rows = _rows(workdir)
    length = max(1, len(rows) // _CURVE_POINTS)
    parts = [rows[i : i + length] for i in range(0, len(rows), length)]
    curve: dict[str, list[float]] = {"step": [part[-1]["step"] for part in parts]}
    for name in _CURVE:
        curve[name] = [sum(row[name] for row in part) / len(part) for part in parts]
    return curve


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Holds the folder against another process that wants to work in it.

    The cells of a study that was killed save themselves first, so that they are waited for.
    """
    started = time.monotonic()
    with (folder / "lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() - started > _WAIT_SECONDS:
                    raise OSError(
                        f"{folder.name}: another process is at work on this cell; wait for it, or "
                        "end it"
                    ) from None
                time.sleep(0.5)
        yield


def _end_with_parent() -> None:
    """Asks Linux for a SIGTERM when the study's process ends, however it does."""
    pr_set_pdeathsig = 1
    if platform.system() == "Linux":
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def main() -> int:
    show_messages()
    _end_with_parent()
    folder = Path(sys.argv[1])
    try:
        with _alone_in(folder):
            run_cell(folder)
    except distributed.Preempted as error:
        logger.info("%s", error)
        return distributed.EXIT_START_AGAIN
    except TrainingDiverged as error:
        logger.error("%s", error)
        return 3
    except (ValueError, OSError, ImportError) as error:
        logger.error("%s", error)
        return 2
    return 0


if __name__ == "__main__":
    # Orbax's and Grain's threads may outlive the work; nothing is left to be written.
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
