"""Mutual information between codes and factors, and the scores that come of it: MIG, modularity."""

import numpy as np

# Shifts whose mean is the information that chance alone shows.
_SHIFTS = 6
_MAX_BINS, _FRAMES_PER_CELL = 20, 5
# A coefficient with less adjusted information about every factor follows none.
INFORMATIVE = 0.05


def default_bins(frames: int) -> int:
    """Bins a variable: at least five frames a cell of the joint table on average, 20 at most."""
    return int(np.clip(np.sqrt(frames / _FRAMES_PER_CELL), 3, _MAX_BINS))


def quantile_bins(values: np.ndarray, bins: int) -> np.ndarray:
    """(n, C) → bin numbers from 0; as many values in each, fewer bins where values are repeated.

    A value that alone fills a bin or more has one for itself, so that values at rest are told from
    those that aren't on whichever side these are.
    """
    numbers = np.empty(values.shape, np.int64)
    for column in range(values.shape[1]):
        quantiles = np.quantile(values[:, column], np.linspace(0, 1, bins + 1))
        found, counts = np.unique(quantiles, return_counts=True)
        below = np.nextafter(found[(counts > 1) & (found > quantiles[0])], -np.inf)
        edges = np.union1d(quantiles[1:-1], below)
        numbers[:, column] = np.searchsorted(edges, values[:, column], side="left")
    return numbers


def shifts(frames: int, seed: int, count: int = _SHIFTS) -> np.ndarray:
    """Numbers of rows to shift one variable against another by, between a tenth and nine tenths.

    Codes shifted against factors keep their own run over time, and know nothing of them: what they
    still seem to know is chance, with the persistence of neighbouring frames accounted for.
    """
    rng = np.random.default_rng(seed)
    return rng.integers(max(1, frames // 10), max(2, frames - frames // 10), count)


def adjusted_information(
    code_bins: np.ndarray, factor_bins: np.ndarray, *, chance: np.ndarray | None = None
) -> np.ndarray:
    """Information of each coefficient about each factor, as a share: (M, K) in [0, 1].

    (I − I₀) / (H − I₀), with I₀ what chance shows and H the factor's entropy: 0 by chance and 1
    where the coefficient tells the factor's bin (the adjustment of Vinh et al. 2010, with shifts
    in the place of permutations).

    Args:
      code_bins, factor_bins: (n, M), (n, K) of `quantile_bins`, rows in the order of clips.
      chance: (M, K), of `chance_information`; found anew without.
    """
    chance = chance_information(code_bins, factor_bins) if chance is None else chance
    information, entropy = _information(_one_hot(code_bins), _one_hot(factor_bins))
    return np.clip((information - chance) / np.maximum(entropy - chance, 1e-9), 0, 1)


def chance_information(code_bins: np.ndarray, factor_bins: np.ndarray, seed: int = 0) -> np.ndarray:
    """I₀ in nats: the mean information of codes about shifted factors, (M, K)."""
    a, b = _one_hot(code_bins), _one_hot(factor_bins)
    found = [_information(a, np.roll(b, s, axis=0))[0] for s in shifts(len(code_bins), seed)]
    return np.mean(found, 0)


def mutual_information_gap(information: np.ndarray) -> float:
    """MIG (Chen et al. 2018): best less second best coefficient, mean over factors."""
    return _gap(information)


def separated_predictability(alpha: np.ndarray, factors: np.ndarray) -> float:
    """SAP (Kumar et al. 2018): the same gap of the squared correlations."""
    return _gap(np.square(correlations(alpha, factors)))


def modularity(information: np.ndarray) -> float:
    """How far each coefficient informs about one factor alone (Ridgeway & Mozer 2018).

    1 − Σ of the squared information about the other factors / (its largest squared · (K − 1)), mean
    over the coefficients that inform about any; 0 where none does. (M, K) → [0, 1].
    """
    largest = information.max(1)
    rows = information[largest >= INFORMATIVE]
    if not len(rows) or information.shape[1] < 2:
        return 0.0
    others = np.square(rows).sum(1) - np.square(rows.max(1))
    return float(np.mean(1 - others / (np.square(rows.max(1)) * (rows.shape[1] - 1))))


def correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson's correlation of columns: (n, M), (n, K) → (M, K); 0 where a column stands still."""
    a, b = a - a.mean(0), b - b.mean(0)
    lengths = np.sqrt(np.outer(np.square(a).sum(0), np.square(b).sum(0)))
    return np.where(lengths > 0, a.T @ b / np.where(lengths > 0, lengths, 1), 0.0)


def _gap(score: np.ndarray) -> float:
    if len(score) < 2:
        return float(score.max(0).mean())
    ordered = np.sort(score, axis=0)
    return float((ordered[-1] - ordered[-2]).mean())


def _information(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mutual information (M, K) and the second's entropy (K,), plug-in, in nats, of `_one_hot`s."""
    joint = np.tensordot(a, b, axes=(0, 0)).transpose(0, 2, 1, 3) / len(a)
    h_a, h_b = _plug_in(a.mean(0)), _plug_in(b.mean(0))
    h_joint = _plug_in(joint.reshape(*joint.shape[:2], -1))
    return h_a[:, None] + h_b[None, :] - h_joint, h_b


def _one_hot(bins: np.ndarray) -> np.ndarray:
    """(n, C) → (n, C, bins)."""
    return np.asarray(bins[:, :, None] == np.arange(bins.max() + 1), np.float32)


def _plug_in(share: np.ndarray) -> np.ndarray:
    """Entropy over the last axis, nats."""
    terms = share * np.log(np.where(share > 0, share, 1))
    return np.asarray(-terms.sum(axis=-1, dtype=np.float64))
