"""Which factor of a drawn portrait a change of its picture is: the truth that names are held to.

Drawn portraits can be drawn again with any factor changed, so a model's change of one is compared
with what changing each factor would do to the very same person: least squares of the picture's
change on the pictures of change of the factors that move in the clips, all 14 by default. Several
portraits share one solution, since a direction is to do the same to all of them.
"""

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from liax_jax.data.procedural import ProceduralClips, factor_range
from liax_jax.interpretability.motion_templates import BLINK
from liax_jax.interpretability.naming import is_blink

# Half the step, in normalised units, over which a factor's picture of change is taken.
_STEP = 0.12
# Small models paint blurred: both sides are compared at this blur, as a share of the picture.
_BLUR = 1 / 64
# Of each factor's own energy: keeps factors that hardly show from taking up what others leave.
_RIDGE = 0.01
# A factor counts if the fit of the pictures gets worse by so much of their energy without it.
MIN_IMPORTANCE = 0.02
# And the truth is one factor only if the next is smaller than this share of it.
CLEAR = 0.75
_LIDS = ("lid_left", "lid_right")


@dataclasses.dataclass(frozen=True)
class PortraitChange:
    """One drawn portrait before and after a model changed it.

    Attributes:
      clip, time: which frame of the clips.
      before, after: (R, R, 3) uint8.
    """

    clip: int
    time: int
    before: np.ndarray
    after: np.ndarray


@dataclasses.dataclass(frozen=True)
class FactorChange:
    """What a change of pictures is in terms of factors.

    Attributes:
      amounts: by factor, the change as a share of its range; signed.
      importance: by factor, by how much of the change's energy the fit gets worse without it.
      explained: share of the change's energy that all factors explain.
    """

    amounts: dict[str, float]
    importance: dict[str, float]
    explained: float

    @property
    def counted(self) -> dict[str, float]:
        """Signed amounts of the factors that count, the one that changes most first.

        Lids that close alike are one, "blink".
        """
        amounts = {n: self.amounts[n] for n, v in self.importance.items() if v >= MIN_IMPORTANCE}
        left, right = (amounts.get(name, 0.0) for name in _LIDS)
        if is_blink(left, right):
            amounts = {n: v for n, v in amounts.items() if n not in _LIDS}
            amounts[BLINK.name] = (left + right) / 2
        return dict(sorted(amounts.items(), key=lambda item: -abs(item[1])))

    @property
    def purity(self) -> float:
        """The most important factor's share of all importance: 1 where nothing else changes.

        Lids that close alike are one.
        """
        importance = dict(self.importance)
        if BLINK.name in self.counted:
            importance[BLINK.name] = sum(importance.pop(name) for name in _LIDS)
        values = importance.values()
        return max(values, default=0.0) / max(sum(values), np.finfo(float).tiny)

    @property
    def is_clear(self) -> bool:
        """Whether one factor changes by far more of its range than the next."""
        first, second, *_ = *map(abs, self.counted.values()), 0.0, 0.0
        return second < CLEAR * first


def factor_change(clips: ProceduralClips, changes: Sequence[PortraitChange]) -> FactorChange:
    """Fits what happened to several drawn portraits by changes of their factors.

    Args:
      clips: that the portraits are frames of; the factors are those that move in them.
      changes: one a portrait, all by the same change of a direction.

    Raises:
      ValueError: no portrait, or nothing changed in any.
    """
    names = clips.factor_names
    normal, projected = np.zeros((len(names),) * 2), np.zeros(len(names))
    energy = 0.0
    for change in changes:
        fields = _factor_pictures(clips, change.clip, change.time)
        target = _blurred(change.after.astype(np.float32) - change.before).ravel()
        normal += fields @ fields.T
        projected += fields @ target
        energy += float(np.square(target).sum())
    if energy == 0:
        raise ValueError("nothing changed in any portrait, so there is no factor to find")
    normal += _RIDGE * np.diag(np.diag(normal))
    amounts = np.linalg.solve(normal, projected)
    # Without one variable, least squares gets worse by its square over the inverse's diagonal.
    importance = np.square(amounts) / np.diag(np.linalg.inv(normal)) / energy
    explained = float(2 * amounts @ projected - amounts @ normal @ amounts) / energy
    return FactorChange(
        dict(zip(names, amounts.tolist(), strict=True)),
        dict(zip(names, importance.tolist(), strict=True)),
        explained,
    )


def _factor_pictures(clips: ProceduralClips, clip: int, time: int) -> np.ndarray:
    """(F, P) float64: how the picture changes over each factor's whole range, by small steps."""
    rest = clips.factors(clip)[time]
    rows = []
    for at, name in enumerate(clips.factor_names):
        low, high = factor_range(name)
        ends = []
        for value in (max(rest[at] - _STEP, low), min(rest[at] + _STEP, high)):
            values = rest.copy()
            values[at] = value
            ends.append((value, clips.frame_at(clip, values).astype(np.float32)))
        (first, before), (last, after) = ends
        rows.append(_blurred(after - before).ravel() * (high - low) / (last - first))
    return np.stack(rows).astype(np.float64)


def _blurred(difference: np.ndarray) -> np.ndarray:
    blurred: np.ndarray = cv2.GaussianBlur(difference, (0, 0), _BLUR * difference.shape[0])
    return blurred


def is_right(name: str, truth: FactorChange, sign: int | None = None) -> bool:
    """Whether a name (without number) is the factor that changes most; "blink" is both lids.

    Args:
      sign: if given, it has to be the truth's too.
    """
    best, amount = next(iter(truth.counted.items()), (None, 0.0))
    return name == best and (sign is None or (sign > 0) == (amount > 0))


def confusion(truths: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, int]]:
    """{truth: {name: how often}} of the pairs that occur, in the order of first occurrence."""
    table: dict[str, dict[str, int]] = {}
    for truth, name in zip(truths, names, strict=True):
        row = table.setdefault(truth, {})
        row[name] = row.get(name, 0) + 1
    return table
