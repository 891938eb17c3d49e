"""Eight CPU devices, strict dtype promotion, and a model small enough for every test."""

import os
import tempfile
from pathlib import Path

os.environ["JAX_PLATFORMS"] = "cpu"
_DEVICES = "--xla_force_host_platform_device_count"
if _DEVICES not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_DEVICES}=8".strip()

os.environ.setdefault("NPROC", "64")  # see runtime.threads_for_cpu_devices

# Compiled programs are kept between runs, and shared with the workers of pytest-xdist and with the
# commands that tests start: compiling is most of the suite's time. An unreadable entry is compiled
# again. Owner only: the entries are executable code.
_CACHE = Path(tempfile.gettempdir()) / f"liax_jax_tests_{os.getuid()}"
_CACHE.mkdir(mode=0o700, exist_ok=True)
if _CACHE.stat().st_uid == os.getuid():
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_CACHE))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")

from collections.abc import Callable, Iterator  # noqa: E402
from typing import Any  # noqa: E402

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
from flax import traverse_util  # noqa: E402

from liax_jax.log import logger  # noqa: E402
from liax_jax.models import AnimatorModule, ModelConfig  # noqa: E402

# An accidental float32 · bfloat16 is an error here, and a silent loss of speed in a program.
jax.config.update("jax_numpy_dtype_promotion", "strict")


def draw_params(config: ModelConfig, seed: int = 0) -> dict[str, Any]:
    """Parameters drawn with NumPy, as `AnimatorModule.init` takes seconds to compile.

    Unlike at initialisation, biases, γ and the flow heads are not zero: nothing is a no-op.
    """
    picture = jax.ShapeDtypeStruct((1, config.resolution, config.resolution, 3), jnp.float32)
    shapes = jax.eval_shape(AnimatorModule(config).init, jax.random.key(0), picture, picture)
    rng = np.random.default_rng(seed)
    flat = {}
    for path, leaf in sorted(traverse_util.flatten_dict(shapes["params"], sep="/").items()):
        value = rng.standard_normal(leaf.shape, dtype=np.float32)
        if path.endswith(("modulation/bias", "norm/scale")):
            value = 1 + 0.1 * value
        elif path.endswith("bias") or ("to_flow" in path and path.endswith("conv/kernel")):
            value = 0.1 * value
        elif path.endswith("gamma"):
            value = 0.3 * value
        flat[path] = jnp.asarray(value)
    return traverse_util.unflatten_dict(flat, sep="/")


@pytest.fixture
def standard_promotion() -> Iterator[None]:
    """For code that runs Optax, whose Adam relies on implicit promotion."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Commands that a test runs in this process leave the logger as it was, for `caplog`."""
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.level, logger.propagate = before


@pytest.fixture(scope="session")
def make_params() -> Callable[..., dict[str, Any]]:
    """make_params(config, seed=0): parameters for a config, without compiling `init`."""
    return draw_params


@pytest.fixture(scope="session")
def tiny_config() -> ModelConfig:
    """LIA-X with 32-dimensional codes at 32 pixels."""
    return ModelConfig(resolution=32, width=1 / 16, num_blocks=1, num_vectors=4, groups=4)


@pytest.fixture(scope="session")
def tiny_params(tiny_config: ModelConfig) -> dict[str, Any]:
    return draw_params(tiny_config)
