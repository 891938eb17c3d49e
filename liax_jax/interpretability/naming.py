"""Names for directions without labels: from where and how the face moves when one is changed."""

import collections
import dataclasses
from collections.abc import Sequence

import numpy as np

from liax_jax.interpretability.motion_fit import MotionFit, fit_flow
from liax_jax.interpretability.motion_templates import (
    BLINK,
    BY_NAME,
    FLOW_MOTIONS,
    HEAD_MOTIONS,
)
from liax_jax.interpretability.picture_motion import SeenMotion

UNNAMED = "unnamed"
# A motion counts if it explains so much of what moves in its region: less for motions of the whole
# head, which come mixed, than for those of a part of the face, which also mend what the head's
# leave over …
MIN_HEAD_SHARE = 0.04
MIN_PART_SHARE = 0.12
# A part has to explain so much of all that moves, too: what a head's motion leaves over at the chin
# is a large share of the small range of a jaw, and next to nothing of the flow.
MIN_PART_OF_ALL = 0.1
# … and a lid, if it closes by so much of the eye, and so much of the eye's change isn't the head's
# motion. All motions together have to explain so much of the flow, unless a lid gives the name.
MIN_CLOSING = 0.1
MIN_EYE_CHANGE = 0.5
# Eyes whose flow is sideways by this share look elsewhere, whatever white of them disappears.
MIN_SIDEWAYS = 0.5
MIN_EXPLAINED = 0.2
# The smallest amount, as a share of the motion's full range, that is worth a name.
MIN_AMOUNT = 0.003
# Both lids make a blink if the lesser closes by so much of the other.
_BLINK_BALANCE = 0.5
# An eye that disappears by this share or more isn't looking elsewhere.
_GAZE_ENDS = 0.3


@dataclasses.dataclass(frozen=True)
class Name:
    """What a direction does, as far as it can be told.

    Attributes:
      name: of `MOTIONS`, "blink", or "unnamed".
      sign: 1 if a positive coefficient makes the motion positive, else -1.
      amount: how far the motion goes for the change measured, as a share of its full range, >= 0.
      margin: by how much the motion is ahead of the next one, 0 (equal) to 1 (nothing else moves).
      agreement: mean cosine between what moves in one portrait and in the mean of the others; None
        for a single portrait, which nothing can agree with.
      explained: share of the flow's energy that the motions of the table explain together.
      profile: every motion's amount (signed), the largest first.
    """

    name: str
    sign: int
    amount: float
    margin: float
    agreement: float | None
    explained: float
    profile: dict[str, float]

    @property
    def confidence(self) -> float:
        """Margin times agreement, in [0, 1]; the margin alone for a single portrait."""
        return self.margin * (1.0 if self.agreement is None else max(self.agreement, 0.0))


def name_motion(seen: Sequence[SeenMotion]) -> Name:
    """Names what moves, from the same change of one direction in several portraits.

    The flow is averaged over the portraits and fitted by the table of motions; lids are read from
    how much of the eyes disappears. The name is the motion that goes the largest share of its full
    range, among those that explain a noticeable part of what moves in their region.

    Args:
      seen: one a portrait, of the change from a lower to a higher coefficient.

    Raises:
      ValueError: none, or something that isn't finite.
    """
    if not seen:
        raise ValueError("no portrait to name a direction by")
    flows = np.stack([one.flow for one in seen])
    if not np.isfinite(flows).all():
        raise ValueError("the flow that a direction is to be named by isn't finite")
    fit = fit_flow(flows.mean(0))
    closing = np.mean([one.closing for one in seen], axis=0)
    eye_change = np.median([one.eye_change for one in seen], axis=0)
    amounts = motion_amounts(fit, closing, eye_change)
    profile = dict(sorted(amounts.items(), key=lambda item: -abs(item[1])))
    best, amount = next(iter(profile.items()))
    eyes = best in ("lid_left", "lid_right", BLINK.name)
    weak = fit.explained < MIN_EXPLAINED and not eyes
    if abs(amount) < MIN_AMOUNT or weak:
        return Name(UNNAMED, 1, abs(amount), 0.0, agreement(flows), fit.explained, profile)
    others = [abs(value) for name, value in profile.items() if name not in _parts(best)]
    margin = 1 - max(others, default=0.0) / abs(amount)
    alike = _closing_agreement(seen, best) if eyes else agreement(flows)
    sign = 1 if amount > 0 else -1
    return Name(best, sign, abs(amount), margin, alike, fit.explained, profile)


def motion_amounts(fit: MotionFit, closing: np.ndarray, eye_change: np.ndarray) -> dict[str, float]:
    """Signed amount of every motion as a share of its full range, 0 where it doesn't count."""
    amounts = {
        motion.name: float(amount) if _counts(motion.name, share, of_all) else 0.0
        for motion, amount, share, of_all in zip(
            FLOW_MOTIONS, fit.amounts, fit.shares, fit.shares_of_all, strict=True
        )
    }
    names = [motion.name for motion in FLOW_MOTIONS]
    sideways, upright = names.index("gaze_x"), names.index("gaze_y")
    down = fit.amounts[upright] if fit.shares[upright] >= MIN_PART_SHARE else 0.0
    left, right = _closed(closing, eye_change)
    if fit.shares[sideways] >= MIN_SIDEWAYS or down * (left + right) < 0:
        # Lids move nothing sideways, and one that closes goes down: this isn't the lids.
        closing, left, right = np.zeros(2), 0.0, 0.0
    # The lower edge of a closing lid moves as a gaze would.
    open_share = max(0.0, 1 - float(np.abs(closing).max()) / _GAZE_ENDS)
    for name in ("gaze_x", "gaze_y"):
        amounts[name] *= open_share
    amounts["lid_left"], amounts["lid_right"] = left, right
    if is_blink(left, right):
        amounts[BLINK.name] = (left + right) / 2
        amounts["lid_left"] = amounts["lid_right"] = 0.0
    return amounts


def _closed(closing: np.ndarray, eye_change: np.ndarray) -> tuple[float, float]:
    """How far each lid closes (left, right), 0 where that doesn't count."""
    left, right = np.where(
        (eye_change >= MIN_EYE_CHANGE) & (np.abs(closing) >= MIN_CLOSING), closing, 0.0
    ).tolist()
    return left, right


def is_blink(left: float, right: float) -> bool:
    """Whether both lids close (or open) alike, by these signed amounts."""
    lesser, greater = sorted((abs(left), abs(right)))
    return left * right > 0 and lesser >= _BLINK_BALANCE * greater


def _counts(name: str, share: float, of_all: float) -> bool:
    if name in HEAD_MOTIONS:
        return share >= MIN_HEAD_SHARE
    return share >= MIN_PART_SHARE and of_all >= MIN_PART_OF_ALL


def _parts(name: str) -> tuple[str, ...]:
    return (name, "lid_left", "lid_right") if name == BLINK.name else (name,)


def agreement(fields: np.ndarray) -> float | None:
    """Mean cosine between each field (n, ...) and the mean of the others; None for a single one."""
    flat = fields.reshape(len(fields), -1).astype(np.float64)
    if len(flat) == 1:
        return None
    others = (flat.sum(0) - flat) / (len(flat) - 1)
    lengths = np.linalg.norm(flat, axis=1) * np.linalg.norm(others, axis=1)
    return float(np.mean((flat * others).sum(1) / np.maximum(lengths, 1e-12)))


def _closing_agreement(seen: Sequence[SeenMotion], name: str) -> float | None:
    """As `agreement`, of the one number that says how much the eyes close: |Σ| / Σ|·|."""
    if len(seen) == 1:
        return None
    at = {"lid_left": [0], "lid_right": [1]}.get(name, [0, 1])
    values = np.array([one.closing[at].mean() for one in seen])
    return float(abs(values.sum()) / max(np.abs(values).sum(), 1e-12))


def numbered(names: Sequence[str]) -> list[str]:
    """Makes names unique: the first keeps its name, the next are name_2, name_3, …

    Give them in the order of importance. "unnamed" stays as it is.
    """
    count: collections.Counter[str] = collections.Counter()
    unique = []
    for name in names:
        count[name] += 1
        repeated = count[name] > 1 and name != UNNAMED
        unique.append(f"{name}_{count[name]}" if repeated else name)
    return unique


def meaning(name: str) -> str:
    """In words, what a named direction goes from and to."""
    motion = BY_NAME[name]
    return f"{motion.low_word} to {motion.high_word}"
