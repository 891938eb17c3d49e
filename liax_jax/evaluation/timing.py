"""Timing against a named baseline in the same run."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from liax_jax import ops
from liax_jax.training.flops import program_flops


def median_seconds(functions: dict[str, Callable[[], Any]], repeats: int = 9) -> dict[str, float]:
    """Median time of each function; all take turns, so that a machine's drift meets them alike."""
    for function in functions.values():
        jax.block_until_ready(function())
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            start = time.perf_counter()
            jax.block_until_ready(function())
            times[name].append(time.perf_counter() - start)
    return {name: float(np.median(values)) for name, values in times.items()}


def convolution_flops(function: Callable, *arguments) -> float:
    """Multiplications and additions of all convolutions and matrix products in `function`."""
    return program_flops(jax.make_jaxpr(function)(*arguments).jaxpr, with_padding=True)


def plain_convolution(
    resolution: int = 64, channels: int = 256, batch: int = 1, dtype: Any = jnp.float32
) -> tuple[Callable[[], jax.Array], float]:
    """The baseline: one NHWC 3×3 convolution, and its floating-point operations."""
    keys = jax.random.split(jax.random.key(0))
    x = jax.random.normal(keys[0], (batch, resolution, resolution, channels), dtype)
    kernel = jax.random.normal(keys[1], (3, 3, channels, channels), dtype)
    run = jax.jit(ops.conv2d)
    return lambda: run(x, kernel), 2.0 * x.size * 9 * channels
