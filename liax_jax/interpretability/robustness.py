"""Interventional robustness: whether a coefficient stays where it is while other factors move."""

import numpy as np

from liax_jax.interpretability.information import shifts

# In the place of the maximum, which a single frame decides.
_QUANTILE = 0.99
_SHIFTS = 2


def interventional_robustness(
    alpha: np.ndarray, factor_bins: np.ndarray, *, chance: np.ndarray | None = None
) -> float:
    """IRS (Suter et al. 2019): a score in [0, 1].

    Of frames with about the same value of one factor (a bin of its quantiles), a coefficient that
    follows it alone has about the same value, however the others move. For each coefficient and
    factor: 1 − d / d₀, with d the 99 % quantile of the deviation from the bin's mean, mean over
    bins, and d₀ what chance shows. Each coefficient counts with its best factor, and by how far it
    moves.

    The factors have to be independent, or what looks like an intervention isn't one.

    Args:
      alpha: (n, M).
      factor_bins: (n, K) of `information.quantile_bins`, rows in the order of clips.
      chance: (M, K), of `chance_deviation`; found anew without.
    """
    chance = chance_deviation(alpha, factor_bins) if chance is None else chance
    within = np.stack([_deviation(alpha, column) for column in factor_bins.T], 1)
    best = np.clip(np.max(1 - within / np.maximum(chance, np.finfo(float).tiny), 1), 0, 1)
    reach = _reach(alpha)
    return float(best @ reach / reach.sum())


def chance_deviation(alpha: np.ndarray, factor_bins: np.ndarray, seed: int = 0) -> np.ndarray:
    """d₀, (M, K): the deviation within bins of factors shifted against the codes."""
    chosen = shifts(len(alpha), seed, _SHIFTS)
    return np.stack(
        [
            np.mean([_deviation(alpha, np.roll(column, shift)) for shift in chosen], 0)
            for column in factor_bins.T
        ],
        1,
    )


def _deviation(alpha: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """(M,): the deviation within a bin, mean over bins by their frames."""
    total = np.zeros(alpha.shape[1])
    for number in np.unique(numbers):
        rows = alpha[numbers == number]
        total += len(rows) * _reach(rows)
    return total / len(alpha)


def _reach(rows: np.ndarray) -> np.ndarray:
    """(M,): the 99 % quantile of the deviation from the mean."""
    # The frame at that rank; interpolating, as np.quantile does, takes several times as long.
    rank = round(_QUANTILE * (len(rows) - 1))
    return np.partition(np.abs(rows - rows.mean(0)), rank, axis=0)[rank]
