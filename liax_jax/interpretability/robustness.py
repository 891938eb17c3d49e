"""Interventional robustness: whether a coefficient stays where it is while other factors move."""

import numpy as np

from liax_jax.interpretability.information import quantile_bins, shifts

# In the place of the maximum, which a single frame decides.
_QUANTILE = 0.99
_SHIFTS = 4


def interventional_robustness(
    alpha: np.ndarray, factors: np.ndarray, bins: int, seed: int = 0
) -> float:
    """IRS (Suter et al. 2019): (n, M), (n, K) → score in [0, 1].

    Of frames with about the same value of one factor (a bin of its quantiles), a coefficient that
    follows it alone has about the same value, however the others move. For each coefficient and
    factor: 1 − d / d₀, with d the 99 % quantile of the deviation from the bin's mean, mean over
    bins, and d₀ the same with frames put into bins at random. Each coefficient counts with its best
    factor, and by how far it moves.

    The factors have to be independent, or what looks like an intervention isn't one.
    """
    numbers = quantile_bins(factors, bins)
    reach = np.quantile(np.abs(alpha - alpha.mean(0)), _QUANTILE, axis=0)
    chosen = shifts(len(alpha), seed, _SHIFTS)
    by_factor = []
    for column in numbers.T:
        within = _deviation(alpha, column)
        by_chance = np.mean([_deviation(alpha, np.roll(column, s)) for s in chosen], 0)
        by_factor.append(1 - within / np.maximum(by_chance, np.finfo(float).tiny))
    best = np.clip(np.max(by_factor, 0), 0, 1)
    return float(best @ reach / reach.sum())


def _deviation(alpha: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """(M,): the deviation within a bin, mean over bins by their frames."""
    total = np.zeros(alpha.shape[1])
    for number in np.unique(numbers):
        rows = alpha[numbers == number]
        total += len(rows) * np.quantile(np.abs(rows - rows.mean(0)), _QUANTILE, axis=0)
    return total / len(alpha)
