"""Regions of a face in canonical coordinates, and what a flow does in each of them."""

import dataclasses
import functools

import numpy as np

from liax_jax.interpretability.canonical import (
    BOTTOM,
    LEFT,
    RIGHT,
    SIDE,
    TOP,
    canonical_positions,
)
from liax_jax.interpretability.motion_templates import body_weight, head_weight, hill

# Centre and half axes of each elliptic region, in canonical units; left and right are the viewer's.
_ELLIPSES = {
    "brow_left": ((-0.33, -0.27), (0.28, 0.13)),
    "brow_right": ((0.33, -0.27), (0.28, 0.13)),
    "eye_left": ((-0.33, 0.0), (0.25, 0.15)),
    "eye_right": ((0.33, 0.0), (0.25, 0.15)),
    "nose": ((0.0, 0.25), (0.18, 0.28)),
    "cheek_left": ((-0.45, 0.4), (0.22, 0.25)),
    "cheek_right": ((0.45, 0.4), (0.22, 0.25)),
    "mouth": ((0.0, 0.66), (0.42, 0.2)),
    "jaw": ((0.0, 1.0), (0.42, 0.18)),
    "forehead": ((0.0, -0.55), (0.5, 0.18)),
}
_FACE = ((0.0, 0.1), (0.74, 1.02))
REGIONS = (*_ELLIPSES, "hair", "body", "background")
# Reflected in the face's middle line, a region is this one; the others are themselves.
_MIRRORED = {
    f"{part}_{side}": f"{part}_{other}"
    for part in ("brow", "eye", "cheek")
    for side, other in (("left", "right"), ("right", "left"))
}


def mirrored_region(name: str) -> str:
    """The region on the other side of the face."""
    return _MIRRORED.get(name, name)


@functools.cache
def region_weights() -> dict[str, np.ndarray]:
    """Soft masks (SIDE, SIDE) float32 in [0, 1] of REGIONS; "hair" is the head's outline."""
    x, y = canonical_positions()
    weights = {name: hill(x, y, *ellipse) for name, ellipse in _ELLIPSES.items()}
    head = head_weight(x, y)
    weights["hair"] = head * (1 - np.minimum(3 * hill(x, y, *_FACE), 1))
    weights["body"] = body_weight(x, y)
    weights["background"] = (1 - head) * (1 - body_weight(x, y))
    return {name: weight.astype(np.float32) for name, weight in weights.items()}


@functools.cache
def figure_weight() -> np.ndarray:
    """(SIDE, SIDE) 1 on head and body; what is outside should stay as it is."""
    return 1 - region_weights()["background"]


@dataclasses.dataclass(frozen=True)
class RegionMotion:
    """What a flow does in one region; lengths in canonical units.

    Attributes:
      shift_x, shift_y: mean displacement, to the right and down.
      divergence: mean of du/dx + dv/dy: growing if positive.
      curl: mean of dv/dx − du/dy: turning clockwise, as seen, if positive.
      shear: mean of du/dx − dv/dy: widening and flattening if positive.
      energy: share of the whole flow's squared length that falls here.
      symmetric: share of the region's energy, together with that of the region across, in the part
        that is the same in the mirror (a smile) rather than reversed (a turn); in [0, 1].
    """

    shift_x: float
    shift_y: float
    divergence: float
    curl: float
    shear: float
    energy: float
    symmetric: float


def mirror(flow: np.ndarray) -> np.ndarray:
    """A flow (SIDE, SIDE, 2) as the mirror shows it: reflected in the face's middle line."""
    return flow[:, ::-1] * np.array([-1, 1], flow.dtype)


def symmetric_part(flow: np.ndarray) -> np.ndarray:
    """The part of a flow that looks the same in the mirror; the rest is reversed there."""
    return (flow + mirror(flow)) / 2


def region_motion(flow: np.ndarray) -> dict[str, RegionMotion]:
    """Statistics of a canonical flow (SIDE, SIDE, 2) for each of REGIONS."""
    pixel_x, pixel_y = (RIGHT - LEFT) / (SIDE - 1), (BOTTOM - TOP) / (SIDE - 1)
    u_y, u_x = np.gradient(flow[..., 0], pixel_y, pixel_x)
    v_y, v_x = np.gradient(flow[..., 1], pixel_y, pixel_x)
    energy = np.square(flow).sum(-1)
    symmetric = np.square(symmetric_part(flow)).sum(-1)
    total = max(float(energy.sum()), 1e-12)
    weights = region_weights()
    found = {}
    for name, weight in weights.items():
        mean = weight / weight.sum()
        both = np.maximum(weight, weights[mirrored_region(name)])
        found[name] = RegionMotion(
            shift_x=float((flow[..., 0] * mean).sum()),
            shift_y=float((flow[..., 1] * mean).sum()),
            divergence=float(((u_x + v_y) * mean).sum()),
            curl=float(((v_x - u_y) * mean).sum()),
            shear=float(((u_x - v_y) * mean).sum()),
            energy=float((energy * weight).sum()) / total,
            symmetric=float((symmetric * both).sum() / max((energy * both).sum(), 1e-12)),
        )
    return found
