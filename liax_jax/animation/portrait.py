"""A portrait as the model holds it, and how a driving motion is carried over to it."""

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np


@flax.struct.dataclass
class Portrait:
    """Everything that is computed from the source alone, once: a pytree, safe under `jax.jit`.

    Attributes:
      z_s2r: (1, D) float32, the code z_{s→r}.
      features: {r: (1, r, r, c)} for r = 8 … R, what the flow warps.
      alpha: (M,) float32, the source's own motion coefficients α_s, as encoded.
      edit: (M,) float32, what `Animator.edit` has added so far.
    """

    z_s2r: jax.Array
    features: dict[int, jax.Array]
    alpha: jax.Array
    edit: jax.Array

    @property
    def edited_alpha(self) -> jax.Array:
        """(M,): α_s plus the edit (eq. 11)."""
        return self.alpha + self.edit


def transferred_alpha(
    portrait: Portrait,
    driving: jax.Array | np.ndarray,
    reference: jax.Array | np.ndarray,
    absolute: jax.Array | np.ndarray | bool = False,
    strength: jax.Array | float = 1.0,
) -> jax.Array:
    """Coefficients that move the portrait as the driving frames move.

    Relative motion starts at the driving's reference frame: α_s + edit + s · (α_t − α_1), eq. 6, 8
    and 10 for s = 1. Absolute motion starts from the source's own coefficients, so that s = 1 takes
    over α_t as it is (plus the edit).

    Args:
      portrait: the source.
      driving: (b, M) coefficients α_t of the driving frames.
      reference: (M,) coefficients α_1, usually of the first driving frame.
      absolute: (M,) bool, or one for all: directions whose value is taken over as it is.
      strength: s; (M,) or one for all. 0 is no motion.

    Returns:
      (b, M) float32 coefficients for `Animator.render`.
    """
    start = jnp.where(absolute, portrait.alpha, reference)
    return portrait.edited_alpha + strength * (driving - start)
