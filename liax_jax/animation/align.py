"""Automatic edit-warp-render: the sparse edit that brings a source to a driving's first frame.

Relative motion (eq. 8) starts from the source's own pose. Where that differs from the pose of the
first driving frame, the motion is carried over from the wrong starting point; the paper lets a user
edit the source by hand until the two agree (eq. 10). Both are coefficients of one dictionary, so
the edit can be found: the difference on few directions, kept within their useful ranges, and
corrected by what the encoder reads off the edited picture.
"""

import dataclasses

import numpy as np

from liax_jax.animation.animator import Animator
from liax_jax.animation.portrait import Portrait
from liax_jax.directions import DirectionError

# A direction whose share of the edit changes the picture by less than this (RMS over pixels, on
# [0, 255]) is left out: nobody would see it. Of the others, the most visible ones are kept until
# they hold this share of the visible change (squared, summed over directions).
VISIBLE_CHANGE = 0.25
KEPT_SHARE = 0.95
_CORRECTIONS = 8
_RENDER_AT_ONCE = 8


@dataclasses.dataclass(frozen=True)
class Alignment:
    """What `align` found.

    Attributes:
      change: (M,) float32, the edit: changes of the coefficients.
      values: the same by name (or index, where unnamed), as flags and direction cards write it.
      distance_before, distance_after: distance of the source's, and of the edited picture's,
        coefficients from the driving's (Euclidean, over the directions that were allowed).
    """

    change: np.ndarray
    values: dict[str, float]
    distance_before: float
    distance_after: float

    def flags(self) -> str:
        """The edit as flags of the command line."""
        return " ".join(f"--edit {name}={value:g}" for name, value in self.values.items())


def align(
    animator: Animator,
    portrait: Portrait,
    reference: np.ndarray,
    directions: str = "all",
    max_directions: int | None = None,
) -> Alignment:
    """Finds the sparse edit of `portrait` towards the coefficients of a driving frame.

    Args:
      animator: the model.
      portrait: the source; what it is edited by already stays.
      reference: (M,) coefficients of the driving's first frame.
      directions: which may be used: names, indices or groups of the direction card, or "all".
      max_directions: at most so many are used. In any case only those few that hold most of the
        change one would see.

    Raises:
      DirectionError: unknown directions, or a limit below 1.
    """
    if max_directions is not None and max_directions < 1:
        raise DirectionError(f"aligning needs at least 1 direction, got {max_directions}")
    allowed = np.array(animator.card.select(directions), int)
    start = np.asarray(portrait.edited_alpha)
    lowest, highest = animator.card.coefficient_bounds()
    wanted = np.asarray(reference, np.float32) - start
    change = np.zeros_like(wanted)
    change[allowed] = np.clip(wanted, lowest, highest)[allowed]
    used = _most_visible(animator, portrait, start, change, max_directions)

    def distance(alpha: np.ndarray) -> float:
        return float(np.linalg.norm((np.asarray(reference) - alpha)[allowed]))

    def read_back(change: np.ndarray) -> np.ndarray:
        """What the encoder sees in the edited picture."""
        picture = np.clip(np.asarray(animator.render(portrait, start + change)), -1, 1)
        return np.asarray(animator.coefficients(picture)[0])

    # What the decoder paints is not quite what it was asked for. Asking for the rest, too, is a
    # fixed-point iteration; its step is halved whenever the picture gets no nearer.
    best, seen = np.zeros_like(change), read_back(np.zeros_like(change))
    before = best_distance = distance(seen)
    step = 1.0
    for _ in range(_CORRECTIONS if used.size else 0):
        wanted = np.clip(best + step * (np.asarray(reference) - seen), lowest, highest)
        tried = best.copy()
        tried[used] = wanted[used]
        tried_seen = read_back(tried)
        if distance(tried_seen) < best_distance:
            best, seen, best_distance = tried, tried_seen, distance(tried_seen)
        else:
            step /= 2
    return Alignment(best, animator.card.describe(best), before, best_distance)


def _most_visible(
    animator: Animator,
    portrait: Portrait,
    start: np.ndarray,
    change: np.ndarray,
    limit: int | None,
) -> np.ndarray:
    """The few indices that hold most of the visible change, at most `limit`."""
    indices = np.flatnonzero(change)
    if not indices.size:
        return indices
    single = start + change[indices, None] * np.eye(change.size, dtype=np.float32)[indices]
    count = -(-(len(single) + 1) // _RENDER_AT_ONCE) * _RENDER_AT_ONCE
    alphas = np.concatenate([single, np.repeat(start[None], count - len(single), axis=0)])
    pictures = [
        np.asarray(animator.render(portrait, alphas[i : i + _RENDER_AT_ONCE], uint8=True))
        for i in range(0, count, _RENDER_AT_ONCE)
    ]
    flat = np.concatenate(pictures).reshape(count, -1).astype(np.float32)
    visible = np.sqrt(np.mean((flat[: len(single)] - flat[-1]) ** 2, axis=1))
    order = np.argsort(-visible, kind="stable")
    order = order[visible[order] >= VISIBLE_CHANGE]
    share = np.cumsum(visible[order] ** 2) / max(float(np.sum(visible[order] ** 2)), 1e-12)
    enough = int(np.searchsorted(share, KEPT_SHARE)) + 1
    return indices[order[:enough][:limit]]


def parse_align(text: str) -> tuple[str, int | None]:
    """`--align`'s value: "all", a group or names, or a number K of directions out of all."""
    return ("all", int(text)) if text.isdigit() else (text, None)
