"""Draws the portraits that several cells share, before the first of them trains.

Cells that start together ask for the same clips in the same order. Left to them, each would draw
every frame itself, beside its first steps.
"""

import concurrent.futures
import functools
import json
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterable, Sequence

from ml_collections import ConfigDict
from tqdm import tqdm

from liax_jax.data.clip_sets import build_clips
from liax_jax.data.clips import ClipSet
from liax_jax.studies.cells import Cell

_CLIPS_A_JOB = 8
# (data and resolution as JSON, first clip, the one after the last)
_Job = tuple[str, int, int]


def draw_kept_frames(
    cells: Iterable[Cell],
    *,
    workers: int = 1,
    stop_requested: Callable[[], object] = lambda: None,
    progress: bool = True,
) -> int:
    """Draws what `data.procedural.keep_in` of the cells doesn't hold yet.

    A clip counts once, however many cells train on it. Stopped or killed, it has kept the clips
    that were finished.

    Args:
      cells: of a study; those that keep no frames need nothing.
      workers: processes; 1 draws in this one.
      stop_requested: asked now and then; true ends the work.
      progress: show the bar, on a terminal.

    Returns:
      Clips looked at: all, or fewer where it was stopped.

    Raises:
      OSError: the folder can't be written, or has no space.
    """
    jobs = _jobs(cells)
    done = 0
    bar = tqdm(
        total=sum(last - first for _, first, last in jobs),
        desc="drawing portraits",
        unit="clip",
        disable=not progress or not sys.stderr.isatty() or not jobs,
        dynamic_ncols=True,
        leave=False,
    )
    with bar:
        for count in _drawn(jobs, workers):
            done += count
            bar.update(count)
            if stop_requested():
                break
    return done


def kept_frames(cell: Cell) -> str:
    """Names the frames that a cell keeps and others may share; empty where it keeps none."""
    data = cell.config.data
    if data.kind != "procedural" or not data.procedural.get("keep_in"):
        return ""
    drawn = data.procedural.to_dict()
    if drawn["seed"] < 0:
        drawn["seed"] = data.seed
    return json.dumps([drawn, cell.config.model.resolution], sort_keys=True)


def _jobs(cells: Iterable[Cell]) -> list[_Job]:
    """Every clip of the training and evaluation sets, once."""
    jobs: list[_Job] = []
    for name in dict.fromkeys(filter(None, map(kept_frames, cells))):
        drawn, _ = json.loads(name)
        for split, number in (("train", drawn["num_clips"]), ("eval", drawn["num_eval_clips"])):
            for first in range(0, number, _CLIPS_A_JOB):
                jobs.append((f"{split} {name}", first, min(first + _CLIPS_A_JOB, number)))
    return jobs


def _drawn(jobs: Sequence[_Job], workers: int) -> Iterable[int]:
    """Does the jobs, yielding the clips of each as it ends; closed early, it drops the others."""
    if workers == 1:
        yield from map(_draw, jobs)
        return
    pool = concurrent.futures.ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_ignore_ctrl_c
    )
    try:
        for future in concurrent.futures.as_completed([pool.submit(_draw, job) for job in jobs]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _ignore_ctrl_c() -> None:
    """The process that started this one is asked, and ends it after its job."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _draw(job: _Job) -> int:
    name, first, last = job
    clips = _clips(name)
    for clip in range(first, last):
        clips.frame(clip, 0)  # draws and keeps the whole clip
    return last - first


@functools.lru_cache(maxsize=2)
def _clips(name: str) -> ClipSet:
    split, request = name.split(" ", 1)
    drawn, resolution = json.loads(request)
    data = ConfigDict({"kind": "procedural", "seed": drawn["seed"], "procedural": drawn})
    return build_clips(data, resolution, split)
