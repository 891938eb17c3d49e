"""VGG19 features for the perceptual term (Simonyan & Zisserman 2015; ℒ_vgg of eq. 5).

The ImageNet weights are the user's to supply: torchvision's published `vgg19-*.pth`, or the same
tensors as safetensors. Without them the config has to ask for `"random"` in words.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from liax_jax import ops
from liax_jax.log import logger

# (index in torchvision's `features`, output channels) of the convolutions up to relu5_1; "pool"
# halves. The taps are the first activation of each of the five stages.
_STAGES: tuple[tuple[tuple[int, int], ...], ...] = (
    ((0, 64), (2, 64)),
    ((5, 128), (7, 128)),
    ((10, 256), (12, 256), (14, 256), (16, 256)),
    ((19, 512), (21, 512), (23, 512), (25, 512)),
    ((28, 512),),
)
TAPS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STDDEV = (0.229, 0.224, 0.225)
MIN_RESOLUTION = 2 ** (len(_STAGES) - 1)  # smaller pictures have no relu5_1

VGGParams = dict[str, dict[str, jax.Array]]


def _layers() -> list[tuple[str, int, int, int]]:
    """(name, torchvision index, input channels, output channels) of every convolution."""
    layers, channels = [], 3
    for stage, convs in enumerate(_STAGES, start=1):
        for number, (index, features) in enumerate(convs, start=1):
            layers.append((f"conv{stage}_{number}", index, channels, features))
            channels = features
    return layers


def vgg19_features(params: VGGParams, image: jax.Array) -> list[jax.Array]:
    """Activations relu1_1, relu2_1, relu3_1, relu4_1, relu5_1.

    Args:
      params: from `load_vgg19` or `random_vgg19`.
      image: (b, h, w, 3) in [-1, 1] (values outside are clamped), h and w at least 16.

    Returns:
      Five arrays (b, h/2ⁱ, w/2ⁱ, c), i = 0 … 4, c = 64, 128, 256, 512, 512.
    """
    if min(image.shape[1:3]) < MIN_RESOLUTION:
        raise ValueError(
            f"VGG19 needs pictures of at least {MIN_RESOLUTION} pixels to reach relu5_1; got "
            f"{image.shape}. Use fewer perceptual scales or a higher resolution"
        )
    # [-1, 1] → [0, 1] → ImageNet statistics, in one multiply and add.
    mean, stddev = np.array(_IMAGENET_MEAN), np.array(_IMAGENET_STDDEV)
    scale = jnp.asarray(0.5 / stddev, image.dtype)
    shift = jnp.asarray((0.5 - mean) / stddev, image.dtype)
    x = jnp.clip(image, -1, 1) * scale + shift
    taps = []
    for stage, convs in enumerate(_STAGES, start=1):
        if stage > 1:
            x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        for number in range(1, len(convs) + 1):
            layer = params[f"conv{stage}_{number}"]
            x = ops.conv2d(x, layer["kernel"].astype(x.dtype)) + layer["bias"].astype(x.dtype)
            x = jax.nn.relu(x)
            if number == 1:
                taps.append(x)
    return taps


def gaussian_downsample(image: jax.Array, factor: int) -> jax.Array:
    """Gaussian-antialiased reduction by an integer factor: (b, h, w, c) → (b, h/f, w/f, c).

    σ = (f − 1)/2, window 2·round(4σ) + 1, zeros outside, then every f-th pixel from the first:
    the pyramid of the first-order motion model (Siarohin et al. 2019), which LIA's objective uses.
    Separable, as one small matrix per axis.
    """
    if factor == 1:
        return image
    for axis in (1, 2):
        matrix = jnp.asarray(_downsampling_matrix(image.shape[axis], factor), image.dtype)
        image = jnp.moveaxis(jnp.tensordot(matrix, image, axes=(1, axis)), 0, axis)
    return image


def _downsampling_matrix(size: int, factor: int) -> np.ndarray:
    """(size // factor, size): row i is the Gaussian centred on pixel i · factor."""
    sigma = (factor - 1) / 2
    radius = round(4 * sigma)
    taps = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    taps /= taps.sum()
    matrix = np.zeros((size // factor, size))
    for i in range(size // factor):
        for offset, tap in zip(range(-radius, radius + 1), taps, strict=True):
            if 0 <= i * factor + offset < size:
                matrix[i, i * factor + offset] += tap
    return matrix


def random_vgg19(seed: int = 0) -> VGGParams:
    """He-initialised VGG19: random projections, not a perceptual metric. Logged as a warning."""
    logger.warning(
        'perceptual.weights = "random": the perceptual term compares random projections, not what '
        "people see. Give the path of torchvision's vgg19 weights for the published objective."
    )
    rng = np.random.default_rng(seed)
    params = {}
    for name, _, inputs, outputs in _layers():
        kernel = rng.standard_normal((3, 3, inputs, outputs), dtype=np.float32)
        kernel *= np.sqrt(2 / (9 * inputs))
        params[name] = {
            "kernel": jnp.asarray(kernel),
            "bias": jnp.zeros((outputs,), jnp.float32),
        }
    return params


def abstract_vgg19() -> dict[str, dict[str, jax.ShapeDtypeStruct]]:
    """Shapes and types of the parameters, without weights."""
    return {
        name: {
            "kernel": jax.ShapeDtypeStruct((3, 3, inputs, outputs), jnp.float32),
            "bias": jax.ShapeDtypeStruct((outputs,), jnp.float32),
        }
        for name, _, inputs, outputs in _layers()
    }


def load_vgg19(path: str | Path) -> VGGParams:
    """Reads torchvision's VGG19 weights and logs their SHA-256.

    Args:
      path: `.safetensors`, or `.pth`/`.pt` (torch isn't needed; nothing in the file is executed).
        Keys `features.{i}.weight` (o, i, 3, 3) and `features.{i}.bias`, as published.
        Layers after relu5_1 and the classifier are not read.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: another kind of file, or tensors missing or misshapen (all are named).
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"perceptual weights: there is no file {path}. Give torchvision's vgg19-*.pth (or the "
            'same as .safetensors), or set perceptual.weights = "random" to train without them'
        )
    from liax_jax.weights import read_state_dict

    params = vgg19_from_state_dict(read_state_dict(path))
    logger.info("perceptual weights %s, SHA-256 %s", path.name, _sha256(path))
    return params


def vgg19_from_state_dict(state: Mapping[str, np.ndarray]) -> VGGParams:
    """torchvision's names and layouts → ours. Raises ValueError listing what doesn't fit."""
    problems = []
    for key, shape in published_shapes().items():
        if key not in state:
            problems.append(f"missing {key}")
        elif tuple(state[key].shape) != shape:
            problems.append(f"{key} has shape {tuple(state[key].shape)}, expected {shape}")
    if problems:
        raise ValueError("these are not torchvision's VGG19 weights: " + "; ".join(problems))
    params = {}
    for name, index, _, _ in _layers():
        weight = np.asarray(state[f"features.{index}.weight"], np.float32)
        bias = np.asarray(state[f"features.{index}.bias"], np.float32)
        params[name] = {
            "kernel": jnp.asarray(weight.transpose(2, 3, 1, 0)),
            "bias": jnp.asarray(bias),
        }
    return params


def published_shapes() -> dict[str, tuple[int, ...]]:
    """torchvision's names of the tensors that are read, and their shapes."""
    shapes: dict[str, tuple[int, ...]] = {}
    for _, index, inputs, outputs in _layers():
        shapes[f"features.{index}.weight"] = (outputs, inputs, 3, 3)
        shapes[f"features.{index}.bias"] = (outputs,)
    return shapes


def perceptual_params(weights: str, seed: int = 0) -> VGGParams:
    """`weights` of the config: "random" in words, or a path. Never a silent fallback."""
    if not weights:
        raise ValueError(
            "perceptual.weights is empty: give the path of torchvision's vgg19-*.pth or "
            '.safetensors, or say "random"'
        )
    return random_vgg19(seed) if weights == "random" else load_vgg19(weights)


def check_scales(resolution: int, scales: Sequence[int]) -> None:
    """Raises ValueError where a scale leaves fewer pixels than VGG19 needs."""
    for factor in scales:
        if resolution // factor < MIN_RESOLUTION:
            raise ValueError(
                f"perceptual.scales: 1/{factor} of {resolution} pixels is {resolution // factor}, "
                f"and VGG19 needs {MIN_RESOLUTION} to reach relu5_1; leave that scale out"
            )


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
