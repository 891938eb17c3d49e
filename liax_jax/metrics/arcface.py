"""iresnet: the residual networks of ArcFace and CosFace, from an aligned face to 512 numbers.

Deng, Guo, Xue & Zafeiriou 2019, "ArcFace: Additive Angular Margin Loss for Deep Face Recognition",
and Wang et al. 2018, "CosFace: Large Margin Cosine Loss for Deep Face Recognition". The weights are
the user's to supply: `backbone.pth` of insightface's `arcface_torch`, whose names and layer sizes
these are. Of its widths and depths, iresnet-18, 34, 50 and 100 differ in the number of blocks only.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from liax_jax.metrics.batch_norm import folded_conv, norm_shapes, scale_and_shift
from liax_jax.metrics.network_layers import check_tensors, dense, symmetric_conv2d, without

CROP_SIZE = 112
EMBEDDING_SIZE = 512
# Depth → blocks in the four layers. A block has two convolutions.
DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 14, 3), 100: (3, 13, 30, 3)}
_CHANNELS = (64, 128, 256, 512)
UNUSED = r".*\.num_batches_tracked$"  # counters of training
_LAST_SIDE = CROP_SIZE // 2 ** len(_CHANNELS)

# A list of blocks for each of the four layers; their number is the network's depth.
ArcFaceParams = dict[str, Any]


def embed(params: ArcFaceParams, crops: jax.Array) -> jax.Array:
    """Embeddings of aligned faces, not normalised. Pure; jit it.

    Args:
      params: from `from_state_dict`.
      crops: (b, 112, 112, 3) float32 RGB in [-1, 1], aligned as `liax_jax.faces.alignment` does.

    Returns:
      (b, 512) float32.

    Raises:
      ValueError: crops of another size.
    """
    if crops.shape[1:] != (CROP_SIZE, CROP_SIZE, 3):
        raise ValueError(
            f"the face network takes (b, {CROP_SIZE}, {CROP_SIZE}, 3) crops, got {crops.shape}"
        )
    x = _prelu(symmetric_conv2d(crops, params["stem"]), params["stem"]["slope"])
    for layer in params["layers"]:
        for block in layer:
            x = _block(x, block)
    return dense(x.reshape(x.shape[0], -1), params["head"])


def cosine_distance(embedding: jax.Array, other: jax.Array) -> jax.Array:
    """1 − cosine of the angle between two embeddings: (..., d), (..., d) → (...), in [0, 2].

    Half the squared distance of the unit vectors: the same, and exactly 0 for equal ones.
    """
    difference = _unit(embedding) - _unit(other)
    return 0.5 * jnp.sum(jnp.square(difference), axis=-1)


def _unit(vector: jax.Array) -> jax.Array:
    return vector / jnp.linalg.norm(vector, axis=-1, keepdims=True)


def _prelu(x: jax.Array, slope: jax.Array) -> jax.Array:
    return jnp.where(x >= 0, x, slope * x)


def _block(x: jax.Array, block: Mapping[str, Any]) -> jax.Array:
    """Normalise, convolve, PReLU, convolve, add: the first block of a layer halves the size."""
    # Before a convolution that pads with zeros, a normalisation's shift can't be folded into it.
    y = x * block["norm"]["scale"] + block["norm"]["shift"]
    y = _prelu(symmetric_conv2d(y, block["conv1"]), block["conv1"]["slope"])
    if "shortcut" not in block:
        return symmetric_conv2d(y, block["conv2"]) + x
    return symmetric_conv2d(y, block["conv2"], 2) + symmetric_conv2d(x, block["shortcut"], 2)


def _blocks(depth: int) -> Iterator[tuple[str, int, int, bool]]:
    """(published name, input channels, output channels, halves the size) of every block."""
    inputs = _CHANNELS[0]
    for number, (count, outputs) in enumerate(zip(DEPTHS[depth], _CHANNELS, strict=True), start=1):
        for i in range(count):
            yield f"layer{number}.{i}", inputs, outputs, i == 0
            inputs = outputs


def tensor_shapes(depth: int) -> dict[str, tuple[int, ...]]:
    """Published name → torch shape of every tensor of iresnet-`depth`."""
    first, last = _CHANNELS[0], _CHANNELS[-1]
    shapes: dict[str, tuple[int, ...]] = {"conv1.weight": (first, 3, 3, 3)}
    shapes |= norm_shapes("bn1", first) | {"prelu.weight": (first,)}
    for name, inputs, outputs, halves in _blocks(depth):
        shapes |= norm_shapes(f"{name}.bn1", inputs)
        shapes[f"{name}.conv1.weight"] = (outputs, inputs, 3, 3)
        shapes |= norm_shapes(f"{name}.bn2", outputs) | {f"{name}.prelu.weight": (outputs,)}
        shapes[f"{name}.conv2.weight"] = (outputs, outputs, 3, 3)
        shapes |= norm_shapes(f"{name}.bn3", outputs)
        if halves:
            shapes[f"{name}.downsample.0.weight"] = (outputs, inputs, 1, 1)
            shapes |= norm_shapes(f"{name}.downsample.1", outputs)
    shapes |= norm_shapes("bn2", last)
    shapes["fc.weight"] = (EMBEDDING_SIZE, last * _LAST_SIDE**2)
    shapes["fc.bias"] = (EMBEDDING_SIZE,)
    return shapes | norm_shapes("features", EMBEDDING_SIZE)


def find_depth(names: Mapping[str, Any]) -> int:
    """Which of the networks has these names.

    Raises:
      ValueError: none has so many blocks in its layers.
    """
    found = {
        (int(match[1]), int(match[2]))
        for match in (re.match(r"layer([1-4])\.(\d+)\.bn1\.", name) for name in names)
        if match
    }
    counts = tuple(sum(layer == number for layer, _ in found) for number in (1, 2, 3, 4))
    for depth, blocks in DEPTHS.items():
        if counts == blocks:
            return depth
    known = ", ".join(f"iresnet-{depth} {blocks}" for depth, blocks in DEPTHS.items())
    raise ValueError(
        f"these are not the weights of an iresnet: {counts} blocks in its four layers, and there "
        f"are {known}. Give backbone.pth of insightface's arcface_torch"
    )


def depth_of(params: ArcFaceParams) -> int:
    """Which of the networks has these parameters."""
    counts = tuple(len(layer) for layer in params["layers"])
    return next(depth for depth, blocks in DEPTHS.items() if blocks == counts)


def from_state_dict(tensors: Mapping[str, np.ndarray]) -> ArcFaceParams:
    """Published names and layouts → parameters of `embed`, normalisations folded.

    Args:
      tensors: name → array, of iresnet-18, 34, 50 or 100, which is found from the names.

    Raises:
      ValueError: another network, or tensors missing, unexpected or misshapen; they are named.
    """
    depth = find_depth(tensors)
    whose = f"the weights of iresnet-{depth} (backbone.pth of arcface_torch)"
    tensors = check_tensors(without(tensors, UNUSED), tensor_shapes(depth), whose)
    layers: list[list[dict[str, Any]]] = [[] for _ in _CHANNELS]
    for name, _, _, halves in _blocks(depth):
        scale, shift = scale_and_shift(tensors, f"{name}.bn1")
        slope = tensors[f"{name}.prelu.weight"]
        block: dict[str, Any] = {
            "norm": {"scale": scale.astype(np.float32), "shift": shift.astype(np.float32)},
            "conv1": folded_conv(tensors, f"{name}.conv1", f"{name}.bn2") | {"slope": slope},
            "conv2": folded_conv(tensors, f"{name}.conv2", f"{name}.bn3"),
        }
        if halves:
            block["shortcut"] = folded_conv(tensors, f"{name}.downsample.0", f"{name}.downsample.1")
        layers[int(name[len("layer")]) - 1].append(block)
    stem = folded_conv(tensors, "conv1", "bn1")
    stem["slope"] = tensors["prelu.weight"]
    params = {"stem": stem, "layers": layers, "head": _folded_head(tensors)}
    return jax.tree.map(jnp.asarray, params)


def _folded_head(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The dense layer and the normalisations before and after it, as one dense layer."""
    weight = np.asarray(tensors["fc.weight"], np.float64)
    # torch flattens channels first, we channels last.
    weight = weight.reshape(EMBEDDING_SIZE, _CHANNELS[-1], _LAST_SIDE**2)
    before_scale, before_shift = scale_and_shift(tensors, "bn2")
    after_scale, after_shift = scale_and_shift(tensors, "features")
    bias = np.asarray(tensors["fc.bias"], np.float64)
    bias = bias + np.einsum("ocp,c->o", weight, before_shift)
    kernel = np.einsum("ocp,c,o->pco", weight, before_scale, after_scale)
    return {
        "kernel": np.ascontiguousarray(kernel.reshape(-1, EMBEDDING_SIZE), np.float32),
        "bias": (bias * after_scale + after_shift).astype(np.float32),
    }
