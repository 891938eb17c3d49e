"""Residual discriminator of StyleGAN2's type (Karras et al. 2020), as LIA trains against."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from liax_jax import ops
from liax_jax.layers import ConvAct, DownResidualBlock, EqualizedDense


def minibatch_stddev(x: jax.Array, group_size: int, batch_axes: tuple[str, ...] = ()) -> jax.Array:
    """Appends one channel: the mean standard deviation over groups (Karras et al. 2018).

    (b, h, w, c) → (b, h, w, c + 1). Example i is compared with those i + b/g, i + 2b/g, …;
    where b is no multiple of `group_size`, the largest divisor of b below it is used.

    Args:
      x: the batch, or a device's part of it.
      group_size: g.
      batch_axes: names of the axes of devices that the batch is split over, in order, inside of
        `jax.shard_map`: the groups are those of the whole batch.
    """
    devices = jax.lax.axis_size(batch_axes) if batch_axes else 1
    batch = x.shape[0] * devices
    group = next(g for g in range(min(group_size, batch), 0, -1) if batch % g == 0)
    x32 = x.astype(jnp.float32)
    if devices == 1:
        stddev = _group_stddev(x32.reshape(group, batch // group, *x.shape[1:]))
        stddev = jnp.tile(stddev, group)
    elif devices % group == 0:
        # A group is one place on every (devices / g)-th device: it is passed around.
        stride = devices // group
        members = [x32]
        for turn in range(1, group):
            around = [(i, (i + turn * stride) % devices) for i in range(devices)]
            members.append(jax.lax.ppermute(x32, batch_axes, around))
        stddev = _group_stddev(jnp.stack(members))
    else:
        everything = jax.lax.all_gather(x32, batch_axes, tiled=True)
        stddev = _group_stddev(everything.reshape(group, batch // group, *x.shape[1:]))
        first = jax.lax.axis_index(batch_axes) * x.shape[0]
        stddev = jax.lax.dynamic_slice_in_dim(jnp.tile(stddev, group), first, x.shape[0])
    stddev = stddev[:, None, None, None].astype(x.dtype)
    return jnp.concatenate([x, jnp.broadcast_to(stddev, (*x.shape[:3], 1))], axis=-1)


def _group_stddev(grouped: jax.Array) -> jax.Array:
    """(g, b, h, w, c) → (b,): the standard deviation within groups, mean over the rest."""
    return jnp.sqrt(jnp.var(grouped, axis=0) + 1e-8).mean(axis=(1, 2, 3))


class Discriminator(nn.Module):
    """Scores pictures: positive for real, negative for generated ones.

    Attributes:
      width: channel multiplier; 1 gives 64 channels at 256 pixels, doubling to 512 at 32.
      stddev_group: group size of the minibatch standard deviation; 0 leaves it out, so that
        examples don't see one another.
      dtype: arithmetic of the convolutions.
      batch_axes: see `minibatch_stddev`.
    """

    width: float = 1.0
    stddev_group: int = 4
    dtype: str = "float32"
    batch_axes: tuple[str, ...] = ()

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
            x = minibatch_stddev(x, self.stddev_group, self.batch_axes)
        x = ConvAct(self._channels(4), dtype=dtype, name="final_conv")(x)
        x = x.reshape(x.shape[0], -1).astype(jnp.float32)
        x = ops.activate(EqualizedDense(self._channels(4), name="hidden")(x))
        return EqualizedDense(1, name="logit")(x)[:, 0]

    def _channels(self, resolution: int) -> int:
        return max(1, int(min(16384 / resolution, 512) * self.width))
