"""Draws the portraits that several cells share, before any of them trains.

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
    )
    with bar:
        for count in _drawn(jobs, workers):
            done += count
            bar.update(count)
            if stop_requested():
                break
    return done


def _jobs(cells: Iterable[Cell]) -> list[_Job]:
    """Every clip of the training and evaluation sets, once."""
    jobs: dict[_Job, None] = {}
    for cell in cells:
        data, resolution = cell.config.data, cell.config.model.resolution
        if data.kind != "procedural" or not data.procedural.get("keep_in"):
            continue
        drawn = data.procedural.to_dict()
        if drawn["seed"] < 0:
            drawn["seed"] = data.seed
        request = json.dumps([drawn, resolution], sort_keys=True)
        for split in ("train", "eval"):
            number = drawn["num_clips"] if split == "train" else drawn["num_eval_clips"]
            for first in range(0, number, _CLIPS_A_JOB):
                last = min(first + _CLIPS_A_JOB, number)
                jobs[f"{split} {request}", first, last] = None
    return list(jobs)


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
