"""A direction's effect in the mean over portraits: how strong, how even, how much alike."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy import stats

from liax_jax.interpretability.interventions import SubjectEffect
from liax_jax.interpretability.naming import agreement


@dataclasses.dataclass(frozen=True)
class EffectSummary:
    """A direction's effect in the mean over portraits.

    Attributes:
      deltas, l1, psnr, pixels, progress: (S,) curves as of `SubjectEffect`.
      monotonicity: Spearman's rank correlation of progress with the change, mean over portraits.
      linearity: R² of a straight line through progress, mean over portraits.
      reach_db: the lesser of the PSNR's two ends: lower is a larger change of the picture.
      background_l1, figure_l1: as of `SubjectEffect`.
      agreement: mean cosine of one portrait's flow with the mean of the others', None for a single
        portrait.
      identity: mean distance by a face recognition network, None where it isn't known.
    """

    deltas: list[float]
    l1: list[float]
    psnr: list[float]
    pixels: list[float]
    progress: list[float]
    monotonicity: float
    linearity: float
    reach_db: float
    background_l1: float
    figure_l1: float
    agreement: float | None
    identity: float | None = None


def summarise_effects(effects: Sequence[SubjectEffect]) -> EffectSummary:
    """The mean over portraits of one direction's effects."""

    def mean(name: str) -> list[float]:
        return np.mean([getattr(effect, name) for effect in effects], axis=0).tolist()

    decibels = mean("psnr")
    drifts = [effect.identity for effect in effects if np.isfinite(effect.identity)]
    return EffectSummary(
        deltas=mean("deltas"),
        l1=mean("l1"),
        psnr=decibels,
        pixels=mean("pixels"),
        progress=mean("progress"),
        monotonicity=float(np.mean([monotonicity(e.deltas, e.progress) for e in effects])),
        linearity=float(np.mean([linearity(e.deltas, e.progress) for e in effects])),
        reach_db=min(decibels[0], decibels[-1]),
        background_l1=float(np.mean([effect.background_l1 for effect in effects])),
        figure_l1=float(np.mean([effect.figure_l1 for effect in effects])),
        agreement=agreement(np.stack([effect.flow for effect in effects])),
        identity=float(np.mean(drifts)) if drifts else None,
    )


def monotonicity(deltas: np.ndarray, progress: np.ndarray) -> float:
    """Spearman's rank correlation; 0 where nothing moves."""
    if np.ptp(progress) == 0:
        return 0.0
    return float(stats.spearmanr(deltas, progress).statistic)


def linearity(deltas: np.ndarray, progress: np.ndarray) -> float:
    """R² of a straight line; 0 where nothing moves."""
    if np.ptp(progress) == 0:
        return 0.0
    return float(stats.linregress(deltas, progress).rvalue ** 2)
