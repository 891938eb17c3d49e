"""Timing against a named baseline in the same run, shared by the benchmarks of this folder."""

import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from liax_jax import ops
from liax_jax.models import AnimatorModule, ModelConfig
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


def random_params(config: ModelConfig) -> dict:
    """Parameters without compiling their initialisation."""
    picture = jax.ShapeDtypeStruct((1, config.resolution, config.resolution, 3), jnp.float32)
    shapes = jax.eval_shape(AnimatorModule(config).init, jax.random.key(0), picture, picture)
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda s: jnp.asarray(rng.standard_normal(s.shape, dtype=np.float32)), shapes
    )


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


def report(name: str, figures: dict[str, Any], keep_others: bool = False) -> None:
    """Writes the figures to benchmarks/results/NAME-DEVICE.json.

    Args:
      keep_others: keep the figures of other parts that the file has from earlier runs.
    """
    device = jax.devices()[0]
    figures = {
        "date": time.strftime("%Y-%m-%d"),
        "device": device.device_kind if device.platform != "cpu" else _processor(),
        "devices": jax.device_count(),
        "jax": jax.__version__,
        **figures,
    }
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{device.platform}.json"
    if keep_others and path.exists():
        figures = json.loads(path.read_text()) | figures
    path.write_text(json.dumps(figures, indent=2) + "\n")
    print(f"written to benchmarks/results/{path.name}")


def _processor() -> str:
    import os

    model = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    return f"{model}, {len(os.sched_getaffinity(0))} cores"
