"""Which two frames of which clip make the n-th example: arithmetic on the seed and n.

Nothing here reads a frame or remembers a position. Every visit is drawn from (seed, number of the
visit), so that any host, process or thread can work out any of them by itself.
"""

import functools
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

# The uses of random numbers; with the seed they key the generator.
_EPOCH_ORDER, _VISIT, _CLIP, _MIXTURE, _SUBSTITUTE = range(5)

# Visits are dealt to the sources of a mixture in blocks, each with the same number of each source.
# So delivered shares are exact, and how often a source was visited before has a closed form.
BLOCK = 10_000

CLIP_SAMPLINGS = ("uniform", "length")


class Visit(NamedTuple):
    """Which two frames of which clip make an example; `number` counts visits from 0."""

    clip: int
    source: int
    driving: int
    number: int = 0


class Source(NamedTuple):
    """One source of a mixture: a stretch of its clips and the share of the visits that it gets."""

    name: str
    weight: float
    first_clip: int
    num_clips: int


def _generator(seed: int, use: int, index: int, stream: int = 0) -> np.random.Generator:
    """A generator of its own for each index; the counter's first word is the generator's."""
    return np.random.Generator(np.random.Philox(key=[seed, use], counter=[0, index, stream, 0]))


@functools.lru_cache(maxsize=16)
def _epoch_order(num_groups: int, seed: int, epoch: int, source: int = 0) -> np.ndarray:
    # Grain's own shuffle needs no memory, but walks through 2**16 indices to permute a few:
    # 1.7 ms an example for 11 clips, more than reading its frames.
    return _generator(seed, _EPOCH_ORDER, epoch, source).permutation(num_groups).astype(np.int32)


@functools.lru_cache(maxsize=4)
def _block(counts: tuple[int, ...], seed: int, block: int) -> tuple[np.ndarray, np.ndarray]:
    """The sources of a block's visits, and how many visits of the same source come before each."""
    sources = _generator(seed, _MIXTURE, block).permutation(
        np.repeat(np.arange(len(counts)), counts)
    )
    ranks = np.empty(BLOCK, np.int64)
    for source, count in enumerate(counts):
        ranks[sources == source] = np.arange(count)
    return sources, ranks


def block_counts(weights: Sequence[float]) -> tuple[int, ...]:
    """Visits of each source in a block: the weights to 1 in 10,000, and at least one of each."""
    exact = np.asarray(weights, float) / np.sum(weights) * BLOCK
    counts = np.maximum(np.floor(exact).astype(int), 1)
    while counts.sum() != BLOCK:
        step = 1 if counts.sum() < BLOCK else -1
        # The one that is furthest from its due.
        counts[np.argmax(step * (exact - counts))] += step
    return tuple(int(count) for count in counts)


class _Chooser:
    """The endless sequence of clips of one source."""

    def __init__(
        self,
        source: int,
        seed: int,
        lengths: np.ndarray,
        identities: Sequence[str] | None,
        by_length: bool,
    ):
        self._source, self._seed = source, seed
        self.num_clips = len(lengths)
        if identities is not None:
            groups: dict[str, list[int]] = {}
            for clip, identity in enumerate(identities):
                groups.setdefault(identity, []).append(clip)
            self._groups: list[np.ndarray] | None = [np.array(clips) for clips in groups.values()]
            self.num_groups = len(self._groups)
        else:
            # By length all clips are one group, to choose from anew each time.
            self._groups = [np.arange(self.num_clips)] if by_length else None
            self.num_groups = 1 if by_length else self.num_clips
        # Ends of the clips' parts of [0, 1), in each group.
        self._ends = [
            np.cumsum(lengths[group] if by_length else np.ones(len(group)))
            for group in self._groups or ()
        ]

    def clip(self, position: int, number: int) -> int:
        """The clip of a position in this source's sequence, at visit `number` of all."""
        epoch, place = divmod(position, self.num_groups)
        if self.num_groups == 1:
            group = 0
        else:
            group = int(_epoch_order(self.num_groups, self._seed, epoch, self._source)[place])
        if self._groups is None:
            return group
        clips, ends = self._groups[group], self._ends[group]
        if len(clips) == 1:
            return int(clips[0])
        point = _generator(self._seed, _CLIP, number, self._source).random() * ends[-1]
        return int(clips[np.searchsorted(ends, point, side="right")])


class VisitPlan:
    """The endless sequence of examples that one process reads; a grain data source.

    Args:
        lengths: number of frames of each clip, each >= 2.
        seed: determines everything.
        batch_size: examples of a step over all processes.
        rows: which of them this process reads, each 0 to batch_size - 1; None for all.
        sources: of a mixture, in order, all clips between them; None for one unnamed source.
        clip_sampling: how a source's clips are chosen: "uniform" (each once an epoch, in an order
            drawn anew) or "length" (in proportion to their numbers of frames).
        identities: of each clip, to visit each identity of a source once an epoch, and choose
            among its clips by `clip_sampling`; None doesn't look at identities.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        seed: int,
        batch_size: int,
        rows: Sequence[int] | None = None,
        *,
        sources: Sequence[Source] | None = None,
        clip_sampling: str = "uniform",
        identities: Sequence[str] | None = None,
    ):
        if clip_sampling not in CLIP_SAMPLINGS:
            raise ValueError(
                f"data.clip_sampling must be one of {', '.join(map(repr, CLIP_SAMPLINGS))}, got "
                f"{clip_sampling!r}"
            )
        self._lengths = np.asarray(lengths)
        self._seed = seed
        self._batch_size = batch_size
        self._rows = range(batch_size) if rows is None else tuple(rows)
        self.sources = tuple(sources or (Source("", 1.0, 0, len(self._lengths)),))
        self._counts = block_counts([source.weight for source in self.sources])
        self._choosers = [
            _Chooser(
                number,
                seed,
                self._lengths[source.first_clip : source.first_clip + source.num_clips],
                identities and identities[source.first_clip : source.first_clip + source.num_clips],
                clip_sampling == "length",
            )
            for number, source in enumerate(self.sources)
        ]

    def __len__(self) -> int:
        return sys.maxsize // self._batch_size * len(self._rows)

    def __getitem__(self, index: int) -> Visit:
        """The example at a position in this process's sequence."""
        step, position = divmod(int(index), len(self._rows))
        number = step * self._batch_size + self._rows[position]
        source, position = self._source_of(number)
        clip = self.sources[source].first_clip + self._choosers[source].clip(position, number)
        return self._pair(clip, number, _generator(self._seed, _VISIT, number))

    def substitute(self, visit: Visit, attempt: int) -> Visit:
        """What is read instead of a visit that can't be, of the same source: the attempt-th."""
        rng = _generator(self._seed, _SUBSTITUTE, visit.number, attempt)
        source = self.sources[self._source_of(visit.number)[0]]
        clip = source.first_clip + int(rng.integers(source.num_clips))
        return self._pair(clip, visit.number, rng)

    def delivered(self, first_step: int, last_step: int) -> dict[str, int]:
        """Examples of each source in the batches of steps first_step to last_step - 1, all hosts'.

        Steps count from 0: batch 0 is the first.
        """
        before = self._visits_before(first_step * self._batch_size)
        after = self._visits_before(last_step * self._batch_size)
        names = (source.name for source in self.sources)
        return {name: int(count) for name, count in zip(names, after - before, strict=True)}

    def epoch_steps(self) -> dict[str, float]:
        """Steps in which each source visits all of its clips (or identities) once."""
        shares = np.asarray(self._counts) / BLOCK
        return {
            source.name: chooser.num_groups / (share * self._batch_size)
            for source, chooser, share in zip(self.sources, self._choosers, shares, strict=True)
        }

    def _source_of(self, number: int) -> tuple[int, int]:
        """The source of a visit and the visit's position in that source's own sequence."""
        if len(self.sources) == 1:
            return 0, number
        block, place = divmod(number, BLOCK)
        sources, ranks = _block(self._counts, self._seed, block)
        source = int(sources[place])
        return source, block * self._counts[source] + int(ranks[place])

    def _visits_before(self, number: int) -> np.ndarray:
        if len(self.sources) == 1:
            return np.array([number])
        block, place = divmod(number, BLOCK)
        begun = _block(self._counts, self._seed, block)[0][:place]
        return np.asarray(self._counts) * block + np.bincount(begun, minlength=len(self.sources))

    def _pair(self, clip: int, number: int, rng: np.random.Generator) -> Visit:
        # Each ordered pair of different frames is equally likely.
        length = int(self._lengths[clip])
        source = int(rng.integers(length))
        driving = (source + int(rng.integers(1, length))) % length
        return Visit(clip, source, driving, number)


def check_weights(weights: Mapping[str, Any]) -> dict[str, float]:
    """The weights of a mixture by name, sorted, without those of weight 0.

    Raises:
        ValueError: a weight is negative or no number, or all are 0.
    """
    for name, weight in weights.items():
        number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
        if not number or not np.isfinite(weight) or weight < 0:
            raise ValueError(
                f"data.mixture.{name} = {weight!r}: a weight must be a number of 0 or more"
            )
    positive = {name: float(weights[name]) for name in sorted(weights) if weights[name] > 0}
    if not positive:
        raise ValueError("data.mixture: all weights are 0; give at least one source a share")
    return positive
