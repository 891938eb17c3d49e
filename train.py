"""Trains an animator: python train.py --config configs/demo.py --workdir runs/demo

Any field of the config can be set on the command line: --config.batch_size=8. Starting again with
the same workdir goes on where the last run stopped.
"""

# ruff: noqa: E402, because memory is seen to before JAX and its threads are there.
from liax_jax import runtime

runtime.keep_freed_memory_on_cpu()

from liax_jax.training.command import run_with_config
from liax_jax.training.loop import train_and_evaluate

if __name__ == "__main__":
    run_with_config(train_and_evaluate)
