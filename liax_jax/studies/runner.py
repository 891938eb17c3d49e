"""Runs the cells of a study side by side, each in a process of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

import liax_jax
from liax_jax import runtime
from liax_jax.log import logger
from liax_jax.studies.cells import REQUEST_NAME, RUN_NAME, Cell, Study
from liax_jax.studies.drawing import draw_kept_frames, kept_frames
from liax_jax.training.distributed import EXIT_START_AGAIN

_POLL_SECONDS = 0.5
_LOG_NAME = "log.txt"
# Beside training: starting, compiling and measuring, on one core.
OTHER_SECONDS = 120.0


class Stopped(RuntimeError):
    """Asked to stop; every cell that was at work is saved."""


def run_study(
    study: Study,
    root: Path,
    *,
    only: Sequence[str] = (),
    workers: int = 1,
    hours: float = 0.0,
    describe: Callable[[dict[str, Any]], str] = lambda result: "",
    progress: bool = True,
) -> list[str]:
    """Trains and measures every cell that isn't finished; those that are cost nothing.

    The portraits that a cell trains on are drawn before it, where they aren't kept yet, by the
    cores that are free.

    Args:
      study: what to run.
      root: of all its folders; a study that was stopped goes on there.
      only: words; only cells whose names hold one.
      workers: cells at a time. With several, each has one thread.
      hours: start no cell after so long; 0 = no limit.
      describe: a finished cell in a few words.
      progress: show the bar, on a terminal.

    Returns:
      Names of the cells that failed; the others went on.

    Raises:
      Stopped: by Ctrl-C or SIGTERM.
      ValueError: nothing has such a name.
    """
    cells = study.chosen(only)
    waiting = [cell for cell in cells if cell.result(root) is None]
    started = time.monotonic()
    failed: list[str] = []
    drawn = {""}
    at_work: dict[Cell, subprocess.Popen] = {}
    root.mkdir(parents=True, exist_ok=True)
    bar = _Bar(cells, waiting, root, progress)
    with runtime.stop_signals() as stop_requested, bar:
        try:
            while waiting or at_work:
                if stop_requested():
                    raise Stopped(f"stopped by {stop_requested()}; the same command goes on")
                late = hours and time.monotonic() - started > hours * 3600
                if late and waiting:
                    names = ", ".join(cell.name for cell in waiting)
                    logger.info("%g hours are over; not begun: %s", hours, names)
                    waiting = []
                while waiting and len(at_work) < workers:
                    if (frames := kept_frames(waiting[0])) not in drawn:
                        draw_kept_frames(
                            waiting[:1],
                            workers=workers - len(at_work),
                            stop_requested=stop_requested,
                            progress=progress,
                        )
                        if stop_requested():
                            break
                        drawn.add(frames)
                    cell = waiting.pop(0)
                    at_work[cell] = _start(cell, root, workers)
                for cell, process in list(at_work.items()):
                    if process.poll() is not None:
                        del at_work[cell]
                        if not _ended(cell, root, process.returncode, describe, bar):
                            failed.append(cell.name)
                bar.show(list(at_work))
                time.sleep(_POLL_SECONDS)
        finally:
            _end(list(at_work.values()))
    return failed


def expected_seconds(cell: Cell, scale: float = 1.0) -> float:
    """Of a cell that hasn't begun, on one core."""
    return scale * (cell.steps * cell.seconds_per_step + OTHER_SECONDS)


def measured_scale(cells: Sequence[Cell], root: Path) -> float:
    """How much longer finished cells took than was expected; 1 where none is finished."""
    ratios = []
    for cell in cells:
        result = cell.result(root)
        if result is not None:
            ratios.append(result["seconds"]["training"] / (cell.steps * cell.seconds_per_step))
    return sorted(ratios)[len(ratios) // 2] if ratios else 1.0


def steps_done(cell: Cell, root: Path) -> int:
    """How far its training is, by its last report."""
    path = cell.folder(root) / RUN_NAME / "metrics.jsonl"
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 8192))
            lines = file.read().split(b"\n")
        return int(json.loads(lines[-2])["step"]) if len(lines) > 1 else 0
    except (OSError, ValueError, KeyError):
        return 0


def cell_command(folder: Path) -> list[str]:
    """The program of one cell."""
    return [sys.executable, "-m", "liax_jax.studies.cell_process", str(folder)]


def _start(cell: Cell, root: Path, workers: int) -> subprocess.Popen:
    folder = cell.folder(root)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / REQUEST_NAME).write_text(json.dumps(cell.request(), indent=1) + "\n")
    paths = [str(Path(liax_jax.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = dict(
        os.environ,
        PYTHONPATH=os.pathsep.join(filter(None, paths)),
        PYTHONUNBUFFERED="1",
        TQDM_DISABLE="1",
    )
    # Cells that differ in their seed alone are one program.
    environment.setdefault("JAX_COMPILATION_CACHE_DIR", str(root.absolute() / "compiled"))
    environment.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "1")
    # Several processes share a GPU's memory as they need it.
    environment.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if workers > 1:
        environment |= runtime.one_thread()
    with (folder / _LOG_NAME).open("ab") as log:
        return subprocess.Popen(
            cell_command(folder),
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environment,
            # Ctrl-C is for the study, which then asks its cells to save.
            start_new_session=True,
        )


def _ended(
    cell: Cell,
    root: Path,
    status: int,
    describe: Callable[[dict[str, Any]], str],
    bar: "_Bar",
) -> bool:
    result = cell.result(root)
    if status == 0 and result is not None:
        bar.finish(cell)
        minutes = result["seconds"]["training"] / 60
        line = f"{cell.name}: {describe(result)}; trained for {minutes:.1f} min"
        logger.info("[%d/%d] %s", bar.finished, bar.count, line)
        return True
    if status == EXIT_START_AGAIN:
        logger.warning("%s was stopped by somebody and is saved; start again to go on", cell.name)
        return False
    path = cell.folder(root) / _LOG_NAME
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    reason = lines[-1] if lines else "without a word"
    logger.error("%s failed (status %d): %s; see %s", cell.name, status, reason, path)
    return False


def _end(processes: Sequence[subprocess.Popen]) -> None:
    """Asks them to save and end, and waits until they have."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait()


class _Bar:
    """Progress over all cells in expected seconds, so that its time left is the study's."""

    def __init__(self, cells: Sequence[Cell], waiting: Sequence[Cell], root: Path, shown: bool):
        self.count, self.finished = len(cells), len(cells) - len(waiting)
        self._root = root
        self._seconds = {cell: expected_seconds(cell) for cell in cells}
        self._unfinished = set(waiting)
        self._cells = cells
        self._bar = tqdm(
            total=round(sum(self._seconds.values())),
            initial=round(self._done()),
            bar_format="{desc} {percentage:3.0f}% |{bar}| {elapsed} < {remaining}{postfix}",
            disable=not shown or not sys.stderr.isatty(),
            dynamic_ncols=True,
            smoothing=0.02,
        )

    def __enter__(self) -> "_Bar":
        self._bar.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._bar.__exit__(*error)

    def finish(self, cell: Cell) -> None:
        self.finished += 1
        self._unfinished.discard(cell)

    def show(self, at_work: Sequence[Cell]) -> None:
        self._bar.set_description_str(f"{self.finished}/{self.count} cells", refresh=False)
        self._bar.set_postfix_str(", ".join(cell.name for cell in at_work), refresh=False)
        self._bar.n = round(self._done())
        self._bar.refresh()

    def _done(self) -> float:
        total = 0.0
        for cell in self._cells:
            share = 1.0
            if cell in self._unfinished:
                share = steps_done(cell, self._root) / cell.steps * 0.95
            total += share * self._seconds[cell]
        return total
