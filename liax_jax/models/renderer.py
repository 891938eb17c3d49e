"""Rendering network G_r: warped features → image (eq. 4)."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from liax_jax import ops
from liax_jax.layers import ConvAct, RenderBlock, UpConvAct
from liax_jax.models.config import ModelConfig
from liax_jax.models.residual_blocks import maybe_remat, residual_blocks


class ToRGB(nn.Module):
    """Activated 1×1 convolution to RGB plus a bias, added to the coarser level's picture."""

    @nn.compact
    def __call__(self, x: jax.Array, coarser: jax.Array | None) -> jax.Array:
        """(b, r, r, c) → (b, r, r, 3) float32."""
        rgb = ConvAct(3, 1, name="conv")(x.astype(jnp.float32))
        rgb = rgb + self.param("bias", nn.initializers.zeros, (3,))
        return rgb if coarser is None else rgb + ops.upsample2x(coarser)


class Renderer(nn.Module):
    """Paints the picture from the warped features alone, coarse to fine."""

    config: ModelConfig

    @nn.compact
    def __call__(self, warped: dict[int, jax.Array]) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Renders warped features.

        Args:
          warped: {r: (b, r, r, c)} for r = 8 … R.

        Returns:
          image: (b, R, R, 3) float32, not squashed: clip to [-1, 1] when writing pictures.
          out: "rgb/r" (b, r, r, 3), the picture accumulated up to each level.
        """
        out: dict[str, jax.Array] = {}
        rgb = y = None
        run_level = maybe_remat(Renderer._level, self.config, static_argnums=(1,))
        for r in self.config.levels:
            y, rgb = run_level(self, r, warped[r], y, rgb)
            out[f"rgb/{r}"] = rgb
        return out[f"rgb/{self.config.resolution}"], out

    def _level(
        self, r: int, x: jax.Array, coarser: jax.Array | None, coarser_rgb: jax.Array | None
    ) -> tuple[jax.Array | None, jax.Array]:
        """(b, r, r, c) → features (b, r, r, c), None in LIA, and picture (b, r, r, 3)."""
        config, dtype, y = self.config, jnp.dtype(self.config.dtype), None
        if config.family == "lia_x":
            if coarser is not None:
                x = x + UpConvAct(config.channels(r), dtype=dtype, name=f"up_{r}")(coarser)
            y = x = residual_blocks(self, partial(RenderBlock, dtype=dtype), r, x)
        return y, ToRGB(name=f"to_rgb_{r}")(x, coarser_rgb)
