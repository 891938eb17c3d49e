"""How well single coefficients stand for single factors: all scores, each beside its control.

The control of a score is the same score of the same codes in random bases, R in O(M). A dictionary
is free to be turned by any R without changing a picture, so what a random basis scores is owed to
the model and the data, and only what lies above it to the choice of axes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from liax_jax.interpretability import information
from liax_jax.interpretability.codes import Codes, active
from liax_jax.interpretability.predictors import (
    Prediction,
    Split,
    check_regressors,
    dci,
    predict,
    require_sklearn,
    split_by_group,
)
from liax_jax.interpretability.robustness import interventional_robustness
from liax_jax.interpretability.rotation import random_rotation

# Of the slower forest.
_MAX_FOREST_ROTATIONS = 3


@dataclasses.dataclass(frozen=True)
class Score:
    """A score and its control.

    Attributes:
      value: of the codes as they are.
      interval: value ± 1.96 standard errors, by a bootstrap over groups, within [0, 1]; None where
        none was made.
      control: mean over random rotations of the codes.
      control_range: lowest and highest of them.
    """

    value: float
    interval: tuple[float, float] | None
    control: float
    control_range: tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Disentanglement:
    """All scores of one model on one set of frames.

    Attributes:
      scores: by name, "ridge/disentanglement" … "irs".
      predictions: of each regressor: importances (M, K) and held-out r2 (K,).
      information: (M, K) adjusted mutual information, in [0, 1].
      factor_names: K names.
      kurtosis: (K,) excess kurtosis of each factor.
      num_active: coefficients that move at all.
      settings: frames, groups, bins, … as they were used.
    """

    scores: dict[str, Score]
    predictions: dict[str, Prediction]
    information: np.ndarray
    factor_names: tuple[str, ...]
    kurtosis: np.ndarray
    num_active: int
    settings: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Everything as plain numbers, lists and dictionaries."""
        return {
            "settings": self.settings,
            "scores": {name: dataclasses.asdict(score) for name, score in self.scores.items()},
            "active_vectors": self.num_active,
            "factors": {
                name: {
                    "excess_kurtosis": float(self.kurtosis[j]),
                    "r2": {kind: float(p.r2[j]) for kind, p in self.predictions.items()},
                    "best_vector": int(self.information[:, j].argmax()),
                }
                for j, name in enumerate(self.factor_names)
            },
            "importance": {kind: p.importance.tolist() for kind, p in self.predictions.items()},
            "information": self.information.tolist(),
        }


def measure_disentanglement(
    codes: Codes,
    *,
    regressors: Sequence[str] = ("ridge", "forest"),
    rotations: int = 10,
    bootstrap: int = 40,
    seed: int = 0,
    jobs: int | None = None,
) -> Disentanglement:
    """Scores codes against their factors.

    Args:
      codes: with factors; of at least four groups (people), a third of which is kept to score
        predictions on.
      regressors: of `REGRESSORS`, for DCI. All but "ridge" need scikit-learn.
      rotations: random bases for the control, ≥ 1; at most 3 for the forest.
      bootstrap: resamplings of the groups for the intervals, 0 for none; the forest has none.
      seed: of split, rotations and resampling.
      jobs: processors for scikit-learn; -1 for all.

    Raises:
      ValueError: no factors, fewer than two, too few groups, or a bad setting.
      ImportError: scikit-learn is missing.
    """
    if codes.factors is None:
        raise ValueError("these clips have no known factors; scores against factors need them")
    if codes.factors.shape[1] < 2:
        raise ValueError("with a single factor there is nothing to tell apart; give two or more")
    check_regressors(regressors)
    if rotations < 1 or bootstrap < 0 or bootstrap == 1:
        raise ValueError(
            f"rotations = {rotations}, bootstrap = {bootstrap}: at least 1 random rotation is "
            "needed, and for intervals at least 2 resamplings, or 0 for none"
        )
    if set(regressors) - {"ridge"}:
        require_sklearn()
    split = split_by_group(codes.group, seed)
    alpha, factors = codes.alpha, codes.factors
    bins = information.default_bins(len(alpha))
    factor_bins = information.quantile_bins(factors, bins)
    for j in np.flatnonzero(
        np.minimum(np.ptp(factors[split.train], 0), np.ptp(factors[split.test], 0)) == 0
    ):
        raise ValueError(
            f"{codes.factor_names[j]} doesn't vary among the people kept to score on, or among the "
            "others; measure on more clips"
        )

    def informed(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        code_bins = information.quantile_bins(values, bins)
        chance = information.chance_information(code_bins, factor_bins, seed)
        found = information.adjusted_information(code_bins, factor_bins, chance=chance)
        return code_bins, chance, found

    def predicted(values: np.ndarray, kind: str) -> Prediction:
        return predict(values, factors, split, kind, seed=seed, jobs=jobs)

    code_bins, chance, found = informed(alpha)
    predictions = {kind: predicted(alpha, kind) for kind in regressors}
    values = _scores(alpha, factors, found, bins, predictions, seed)

    rng = np.random.default_rng(seed)
    controls: dict[str, list[float]] = {name: [] for name in values}
    for number in range(rotations):
        turned = alpha @ random_rotation(alpha.shape[1], rng)
        kinds = [k for k in regressors if k != "forest" or number < _MAX_FOREST_ROTATIONS]
        parts = {kind: predicted(turned, kind) for kind in kinds}
        for name, value in _scores(turned, factors, informed(turned)[2], bins, parts, seed).items():
            controls[name].append(value)

    def resampled(rows: np.ndarray, train: int) -> dict[str, float]:
        part = information.adjusted_information(code_bins[rows], factor_bins[rows], chance=chance)
        again = Split(np.arange(train), np.arange(train, len(rows)), split.group[rows])
        parts = {
            kind: predict(alpha[rows], factors[rows], again, kind, penalties=p.penalties)
            for kind, p in predictions.items()
            if kind != "forest"
        }
        return _scores(alpha[rows], factors[rows], part, bins, parts, seed)

    errors = _standard_errors(split, bootstrap, seed, resampled)
    return Disentanglement(
        scores={name: _score(name, values[name], errors, controls[name]) for name in values},
        predictions=predictions,
        information=found,
        factor_names=codes.factor_names,
        kurtosis=excess_kurtosis(factors),
        num_active=int(active(alpha).sum()),
        settings={
            "frames": len(alpha),
            "groups": len(np.unique(codes.group)),
            "test_groups": len(np.unique(codes.group[split.test])),
            "bins": bins,
            "regressors": list(regressors),
            "rotations": rotations,
            "bootstrap": bootstrap,
            "seed": seed,
        },
    )


def excess_kurtosis(values: np.ndarray) -> np.ndarray:
    """(n, C) → (C,): 0 for a Gaussian, 3 for a Laplacian, −1.2 for a uniform; 0 where constant."""
    centred = values - values.mean(0)
    power = np.square(centred).mean(0)
    fourth = np.square(np.square(centred)).mean(0)
    return np.where(power > 0, fourth / np.where(power > 0, np.square(power), 1) - 3, 0.0)


def _scores(
    alpha: np.ndarray,
    factors: np.ndarray,
    found: np.ndarray,
    bins: int,
    predictions: Mapping[str, Prediction],
    seed: int,
) -> dict[str, float]:
    values = {
        f"{kind}/{name}": value
        for kind, prediction in predictions.items()
        for name, value in dci(prediction).items()
    }
    return values | {
        "mig": information.mutual_information_gap(found),
        "sap": information.separated_predictability(alpha, factors),
        "modularity": information.modularity(found),
        "irs": interventional_robustness(alpha, factors, bins, seed),
    }


def _standard_errors(
    split: Split, count: int, seed: int, resampled: Callable[[np.ndarray, int], dict[str, float]]
) -> dict[str, float]:
    """Of every score, over sets of groups drawn with replacement, in training and test apart."""
    if not count:
        return {}
    rng = np.random.default_rng([seed, 1])
    parts = []
    for rows in (split.train, split.test):
        group = split.group[rows]
        parts.append([rows[group == number] for number in np.unique(group)])
    drawn: dict[str, list[float]] = {}
    for _ in range(count):
        train, test = (
            np.concatenate([groups[i] for i in rng.integers(0, len(groups), len(groups))])
            for groups in parts
        )
        for name, value in resampled(np.concatenate([train, test]), len(train)).items():
            drawn.setdefault(name, []).append(value)
    return {name: float(np.std(found, ddof=1)) for name, found in drawn.items()}


def _score(name: str, value: float, errors: Mapping[str, float], control: Sequence[float]) -> Score:
    interval = None
    if name in errors:
        low, high = value - 1.96 * errors[name], value + 1.96 * errors[name]
        counts = name.endswith("factors_found")
        interval = (max(low, 0.0), high if counts else min(high, 1.0))
    return Score(
        value, interval, float(np.mean(control)), (float(min(control)), float(max(control)))
    )
