"""Clip after clip: what is done already is passed over, what fails is told and passed over too."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from liax_jax import runtime
from liax_jax.data.records import RecordsError
from liax_jax.data.video_io import VideoError
from liax_jax.evaluation.errors import ClipError, EvaluationError
from liax_jax.evaluation.program import MADE_WITH, made_with
from liax_jax.evaluation.run_folder import RunFolder
from liax_jax.log import bar_interval, logger

Finished = tuple[Mapping[str, Any], Mapping[str, np.ndarray]]
Failures = list[dict[str, str]]

# What is wrong with one clip. Anything else (a full disk, a defect) ends the evaluation.
_CLIP_ERRORS = (ClipError, VideoError, RecordsError, FileNotFoundError, PermissionError)


@dataclasses.dataclass(frozen=True)
class Task:
    """The evaluation of one clip.

    Attributes:
      name: of the clip, or of the pair.
      frames: about how many there are, for the progress bar.
      work: evaluates it; takes a function to be told of each number of frames that are done, and
        returns the clip's line and the arrays to keep.
    """

    name: str
    frames: int
    work: Callable[[Callable[[int], None]], Finished]


def run_tasks(folder: RunFolder, tasks: Sequence[Task], *, progress: bool) -> Failures:
    """Runs the tasks that are not done yet, and keeps each result in the folder.

    A line says with which versions and on which device it was made: a run may go on elsewhere.

    Args:
      folder: its names are the tasks'.
      progress: show a bar with rate and time left.

    Returns:
      {"name", "reason"} of the clips that couldn't be evaluated.

    Raises:
      EvaluationError: no clip could be evaluated, or the folder can't be written to.
    """
    if not tasks:
        raise EvaluationError("the split has no clips to evaluate")
    failures: Failures = []
    todo = [task for task in tasks if task.name not in folder.entries]
    if len(todo) < len(tasks):
        logger.info("%d of %d clips are done already", len(tasks) - len(todo), len(tasks))
    with tqdm(
        total=sum(task.frames for task in tasks),
        initial=sum(task.frames for task in tasks if task.name in folder.entries),
        unit="frame",
        desc="evaluate",
        disable=not progress,
        mininterval=bar_interval(),
    ) as bar:
        for task in todo:
            runtime.stop_if_interrupted()
            number = len(folder.entries) + len(failures) + 1
            bar.set_postfix_str(f"clip {number}/{len(tasks)}", refresh=False)
            before = bar.n
            try:
                entry, arrays = task.work(bar.update)
                folder.add({**entry, MADE_WITH: made_with()}, arrays)
            except _CLIP_ERRORS as error:
                reason = " ".join(str(error).split())
                if f"clip {task.name!r}" not in reason:
                    reason = f"clip {task.name!r}: {reason}"
                logger.error("%s", reason)
                failures.append({"name": task.name, "reason": reason})
            bar.update(before + task.frames - bar.n)
    folder.write_lines()
    if not folder.entries:
        raise EvaluationError(
            f"none of the {len(tasks)} clips could be evaluated; the first: {failures[0]['reason']}"
        )
    return failures


def exhaust(items: Iterator[Any]) -> None:
    """Takes all items for their side effects."""
    for _ in items:
        pass
