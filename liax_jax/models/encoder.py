"""Encoder E: portrait → latent code z_{s→r}, motion coefficients and feature pyramid (Sec. 3)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from liax_jax.layers import ConvAct, DownResidualBlock, EqualizedConv, EqualizedDense
from liax_jax.models.config import ModelConfig
from liax_jax.models.residual_blocks import maybe_remat


class Encoder(nn.Module):
    """Residual downsampling network with a linear motion head."""

    config: ModelConfig

    @nn.compact
    def __call__(self, image: jax.Array) -> tuple[jax.Array, dict[int, jax.Array], jax.Array]:
        """Encodes portraits.

        Args:
          image: (b, R, R, 3) in [-1, 1].

        Returns:
          z: (b, D) float32, the code of the transformation to the reference space, z_{s→r}.
          features: {r: (b, r, r, c)} for r = 8 … R, what the flow warps.
          alpha: (b, M) float32, coefficients of the motion dictionary, 𝒜_{r→image} (eq. 2).
        """
        config, dtype = self.config, jnp.dtype(self.config.dtype)
        size = config.resolution
        x = ConvAct(config.channels(size), 1, dtype=dtype, name="from_rgb")(image)
        features = {size: x}
        while size > 4:
            hidden = config.channels(size // 2 if config.family == "lia_x" else size)
            block = maybe_remat(DownResidualBlock, config)(
                config.channels(size // 2), hidden, dtype=dtype, name=f"block_{size}"
            )
            x, size = block(x), size // 2
            features[size] = x
        z = EqualizedConv(config.style_dim, 4, padding="VALID", dtype=dtype, name="to_code")(x)
        z = z[:, 0, 0].astype(jnp.float32)
        return z, {r: features[r] for r in config.levels}, self._motion_head(z)

    def _motion_head(self, z: jax.Array) -> jax.Array:
        """Coefficients of the dictionary: one dense layer in LIA-X, five in a row in LIA."""
        alpha, hidden_layers = z, 0 if self.config.family == "lia_x" else 4
        for i in range(hidden_layers):
            alpha = EqualizedDense(self.config.style_dim, name=f"motion_hidden_{i}")(alpha)
        return EqualizedDense(self.config.num_vectors, name="motion")(alpha)
