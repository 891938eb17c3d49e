"""Layers with equalised learning rate, shared by encoder, generators and discriminator.

Every weight is stored as drawn from N(0, 1) and scaled by 1/√fan_in where it is used, so that one
learning rate fits all layers. Parameters are `param_dtype` (float32); arithmetic runs in `dtype`.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from liax_jax import ops

Dtype = Any
Padding = str | tuple[tuple[int, int], tuple[int, int]]
normal_init = nn.initializers.normal(stddev=1.0)


class EqualizedDense(nn.Module):
    """y = x·w/√in + bias: (…, in) → (…, features)."""

    features: int
    bias_init: float = 0.0
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        fan_in = x.shape[-1]
        kernel = self.param("kernel", normal_init, (fan_in, self.features))
        bias = self.param("bias", nn.initializers.constant(self.bias_init), (self.features,))
        kernel = (kernel * fan_in**-0.5).astype(self.dtype)
        return x.astype(self.dtype) @ kernel + bias.astype(self.dtype)


class EqualizedConv(nn.Module):
    """k×k convolution without bias, weight w/√(in·k²): (b, h, w, in) → (b, h', w', features)."""

    features: int
    kernel_size: int = 3
    stride: int = 1
    padding: Padding = "SAME"
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        k, fan_in = self.kernel_size, x.shape[-1] * self.kernel_size**2
        kernel = self.param("kernel", normal_init, (k, k, x.shape[-1], self.features))
        x = ops.conv2d(x.astype(self.dtype), kernel.astype(self.dtype), self.stride, self.padding)
        # Scaled after the convolution, where it fuses with bias and activation.
        return x * fan_in**-0.5


class ConvAct(nn.Module):
    """Equalised convolution, bias and activation."""

    features: int
    kernel_size: int = 3
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = EqualizedConv(self.features, self.kernel_size, dtype=self.dtype, name="conv")(x)
        return ops.activate(x, self.param("bias", nn.initializers.zeros, (self.features,)))


class DownConvAct(nn.Module):
    """Blur, stride-2 3×3 convolution, bias and activation: halves height and width."""

    features: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = ops.blur(x.astype(self.dtype), (2, 2))
        x = EqualizedConv(self.features, 3, 2, "VALID", dtype=self.dtype, name="conv")(x)
        return ops.activate(x, self.param("bias", nn.initializers.zeros, (self.features,)))


class DownResidualBlock(nn.Module):
    """Residual block of encoder and discriminator: halves height and width, in → features.

    Two 3×3 convolutions, of which the second halves, plus a 1×1 halving skip; sum / √2. The first
    convolution has `hidden` outputs: `features` in LIA-X's encoder, the input's width in LIA's and
    in the discriminator.
    """

    features: int
    hidden: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = ConvAct(self.hidden, dtype=self.dtype, name="conv1")(x)
        y = DownConvAct(self.features, dtype=self.dtype, name="conv2")(y)
        skip = ops.blur_downsample2x(x.astype(self.dtype))
        skip = EqualizedConv(self.features, 1, dtype=self.dtype, name="skip")(skip)
        return (y + skip) * 2**-0.5


class RenderBlock(nn.Module):
    """Residual block of the renderer: two 3×3 convolutions plus identity, sum / √2."""

    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = ConvAct(x.shape[-1], dtype=self.dtype, name="conv1")(x)
        y = ConvAct(x.shape[-1], dtype=self.dtype, name="conv2")(y)
        return (y + x) * 2**-0.5


class UpConvAct(nn.Module):
    """×2 upsampling, 3×3 convolution, bias and activation."""

    features: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return ConvAct(self.features, dtype=self.dtype, name="conv")(ops.upsample2x(x))


class ModulatedConv(nn.Module):
    """Convolution whose input channels are scaled by the style, without bias or activation.

    The style gives one factor m per input channel; each example's effective weight is
    w·m/√fan_in, demodulated to unit norm per output channel. Scaling the activations (x·m before
    one shared convolution, ·demodulation after it) is the same algebra without per-example weights.

    Attributes:
      features: output channels.
      kernel_size: 1 or 3.
      up: stride-2 transposed convolution and blur, r → 2r (3×3 only).
      demodulate: off for the to-flow layers.
    """

    features: int
    kernel_size: int = 3
    up: bool = False
    demodulate: bool = True
    kernel_init: Callable = normal_init
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, style: jax.Array) -> jax.Array:
        """x (b, h, w, in), style (b, D) → (b, h, w, features); `up` doubles h and w."""
        k, channels = self.kernel_size, x.shape[-1]
        kernel = self.param("kernel", self.kernel_init, (k, k, channels, self.features))
        # A training step may hand it over in bfloat16 already.
        kernel = kernel.astype(jnp.float32)
        # The style path stays in float32: it is tiny, and its rounding would reach every pixel.
        scale = EqualizedDense(channels, bias_init=1.0, name="modulation")(style)
        scale = scale * (channels * k * k) ** -0.5
        demodulation = None
        if self.demodulate:
            energy = jnp.sum(jnp.square(kernel), axis=(0, 1))
            demodulation = jax.lax.rsqrt(jnp.square(scale) @ energy + 1e-8)
        convolve = ops.transposed_conv2x_blur if self.up else ops.conv2d
        if x.shape[0] == 1 and kernel.size < x.size:
            # One example, and a map larger than the kernel: per-example weights are one kernel,
            # and making it costs less than two passes over the map.
            kernel = kernel * scale[0, :, None]
            if demodulation is not None:
                kernel = kernel * demodulation[0]
            return convolve(x.astype(self.dtype), kernel.astype(self.dtype))
        x = x.astype(self.dtype) * _per_channel(scale, self.dtype)
        x = convolve(x, kernel.astype(self.dtype))
        if demodulation is not None:
            x = x * _per_channel(demodulation, self.dtype)
        return x


class StyledConv(nn.Module):
    """Modulated 3×3 convolution, bias and activation."""

    features: int
    up: bool = False
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, style: jax.Array) -> jax.Array:
        x = ModulatedConv(self.features, up=self.up, dtype=self.dtype, name="conv")(x, style)
        return ops.activate(x, self.param("bias", nn.initializers.zeros, (self.features,)))


class GroupNorm(nn.Module):
    """Group normalisation (Wu & He 2018) with a scale and bias per channel.

    Sums over the map are products with a row of ones: XLA's CPU reductions take as long as a
    convolution of the same map. They are float32 whatever `dtype` is.
    """

    groups: int
    epsilon: float = 1e-5
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(b, h, w, c) → the same shape; mean 0 and variance 1 over each example's groups."""
        batch, height, width, channels = x.shape
        scale = self.param("scale", nn.initializers.ones, (channels,))
        bias = self.param("bias", nn.initializers.zeros, (channels,))
        pixels = x.reshape(batch, height * width, channels)
        ones = jnp.ones((height * width,), x.dtype)

        def group_mean(values):
            total = jnp.einsum("n,bnc->bc", ones, values, preferred_element_type=jnp.float32)
            grouped = total.reshape(batch, self.groups, -1).mean(-1) / (height * width)
            return jnp.repeat(grouped, channels // self.groups, axis=-1)

        mean = group_mean(pixels)
        variance = jnp.maximum(group_mean(jnp.square(pixels)) - jnp.square(mean), 0)
        gain = scale * jax.lax.rsqrt(variance + self.epsilon)
        offset = bias - mean * gain
        # In float32 as well (it is fused): a mean far from zero would cancel badly in bfloat16.
        x = x.astype(jnp.float32) * _per_channel(gain, jnp.float32)
        return (x + _per_channel(offset, jnp.float32)).astype(self.dtype)


def _per_channel(values: jax.Array, dtype: Dtype) -> jax.Array:
    """(b, c) → (b, 1, 1, c)."""
    return values[:, None, None, :].astype(dtype)


class FlowBlock(nn.Module):
    """LIA-X's residual block of the flow generator: u = styled(x); u + γ ⊙ styled(GroupNorm(u))."""

    groups: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, style: jax.Array) -> jax.Array:
        channels = x.shape[-1]
        u = StyledConv(channels, dtype=self.dtype, name="conv1")(x, style)
        norm = GroupNorm(self.groups, dtype=self.dtype, name="norm")
        y = StyledConv(channels, dtype=self.dtype, name="conv2")(norm(u), style)
        gamma = self.param("gamma", nn.initializers.constant(1e-5), (channels,))
        return u + gamma.astype(self.dtype) * y
