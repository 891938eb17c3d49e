"""Residual discriminator of StyleGAN2's type (Karras et al. 2020), as LIA trains against."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from liax_jax import ops
from liax_jax.layers import ConvAct, DownResidualBlock, EqualizedDense


def minibatch_stddev(x: jax.Array, group_size: int) -> jax.Array:
    """Appends one channel: the mean standard deviation over groups (Karras et al. 2018).

    (b, h, w, c) → (b, h, w, c + 1). Example i is compared with those i + b/g, i + 2b/g, …;
    where b is no multiple of `group_size`, the largest divisor of b below it is used.
    """
    batch, height, width, channels = x.shape
    group = next(g for g in range(min(group_size, batch), 0, -1) if batch % g == 0)
    grouped = x.astype(jnp.float32).reshape(group, batch // group, height, width, channels)
    stddev = jnp.sqrt(jnp.var(grouped, axis=0) + 1e-8).mean(axis=(1, 2, 3))
    stddev = jnp.tile(stddev, group)[:, None, None, None].astype(x.dtype)
    return jnp.concatenate([x, jnp.broadcast_to(stddev, (batch, height, width, 1))], axis=-1)


class Discriminator(nn.Module):
    """Scores pictures: positive for real, negative for generated ones.

    Attributes:
      width: channel multiplier; 1 gives 64 channels at 256 pixels, doubling to 512 at 32.
      stddev_group: group size of the minibatch standard deviation; 0 leaves it out, so that
        examples don't see one another.
      dtype: arithmetic of the convolutions.
    """

    width: float = 1.0
    stddev_group: int = 4
    dtype: str = "float32"

    @nn.compact
    def __call__(self, image: jax.Array) -> jax.Array:
        """(b, R, R, 3) in [-1, 1], R a power of two ≥ 8 → logits (b,) float32."""
        dtype, size = jnp.dtype(self.dtype), image.shape[1]
        x = ConvAct(self._channels(size), 1, dtype=dtype, name="from_rgb")(image)
        while size > 4:
            hidden, features = self._channels(size), self._channels(size // 2)
            x = DownResidualBlock(features, hidden, dtype=dtype, name=f"block_{size}")(x)
            size //= 2
        if self.stddev_group:
            x = minibatch_stddev(x, self.stddev_group)
        x = ConvAct(self._channels(4), dtype=dtype, name="final_conv")(x)
        x = x.reshape(x.shape[0], -1).astype(jnp.float32)
        x = ops.activate(EqualizedDense(self._channels(4), name="hidden")(x))
        return EqualizedDense(1, name="logit")(x)[:, 0]

    def _channels(self, resolution: int) -> int:
        return max(1, int(min(16384 / resolution, 512) * self.width))
