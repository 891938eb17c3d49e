"""What a rotation of codes is to minimise: contrasts of rotated codes Y (n, M), and their slopes.

A contrast is a pair of functions: `value(Y)`, and `slope(Y, smoothing)`, the derivative (n, M) of
the contrast where its corners are rounded over `smoothing` units of Y.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

# Of the entropy approximation (Hyvärinen 1998, with G₁ = y·exp(−y²/2), G₂ = exp(−y²/2)): weights of
# the two squares, and the expectation of G₂ for a standard normal.
_ODD, _EVEN = 36 / (8 * np.sqrt(3) - 9), 24 / (16 * np.sqrt(3) - 27)
_NORMAL = np.sqrt(0.5)


class Contrast(NamedTuple):
    """A quantity to minimise over rotations.

    Attributes:
      value: Y (n, M) → the contrast.
      slope: (Y, smoothing) → its derivative (n, M).
      has_corners: whether the value has corners, which `smoothing` rounds.
      stiffness: Y → how much steeper than others each plane of two coefficients is, (M, M) > 0 and
        symmetric, or 1. Descent takes as much shorter steps there.
      meaning: in words.
    """

    value: Callable[[np.ndarray], float]
    slope: Callable[[np.ndarray, float], np.ndarray]
    has_corners: bool
    stiffness: Callable[[np.ndarray], np.ndarray | float]
    meaning: str


def _l1(y: np.ndarray) -> float:
    return float(np.abs(y).mean())


def _l1_slope(y: np.ndarray, smoothing: float) -> np.ndarray:
    return y / np.sqrt(np.square(y) + smoothing**2) / y.size


def _varimax(y: np.ndarray) -> float:
    return -float(np.square(y).var(0).mean())


def _varimax_slope(y: np.ndarray, smoothing: float) -> np.ndarray:
    square = np.square(y)
    return -4 * y * (square - square.mean(0)) / y.size


def _entropy_parts(y: np.ndarray) -> tuple[np.ndarray, ...]:
    centred = y - y.mean(0)
    sigma = centred.std(0)
    u = centred / sigma
    bump = np.exp(-np.square(u) / 2)
    return u, sigma, bump, (u * bump).mean(0), bump.mean(0) - _NORMAL


def _entropy(y: np.ndarray) -> float:
    _, sigma, _, odd, even = _entropy_parts(y)
    return float(np.mean(np.log(sigma) - _ODD * np.square(odd) - _EVEN * np.square(even)))


def _entropy_slope(y: np.ndarray, smoothing: float) -> np.ndarray:
    u, sigma, bump, odd, even = _entropy_parts(y)
    by_u = -2 * _ODD * odd * (1 - np.square(u)) * bump + 2 * _EVEN * even * u * bump
    by_u = by_u - by_u.mean(0) - u * (by_u * u).mean(0)
    return (u + by_u) / sigma / y.size


def _entropy_stiffness(y: np.ndarray) -> np.ndarray:
    """Of log σᵢ + log σⱼ in their plane, σᵢ²/σⱼ² + σⱼ²/σᵢ² − 2, and 1 for what shape adds."""
    power = y.var(0)
    ratio = power[:, None] / power
    return ratio + ratio.T - 1


def _evenly(y: np.ndarray) -> float:
    return 1.0


CONTRASTS: dict[str, Contrast] = {
    "l1": Contrast(
        _l1, _l1_slope, True, _evenly, "mean |α|, as the training penalty has it (eq. 9)"
    ),
    "varimax": Contrast(
        _varimax, _varimax_slope, False, _evenly, "minus the variance of α², mean over coefficients"
    ),
    "ica": Contrast(
        _entropy,
        _entropy_slope,
        False,
        _entropy_stiffness,
        "approximate entropy, mean over coefficients: their mutual information up to a constant",
    ),
}
