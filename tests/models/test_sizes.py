"""Exact parameter counts, from shapes alone."""

import importlib
import math

import jax
import jax.numpy as jnp
import pytest

from liax_jax.models import AnimatorModule, ModelConfig


def parameter_count(config: ModelConfig) -> int:
    picture = jax.ShapeDtypeStruct((1, config.resolution, config.resolution, 3), jnp.float32)
    shapes = jax.eval_shape(AnimatorModule(config).init, jax.random.key(0), picture, picture)
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))


@pytest.mark.parametrize(
    "width, parameters", [(2.0, 910_571_751), (1.0, 227_728_551), (0.5, 56_974_983)]
)
def test_published_lia_x_sizes(width, parameters):
    config = ModelConfig(resolution=512, width=width, num_blocks=4, num_vectors=40)
    assert parameter_count(config) == parameters


def test_published_lia_size():
    # Its checkpoints hold 1,555 parameters that the model never uses: 13 noise strengths, and the
    # RGB layer at 4×4 of 3 · 512 weights and twice 3 biases.
    config = ModelConfig(family="lia", resolution=256, num_vectors=20)
    assert parameter_count(config) == 45_116_317 - (13 + 3 * 512 + 2 * 3)


@pytest.mark.parametrize(
    "name, resolution, parameters",
    [
        ("lia_x_base", 512, 46_103_187),
        ("lia_x_base", 256, 36_066_186),
        ("lia_x_middle", 512, 314_565_661),
        ("lia_x_middle", 256, 244_539_412),
        ("lia_x_large", 512, 910_571_751),
        ("lia_x_large", 256, 710_244_574),
        ("lia", 256, 45_114_762),
    ],
)
def test_sizes_of_the_presets(name, resolution, parameters):
    fields = importlib.import_module(f"configs.{name}").get_config().model
    fields.resolution = resolution
    assert parameter_count(ModelConfig(**fields)) == parameters
