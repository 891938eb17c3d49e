"""Weights drawn from a name and a seed, so that a recording needs to hold no weights.

Only NumPy: the scripts in tests/goldens use it too, where there is torch and no JAX.
"""

import zlib
from collections.abc import Mapping

import numpy as np


def draw(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """float32 values for one tensor of a torch network; those of normalisations are plausible.

    Each name has numbers of its own, whatever else is drawn and in which order.
    """
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    if name.endswith("running_var"):
        return rng.uniform(0.6, 1.6, shape).astype(np.float32)
    if "prelu" in name:
        return rng.uniform(0.1, 0.4, shape).astype(np.float32)
    if len(shape) == 1 and name.endswith("weight"):
        # The last of a block is small, so that sums over many blocks stay about 1.
        low, high = (0.1, 0.3) if name.endswith("bn3.weight") else (0.5, 1.2)
        return rng.uniform(low, high, shape).astype(np.float32)
    values = rng.standard_normal(shape, dtype=np.float32)
    if len(shape) == 1:
        return values * np.float32(0.1)
    return values * np.float32(np.sqrt(2 / np.prod(shape[1:])))


def draw_all(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, np.ndarray]:
    return {name: draw(name, shape, seed) for name, shape in shapes.items()}


def draw_pictures(count: int, height: int, width: int, seed: int) -> np.ndarray:
    """(count, height, width, 3) float32 in [0, 1]: blobs of colour with some noise on them."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float32) / max(height, width)
    pictures = np.empty((count, height, width, 3), np.float32)
    for index in np.ndindex(count, 3):
        frequency, phase = rng.uniform(2, 14, 2), rng.uniform(0, 6, 2)
        waves = np.sin(frequency[0] * x + phase[0]) * np.sin(frequency[1] * y + phase[1])
        noise = rng.uniform(-0.1, 0.1, (height, width))
        pictures[index[0], :, :, index[1]] = 0.5 + 0.4 * waves + noise
    return pictures
