"""Weights drawn by name, the same in the scripts here (torch) and in the tests (without it)."""

import zlib
from collections.abc import Mapping

import numpy as np


def draw(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Float32 weights for published names, each from a generator of its own, so in any order.

    Convolutions keep the size of what they get; normalisation, biases and heads are not trivial.
    """
    return {name: _draw_one(name, tuple(shape)) for name, shape in shapes.items()}


def _draw_one(name: str, shape: tuple[int, ...]) -> np.ndarray:
    value = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape, np.float32)
    if name.startswith("lin"):
        return np.abs(value)
    if name.endswith("running_var"):
        return np.exp(0.3 * value)
    if name.endswith("prelu.weight"):
        return 0.25 + 0.05 * value
    if len(shape) == 1 and name.endswith("weight"):
        # The last normalisation of a residual block: small, so that sums of blocks stay about 1.
        return (1 + 0.1 * value) * np.float32(0.2 if name.endswith("bn3.weight") else 1)
    if len(shape) == 1:
        return 0.1 * value
    return value * np.float32(np.sqrt(2 / value[0].size))


def pictures(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Smooth colours with noise, (b, h, w, 3) float32 in [0, 1]."""
    rng = np.random.default_rng(seed)
    batch, height, width, _ = shape
    y, x = np.mgrid[0:height, 0:width] / height
    frequency = rng.uniform(2, 12, (2, batch, 1, 1, 3))
    wave = np.sin(frequency[0] * x[..., None] + frequency[1] * y[..., None])
    noise = rng.normal(0, 0.05, shape)
    return np.clip(0.5 + 0.4 * wave + noise, 0, 1).astype(np.float32)
