"""The training input: pairs of frames, in an order that is a function of the seed and the step.

Following LIA, an epoch visits every clip once, in an order drawn anew, and takes two different
random frames of it: the source and the driving frame. Epochs follow each other without a seam, so
a batch may span two of them, and may be larger than the number of clips.

Everything random is drawn per visit from (seed, number of the visit), and batch `step` holds the
visits step * batch_size and following. So a run that starts again at a step sees what it would have
seen, whatever the number of threads, worker processes or hosts.
"""

import functools
import gc
import sys
import weakref
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import grain
import numpy as np
from absl import flags

from liax_jax.data.clips import ClipSet
from liax_jax.data.records import RecordClips

# Batches made ahead, in each process that makes them.
_PREFETCH_BATCHES = 4


class Visit(NamedTuple):
    """Which two frames of which clip make an example."""

    clip: int
    source: int
    driving: int


# The two uses of random numbers; with the seed they key the generator.
_EPOCH_ORDER, _VISIT = 0, 1


def _generator(seed: int, use: int, index: int) -> np.random.Generator:
    """A generator of its own for each index; the counter's first word is the generator's."""
    return np.random.Generator(np.random.Philox(key=[seed, use], counter=[0, index, 0, 0]))


@functools.lru_cache(maxsize=4)
def _epoch_order(num_clips: int, seed: int, epoch: int) -> np.ndarray:
    # Grain's own shuffle needs no memory, but walks through 2**16 indices to permute a few:
    # 1.7 ms an example for 11 clips, more than reading its frames.
    return _generator(seed, _EPOCH_ORDER, epoch).permutation(num_clips)


class VisitPlan:
    """The endless sequence of examples that one process reads; a grain data source.

    Args:
        lengths: number of frames of each clip, each >= 2.
        seed: determines everything.
        batch_size: examples of a step over all processes.
        rows: which of them this process reads, each 0 to batch_size - 1; None for all.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        seed: int,
        batch_size: int,
        rows: Sequence[int] | None = None,
    ):
        self._lengths = np.asarray(lengths)
        self._seed = seed
        self._batch_size = batch_size
        self._rows = range(batch_size) if rows is None else tuple(rows)

    def __len__(self) -> int:
        return sys.maxsize // self._batch_size * len(self._rows)

    def __getitem__(self, index: int) -> Visit:
        """The example at a position in this process's sequence."""
        step, position = divmod(int(index), len(self._rows))
        number = step * self._batch_size + self._rows[position]
        num_clips = len(self._lengths)
        clip = int(_epoch_order(num_clips, self._seed, number // num_clips)[number % num_clips])
        rng = _generator(self._seed, _VISIT, number)
        # Each ordered pair of different frames is equally likely.
        length = int(self._lengths[clip])
        source = int(rng.integers(length))
        driving = (source + int(rng.integers(1, length))) % length
        return Visit(clip, source, driving)


class _LoadPair(grain.transforms.Map):
    """Reads the two frames of a visit."""

    def __init__(self, clips: ClipSet):
        self._clips = clips

    def map(self, element: Visit) -> dict[str, np.ndarray]:
        source = self._clips.frame(element.clip, element.source)
        driving = self._clips.frame(element.clip, element.driving)
        return {"source": source, "driving": driving}


class TrainIterator(Iterator[dict[str, np.ndarray]]):
    """Iterates over training batches; `close` (or the end of the program) stops its workers."""

    def __init__(self, batches: Any):
        self._open = [batches]
        # Runs at the program's end as well, before the modules that grain needs are torn down.
        self._finalizer = weakref.finalize(self, _close, self._open)

    def __next__(self) -> dict[str, np.ndarray]:
        # Batches of worker processes lie in shared memory that lives as long as the array;
        # copies have no such strings attached.
        if not self._open:
            raise ValueError("this iterator has been closed")
        return {name: np.array(array, subok=False) for name, array in next(self._open[0]).items()}

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

    Yields:
        {"source", "driving"}: (b, h, w, 3) uint8 RGB each, b the number of rows.

    Raises:
        ValueError: wrong arguments, at once. What goes wrong in a worker (a damaged record, say)
            is raised here as it was there, when its batch is due.
    """
    _check(clips, batch_size, seed, start_step, num_workers, num_threads, rows)
    plan = VisitPlan(clips.lengths, seed, batch_size, rows)
    batches = (
        grain.MapDataset.source(plan)
        .map(_LoadPair(clips))
        .batch(batch_size if rows is None else len(rows), drop_remainder=True)
        # The plan is arithmetic on the index, so that starting far in costs nothing.
        .slice(slice(start_step, sys.maxsize))
    )
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
    return TrainIterator(iter(dataset))


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


def build_clips(data_config: Any, resolution: int, split: str) -> ClipSet:
    """Opens the clips that a config names.

    Args:
        data_config: a ConfigDict with `kind`:
            "records": `path`, a folder made by `liax prepare`; and the split names
                `train_split`, `eval_split`.
            "procedural": drawn portraits; `seed`, and in `procedural` `num_clips` (for training),
                `num_eval_clips`, `frames_per_clip` and `distribution`.
        resolution: of the model, in pixels.
        split: "train" or "eval".

    Raises:
        ValueError: unknown kind or split, no path, a split that the records do not have, or
            records of another resolution.
        FileNotFoundError: the path does not hold records.
    """
    if split not in ("train", "eval"):
        raise ValueError(f"split must be 'train' or 'eval', got {split!r}")
    if data_config.kind == "records":
        return _record_clips(data_config, resolution, split)
    if data_config.kind == "procedural":
        return _procedural_clips(data_config, resolution, split)
    raise ValueError(f"data.kind must be 'procedural' or 'records', got {data_config.kind!r}")


def _record_clips(data_config: Any, resolution: int, split: str) -> ClipSet:
    if not data_config.path:
        raise ValueError(
            "data.kind is 'records' but data.path is empty; make records with "
            "`liax prepare VIDEOS OUT` and set data.path to OUT"
        )
    name = data_config.train_split if split == "train" else data_config.eval_split
    clips = RecordClips(data_config.path, name)
    if clips.resolution != resolution:
        raise ValueError(
            f"the records in {clips.root} are of {clips.resolution} px, the model of {resolution} "
            f"px; run `liax prepare --resolution {resolution}` into another folder, or set the "
            f"model's resolution to {clips.resolution}"
        )
    return clips


def _procedural_clips(data_config: Any, resolution: int, split: str) -> ClipSet:
    # Imported only when asked for: records need none of it.
    from liax_jax.data.procedural import ProceduralClips

    config = data_config.procedural
    num_clips = config.num_clips if split == "train" else config.num_eval_clips
    # Two streams of seeds that never meet: no identity of training appears in the evaluation.
    seed = 2 * data_config.seed + (split == "eval")
    distribution = config.distribution
    if not isinstance(distribution, str):
        distribution = dict(distribution)  # factor -> distribution
    return ProceduralClips(
        resolution=resolution,
        num_clips=num_clips,
        frames_per_clip=config.frames_per_clip,
        seed=seed,
        distribution=distribution,
    )
