"""How well codes foretell factors on held-out people, and how much each coefficient does for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

REGRESSORS = ("ridge", "lasso", "forest")
# A factor foretold with less than this share of its held-out variance counts as not found: what
# importances say about it is noise.
FOUND_R2 = 0.05
_PENALTIES = {"ridge": np.geomspace(10.0, 0.001, 9), "lasso": np.geomspace(0.3, 0.001, 12)}
_FOLDS = 3
# People, or clips, that it takes: to fit on, to choose a penalty by and to score on.
LEAST_GROUPS = _FOLDS + 1
_FOREST: dict[str, Any] = {"n_estimators": 30, "min_samples_leaf": 5, "max_samples": 0.5}


@dataclasses.dataclass(frozen=True)
class Split:
    """Rows to fit on and rows to score on; no group is in both.

    Attributes:
      train, test: row numbers.
      group: (n,) of all rows.
    """

    train: np.ndarray
    test: np.ndarray
    group: np.ndarray


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What one kind of regressor makes of codes.

    Attributes:
      importance: (M, K), each factor's column sums to 1, or is 0 where the regressor uses nothing.
      r2: (K,) share of variance foretold on held-out rows; below 0 is worse than the mean.
      penalties: (K,) of the linear ones, to fit them again with; else None.
    """

    importance: np.ndarray
    r2: np.ndarray
    penalties: np.ndarray | None = None


def require_sklearn() -> None:
    """Raises ImportError with the command that installs what is missing."""
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "these scores need scikit-learn: pip install 'liax-jax[interpret]'"
        ) from error


def check_regressors(names: Sequence[str]) -> None:
    """Raises ValueError unless all are of `REGRESSORS`, and there is one."""
    for name in names:
        if name not in REGRESSORS:
            raise ValueError(f"regressor {name!r}: choose of {', '.join(REGRESSORS)}")
    if not names:
        raise ValueError(f"no regressor: choose of {', '.join(REGRESSORS)}")


def split_by_group(group: np.ndarray, seed: int = 0, test_share: float = 1 / 3) -> Split:
    """A third of the groups, drawn at random, is kept to score on.

    Raises:
      ValueError: fewer groups than it takes to fit, choose penalties and score.
    """
    groups = np.unique(group)
    if len(groups) < LEAST_GROUPS:
        raise ValueError(
            f"{len(groups)} people or clips are too few to keep some apart for scoring; at least "
            f"{LEAST_GROUPS} are needed"
        )
    shuffled = np.random.default_rng(seed).permutation(groups)
    kept = shuffled[: max(1, min(round(len(groups) * test_share), len(groups) - _FOLDS))]
    held_out = np.isin(group, kept)
    return Split(np.flatnonzero(~held_out), np.flatnonzero(held_out), group)


def predict(
    alpha: np.ndarray,
    factors: np.ndarray,
    split: Split,
    regressor: str = "lasso",
    *,
    penalties: np.ndarray | None = None,
    seed: int = 0,
    jobs: int | None = None,
) -> Prediction:
    """Fits a regressor a factor on standardised codes (zero mean, unit variance in training).

    "ridge" and "lasso": linear, with the penalty on squares or magnitudes that three-fold
    cross-validation over groups chooses for each factor; importance is |coefficient|. "forest": 30
    regression trees on halves of the rows, 5 rows a leaf at least; importance is the total fall of
    variance at the nodes that ask a coefficient. Where codes are as good as dependent the lasso
    picks a few of them, and makes even mixed codes look sparse: look at its control.

    Args:
      alpha: (n, M). factors: (n, K), each varying in training and among the held-out rows.
      regressor: one of `REGRESSORS`; all but "ridge" need scikit-learn.
      penalties: (K,) of an earlier fit; chosen anew without.
      jobs: processors for scikit-learn; -1 for all.

    Raises:
      ValueError: another regressor. ImportError: scikit-learn is missing.
    """
    check_regressors([regressor])
    if regressor != "ridge":
        require_sklearn()
    x, y = _standardised(alpha, split.train), _standardised(factors, split.train)
    fit = {"ridge": _fit_ridge, "lasso": _fit_lasso}.get(regressor)
    if fit is not None:
        importance, foretold, penalties = fit(x, y, split, penalties)
    else:
        importance, foretold = _fit_forest(x, y, split, seed, jobs)
    total = importance.sum(0)
    return Prediction(
        importance / np.where(total > 0, total, 1), _r2(foretold, y[split.test]), penalties
    )


def lasso_weights(x: np.ndarray, y: np.ndarray, penalty: float) -> np.ndarray:
    """Coefficients (M, K) of a lasso a column of y (n, K), from x (n, M); both standardised.

    Raises:
      ImportError: scikit-learn is missing.
    """
    require_sklearn()
    from sklearn.linear_model import Lasso

    model = Lasso(alpha=penalty, fit_intercept=False, max_iter=20_000)
    return np.atleast_2d(model.fit(x, y).coef_).T


def dci(prediction: Prediction) -> dict[str, float]:
    """Disentanglement, completeness and informativeness (Eastwood & Williams 2018), in [0, 1].

    The first two are of the factors that are found (r2 ≥ 0.05 on held-out rows), and 0 where those
    are fewer than two: there is nothing to tell apart then. "…_all" are of all factors, as usual.
    Informativeness is the mean of r2, at least 0, over all factors.
    """
    found = prediction.importance[:, prediction.r2 >= FOUND_R2]
    return {
        "disentanglement": disentanglement(found),
        "completeness": completeness(found) if found.shape[1] > 1 else 0.0,
        "informativeness": float(np.clip(prediction.r2, 0, 1).mean()),
        "disentanglement_all": disentanglement(prediction.importance),
        "completeness_all": completeness(prediction.importance),
        "factors_found": float(found.shape[1]),
    }


def disentanglement(importance: np.ndarray) -> float:
    """1 − entropy of each coefficient's row over factors, weighted by the rows' sums."""
    rows = importance.sum(1)
    if rows.sum() == 0 or importance.shape[1] < 2:
        return 0.0
    return float((1 - _entropy(importance, axis=1)) @ rows / rows.sum())


def completeness(importance: np.ndarray) -> float:
    """1 − entropy of each factor's column over coefficients; 0 for a factor that none follows."""
    if importance.shape[0] < 2:
        return 0.0
    share = 1 - _entropy(importance, axis=0)
    return float(np.where(importance.sum(0) > 0, share, 0).mean())


def _entropy(weights: np.ndarray, axis: int) -> np.ndarray:
    """Of weights along an axis as shares, to the base of their number: in [0, 1]."""
    total = weights.sum(axis, keepdims=True)
    share = weights / np.where(total > 0, total, 1)
    terms = share * np.log(np.where(share > 0, share, 1))
    return -terms.sum(axis) / np.log(weights.shape[axis])


def _standardised(values: np.ndarray, train: np.ndarray) -> np.ndarray:
    deviation = values[train].std(0)
    # What stands still says nothing; made 0 rather than blown up.
    still = deviation <= 1e-9 * max(float(deviation.max()), np.finfo(float).tiny)
    return np.where(still, 0.0, (values - values[train].mean(0)) / np.where(still, 1.0, deviation))


def _r2(foretold: np.ndarray, truth: np.ndarray) -> np.ndarray:
    spread = np.square(truth - truth.mean(0)).sum(0)
    missed = np.square(truth - foretold).sum(0)
    return np.where(spread > 0, 1 - missed / np.where(spread > 0, spread, 1), 0.0)


def _folds(split: Split) -> list[tuple[np.ndarray, np.ndarray]]:
    """Positions in the training rows to fit on and to choose penalties by, group by group."""
    group = split.group[split.train]
    fold = np.searchsorted(np.unique(group), group) % _FOLDS
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(_FOLDS)]


def _ridge(x: np.ndarray, y: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    """Coefficients (M, K) with a penalty a column, all from one decomposition."""
    power, axes = np.linalg.eigh(x.T @ x / len(x))
    projected = axes.T @ (x.T @ y / len(x))
    return axes @ (projected / (np.maximum(power, 0)[:, None] + penalties))


def _fit_ridge(
    x: np.ndarray, y: np.ndarray, split: Split, penalties: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    train, columns = split.train, y.shape[1]
    if penalties is None:
        grid, errors = _PENALTIES["ridge"], np.zeros((len(_PENALTIES["ridge"]), columns))
        for fit, check in _folds(split):
            rows, others = train[fit], train[check]
            for i, penalty in enumerate(grid):
                slope = _ridge(x[rows], y[rows], np.full(columns, penalty))
                errors[i] += np.square(y[others] - x[others] @ slope).sum(0)
        penalties = grid[errors.argmin(0)]
    slope = _ridge(x[train], y[train], penalties)
    return np.abs(slope), x[split.test] @ slope, penalties


def _fit_lasso(
    x: np.ndarray, y: np.ndarray, split: Split, penalties: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from sklearn.linear_model import Lasso, LassoCV

    train, slopes, chosen = split.train, [], []
    for j, target in enumerate(y[train].T):
        if penalties is None:
            model = LassoCV(alphas=_PENALTIES["lasso"], cv=_folds(split), max_iter=20_000)
        else:
            model = Lasso(alpha=float(penalties[j]), max_iter=20_000)
        model.fit(x[train], target)
        slopes.append(model.coef_)
        chosen.append(model.alpha_ if penalties is None else penalties[j])
    slope = np.stack(slopes, 1)
    return np.abs(slope), x[split.test] @ slope, np.array(chosen)


def _fit_forest(
    x: np.ndarray, y: np.ndarray, split: Split, seed: int, jobs: int | None
) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.ensemble import RandomForestRegressor

    importances, foretold = [], []
    for target in y[split.train].T:
        model = RandomForestRegressor(**_FOREST, random_state=seed, n_jobs=jobs)
        model.fit(x[split.train], target)
        importances.append(model.feature_importances_)
        foretold.append(model.predict(x[split.test]))
    return np.stack(importances, 1), np.stack(foretold, 1)
