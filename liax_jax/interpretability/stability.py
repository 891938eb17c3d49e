"""Whether training again finds the same coefficients: runs compared by their codes on one probe.

Motion vectors of different runs are never compared: each run has a latent space of its own, and
their columns have nothing in common. What can be compared is what coefficients say about the same
frames.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from liax_jax.interpretability.codes import active, check_codes
from liax_jax.interpretability.information import correlations
from liax_jax.interpretability.predictors import (
    LEAST_GROUPS,
    lasso_weights,
    predict,
    split_by_group,
)
from liax_jax.interpretability.rotation import random_rotation

# Of UDR: the lasso's penalty on standardised codes, and the share of the largest deviation that
# makes a coefficient one that is used.
LASSO_PENALTY = 0.05
USED_SHARE = 0.01
SIMILARITIES = ("correlation", "lasso")


@dataclasses.dataclass(frozen=True)
class PairStability:
    """Two runs against each other; each value beside the mean of its control.

    Attributes:
      runs: their numbers.
      matched: mean |correlation| of the coefficients that are used, matched one to one.
      matched_control: the same with both runs' codes in random bases.
      udr: by similarity ("correlation", "lasso"): agreement of the two.
      udr_control: likewise.
      linear_r2: share of the variance of each run's codes that is linear in the other's, on people
        kept apart; mean of both ways. What is left in common where axes are not. NaN with fewer
        than `LEAST_GROUPS` people.
      matches: (coefficient of the first, of the second, signed correlation), best first.
    """

    runs: tuple[int, int]
    matched: float
    matched_control: float
    udr: dict[str, float]
    udr_control: dict[str, float]
    linear_r2: float
    matches: tuple[tuple[int, int, float], ...]


@dataclasses.dataclass(frozen=True)
class Stability:
    """Several runs.

    Attributes:
      pairs: every two of them.
      used: coefficients that each run uses.
      udr: by similarity, of each run: its median over the pairs with the others.
    """

    pairs: tuple[PairStability, ...]
    used: tuple[int, ...]
    udr: dict[str, tuple[float, ...]]

    @property
    def matched(self) -> float:
        """Mean over pairs."""
        return float(np.mean([pair.matched for pair in self.pairs]))

    @property
    def matched_control(self) -> float:
        """Mean over pairs."""
        return float(np.mean([pair.matched_control for pair in self.pairs]))

    def to_json(self) -> dict[str, Any]:
        """As plain numbers, lists and dictionaries; None for what can't be told."""
        found = dataclasses.asdict(self)
        for pair in found["pairs"]:
            if math.isnan(pair["linear_r2"]):
                pair["linear_r2"] = None
        return {"matched": self.matched, "matched_control": self.matched_control} | found


def used(alpha: np.ndarray, share: float = USED_SHARE) -> np.ndarray:
    """(M,) bool: coefficients whose deviation is at least this share of the largest one's."""
    deviation = alpha.std(0)
    return active(alpha) & (deviation >= share * deviation.max())


def match(
    a: np.ndarray, b: np.ndarray, used_share: float = USED_SHARE
) -> tuple[float, tuple[tuple[int, int, float], ...]]:
    """Mean |correlation| of coefficients matched one to one so that it is largest (Hungarian).

    Over the used ones of the run that uses fewer: two runs that use different numbers of vectors
    are not punished for those that have no partner.

    Args:
      a, b: (n, M_a), (n, M_b), codes of the same frames.
      used_share: as of `used`; 0 counts all that move at all.
    """
    mine, yours = np.flatnonzero(used(a, used_share)), np.flatnonzero(used(b, used_share))
    table = correlations(a[:, mine], b[:, yours])
    rows, columns = linear_sum_assignment(-np.abs(table))
    found = [
        (int(mine[i]), int(yours[j]), float(table[i, j]))
        for i, j in zip(rows, columns, strict=True)
    ]
    found.sort(key=lambda entry: -abs(entry[2]))
    return float(np.mean([abs(value) for _, _, value in found])), tuple(found)


def similarity(
    a: np.ndarray, b: np.ndarray, kind: str, used_share: float = USED_SHARE
) -> np.ndarray:
    """(M_a, M_b) of used coefficients: |correlation|, or |weights| of a lasso from a to b.

    Raises:
      ValueError: another kind. ImportError: the lasso needs scikit-learn.
    """
    a, b = a[:, used(a, used_share)], b[:, used(b, used_share)]
    if kind == "correlation":
        return np.abs(correlations(a, b))
    if kind != "lasso":
        raise ValueError(f"similarity {kind!r}: choose of {', '.join(SIMILARITIES)}")
    return np.abs(lasso_weights(_standardised(a), _standardised(b), LASSO_PENALTY))


def pair_udr(a: np.ndarray, b: np.ndarray, kind: str, used_share: float = USED_SHARE) -> float:
    """UDR of two runs (Duan et al. 2020), in [0, 1].

    For each used coefficient, the square of its largest similarity over the sum of all: 1 where it
    is like one of the other run's alone. Mean over those of both, and over the weights of a lasso
    from a to b and from b to a, which differ.
    """
    tables = [similarity(a, b, kind, used_share)]
    if kind == "lasso":
        tables.append(similarity(b, a, kind, used_share).T)
    shares = []
    for table in tables:
        for axis in (0, 1):
            total = table.sum(axis)
            largest = np.square(table.max(axis))
            shares.append(np.where(total > 0, largest / np.where(total > 0, total, 1), 0.0))
    return float(np.clip(np.concatenate(shares).mean(), 0, 1))


def measure_stability(
    runs: Sequence[np.ndarray],
    group: np.ndarray,
    *,
    similarities: Sequence[str] = SIMILARITIES,
    rotations: int = 10,
    used_share: float = USED_SHARE,
    seed: int = 0,
) -> Stability:
    """Compares the codes of several runs on the same frames.

    The control turns what each run uses, no more: put into a random basis of all M vectors, codes
    of few dimensions would be spread over many, of which some always match.

    Args:
      runs: two or more of (n, M); M may differ.
      group: (n,) who is in each frame; with fewer than `LEAST_GROUPS`, linear R² isn't measured.
      similarities: of `SIMILARITIES`, for UDR; "lasso" needs scikit-learn.
      rotations: random bases of both runs, for the control, ≥ 1.
      used_share: of the largest deviation, which makes a coefficient one that is used.

    Raises:
      ValueError: fewer than two runs, other numbers of frames, codes that can't be compared.
    """
    if len(runs) < 2:
        raise ValueError(f"{len(runs)} run: stability compares two or more")
    if rotations < 1:
        raise ValueError(f"rotations = {rotations}: the control needs at least 1")
    for number, alpha in enumerate(runs):
        check_codes(alpha)
        if len(alpha) != len(group):
            raise ValueError(
                f"run {number} has codes of {len(alpha)} frames and the probe {len(group)}; use "
                "the same frames for all"
            )
    rng = np.random.default_rng(seed)
    kept = [np.flatnonzero(used(alpha, used_share)) for alpha in runs]
    pairs = []
    for i, j in itertools.combinations(range(len(runs)), 2):
        a, b = runs[i][:, kept[i]], runs[j][:, kept[j]]
        # Of what is used alone, so that all of it counts.
        turned = [
            (a @ random_rotation(a.shape[1], rng), b @ random_rotation(b.shape[1], rng))
            for _ in range(rotations)
        ]
        matched, matches = match(runs[i], runs[j], used_share)
        pairs.append(
            PairStability(
                (i, j),
                matched,
                float(np.mean([match(*codes, 0.0)[0] for codes in turned])),
                {kind: pair_udr(runs[i], runs[j], kind, used_share) for kind in similarities},
                {
                    kind: float(np.mean([pair_udr(*codes, kind, 0.0) for codes in turned]))
                    for kind in similarities
                },
                _mutual_r2(runs[i], runs[j], group),
                matches,
            )
        )
    of_run = {
        kind: tuple(
            float(np.median([p.udr[kind] for p in pairs if number in p.runs]))
            for number in range(len(runs))
        )
        for kind in similarities
    }
    return Stability(tuple(pairs), tuple(map(len, kept)), of_run)


def linear_r2(a: np.ndarray, b: np.ndarray, group: np.ndarray) -> float:
    """Share of the variance of b (n, M_b) that is linear in a (n, M_a), on groups kept apart.

    Raises:
      ValueError: fewer than `LEAST_GROUPS` groups.
    """
    kept = used(b)
    r2 = predict(a, b[:, kept], split_by_group(group), "ridge").r2
    return float(np.average(np.clip(r2, 0, 1), weights=b[:, kept].var(0)))


def _mutual_r2(a: np.ndarray, b: np.ndarray, group: np.ndarray) -> float:
    """Mean of `linear_r2` both ways, or NaN where groups are too few."""
    if len(np.unique(group)) < LEAST_GROUPS:
        return math.nan
    return (linear_r2(a, b, group) + linear_r2(b, a, group)) / 2


def _standardised(values: np.ndarray) -> np.ndarray:
    return (values - values.mean(0)) / values.std(0)
