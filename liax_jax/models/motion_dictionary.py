"""(Sparse) motion dictionary D_m: M orthonormal directions of motion in latent space (eq. 2)."""

import flax.linen as nn
import jax
import jax.numpy as jnp


def orthonormal_basis(weight: jax.Array) -> jax.Array:
    """Orthonormal columns spanning those of `weight`: Q of W = QR with a positive diagonal of R.

    The sign convention makes Q a function of W alone; without it each QR implementation picks its
    own signs, and with them which way an edit direction points. Differentiable where W has full
    column rank.

    Args:
      weight: (D, M), D ≥ M, float32.

    Returns:
      Q: (D, M) with QᵀQ = I.
    """
    q, r = jnp.linalg.qr(weight)
    diagonal = jnp.diagonal(r)
    return q * jnp.where(diagonal < 0, -1, 1).astype(q.dtype)


class MotionDictionary(nn.Module):
    """Learnable orthonormal motion vectors d_1 … d_M."""

    style_dim: int
    num_vectors: int

    def setup(self):
        shape = (self.style_dim, self.num_vectors)
        self.weight = self.param("weight", nn.initializers.normal(stddev=1.0), shape)

    def directions(self) -> jax.Array:
        """Q (D, M) float32: column i is the motion vector d_{i+1}."""
        return orthonormal_basis(self.weight + 1e-8)

    def __call__(self, alpha: jax.Array) -> jax.Array:
        """w = Σ_i α_i d_i (eq. 2): coefficients (…, M) → latent motion (…, D)."""
        # Q keeps lengths, and rounding here would move every pixel: full float32 on every device.
        return jnp.matmul(alpha, self.directions().T, precision=jax.lax.Precision.HIGHEST)
