"""HyperIQA: the quality of a picture as people would rate it, without a reference.

Su et al. 2020, "Blindly Assess Image Quality in the Wild Guided by a Self-Adaptive Hyper Network".
A ResNet-50 looks at a crop. From its last features a hyper network makes the weights of a small
target network, one for each crop; from all four stages, local distortion aware modules make the
vector that the target network turns into a score. The weights are the user's to supply:
`koniq_pretrained.pkl` of the authors' hyperIQA, trained on KonIQ-10k, whose names these are.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from liax_jax.metrics.batch_norm import folded_conv, norm_shapes
from liax_jax.metrics.network_layers import (
    Layer,
    check_tensors,
    dense,
    kernel_from_torch,
    symmetric_conv2d,
    without,
)

CROP_SIZE = 224
UNUSED = r".*\.num_batches_tracked$"  # counters of training
_IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_IMAGENET_STDDEV = np.array([0.229, 0.224, 0.225], np.float32)

_BLOCKS = (3, 4, 6, 3)  # ResNet-50
_WIDTHS = (64, 128, 256, 512)  # of the inner convolutions; a stage has four times as many channels
_POOL = 7  # side of the last features, and of the squares that are averaged in all stages
# Of each stage: channels after reduction (the last has none), and length of its part of the vector.
_REDUCED = (16, 32, 64, None)
_VECTOR = (16, 16, 16, 176)
# Channels of the hyper network's features, after three convolutions.
_HYPER = (1024, 512, 112)
_HYPER_CONVS = ("conv1.0", "conv1.2", "conv1.4")
# Sizes of the target network's layers: vector → 112 → 56 → 28 → 14 → score.
_TARGET = (sum(_VECTOR), 112, 56, 28, 14, 1)

HyperIQAParams = dict[str, Any]


def score_crops(params: HyperIQAParams, crops: jax.Array) -> jax.Array:
    """Scores of crops, each by a target network of its own. Pure; jit it.

    Args:
      params: from `from_state_dict`.
      crops: (b, 224, 224, 3) float32 RGB in [0, 1].

    Returns:
      (b,) float32, from 0 to 100 as the ratings that the published weights were trained on; nothing
      keeps them inside.

    Raises:
      ValueError: crops of another size.
    """
    if crops.shape[1:] != (CROP_SIZE, CROP_SIZE, 3):
        raise ValueError(
            f"HyperIQA takes (b, {CROP_SIZE}, {CROP_SIZE}, 3) crops, got {crops.shape}"
        )
    features, vector = backbone(params, crops)
    for layer in params["hyper_in"]:
        features = jax.nn.relu(symmetric_conv2d(features, layer))
    return _target(_target_weights(params["target"], features), vector)


def backbone(params: HyperIQAParams, crops: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Last features (b, 7, 7, 2048) and the target network's input (b, 224) of crops in [0, 1]."""
    x = (crops - _IMAGENET_MEAN) / _IMAGENET_STDDEV
    x = jax.nn.relu(symmetric_conv2d(x, params["stem"], stride=2))
    padding = ((0, 0), (1, 1), (1, 1), (0, 0))
    x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), padding)
    parts = []
    for number, stage in enumerate(params["stages"]):
        for i, block in enumerate(stage):
            x = _bottleneck(x, block, stride=2 if number > 0 and i == 0 else 1)
        parts.append(_local_distortion(x, params["lda"][number]))
    return x, jnp.concatenate(parts, axis=-1)


def _bottleneck(x: jax.Array, block: Mapping[str, Any], stride: int) -> jax.Array:
    y = jax.nn.relu(symmetric_conv2d(x, block["conv1"]))
    y = jax.nn.relu(symmetric_conv2d(y, block["conv2"], stride))
    shortcut = symmetric_conv2d(x, block["shortcut"], stride) if "shortcut" in block else x
    return jax.nn.relu(symmetric_conv2d(y, block["conv3"]) + shortcut)


def _local_distortion(x: jax.Array, module: Mapping[str, Any]) -> jax.Array:
    """Means of 7x7 squares of a stage, and one dense layer over all of them."""
    batch, side, _, channels = x.shape
    count = side // _POOL
    means = x.reshape(batch, count, _POOL, count, _POOL, channels).mean(axis=(2, 4))
    if "reduce" in module:  # a 1x1 convolution, which may as well follow the mean
        means = jnp.matmul(means, module["reduce"], precision=lax.Precision.HIGHEST)
    return dense(means.reshape(batch, -1), module["dense"])


def _target_weights(
    layers: list[dict[str, Layer]], features: jax.Array
) -> list[tuple[jax.Array, jax.Array]]:
    """Weight (b, o, i) and bias (b, o) of each of the target network's five layers."""
    pooled = features.mean(axis=(1, 2))
    weights = []
    for layer, inputs, outputs in zip(layers, _TARGET[:-1], _TARGET[1:], strict=True):
        if layer["weight"]["kernel"].ndim == 4:
            made = symmetric_conv2d(features, layer["weight"])
            made = made.transpose(0, 3, 1, 2)  # torch's order of numbers decides which is which
        else:
            made = dense(pooled, layer["weight"])
        weights.append((made.reshape(-1, outputs, inputs), dense(pooled, layer["bias"])))
    return weights


def _target(weights: list[tuple[jax.Array, jax.Array]], vector: jax.Array) -> jax.Array:
    """The target network: dense layers with sigmoids between, each example with its own weights."""
    for i, (weight, bias) in enumerate(weights):
        product = jnp.einsum("boi,bi->bo", weight, vector, precision=lax.Precision.HIGHEST)
        vector = product + bias
        if i < len(weights) - 1:
            vector = jax.nn.sigmoid(vector)
    return vector[:, 0]


def _blocks() -> Iterator[tuple[str, int, int, int]]:
    """(published name, input channels, inner channels, stage from 0) of every bottleneck."""
    inputs = _WIDTHS[0]
    for stage, (count, width) in enumerate(zip(_BLOCKS, _WIDTHS, strict=True)):
        for i in range(count):
            yield f"res.layer{stage + 1}.{i}", inputs, width, stage
            inputs = 4 * width


def tensor_shapes() -> dict[str, tuple[int, ...]]:
    """Published name → torch shape of every tensor."""
    shapes: dict[str, tuple[int, ...]] = {"res.conv1.weight": (_WIDTHS[0], 3, 7, 7)}
    shapes |= norm_shapes("res.bn1", _WIDTHS[0])
    for name, inputs, width, _ in _blocks():
        convs = {
            "conv1": (width, inputs, 1),
            "conv2": (width, width, 3),
            "conv3": (4 * width, width, 1),
        }
        for number, (conv, (outputs, from_, side)) in enumerate(convs.items(), start=1):
            shapes[f"{name}.{conv}.weight"] = (outputs, from_, side, side)
            shapes |= norm_shapes(f"{name}.bn{number}", outputs)
        if name.endswith(".0"):
            shapes[f"{name}.downsample.0.weight"] = (4 * width, inputs, 1, 1)
            shapes |= norm_shapes(f"{name}.downsample.1", 4 * width)
    for stage, (width, reduced, length) in enumerate(zip(_WIDTHS, _REDUCED, _VECTOR, strict=True)):
        if reduced:
            shapes[f"res.lda{stage + 1}_pool.0.weight"] = (reduced, 4 * width, 1, 1)
        squares = (8 >> stage) ** 2
        shapes |= _dense_shapes(f"res.lda{stage + 1}_fc", (reduced or 4 * width) * squares, length)
    for name, inputs, outputs in zip(
        _HYPER_CONVS, (4 * _WIDTHS[-1], *_HYPER), _HYPER, strict=False
    ):
        shapes |= {f"{name}.weight": (outputs, inputs, 1, 1), f"{name}.bias": (outputs,)}
    for number, (inputs, outputs) in enumerate(
        zip(_TARGET[:-1], _TARGET[1:], strict=True), start=1
    ):
        if number < len(_TARGET) - 1:
            made = inputs * outputs // _POOL**2
            shapes[f"fc{number}w_conv.weight"] = (made, _HYPER[-1], 3, 3)
            shapes[f"fc{number}w_conv.bias"] = (made,)
        else:
            shapes |= _dense_shapes(f"fc{number}w_fc", _HYPER[-1], inputs)
        shapes |= _dense_shapes(f"fc{number}b_fc", _HYPER[-1], outputs)
    return shapes


def _dense_shapes(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def from_state_dict(tensors: Mapping[str, np.ndarray]) -> HyperIQAParams:
    """Published names and layouts → parameters of `score_crops`, normalisations folded.

    Raises:
      ValueError: tensors missing, unexpected or misshapen; they are named.
    """
    whose = "the weights of HyperIQA (koniq_pretrained.pkl)"
    tensors = check_tensors(without(tensors, UNUSED), tensor_shapes(), whose)
    stages: list[list[dict[str, Any]]] = [[] for _ in _BLOCKS]
    for name, _, _, stage in _blocks():
        block = {
            f"conv{i}": folded_conv(tensors, f"{name}.conv{i}", f"{name}.bn{i}") for i in (1, 2, 3)
        }
        if name.endswith(".0"):
            block["shortcut"] = folded_conv(tensors, f"{name}.downsample.0", f"{name}.downsample.1")
        stages[stage].append(block)
    params = {
        "stem": folded_conv(tensors, "res.conv1", "res.bn1"),
        "stages": stages,
        "lda": [_lda_params(tensors, stage) for stage in range(len(_BLOCKS))],
        "hyper_in": [_layer(tensors, name) for name in _HYPER_CONVS],
        "target": [_target_params(tensors, number) for number in range(1, len(_TARGET))],
    }
    return jax.tree.map(jnp.asarray, params)


def _layer(tensors: Mapping[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """A convolution or a dense layer."""
    weight = tensors[f"{name}.weight"]
    kernel = kernel_from_torch(weight) if weight.ndim == 4 else weight.T
    return {"kernel": kernel, "bias": tensors[f"{name}.bias"]}


def _lda_params(tensors: Mapping[str, np.ndarray], stage: int) -> dict[str, Any]:
    name, reduced = f"res.lda{stage + 1}", _REDUCED[stage]
    layer = _layer(tensors, f"{name}_fc")
    # torch flattens channels first, we channels last.
    kernel = layer["kernel"].reshape(reduced or 4 * _WIDTHS[stage], -1, _VECTOR[stage])
    layer["kernel"] = kernel.swapaxes(0, 1).reshape(-1, _VECTOR[stage])
    if not reduced:
        return {"dense": layer}
    return {"dense": layer, "reduce": tensors[f"{name}_pool.0.weight"][:, :, 0, 0].T}


def _target_params(
    tensors: Mapping[str, np.ndarray], number: int
) -> dict[str, dict[str, np.ndarray]]:
    """What makes weight and bias of one layer of the target network."""
    kind = "conv" if number < len(_TARGET) - 1 else "fc"
    return {
        "weight": _layer(tensors, f"fc{number}w_{kind}"),
        "bias": _layer(tensors, f"fc{number}b_fc"),
    }
