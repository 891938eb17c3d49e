"""How much of each named motion a flow field holds: least squares on the table of motions."""

import dataclasses
import functools

import numpy as np

from liax_jax.interpretability.motion_templates import (
    FLOW_MOTIONS,
    HEAD_MOTIONS,
    template_fields,
    template_regions,
)

# Of each motion's own size: keeps motions that look alike (a turn and a shift) from cancelling.
_RIDGE = 0.003


@dataclasses.dataclass(frozen=True)
class MotionFit:
    """A flow as a sum of the motions of `FLOW_MOTIONS`.

    Attributes:
      amounts: (K,) how much of each, as a share of its full range.
      shares: (K,) in [0, 1]: by how much of the flow's energy in the motion's region the fit gets
        worse without it. Small where the motion only mends what others leave over.
      shares_of_all: (K,) in [0, 1]: likewise of all of the flow's energy.
      explained: share of the flow's energy that the sum explains.
    """

    amounts: np.ndarray
    shares: np.ndarray
    shares_of_all: np.ndarray
    explained: float


@functools.cache
def _matrices() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Templates as rows (K, P), their ridge (K,), and their regions (K, P) as 0 and 1."""
    fields = template_fields().reshape(len(FLOW_MOTIONS), -1).astype(np.float64)
    regions = np.repeat(template_regions().reshape(len(FLOW_MOTIONS), -1), 2, axis=1)
    return fields, _RIDGE * np.square(fields).sum(1), regions.astype(np.float64)


def _amounts(flow: np.ndarray) -> np.ndarray:
    fields, ridge, _ = _matrices()
    normal = fields @ fields.T + np.diag(ridge)
    found: np.ndarray = np.linalg.solve(normal, fields @ flow.astype(np.float64).ravel())
    return found


def fit_flow(flow: np.ndarray) -> MotionFit:
    """Fits the motions to a flow (SIDE, SIDE, 2) in canonical units."""
    fields, _, regions = _matrices()
    target = flow.astype(np.float64).ravel()
    amounts = _amounts(flow)
    rest = target - amounts @ fields
    # With rest r and this motion's part p, leaving it out makes the rest r + p.
    parts = amounts[:, None] * fields
    worse = np.square(rest + parts) - np.square(rest)
    energy = np.maximum(regions @ np.square(target), 1e-12)
    total = max(float(np.square(target).sum()), 1e-12)
    explained = 1 - float(np.square(rest).sum()) / total
    shares = np.clip((regions * worse).sum(1) / energy, 0, 1)
    return MotionFit(amounts, shares, np.clip(worse.sum(1) / total, 0, 1), max(explained, 0.0))


def head_motion(flow: np.ndarray) -> np.ndarray:
    """The part of a flow (SIDE, SIDE, 2) that moves the head as a whole, of the same shape."""
    fields, _, _ = _matrices()
    amounts = _amounts(flow) * [motion.name in HEAD_MOTIONS for motion in FLOW_MOTIONS]
    moved: np.ndarray = (amounts @ fields).reshape(flow.shape).astype(np.float32)
    return moved
