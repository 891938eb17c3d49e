"""Timing against a named baseline in the same run, shared by the benchmarks of this folder."""

import json
import platform
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from liax_jax.evaluation.timing import convolution_flops, median_seconds, plain_convolution
from liax_jax.models import AnimatorModule, ModelConfig

__all__ = [
    "convolution_flops",
    "median_seconds",
    "plain_convolution",
    "random_params",
    "report",
]


def random_params(config: ModelConfig) -> dict:
    """Parameters without compiling their initialisation."""
    picture = jax.ShapeDtypeStruct((1, config.resolution, config.resolution, 3), jnp.float32)
    shapes = jax.eval_shape(AnimatorModule(config).init, jax.random.key(0), picture, picture)
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda s: jnp.asarray(rng.standard_normal(s.shape, dtype=np.float32)), shapes
    )


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
