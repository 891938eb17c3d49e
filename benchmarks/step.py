"""A decoder frame and a training step, as shares of what a plain 3×3 convolution reaches.

  python -m benchmarks.step [--config configs/demo.py] [--keep_freed_memory=false]

GFLOP/s over GFLOP/s in the same run: the operations of all convolutions and matrix products of the
traced program over the time of the whole, warps, resampling and optimiser included.
"""

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags
from ml_collections import config_flags

from benchmarks.measure import (
    convolution_flops,
    median_seconds,
    plain_convolution,
    random_params,
    report,
)
from liax_jax.models import AnimatorModule, ModelConfig
from liax_jax.runtime import keep_freed_memory
from liax_jax.training.state import create_train_state
from liax_jax.training.step import make_train_step

_CONFIG = config_flags.DEFINE_config_file("config", "configs/demo.py", "Config of the step.")
_KEEP = flags.DEFINE_bool("keep_freed_memory", True, "Whether glibc keeps freed memory.")
_ONLY = flags.DEFINE_enum("only", "", ["", "decoder", "step"], "Measure one of the two.")


def decoder_frame() -> dict:
    """One frame from a navigated code and the source's features: what animation does per frame."""
    config = ModelConfig(resolution=512, width=0.5, num_blocks=4, num_vectors=40)
    animator, params = AnimatorModule(config), random_params(config)
    rng = np.random.default_rng(0)
    features = {
        r: jnp.asarray(rng.standard_normal((1, r, r, config.channels(r)), dtype=np.float32))
        for r in config.levels
    }
    z = jnp.asarray(rng.standard_normal((1, config.style_dim), dtype=np.float32))

    def decode(params, z, features):
        return animator.apply(params, z, features, method="decode")[0]

    return {
        "run": (lambda f: lambda: f(params, z, features))(jax.jit(decode)),
        "flops": convolution_flops(decode, params, z, features),
        "images": 1,
    }


def training_step() -> dict:
    """One step of the config, on random pictures."""
    config = _CONFIG.value
    state = jax.jit(lambda: create_train_state(config))()
    rng = np.random.default_rng(0)
    shape = (config.batch_size, config.model.resolution, config.model.resolution, 3)
    batch = {name: rng.integers(0, 256, shape, np.uint8) for name in ("source", "driving")}
    train_step = make_train_step(config)
    holder = {"state": state}
    step = jax.jit(train_step, donate_argnums=0)

    def run():
        holder["state"], metrics = step(holder["state"], batch, None)
        return metrics

    flops = convolution_flops(lambda s, b: train_step(s, b, None), state, batch)
    return {"run": run, "flops": flops, "images": config.batch_size}


def main(_) -> None:
    if _KEEP.value:
        keep_freed_memory()
    convolution, flops = plain_convolution()
    figures = {"keep_freed_memory": _KEEP.value}
    parts = {"decoder_frame": decoder_frame, "training_step": training_step}
    for name, make in parts.items():
        if _ONLY.value and _ONLY.value not in name:
            continue
        part = make()
        seconds = median_seconds({name: part["run"], "convolution": convolution})
        baseline = flops / seconds["convolution"]
        rate = part["flops"] / seconds[name]
        figures[name] = {
            "seconds": round(seconds[name], 4),
            "images_per_second": round(part["images"] / seconds[name], 2),
            "gflop": round(part["flops"] / 1e9, 2),
            "gflop_per_second": round(rate / 1e9, 1),
            "convolution_gflop_per_second": round(baseline / 1e9, 1),
            "share_of_convolution_rate": round(rate / baseline, 3),
        }
        print(name, figures[name])
    report("step" if _KEEP.value else "step-default-malloc", figures)


if __name__ == "__main__":
    app.run(main)
