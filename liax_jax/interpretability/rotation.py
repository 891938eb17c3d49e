"""The sparsest basis of the same subspace of motion: R in O(M) that minimises a contrast of α R.

With α = A z + b and w = Q α, any R gives the same w by Q R, Rᵀ A and Rᵀ b. `find_rotation` looks
for the R whose coefficients are simplest on some frames; `rotated_model` folds it into a model.

Whitening, the first step of most ICA, is left out: what it does to the codes is no rotation and
would change the lengths of the motion vectors. Independence is sought among rotations alone.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from liax_jax.interpretability.codes import check_codes
from liax_jax.interpretability.contrasts import CONTRASTS, Contrast

CRITERIA = (*CONTRASTS, "pca", "random")
# Rounded corners, in units of the codes' standard deviation; the last are as good as none.
_SMOOTHINGS = (0.3, 0.1, 0.03, 0.01)
_MAX_STEPS, _MAX_SWEEPS = 500, 20
_TOLERANCE = 1e-7
# Directions with less of the variance than this are numerically still, and are left alone.
_STILL = 1e-12


@dataclasses.dataclass(frozen=True)
class Start:
    """One descent: where it began, and the contrast after every step, which never rises."""

    name: str
    values: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Rotation:
    """An orthogonal change of the dictionary's basis.

    Attributes:
      criterion: one of `CRITERIA`.
      matrix: (M, M) orthogonal; codes become α @ matrix, the dictionary Q @ matrix.
      before, after: mean |α| of the codes.
      starts: of every restart, the best first; empty where nothing was minimised.
    """

    criterion: str
    matrix: np.ndarray
    before: float
    after: float
    starts: tuple[Start, ...] = ()


def random_rotation(size: int, rng: np.random.Generator) -> np.ndarray:
    """(size, size) orthogonal, evenly distributed over O(size)."""
    q, r = np.linalg.qr(rng.standard_normal((size, size)))
    return q * np.sign(np.diagonal(r))


def find_rotation(
    alpha: np.ndarray, criterion: str = "l1", *, restarts: int = 4, seed: int = 0
) -> Rotation:
    """The rotation of codes that minimises a criterion; columns are then ordered by use.

    "l1", "varimax" and "ica" descend from the axes as they are, from the principal axes and from
    `restarts` random rotations ("l1" from the ICA solution too), and keep the lowest; "pca" takes
    the principal axes; "random" draws a rotation, as a control.

    Args:
      alpha: (n, M) codes, as they are to be made simple: see `Codes.of_kind`.
      criterion: one of `CRITERIA`.
      restarts: random starts, ≥ 0.
      seed: of the random rotations.

    Raises:
      ValueError: an unknown criterion, negative restarts, or codes that can't be rotated (not
        finite, fewer frames than vectors, constant).
    """
    if criterion not in CRITERIA:
        raise ValueError(f"criterion {criterion!r}: choose one of {', '.join(CRITERIA)}")
    if restarts < 0:
        raise ValueError(f"restarts must be 0 or more, got {restarts}")
    alpha = np.asarray(alpha, np.float64)
    check_codes(alpha)
    rng = np.random.default_rng(seed)
    before = float(np.abs(alpha).mean())
    if criterion == "random":
        # In the order and with the signs that were drawn: a control isn't to be tidied.
        matrix = random_rotation(alpha.shape[1], rng)
        return Rotation(criterion, matrix, before, float(np.abs(alpha @ matrix).mean()))
    # Entropy doesn't see where codes rest, and what only rests somewhere is still.
    seen = alpha - alpha.mean(0) if criterion == "ica" else alpha
    axes, moving = _principal_axes(seen)
    matrix = axes.copy()
    starts: tuple[Start, ...] = ()
    if criterion != "pca":
        # Within the space that the codes move in; what is still stays apart, after it.
        turned = seen @ axes[:, :moving]
        inner, starts = _minimise(turned, axes[:, :moving], criterion, restarts, rng)
        matrix[:, :moving] = axes[:, :moving] @ inner
    matrix = _tidied(alpha, matrix)
    return Rotation(criterion, matrix, before, float(np.abs(alpha @ matrix).mean()), starts)


def descend(
    codes: np.ndarray, start: np.ndarray, contrast: Contrast
) -> tuple[np.ndarray, list[float]]:
    """Descent on O(M) with backtracking; a step that raises the contrast is not taken.

    It goes down the slope, each plane's part divided by the plane's `Contrast.stiffness`: entropy
    is so much steeper in planes of a large and a hardly moving coefficient that steps small enough
    for these would move nothing else.

    Args:
      codes: (n, M).
      start: (M, M) orthogonal.

    Returns:
      The rotation, and the contrast at the start and after every step.
    """
    rotation = start
    value = contrast.value(codes @ rotation)
    values, scale = [value], float(codes.std())
    for smoothing in _SMOOTHINGS if contrast.has_corners else (0.0,):
        step: float | None = None
        for _ in range(_MAX_STEPS):
            slope = rotation.T @ (codes.T @ contrast.slope(codes @ rotation, smoothing * scale))
            turn = (slope - slope.T) / contrast.stiffness(codes @ rotation)
            size = float(np.linalg.norm(turn))
            if size == 0:
                break
            step = 0.1 / size if step is None else 1.6 * step
            found, reached, step = _line_search(codes, rotation, turn, step, value, contrast)
            if found is None:
                break
            gain, value, rotation = value - reached, reached, found
            values.append(value)
            if gain < _TOLERANCE * abs(value):
                break
    return rotation, values


def turn_planes(codes: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """Lowers mean |α| plane by plane, each to its global minimum, until no plane has a lower one.

    In a plane mean |α| has its minima where some frame lies on an axis, so that looking at the
    angles of all frames finds the lowest exactly.

    Returns:
      The rotation, and mean |α| at the start and after every sweep over all planes.
    """
    rotation, turned = start.copy(), codes @ start
    values = [float(np.abs(turned).mean())]
    for _ in range(_MAX_SWEEPS):
        for i in range(turned.shape[1]):
            for j in range(i):
                angle = _best_angle(turned[:, i], turned[:, j])
                c, s = np.cos(angle), np.sin(angle)
                givens = np.array([[c, -s], [s, c]])
                pair = turned[:, [i, j]]
                better = pair @ givens
                if np.abs(better).sum() < np.abs(pair).sum() * (1 - 1e-12):
                    turned[:, [i, j]] = better
                    rotation[:, [i, j]] = rotation[:, [i, j]] @ givens
        values.append(float(np.abs(turned).mean()))
        if values[-2] - values[-1] < _TOLERANCE * values[-1]:
            break
    return rotation, values


def _minimise(
    codes: np.ndarray, axes: np.ndarray, criterion: str, restarts: int, rng: np.random.Generator
) -> tuple[np.ndarray, tuple[Start, ...]]:
    """The best of several descents: (m, m), and all of them. Codes lie in principal axes."""
    size = codes.shape[1]
    starts = [("principal axes", np.eye(size))]
    if size == len(axes):
        starts.insert(0, ("as it was", axes.T))
    starts += [(f"random {i + 1}", random_rotation(size, rng)) for i in range(restarts)]
    if criterion == "l1":
        starts.append(("ica", find_rotation(codes, "ica", restarts=0).matrix))
    return _best(starts, codes, CONTRASTS[criterion], _descend_l1 if criterion == "l1" else descend)


def _descend_l1(
    codes: np.ndarray, start: np.ndarray, contrast: Contrast
) -> tuple[np.ndarray, list[float]]:
    rotation, values = descend(codes, start, contrast)
    rotation, more = turn_planes(codes, rotation)
    return rotation, values + more[1:]


def _best(
    starts: Sequence[tuple[str, np.ndarray]],
    codes: np.ndarray,
    contrast: Contrast,
    search: Callable[..., tuple[np.ndarray, list[float]]],
) -> tuple[np.ndarray, tuple[Start, ...]]:
    found = [(name, *search(codes, start, contrast)) for name, start in starts]
    found.sort(key=lambda entry: entry[2][-1])
    return found[0][1], tuple(Start(name, tuple(values)) for name, _, values in found)


def _line_search(
    codes: np.ndarray,
    rotation: np.ndarray,
    turn: np.ndarray,
    step: float,
    value: float,
    contrast: Contrast,
) -> tuple[np.ndarray | None, float, float]:
    """(rotation, its contrast, step) with a lower contrast; (None, …) where no step has one."""
    for _ in range(30):
        u, _, v = np.linalg.svd(np.eye(len(turn)) - step * turn)
        candidate = rotation @ (u @ v)
        reached = contrast.value(codes @ candidate)
        if reached < value:
            return candidate, reached, step
        step *= 0.5
    return None, value, step


def _best_angle(x: np.ndarray, y: np.ndarray) -> float:
    """The angle of axes in the plane of x and y with the lowest Σ|x'| + |y'|."""
    angle = np.mod(np.arctan2(y, x), np.pi / 2)
    order = np.argsort(angle)
    angle, radius = angle[order], np.hypot(x, y)[order]
    along, across = radius * np.cos(angle), radius * np.sin(angle)
    total_along, total_across = along.sum(), across.sum()
    # Of frames at smaller angles than each.
    before_along, before_across = np.cumsum(along) - along, np.cumsum(across) - across
    sums = np.cos(angle) * (total_along + total_across - 2 * before_across)
    sums += np.sin(angle) * (total_across - total_along + 2 * before_along)
    return float(angle[sums.argmin()])


def _principal_axes(alpha: np.ndarray) -> tuple[np.ndarray, int]:
    """(M, M) eigenvectors of the second moments, largest first, and how many are not still."""
    power, axes = np.linalg.eigh(alpha.T @ alpha)
    return axes[:, ::-1], int(np.sum(power > _STILL * power.max()))


def _tidied(alpha: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Columns by falling use, each with its longer tail on the positive side."""
    turned = alpha @ matrix
    order = np.argsort(-np.abs(turned).mean(0), kind="stable")
    skew = np.mean((turned - turned.mean(0)) ** 3, 0)
    return (matrix * np.where(skew < 0, -1.0, 1.0))[:, order]
