"""The motions that a direction can be named after: how each moves a face, and how far it can.

One table, `MOTIONS`. A motion's field says how every point of a portrait moves in canonical
coordinates (see `canonical`) when the motion is 1 radian, 1 unit of length, or 1 fold of size. Head
motions are those of a rigid ellipsoid that turns about the top of the spine; the others are smooth
hills over the part that moves. Left and right are the viewer's.
"""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from liax_jax.interpretability.canonical import canonical_positions

# The head as an ellipsoid: half width, depth, height above the eyes, and chin below them.
_WIDTH, _DEPTH, _CROWN, _CHIN = 0.74, 0.86, 1.05, 1.06
_HAIR = 1.2  # how much wider and higher hair makes it
# It turns and nods about a point so far behind the plane of the ears, and leans about the neck.
_PIVOT_DEPTH, _LEAN_HEIGHT = 0.32, 0.8
_EYES = ((-0.33, 0.0), (0.33, 0.0))
_BROWS = ((-0.33, -0.25), (0.33, -0.25))
_MOUTH = (0.0, 0.66)
# Neck and shoulders follow the head's shifts by these shares.
_FOLLOW_X, _FOLLOW_Y = 0.55, 0.8
_EDGE = 0.2  # a motion's region is where it moves points by more than this share of its largest

Field = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Motion:
    """One motion of a portrait.

    Attributes:
      name: what directions are called; for those that drawn portraits have, the factor's name.
      group: of the direction card.
      full: how far it goes from one end of its usual range to the other, in `unit`.
      unit: "radians", "units" (canonical) or "fold".
      low_word, high_word: what is seen at the negative and at the positive end.
      field: x, y → (u, v), the displacement for 1 unit; None for lids, which are read from how much
        of the eye is to be seen.
    """

    name: str
    group: str
    full: float
    unit: str
    low_word: str
    high_word: str
    field: Field | None = None


def _smooth(t: np.ndarray) -> np.ndarray:
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)


def hill(
    x: np.ndarray, y: np.ndarray, center: tuple[float, float], radii: tuple[float, float]
) -> np.ndarray:
    """A smooth hill of height 1 over an ellipse."""
    inside = 1 - ((x - center[0]) / radii[0]) ** 2 - ((y - center[1]) / radii[1]) ** 2
    return _smooth(inside)


def _ellipse(x: np.ndarray, y: np.ndarray, larger: float = 1.0) -> np.ndarray:
    """Squared distance from the head's centre, 1 on its outline."""
    height = np.where(y < 0, _CROWN, _CHIN) * (1 + 0.5 * (larger - 1))
    return (x / (_WIDTH * larger)) ** 2 + (y / height) ** 2


def head_weight(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """1 on the head with its hair, 0 beyond."""
    return _smooth((1.06 - _ellipse(x, y, _HAIR)) * 4)


def body_weight(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """1 on neck and shoulders."""
    neck = _smooth((y - 0.9) * 3) * _smooth((0.75 - np.abs(x)) * 6)
    shoulders = _smooth((y - 1.25) * 4)
    return np.maximum(neck, shoulders) * (1 - head_weight(x, y))


def _lever(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How far a point of the head is in front of the axis it turns about."""
    front = _DEPTH * np.sqrt(np.maximum(1 - _ellipse(x, y), 0))
    return (front + _PIVOT_DEPTH) * head_weight(x, y)


def _yaw(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return _lever(x, y), 0 * x


def _pitch(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return 0 * x, -_lever(x, y)


def _roll(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    head = head_weight(x, y)
    return -(y - _LEAN_HEIGHT) * head, x * head


def _shift_x(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return head_weight(x, y) + _FOLLOW_X * body_weight(x, y), 0 * x


def _shift_y(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return 0 * x, head_weight(x, y) + _FOLLOW_Y * body_weight(x, y)


def _scale(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    portrait = head_weight(x, y) + body_weight(x, y)
    return x * portrait, y * portrait


def _jaw(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    below = _smooth((y - 0.62) / 0.35)
    face = _smooth((1.1 - np.hypot(x / 0.68, y / 1.25)) * 5)
    return 0 * x, below * face


def _lip_width(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mouth, out = hill(x, y, _MOUTH, (0.5, 0.26)), x / 0.3
    return out * mouth, -0.3 * (np.abs(out) - 0.5) * mouth


def _pout(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mouth = hill(x, y, _MOUTH, (0.45, 0.3))
    return -0.6 * x / 0.3 * mouth, (y - _MOUTH[1]) / 0.08 * mouth


def _brows(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    left, right = (hill(x, y, brow, (0.28, 0.2)) for brow in _BROWS)
    return 0 * x, -(left + right)


def eyes_weight(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(2, ...) a hill over the left and over the right eye."""
    return np.stack([hill(x, y, eye, (0.24, 0.2)) for eye in _EYES])


def _gaze_x(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return eyes_weight(x, y).sum(0), 0 * x


def _gaze_y(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return 0 * x, eyes_weight(x, y).sum(0)


# Usual ranges are those of people in talking-head clips, which drawn portraits have too.
MOTIONS: tuple[Motion, ...] = (
    Motion("yaw", "pose", 1.33, "radians", "turned left", "turned right", _yaw),
    Motion("pitch", "pose", 0.70, "radians", "looking down", "looking up", _pitch),
    Motion("roll", "pose", 0.70, "radians", "leaning left", "leaning right", _roll),
    Motion("shift_x", "pose", 0.54, "units", "to the left", "to the right", _shift_x),
    Motion("shift_y", "pose", 0.54, "units", "higher", "lower", _shift_y),
    Motion("scale", "pose", 0.24, "fold", "smaller", "larger", _scale),
    Motion("jaw", "mouth", 0.225, "units", "mouth closed", "mouth open", _jaw),
    Motion("lip_width", "mouth", 0.18, "units", "mouth narrow", "mouth wide", _lip_width),
    Motion("pout", "mouth", 0.12, "units", "lips thin", "lips full", _pout),
    Motion("lid_left", "eyes", 1.0, "of the eye", "left eye open", "left eye closed"),
    Motion("lid_right", "eyes", 1.0, "of the eye", "right eye open", "right eye closed"),
    Motion("brows", "eyes", 0.26, "units", "brows drawn down", "brows raised", _brows),
    Motion("gaze_x", "eyes", 0.22, "units", "looking left", "looking right", _gaze_x),
    Motion("gaze_y", "eyes", 0.11, "units", "looking up", "looking down", _gaze_y),
)
# Both lids at once.
BLINK = Motion("blink", "eyes", 1.0, "of the eyes", "eyes open", "eyes closed")
BY_NAME = {motion.name: motion for motion in (*MOTIONS, BLINK)}
# Motions read from the flow, and those of the head as a whole among them.
FLOW_MOTIONS = tuple(motion for motion in MOTIONS if motion.field is not None)
HEAD_MOTIONS = ("yaw", "pitch", "roll", "shift_x", "shift_y", "scale")


@functools.cache
def template_fields() -> np.ndarray:
    """(K, SIDE, SIDE, 2): displacement in canonical units over the full range, of FLOW_MOTIONS."""
    x, y = canonical_positions()
    fields = [
        np.stack(motion.field(x, y), -1) * motion.full for motion in FLOW_MOTIONS if motion.field
    ]
    return np.stack(fields).astype(np.float32)


@functools.cache
def template_regions() -> np.ndarray:
    """(K, SIDE, SIDE) bool: where each of FLOW_MOTIONS moves points noticeably."""
    size = np.linalg.norm(template_fields(), axis=-1)
    return size > _EDGE * size.max(axis=(1, 2), keepdims=True)
