"""Compiled steps and states of the tiny run, shared: compiling takes most of the time."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
import tiny
from ml_collections import ConfigDict

from liax_jax.data.procedural import ProceduralClips
from liax_jax.training import sharding
from liax_jax.training.state import TrainState, create_train_state
from liax_jax.training.step import jit_train_step

# Half of the compile time; the programs run no slower, as convolutions come from a library.
COMPILER_OPTIONS = {"xla_backend_optimization_level": 0}


class CompiledStep:
    """The training step of a config on the first data × fsdp devices, as the loop compiles it."""

    def __init__(self, config: ConfigDict, data: int = 1, fsdp: int = 1):
        self.mesh = sharding.make_mesh(
            {"data": data, "fsdp": fsdp}, devices=jax.devices()[: data * fsdp]
        )
        like = sharding.place(jax.eval_shape(lambda: create_train_state(config)), self.mesh)
        self.shardings = jax.tree.map(lambda x: x.sharding, like)
        self._step = jit_train_step(config, self.mesh, like, COMPILER_OPTIONS)

    def put(self, state: TrainState) -> TrainState:
        """A copy of a state on the devices, which a step may consume."""
        return jax.device_put(jax.tree.map(np.copy, state), self.shardings)

    def __call__(
        self, state: TrainState, batch: dict[str, np.ndarray]
    ) -> tuple[TrainState, dict[str, float]]:
        # Optax's Adam itself relies on implicit promotion.
        with jax.numpy_dtype_promotion("standard"):
            state, metrics = self._step(state, sharding.shard_batch(batch, self.mesh), None)
        return state, {name: float(value) for name, value in metrics.items()}


@pytest.fixture(scope="session")
def run_config() -> ConfigDict:
    """tests/training/tiny.py; copy it before changing a field."""
    return tiny.get_config().lock()


@pytest.fixture(scope="session")
def initial_state(run_config) -> TrainState:
    """The state that a tiny run begins with, on the host."""
    create = jax.jit(lambda: create_train_state(run_config), compiler_options=COMPILER_OPTIONS)
    return jax.device_get(create())


@pytest.fixture(scope="session")
def initial_generator_state(initial_state) -> TrainState:
    """The same without a discriminator."""
    return dataclasses.replace(initial_state, discriminator=None)


@pytest.fixture(scope="session")
def compile_step() -> Callable[..., CompiledStep]:
    return CompiledStep


@pytest.fixture(scope="session")
def tiny_step(run_config) -> CompiledStep:
    """The step of the tiny run on one device, for pictures in float32 (a batch may hold NaN)."""
    return CompiledStep(run_config)


@pytest.fixture(scope="session")
def make_batch() -> Callable[..., dict[str, np.ndarray]]:
    """make_batch(seed, dtype=np.float32): eight pairs of drawn portraits."""
    clips = ProceduralClips(resolution=32, num_clips=6, frames_per_clip=6)

    def make(seed: int, dtype: Any = np.float32) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        faces, times = rng.integers(6, size=8), rng.integers(6, size=(2, 8))
        batch = {
            name: np.stack([clips.frame(clip, t) for clip, t in zip(faces, row, strict=True)])
            for name, row in zip(("source", "driving"), times, strict=True)
        }
        if dtype == np.uint8:
            return batch
        return {name: (x / 127.5 - 1).astype(dtype) for name, x in batch.items()}

    return make
