"""How few vectors move a picture, free of scale: shrinking all coefficients changes nothing."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np

from liax_jax.interpretability.codes import active, check_codes
from liax_jax.interpretability.rotation import random_rotation
from liax_jax.metrics import coefficients

# A frame whose coefficients are all below this share of the largest one moves nothing.
_STILL = 1e-6
MEASURES = ("gini", "hoyer", "effective_vectors", "active_vectors")


@dataclasses.dataclass(frozen=True)
class Sparsity:
    """Measures of the frames' codes, mean over those that move, each beside its control.

    Attributes:
      values: by name (`MEASURES`).
      control: mean over the same codes in random bases.
      num_moving: coefficients that move at all.
      used_vectors: (Σσ)² / Σσ² of the coefficients' deviations over all frames: how many vectors
        the set of frames uses, where the others say how many a single frame does.
    """

    values: dict[str, float]
    control: dict[str, float]
    num_moving: int
    used_vectors: float

    def to_json(self) -> dict[str, Any]:
        """As plain numbers and dictionaries."""
        return dataclasses.asdict(self)


def measure_sparsity(alpha: np.ndarray, rotations: int = 10, seed: int = 0) -> Sparsity:
    """Gini, Hoyer, effective and active number of vectors of codes (n, M), and of rotated codes.

    Frames without any motion are left out: how few vectors nothing takes is no question.

    Raises:
      ValueError: codes that can't be measured, or fewer than 1 rotation.
    """
    check_codes(alpha)
    if rotations < 1:
        raise ValueError(f"rotations = {rotations}: the control needs at least 1")
    rng = np.random.default_rng(seed)
    largest = np.abs(alpha).max(1)
    moving = alpha[largest > _STILL * largest.max()]
    turned = [_means(moving @ random_rotation(moving.shape[1], rng)) for _ in range(rotations)]
    control = {name: float(np.mean([means[name] for means in turned])) for name in MEASURES}
    deviations = jnp.asarray(alpha.std(0)[None], jnp.float32)
    return Sparsity(
        _means(moving),
        control,
        int(active(alpha).sum()),
        float(coefficients.effective_vectors(deviations)[0]),
    )


def _means(alpha: np.ndarray) -> dict[str, float]:
    values = jnp.asarray(alpha, jnp.float32)
    return {name: float(getattr(coefficients, name)(values).mean()) for name in MEASURES}
