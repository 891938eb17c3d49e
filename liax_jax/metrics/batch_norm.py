"""Batch normalisation of a trained network as what it is then: a scale and a shift per channel.

Folded into the convolution before it, it costs nothing. All in float64 NumPy, at conversion.
"""

from collections.abc import Mapping

import numpy as np

from liax_jax.metrics.network_layers import kernel_from_torch

EPSILON = 1e-5  # of torch's layers, which the published networks use unchanged
NORM_TENSORS = ("weight", "bias", "running_mean", "running_var")


def norm_shapes(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    """Name → shape of one normalisation's tensors in a state dictionary."""
    return {f"{name}.{part}": (channels,) for part in NORM_TENSORS}


def scale_and_shift(
    tensors: Mapping[str, np.ndarray], name: str, epsilon: float = EPSILON
) -> tuple[np.ndarray, np.ndarray]:
    """(scale, shift), (c,) float64 each: the normalisation `name` is x · scale + shift."""
    weight, bias, mean, variance = (
        np.asarray(tensors[f"{name}.{part}"], np.float64) for part in NORM_TENSORS
    )
    scale = weight / np.sqrt(variance + epsilon)
    return scale, bias - mean * scale


def folded_conv(tensors: Mapping[str, np.ndarray], conv: str, norm: str) -> dict[str, np.ndarray]:
    """A convolution without bias and the normalisation after it, as one.

    Args:
      tensors: torch's layouts; the convolution's weight is (o, i, h, w).

    Returns:
      "kernel" (h, w, i, o) and "bias" (o,), float32.
    """
    scale, shift = scale_and_shift(tensors, norm)
    kernel = kernel_from_torch(tensors[f"{conv}.weight"]) * scale
    return {"kernel": kernel.astype(np.float32), "bias": shift.astype(np.float32)}
