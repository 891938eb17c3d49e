"""Inception-v3 as FID uses it: features of the network of December 2015 (Szegedy et al. 2016).

The published weights are a port of TensorFlow's graph of 2015-12-05, under torchvision's names. Its
layers differ from torchvision's network in three places: average pools don't count padding, the
last block pools by maximum, and the classifier, which isn't used here, has 1008 classes.

Three changes keep the numbers and save time. Normalisation is folded into the convolutions. The
1×1 convolutions that read a block's input are one. An average pool comes after its 1×1 convolution
instead of before: both are linear, and the pool then has a fraction of the channels.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from liax_jax.metrics.network_layers import (
    Layer,
    check_tensors,
    conv2d,
    kernel_from_torch,
    max_pool,
)

DIMENSIONS = 2048
INPUT_SIZE = 299
_NORMALISATION_EPSILON = 0.001
_FIELDS = ("weight", "bias", "running_mean", "running_var")
# The classifier, and counters that later versions of torch add.
UNUSED = r"fc\.|AuxLogits\.|.*\.num_batches_tracked$"

Params = dict[str, Any]


class Convolution(NamedTuple):
    """A convolution with normalisation and ReLU: channels and kernel height × width."""

    inputs: int
    outputs: int
    height: int = 1
    width: int = 1


class Block(NamedTuple):
    """A block: the 1×1 convolutions that read its input, in the order of its params, and the rest.

    Where there is a "branch_pool", it is the last of the heads.
    """

    heads: dict[str, int]
    inner: dict[str, Convolution]


STEM = {
    "Conv2d_1a_3x3": Convolution(3, 32, 3, 3),
    "Conv2d_2a_3x3": Convolution(32, 32, 3, 3),
    "Conv2d_2b_3x3": Convolution(32, 64, 3, 3),
    "Conv2d_3b_1x1": Convolution(64, 80),
    "Conv2d_4a_3x3": Convolution(80, 192, 3, 3),
}


def _block_a(pooled: int) -> Block:
    heads = {"branch1x1": 64, "branch5x5_1": 48, "branch3x3dbl_1": 64, "branch_pool": pooled}
    inner = {
        "branch5x5_2": Convolution(48, 64, 5, 5),
        "branch3x3dbl_2": Convolution(64, 96, 3, 3),
        "branch3x3dbl_3": Convolution(96, 96, 3, 3),
    }
    return Block(heads, inner)


def _block_b() -> Block:
    inner = {
        "branch3x3": Convolution(288, 384, 3, 3),
        "branch3x3dbl_2": Convolution(64, 96, 3, 3),
        "branch3x3dbl_3": Convolution(96, 96, 3, 3),
    }
    return Block({"branch3x3dbl_1": 64}, inner)


def _block_c(middle: int) -> Block:
    heads = {"branch1x1": 192, "branch7x7_1": middle, "branch7x7dbl_1": middle, "branch_pool": 192}
    inner = {
        "branch7x7_2": Convolution(middle, middle, 1, 7),
        "branch7x7_3": Convolution(middle, 192, 7, 1),
        "branch7x7dbl_2": Convolution(middle, middle, 7, 1),
        "branch7x7dbl_3": Convolution(middle, middle, 1, 7),
        "branch7x7dbl_4": Convolution(middle, middle, 7, 1),
        "branch7x7dbl_5": Convolution(middle, 192, 1, 7),
    }
    return Block(heads, inner)


def _block_d() -> Block:
    inner = {
        "branch3x3_2": Convolution(192, 320, 3, 3),
        "branch7x7x3_2": Convolution(192, 192, 1, 7),
        "branch7x7x3_3": Convolution(192, 192, 7, 1),
        "branch7x7x3_4": Convolution(192, 192, 3, 3),
    }
    return Block({"branch3x3_1": 192, "branch7x7x3_1": 192}, inner)


def _block_e() -> Block:
    heads = {"branch1x1": 320, "branch3x3_1": 384, "branch3x3dbl_1": 448, "branch_pool": 192}
    inner = {
        "branch3x3_2a": Convolution(384, 384, 1, 3),
        "branch3x3_2b": Convolution(384, 384, 3, 1),
        "branch3x3dbl_2": Convolution(448, 384, 3, 3),
        "branch3x3dbl_3a": Convolution(384, 384, 1, 3),
        "branch3x3dbl_3b": Convolution(384, 384, 3, 1),
    }
    return Block(heads, inner)


# Name → input channels and block.
BLOCKS: dict[str, tuple[int, Block]] = {
    "Mixed_5b": (192, _block_a(32)),
    "Mixed_5c": (256, _block_a(64)),
    "Mixed_5d": (288, _block_a(64)),
    "Mixed_6a": (288, _block_b()),
    "Mixed_6b": (768, _block_c(128)),
    "Mixed_6c": (768, _block_c(160)),
    "Mixed_6d": (768, _block_c(160)),
    "Mixed_6e": (768, _block_c(192)),
    "Mixed_7a": (768, _block_d()),
    "Mixed_7b": (1280, _block_e()),
    "Mixed_7c": (2048, _block_e()),
}


def published_convolutions() -> dict[str, Convolution]:
    """Published name → convolution, of all."""
    table = dict(STEM)
    for block_name, (inputs, block) in BLOCKS.items():
        for name, outputs in block.heads.items():
            table[f"{block_name}.{name}"] = Convolution(inputs, outputs)
        for name, conv in block.inner.items():
            table[f"{block_name}.{name}"] = conv
    return table


def from_state_dict(tensors: Mapping[str, np.ndarray]) -> Params:
    """The published names → parameters, with normalisation folded in.

    Args:
      tensors: of `pt_inception-2015-12-05-*.pth`, without `UNUSED`.

    Raises:
      ValueError: lists what is missing, unexpected or misshapen.
    """
    table = published_convolutions()
    wanted: dict[str, tuple[int, ...]] = {}
    for name, conv in table.items():
        wanted[f"{name}.conv.weight"] = (conv.outputs, conv.inputs, conv.height, conv.width)
        wanted |= {f"{name}.bn.{field}": (conv.outputs,) for field in _FIELDS}
    checked = check_tensors(tensors, wanted, "the weights of FID's Inception-v3")

    def fold(name: str) -> tuple[np.ndarray, np.ndarray]:
        weight, bias, mean, variance = (
            checked[f"{name}.bn.{field}"].astype(np.float64) for field in _FIELDS
        )
        scale = weight / np.sqrt(variance + _NORMALISATION_EPSILON)
        kernel = kernel_from_torch(checked[f"{name}.conv.weight"]) * scale
        return kernel.astype(np.float32), (bias - mean * scale).astype(np.float32)

    def layer(*names: str) -> Layer:
        kernels, biases = zip(*map(fold, names), strict=True)
        kernel, bias = np.concatenate(kernels, axis=-1), np.concatenate(biases)
        return {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)}

    params: Params = {name: layer(name) for name in STEM}
    for block_name, (_, block) in BLOCKS.items():
        params[block_name] = {"heads": layer(*(f"{block_name}.{name}" for name in block.heads))}
        params[block_name] |= {name: layer(f"{block_name}.{name}") for name in block.inner}
    return params


def inception_features(params: Params, image: jax.Array) -> jax.Array:
    """The 2048 features before the classifier.

    Args:
      params: from `from_state_dict`.
      image: (b, h, w, 3) float in [0, 1], resized to 299 × 299: bilinear, antialiased where it is
        reduced, the ratio of its sides not kept.

    Returns:
      (b, 2048) float32.
    """
    x = resize(jnp.asarray(image, jnp.float32), INPUT_SIZE)
    return features_at_input_size(params, 2 * x - 1)


def resize(image: jax.Array, size: int) -> jax.Array:
    """Bilinear, antialiased where it is reduced: (b, h, w, c) → (b, size, size, c)."""
    batch, _, _, channels = image.shape
    shape = (batch, size, size, channels)
    return jax.image.resize(image, shape, "linear", precision=lax.Precision.HIGHEST)


def features_at_input_size(params: Params, x: jax.Array) -> jax.Array:
    """The features of pictures (b, 299, 299, 3) in [-1, 1]: (b, 2048)."""
    x = _convolve(x, params["Conv2d_1a_3x3"], 2, "VALID")
    x = _convolve(x, params["Conv2d_2a_3x3"], 1, "VALID")
    x = _convolve(x, params["Conv2d_2b_3x3"])
    x = max_pool(x, 3, 2)
    x = _convolve(x, params["Conv2d_3b_1x1"])
    x = _convolve(x, params["Conv2d_4a_3x3"], 1, "VALID")
    x = max_pool(x, 3, 2)
    for name in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
        x = _mixed_a(x, params[name], BLOCKS[name][1])
    x = _mixed_b(x, params["Mixed_6a"])
    for name in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
        x = _mixed_c(x, params[name], BLOCKS[name][1])
    x = _mixed_d(x, params["Mixed_7a"], BLOCKS["Mixed_7a"][1])
    x = _mixed_e(x, params["Mixed_7b"], BLOCKS["Mixed_7b"][1], average=True)
    x = _mixed_e(x, params["Mixed_7c"], BLOCKS["Mixed_7c"][1], average=False)
    return jnp.mean(x, axis=(1, 2))


def _mixed_a(x: jax.Array, p: Params, block: Block) -> jax.Array:
    one, five, double, pooled = _heads(x, p["heads"], block)
    five = _convolve(five, p["branch5x5_2"])
    double = _convolve(_convolve(double, p["branch3x3dbl_2"]), p["branch3x3dbl_3"])
    return jnp.concatenate([one, five, double, pooled], axis=-1)


def _mixed_b(x: jax.Array, p: Params) -> jax.Array:
    three = _convolve(x, p["branch3x3"], 2, "VALID")
    double = _convolve(_convolve(x, p["heads"]), p["branch3x3dbl_2"])
    double = _convolve(double, p["branch3x3dbl_3"], 2, "VALID")
    return jnp.concatenate([three, double, max_pool(x, 3, 2)], axis=-1)


def _mixed_c(x: jax.Array, p: Params, block: Block) -> jax.Array:
    one, seven, double, pooled = _heads(x, p["heads"], block)
    for name in ("branch7x7_2", "branch7x7_3"):
        seven = _convolve(seven, p[name])
    for name in ("branch7x7dbl_2", "branch7x7dbl_3", "branch7x7dbl_4", "branch7x7dbl_5"):
        double = _convolve(double, p[name])
    return jnp.concatenate([one, seven, double, pooled], axis=-1)


def _mixed_d(x: jax.Array, p: Params, block: Block) -> jax.Array:
    three, seven = _heads(x, p["heads"], block)
    three = _convolve(three, p["branch3x3_2"], 2, "VALID")
    seven = _convolve(_convolve(seven, p["branch7x7x3_2"]), p["branch7x7x3_3"])
    seven = _convolve(seven, p["branch7x7x3_4"], 2, "VALID")
    return jnp.concatenate([three, seven, max_pool(x, 3, 2)], axis=-1)


def _mixed_e(x: jax.Array, p: Params, block: Block, average: bool) -> jax.Array:
    one, three, double, pooled = _heads(x, p["heads"], block, average)
    double = _convolve(double, p["branch3x3dbl_2"])
    parts = [one]
    parts += [_convolve(three, p[f"branch3x3_2{side}"]) for side in "ab"]
    parts += [_convolve(double, p[f"branch3x3dbl_3{side}"]) for side in "ab"]
    return jnp.concatenate([*parts, pooled], axis=-1)


def _heads(x: jax.Array, layer: Layer, block: Block, average: bool = True) -> Sequence[jax.Array]:
    """Outputs of the 1×1 convolutions that read a block's input; the pooling branch is the last."""
    widths = list(block.heads.values())
    if "branch_pool" not in block.heads:
        return jnp.split(_convolve(x, layer), np.cumsum(widths)[:-1], axis=-1)
    if average:
        *others, pooled = jnp.split(conv2d(x, layer), np.cumsum(widths)[:-1], axis=-1)
        return [jax.nn.relu(head) for head in (*others, _average_pool(pooled))]
    # A maximum can't change places with a convolution.
    count = sum(widths[:-1])
    first = {"kernel": layer["kernel"][..., :count], "bias": layer["bias"][:count]}
    last = {"kernel": layer["kernel"][..., count:], "bias": layer["bias"][count:]}
    padding = ((0, 0), (1, 1), (1, 1), (0, 0))
    window = (1, 3, 3, 1)
    pooled = lax.reduce_window(x, -jnp.inf, lax.max, window, (1, 1, 1, 1), padding)
    others = jnp.split(_convolve(x, first), np.cumsum(widths[:-1])[:-1], axis=-1)
    return [*others, _convolve(pooled, last)]


def _convolve(x: jax.Array, layer: Layer, stride: int = 1, padding: str = "SAME") -> jax.Array:
    return jax.nn.relu(conv2d(x, layer, stride, padding))


def _average_pool(x: jax.Array) -> jax.Array:
    """Mean of the 3×3 pixels around each that lie inside: (b, h, w, c) → the same shape."""
    for axis in (1, 2):
        size = x.shape[axis]
        before = lax.slice_in_dim(x, 0, size - 1, axis=axis)
        after = lax.slice_in_dim(x, 1, size, axis=axis)
        edge = [(0, 0)] * 4
        edge[axis] = (1, 0)
        total = x + jnp.pad(before, edge)
        edge[axis] = (0, 1)
        total = total + jnp.pad(after, edge)
        counts = np.full(size, 1 / 3, np.float32)
        counts[[0, -1]] = 1 / 2
        x = total * counts.reshape([-1 if i == axis else 1 for i in range(4)])
    return x
