"""The training input: pairs of frames, in an order that is a function of the seed and the step.

Following LIA, an epoch visits every clip once, in an order drawn anew, and takes two different
random frames of it: the source and the driving frame. Epochs follow each other without a seam, so
a batch may span two of them, and may be larger than the number of clips.

Everything random is drawn per visit from (seed, number of the visit), and batch `step` holds the
visits step * batch_size and following. So a run that starts again at a step sees what it would have
seen, whatever the number of threads, worker processes or hosts.
"""

import gc
import sys
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import grain
import numpy as np
from absl import flags

from liax_jax.data.clip_sets import build_clips as build_clips
from liax_jax.data.clips import ClipSet
from liax_jax.data.mixture import MixtureClips, clip_identities
from liax_jax.data.records import RecordsError
from liax_jax.data.visits import Visit, VisitPlan
from liax_jax.log import logger

# Batches made ahead, in each process that makes them.
_PREFETCH_BATCHES = 4

# Substitutes tried for a pair that can't be read, before that is an error after all.
_MAX_SUBSTITUTES = 100
_MAX_MESSAGES = 20
_DAMAGED = "damaged"


class _LoadBatch(grain.transforms.Map):
    """Reads the frames of a step's visits into one array each for sources and driving frames.

    With `skip_damaged`, what can't be read is substituted, and "damaged" (b, 2) says which clip and
    frame that was, -1 where there was none.
    """

    def __init__(self, clips: ClipSet, plan: VisitPlan, size: int, skip_damaged: bool):
        self._clips, self._plan = clips, plan
        self._size = size
        self._skip_damaged = skip_damaged

    def map(self, element: int) -> dict[str, np.ndarray]:
        # A step at a time: Grain's own batches cost 0.1 ms a pair, half as much as reading it.
        side = self._clips.resolution
        pictures = np.empty((2, self._size, side, side, 3), np.uint8)
        damaged = np.full((self._size, 2), -1)
        for row in range(self._size):
            visit = self._plan[int(element) * self._size + row]
            if self._skip_damaged:
                damaged[row] = self._read_or_substitute(visit, pictures[:, row])
            else:
                self._read(visit, pictures[:, row])
        batch = {"source": pictures[0], "driving": pictures[1]}
        return batch | {_DAMAGED: damaged} if self._skip_damaged else batch

    def _read(self, visit: Visit, pair: np.ndarray) -> None:
        pair[0] = self._clips.frame(visit.clip, visit.source)
        pair[1] = self._clips.frame(visit.clip, visit.driving)

    def _read_or_substitute(self, visit: Visit, pair: np.ndarray) -> tuple[int, int]:
        """Returns clip and frame of the first record that could not be read, or -1, -1."""
        damaged, chosen = (-1, -1), visit
        for attempt in range(_MAX_SUBSTITUTES):
            try:
                self._read(chosen, pair)
                return damaged
            except RecordsError:
                if attempt == 0:
                    damaged = self._first_unreadable(visit)
            chosen = self._plan.substitute(visit, attempt)
        self._read(chosen, pair)
        return damaged

    def _first_unreadable(self, visit: Visit) -> tuple[int, int]:
        try:
            self._clips.frame(visit.clip, visit.source)
        except RecordsError:
            return visit.clip, visit.source
        return visit.clip, visit.driving


class TrainIterator(Iterator[dict[str, np.ndarray]]):
    """Iterates over training batches; `close` (or the end of the program) stops its workers.

    Attributes:
        plan: what is visited when.
        substituted: examples so far whose frames could not be read, with `skip_damaged`.
    """

    def __init__(self, batches: Any, plan: VisitPlan, clips: ClipSet):
        self.plan = plan
        self.substituted = 0
        self._clips = clips
        self._told: set[tuple[int, int]] = set()
        self._open = [batches]
        # Runs at the program's end as well, before the modules that grain needs are torn down.
        self._finalizer = weakref.finalize(self, _close, self._open)

    def __next__(self) -> dict[str, np.ndarray]:
        if not self._open:
            raise ValueError("this iterator has been closed")
        # Batches of worker processes lie in shared memory that lives as long as the array;
        # copies have no such strings attached.
        batch = {
            name: array if type(array) is np.ndarray else np.array(array, subok=False)
            for name, array in next(self._open[0]).items()
        }
        for clip, t in batch.pop(_DAMAGED, ()):
            if clip >= 0:
                self._tell(int(clip), int(t))
        return batch

    def _tell(self, clip: int, t: int) -> None:
        """Counts a substituted example and says why, once for each frame."""
        self.substituted += 1
        if (clip, t) in self._told or len(self._told) >= _MAX_MESSAGES:
            return
        self._told.add((clip, t))
        try:
            self._clips.frame(clip, t)
            reason = f"clip {self._clips.names[clip]!r}, frame {t} could not be read at first"
        except RecordsError as error:
            reason = str(error)
        last = "; further ones are only counted" if len(self._told) == _MAX_MESSAGES else ""
        logger.warning("another pair was taken, as data.skip_damaged says: %s%s", reason, last)

    def close(self) -> None:
        """Stops threads and worker processes."""
        self._finalizer()


def _close(batches: list[Any]) -> None:
    batches.pop().close()
    # Grain's iterators refer to each other in cycles, and complain if first collected at exit.
    gc.collect()


def make_train_iterator(
    clips: ClipSet,
    *,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    num_workers: int = 0,
    num_threads: int = 2,
    rows: Sequence[int] | None = None,
    clip_sampling: str = "uniform",
    balance_identities: bool = False,
    skip_damaged: bool = False,
) -> TrainIterator:
    """Makes the endless iterator over training batches.

    Args:
        clips: the clips, each with at least two frames.
        batch_size: examples of a step over all processes together.
        seed: 0 to 2**32 - 1; with the step it determines every batch.
        start_step: number of the first batch.
        num_workers: worker processes that read frames; 0 reads in threads of this process. Two
            threads on two cores read 3,400 frames a second at 128 px and 4,100 at 64 px, where
            Python's lock is the limit; more needs processes.
        num_threads: reading threads, here or in each worker process.
        rows: which examples of each batch this process reads, 0 to batch_size - 1; None for all.
        clip_sampling: "uniform" or "length", within each source.
        balance_identities: visit every identity of a source equally often.
        skip_damaged: take another pair of the same source, drawn from seed and visit, where a
            record can't be read; otherwise that is an error.

    Yields:
        {"source", "driving"}: (b, h, w, 3) uint8 RGB each, b the number of rows.

    Raises:
        ValueError: wrong arguments, at once. What goes wrong in a worker (a damaged record, say)
            is raised here as it was there, when its batch is due.
    """
    _check(clips, batch_size, seed, start_step, num_workers, num_threads, rows)
    plan = VisitPlan(
        clips.lengths,
        seed,
        batch_size,
        rows,
        sources=clips.sources if isinstance(clips, MixtureClips) else None,
        clip_sampling=clip_sampling,
        identities=clip_identities(clips) if balance_identities else None,
    )
    size = batch_size if rows is None else len(rows)
    # The plan is arithmetic on the step, so that starting far in costs nothing.
    steps = grain.MapDataset.range(start_step, sys.maxsize)
    batches = steps.map(_LoadBatch(clips, plan, size, skip_damaged))
    dataset = batches.to_iter_dataset(
        grain.ReadOptions(
            num_threads=num_threads, prefetch_buffer_size=max(_PREFETCH_BATCHES, num_threads)
        )
    )
    if num_workers:
        # Grain reads its debugging flags from absl, which refuses before flags are parsed; a
        # program without absl flags (a notebook, a test) never parses any.
        if not flags.FLAGS.is_parsed():
            flags.FLAGS.mark_as_parsed()
        dataset = dataset.mp_prefetch(grain.MultiprocessingOptions(num_workers=num_workers))
    return TrainIterator(iter(dataset), plan, clips)


def _check(
    clips: ClipSet,
    batch_size: int,
    seed: int,
    start_step: int,
    num_workers: int,
    num_threads: int,
    rows: Sequence[int] | None,
) -> None:
    if not len(clips):
        raise ValueError("there are no clips to train on")
    shortest = int(np.argmin(clips.lengths))
    if clips.lengths[shortest] < 2:
        raise ValueError(
            f"clip {clips.names[shortest]!r} has {clips.lengths[shortest]} frame; "
            "training needs two different frames of every clip"
        )
    if batch_size < 1:
        raise ValueError(f"the batch size must be 1 or more, got {batch_size}")
    if rows is not None and (not rows or min(rows) < 0 or max(rows) >= batch_size):
        raise ValueError(f"rows must be some of 0 to {batch_size - 1}, got {list(rows)}")
    if not 0 <= seed < 2**32:
        raise ValueError(f"the seed must be between 0 and 2**32 - 1, got {seed}")
    if start_step < 0 or num_workers < 0 or num_threads < 1:
        raise ValueError(
            "start step and number of workers must be >= 0 and threads >= 1, got "
            f"{start_step}, {num_workers} and {num_threads}"
        )
