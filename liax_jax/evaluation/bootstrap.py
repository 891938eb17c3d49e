"""Confidence intervals over clips: how far a mean would move with other clips of the same kind."""

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class BootstrapOptions:
    """How intervals are made.

    The method is BCa (bias-corrected and accelerated, Efron 1987): clips are drawn with
    replacement, and the percentiles of the resampled means are corrected for their bias and
    skewness. Clips are what varies, so frames of one clip are never drawn apart. With few clips
    (less than about `FEW_CLIPS`) such intervals are too narrow.

    Attributes:
      confidence: of two-sided intervals.
      resamples: how often the clips are drawn.
      seed: of the draws.
    """

    confidence: float = 0.95
    resamples: int = 10_000
    seed: int = 0

    def describe(self) -> dict[str, Any]:
        return {"method": "BCa bootstrap over clips", **dataclasses.asdict(self)}


DEFAULT = BootstrapOptions()
# Below so many, intervals are too narrow, and whoever shows them says so.
FEW_CLIPS = 20

# Draws held at once: bounds the memory to some 100 MB whatever the number of clips.
_NUMBERS_AT_ONCE = 4_000_000


def mean_interval(
    values: Sequence[float] | np.ndarray,
    weights: Sequence[float] | np.ndarray | None = None,
    options: BootstrapOptions = DEFAULT,
) -> list[float] | None:
    """The interval of a mean over clips.

    Args:
      values: (n,) one per clip.
      weights: (n,) positive, such as frames; drawn together with the values. None: all equal.

    Returns:
      [low, high]; None for fewer than two clips, of which nothing can be said. Both are the value
      itself where all clips have the same.
    """
    array = np.asarray(values, np.float64)
    if len(array) < 2:
        return None
    if np.ptp(array) == 0:
        return [float(array[0]), float(array[0])]
    weight = np.ones_like(array) if weights is None else np.asarray(weights, np.float64)
    from scipy import stats  # takes a second; a training run that never gets here is spared it

    with warnings.catch_warnings():
        # Where the correction can't be computed the percentiles are taken as they are, see below.
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        low, high = _interval(array, weight, "BCa", options)
    if not np.isfinite([low, high]).all():
        low, high = _interval(array, weight, "percentile", options)
    return [low, high]


def _interval(
    values: np.ndarray, weights: np.ndarray, method: str, options: BootstrapOptions
) -> tuple[float, float]:
    from scipy import stats

    found = stats.bootstrap(
        (values, weights),
        _weighted_mean,
        paired=True,
        vectorized=True,
        n_resamples=options.resamples,
        batch=max(1, _NUMBERS_AT_ONCE // len(values)),
        confidence_level=options.confidence,
        method=method,
        rng=np.random.default_rng(options.seed),
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def _weighted_mean(values: np.ndarray, weights: np.ndarray, axis: int = -1) -> np.ndarray:
    return np.sum(values * weights, axis=axis) / np.sum(weights, axis=axis)
