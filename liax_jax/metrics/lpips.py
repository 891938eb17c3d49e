"""LPIPS, version 0.1 (Zhang, Isola, Efros, Shechtman and Wang, 2018), with AlexNet or VGG16.

The weights are the user's: the backbone that torchvision publishes and the linear heads that the
LPIPS project publishes.
"""

import functools
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from liax_jax.metrics.base import FrameMetric, StoredWeights
from liax_jax.metrics.checks import as_unit_range_pair
from liax_jax.metrics.network_layers import (
    Layer,
    check_tensors,
    conv2d,
    kernel_from_torch,
    max_pool,
)

# The published input scaling: of pictures in [-1, 1], per RGB channel.
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
_EPSILON = 1e-10

Params = dict[str, Layer]


class Convolution(NamedTuple):
    """A convolution and ReLU of a backbone.

    Attributes:
      number: in torchvision's `features`.
      inputs, outputs: channels.
      size, stride, padding: of the square kernel.
      pool: size of the max pool before it, of stride 2; 0 for none.
      tap: whether its output is compared.
    """

    number: int
    inputs: int
    outputs: int
    size: int
    stride: int = 1
    padding: int = 1
    pool: int = 0
    tap: bool = False


ALEXNET = (
    Convolution(0, 3, 64, 11, stride=4, padding=2, tap=True),
    Convolution(3, 64, 192, 5, padding=2, pool=3, tap=True),
    Convolution(6, 192, 384, 3, pool=3, tap=True),
    Convolution(8, 384, 256, 3, tap=True),
    Convolution(10, 256, 256, 3, tap=True),
)
VGG16 = (
    Convolution(0, 3, 64, 3),
    Convolution(2, 64, 64, 3, tap=True),
    Convolution(5, 64, 128, 3, pool=2),
    Convolution(7, 128, 128, 3, tap=True),
    Convolution(10, 128, 256, 3, pool=2),
    Convolution(12, 256, 256, 3),
    Convolution(14, 256, 256, 3, tap=True),
    Convolution(17, 256, 512, 3, pool=2),
    Convolution(19, 512, 512, 3),
    Convolution(21, 512, 512, 3, tap=True),
    Convolution(24, 512, 512, 3, pool=2),
    Convolution(26, 512, 512, 3),
    Convolution(28, 512, 512, 3, tap=True),
)
MIN_SIZES = {ALEXNET: 31, VGG16: 16}  # smaller pictures have no pixel left at the last tap


def from_state_dict(
    backbone: tuple[Convolution, ...], tensors: Mapping[str, np.ndarray]
) -> dict[str, Layer]:
    """torchvision's `features.N.…` and LPIPS's `linK.model.1.weight` → parameters.

    Raises:
      ValueError: lists what is missing, unexpected or misshapen.
    """
    wanted: dict[str, tuple[int, ...]] = {}
    for conv in backbone:
        shape = (conv.outputs, conv.inputs, conv.size, conv.size)
        wanted |= {f"features.{conv.number}.weight": shape}
        wanted |= {f"features.{conv.number}.bias": (conv.outputs,)}
    taps = [conv.outputs for conv in backbone if conv.tap]
    wanted |= {f"lin{i}.model.1.weight": (1, width, 1, 1) for i, width in enumerate(taps)}
    whose = f"LPIPS weights (torchvision's {_NAMES[backbone]} and the heads of version 0.1 for it)"
    checked = check_tensors(tensors, wanted, whose)
    params = {}
    for conv in backbone:
        kernel = kernel_from_torch(checked[f"features.{conv.number}.weight"])
        bias = jnp.asarray(checked[f"features.{conv.number}.bias"])
        params[f"conv{conv.number}"] = {"kernel": jnp.asarray(kernel), "bias": bias}
    for i in range(len(taps)):
        params[f"head{i}"] = {"weight": jnp.asarray(checked[f"lin{i}.model.1.weight"].reshape(-1))}
    return params


def lpips_distance(
    backbone: tuple[Convolution, ...], params: Params, image: jax.Array, reference: jax.Array
) -> jax.Array:
    """LPIPS of pictures in [0, 1], which are mapped to [-1, 1] first.

    At every tap the features are scaled to unit length over channels, their squared difference is
    weighted by the head and averaged over places; taps are summed.

    Args:
      backbone: `ALEXNET` or `VGG16`.
      params: from `from_state_dict`.
      image: (..., h, w, 3), float, in [0, 1], h and w at least 31 (VGG16: 16).
      reference: the same shape and range.

    Returns:
      (...) float32, 0 for equal images. Lower is better.

    Raises:
      ValueError: shapes differ, the images are integers or too small.
    """
    image, reference = as_unit_range_pair(image, reference)
    leading, (height, width) = image.shape[:-3], image.shape[-3:-1]
    if min(height, width) < MIN_SIZES[backbone]:
        raise ValueError(
            f"LPIPS with {_NAMES[backbone]} needs images of at least {MIN_SIZES[backbone]} x "
            f"{MIN_SIZES[backbone]} pixels, got shape {image.shape}"
        )
    # Both through the network in one batch.
    x = jnp.concatenate([array.reshape(-1, height, width, 3) for array in (image, reference)])
    x = (2 * x - 1 - jnp.asarray(_SHIFT)) / jnp.asarray(_SCALE)
    total = jnp.zeros((), jnp.float32)
    taps = 0
    for conv in backbone:
        if conv.pool:
            x = max_pool(x, conv.pool, 2)
        padding = [(conv.padding, conv.padding)] * 2
        x = jax.nn.relu(conv2d(x, params[f"conv{conv.number}"], conv.stride, padding))
        if conv.tap:
            features, others = jnp.split(x, 2)
            total = total + _compare(features, others, params[f"head{taps}"]["weight"])
            taps += 1
    return total.reshape(leading)


def _compare(features: jax.Array, others: jax.Array, weight: jax.Array) -> jax.Array:
    """Weighted squared difference of unit-length features, mean over places: … → (b,)."""
    unit, other_unit = (
        f / (jnp.sqrt(jnp.sum(jnp.square(f), axis=-1, keepdims=True)) + _EPSILON)
        for f in (features, others)
    )
    squared = jnp.square(unit - other_unit) * weight
    return jnp.sum(squared, axis=(1, 2, 3)) / (features.shape[1] * features.shape[2])


def make_lpips(weights: StoredWeights) -> FrameMetric:
    """The metric, given the weights "lpips_alex" or "lpips_vgg"."""
    backbone = {"lpips_alex": ALEXNET, "lpips_vgg": VGG16}[weights.name]
    return FrameMetric(
        name=weights.name,
        apply=_APPLY[backbone],
        params=weights.params,
        higher_is_better=False,
        convention=(
            f"LPIPS 0.1 with {_NAMES[backbone]}, pictures mapped to [-1, 1], at their own size"
        ),
        decimals=4,
        weights={weights.name: weights.provenance},
        min_size=MIN_SIZES[backbone],
    )


_NAMES = {ALEXNET: "AlexNet", VGG16: "VGG16"}
# Made once: compiled code is kept by function.
_APPLY = {backbone: functools.partial(lpips_distance, backbone) for backbone in _NAMES}
