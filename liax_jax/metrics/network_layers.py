"""Layers of the metrics' networks, and the strict reading of their published weights."""

import re
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Layer = dict[str, jax.Array]
_MOST_NAMED = 12


def conv2d(
    x: jax.Array, layer: Layer, stride: int = 1, padding: str | Sequence[tuple[int, int]] = "SAME"
) -> jax.Array:
    """Convolution with bias, (b, h, w, i) → (b, h', w', o); `layer` has kernel and bias.

    In full float32 on every device: a metric's number must not depend on where it was computed.
    """
    y = lax.conv_general_dilated(
        x,
        layer["kernel"],
        (stride, stride),
        padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=lax.Precision.HIGHEST,
    )
    return y + layer["bias"]


def symmetric_conv2d(x: jax.Array, layer: Layer, stride: int = 1) -> jax.Array:
    """`conv2d` with both sides padded by half the kernel, as torch's networks have it.

    With a stride of 2 and even sizes, "SAME" pads one side only.
    """
    half = layer["kernel"].shape[0] // 2
    return conv2d(x, layer, stride, ((half, half), (half, half)))


def dense(x: jax.Array, layer: Layer) -> jax.Array:
    """Dense layer in full float32, (..., i) → (..., o); `layer` has kernel (i, o) and bias."""
    return jnp.matmul(x, layer["kernel"], precision=lax.Precision.HIGHEST) + layer["bias"]


def max_pool(x: jax.Array, size: int, stride: int) -> jax.Array:
    """Maximum over windows that lie inside: (b, h, w, c) → (b, h', w', c)."""
    window, strides = (1, size, size, 1), (1, stride, stride, 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, window, strides, "VALID")


def check_tensors(
    tensors: Mapping[str, np.ndarray], wanted: Mapping[str, tuple[int, ...]], whose: str
) -> dict[str, np.ndarray]:
    """The tensors as float32, where their names and shapes are exactly those wanted.

    Args:
      tensors: published name → array.
      wanted: published name → shape.
      whose: completes "these are not …".

    Raises:
      ValueError: names all that are missing, misshapen or unexpected (of many, the first).
    """
    problems = [f"missing {name}" for name in wanted if name not in tensors]
    for name, value in tensors.items():
        if name not in wanted:
            problems.append(f"unexpected {name}")
        elif tuple(value.shape) != tuple(wanted[name]):
            problems.append(f"{name} has shape {tuple(value.shape)}, expected {wanted[name]}")
    if problems:
        rest = len(problems) - _MOST_NAMED
        more = [f"and {rest} more"] if rest > 0 else []
        raise ValueError(f"these are not {whose}: " + "; ".join(problems[:_MOST_NAMED] + more))
    return {name: np.asarray(tensors[name], np.float32) for name in wanted}


def without(tensors: Mapping[str, np.ndarray], pattern: str) -> dict[str, np.ndarray]:
    """The tensors whose names don't match a regular expression from their beginning."""
    return {name: value for name, value in tensors.items() if not re.match(pattern, name)}


def kernel_from_torch(weight: np.ndarray) -> np.ndarray:
    """(o, i, h, w) → (h, w, i, o)."""
    return np.ascontiguousarray(weight.transpose(2, 3, 1, 0))
