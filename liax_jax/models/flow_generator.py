"""Optical-flow generator G_f: navigated code → flows and masks that warp the source (eq. 4)."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from liax_jax import ops
from liax_jax.layers import FlowBlock, ModulatedConv, StyledConv, normal_init
from liax_jax.models.config import ModelConfig
from liax_jax.models.residual_blocks import maybe_remat, residual_blocks

# Mask logit of the identity start: sigmoid(3) ≈ 0.95 of the warped features pass.
OPEN_MASK_LOGIT = 3.0


class ToFlow(nn.Module):
    """Modulated 1×1 convolution to (offset x, offset y, mask), added to the coarser level's."""

    config: ModelConfig

    @nn.compact
    def __call__(self, x: jax.Array, style: jax.Array, coarser: jax.Array | None) -> jax.Array:
        """(b, r, r, c) → (b, r, r, 3) float32, before tanh and sigmoid."""
        identity = self.config.flow_init == "identity"
        kernel_init = nn.initializers.zeros if identity else normal_init
        head = ModulatedConv(3, 1, demodulate=False, kernel_init=kernel_init, name="conv")
        flow = head(x.astype(jnp.float32), style)

        def bias_init(key, shape):
            starts_open = identity and coarser is None
            return jnp.array([0.0, 0.0, OPEN_MASK_LOGIT if starts_open else 0.0]).reshape(shape)

        flow = flow + self.param("bias", bias_init, (3,))
        return flow if coarser is None else flow + ops.upsample2x(coarser)


class FlowGenerator(nn.Module):
    """Pyramid of flows and masks; warps the source's features at every level."""

    config: ModelConfig

    @nn.compact
    def __call__(self, style: jax.Array, features: dict[int, jax.Array]) -> dict[str, jax.Array]:
        """Warps the feature pyramid along the flow that `style` describes.

        Args:
          style: (b, D) navigated code z_{s→t}.
          features: {r: (b or 1, r, r, c)} of the source for r = 8 … R.

        Returns:
          Per level r: "flow/r" (b, r, r, 3) raw to-flow output; "grid/r" (b, r, r, 2) sampling
          positions (x, y), 1 = half the image; "mask/r" (b, r, r, 1) in [0, 1]; "warped/r"
          (b, r, r, c), mask · 𝒯(flow, features).
        """
        config, dtype = self.config, jnp.dtype(self.config.dtype)
        batch, channels = style.shape[0], config.channels(4)
        constant = self.param("constant", normal_init, (4, 4, channels))
        h = jnp.broadcast_to(constant.astype(dtype), (batch, 4, 4, channels))
        h = StyledConv(channels, dtype=dtype, name="styled_4")(h, style)
        out: dict[str, jax.Array] = {}
        flow = None
        run_level = maybe_remat(FlowGenerator._level, config, static_argnums=(1,))
        for r in config.levels:
            h, level = run_level(self, r, h, style, features[r], flow)
            flow = level["flow"]
            out |= {f"{name}/{r}": value for name, value in level.items()}
        return out

    def _level(
        self,
        r: int,
        h: jax.Array,
        style: jax.Array,
        features: jax.Array,
        coarser_flow: jax.Array | None,
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """(b, r/2, r/2, c') → (b, r, r, c) and what the level computed, by name."""
        config, dtype = self.config, jnp.dtype(self.config.dtype)
        channels = config.channels(r)
        h = StyledConv(channels, up=True, dtype=dtype, name=f"up_{r}")(h, style)
        if config.family == "lia_x":
            block = partial(FlowBlock, config.groups, dtype=dtype)
            h = residual_blocks(self, block, r, h, style)
        else:
            h = StyledConv(channels, dtype=dtype, name=f"styled_{r}")(h, style)
        flow = ToFlow(config, name=f"to_flow_{r}")(h, style, coarser_flow)
        grid = ops.identity_grid(r) + jnp.tanh(flow[..., :2])
        logit = flow[..., 2:]
        mask = jax.nn.sigmoid(logit) if config.use_mask else jnp.ones_like(logit)
        gate = mask.astype(dtype)
        warped = gate * ops.bilinear_warp(features, grid, config.align_corners)
        h = warped + (1 - gate) * h
        return h, {"flow": flow, "grid": grid, "mask": mask, "warped": warped}
