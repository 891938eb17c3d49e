"""What saving costs a run: time lost to one save, as a share of the steps between two of them.

  python -m benchmarks.checkpoint [--config configs/demo.py] [--saves 5] [--dir FOLDER]

Steps are timed without a save; then a save is started after a step, and steps go on while it is
written. Lost are the seconds that starting it blocks, and what steps take longer while it runs.
Beside it stands what would be lost if nothing ran beside it: the whole time of the save.
"""

import statistics
import tempfile
import time
from collections.abc import Callable

import jax
import numpy as np
from absl import app, flags
from ml_collections import config_flags

from benchmarks.measure import report
from liax_jax.checkpoint import Checkpoints
from liax_jax.log import show_messages
from liax_jax.models import perceptual
from liax_jax.runtime import keep_freed_memory
from liax_jax.training.state import TrainState, create_train_state
from liax_jax.training.step import make_train_step

_CONFIG = config_flags.DEFINE_config_file("config", "configs/demo.py", "Config of the step.")
_SAVES = flags.DEFINE_integer("saves", 5, "How many saves are measured.")
_STEPS = flags.DEFINE_integer("steps", 20, "How many steps are timed without a save.")
_DIR = flags.DEFINE_string("dir", None, "Folder of the disk to write to (default: temporary).")
TARGET = 0.05


class _Run:
    """Steps of a config on random pictures."""

    def __init__(self, config):
        self.state: TrainState = jax.jit(lambda: create_train_state(config))()
        self._frozen = None
        if config.loss.perceptual:
            fields = config.perceptual
            self._frozen = perceptual.perceptual_params(fields.weights, config.seed)
        self._step: Callable = jax.jit(make_train_step(config), donate_argnums=0)
        shape = (config.batch_size, config.model.resolution, config.model.resolution, 3)
        rng = np.random.default_rng(0)
        self._batch = {
            name: rng.integers(0, 256, shape, np.uint8) for name in ("source", "driving")
        }

    def step(self) -> float:
        """Seconds of one."""
        started = time.perf_counter()
        self.state, _ = self._step(self.state, self._batch, self._frozen)
        jax.block_until_ready(self.state)
        return time.perf_counter() - started


def _one_save(run: _Run, checkpoints: Checkpoints, plain: float) -> dict[str, float]:
    """Seconds that a save blocks, that it takes, and that the steps beside it lose."""
    started = time.perf_counter()
    checkpoints.save(run.state)
    blocked = time.perf_counter() - started
    beside = []
    while checkpoints.saving:
        beside.append(run.step())
    checkpoints.wait()
    whole = time.perf_counter() - started
    slower = max(0.0, sum(beside) - plain * len(beside))
    return {"blocked": blocked, "whole": whole, "slower": slower, "steps_beside": len(beside)}


def main(_) -> None:
    show_messages()
    config = _CONFIG.value
    if jax.default_backend() == "cpu":
        keep_freed_memory()
    run = _Run(config)
    for _ in range(3):
        run.step()
    plain = statistics.median(run.step() for _ in range(_STEPS.value))
    saves = []
    with tempfile.TemporaryDirectory(dir=_DIR.value, prefix="liax_checkpoint_") as folder:
        checkpoints = Checkpoints(folder, keep=config.keep_checkpoints)
        for _ in range(_SAVES.value):
            run.step()
            saves.append(_one_save(run, checkpoints, plain))
        checkpoints.close()
    interval = plain * config.checkpoint_every
    middle = {key: statistics.median(save[key] for save in saves) for key in saves[0]}
    lost = statistics.median(save["blocked"] + save["slower"] for save in saves)
    figures = {
        "config": _CONFIG.value.model.to_dict(),
        "state_megabytes": sum(x.nbytes for x in jax.tree.leaves(run.state)) / 1e6,
        "checkpoint_every": config.checkpoint_every,
        "step_seconds": plain,
        "save_seconds": middle,
        "share_lost": lost / interval,
        "share_if_nothing_ran_beside": middle["whole"] / interval,
    }
    print(
        f"saving every {config.checkpoint_every} steps of {plain * 1e3:.0f} ms loses "
        f"{figures['share_lost']:.3%} of the time (target: below {TARGET:.0%}); "
        f"{figures['share_if_nothing_ran_beside']:.3%} if nothing ran beside it"
    )
    report("checkpoint", figures)


if __name__ == "__main__":
    app.run(main)
