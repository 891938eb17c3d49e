"""However the blocks of a level are run, they are the same blocks."""

import dataclasses
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from liax_jax.layers import FlowBlock
from liax_jax.models import AnimatorModule, ModelConfig
from liax_jax.models.residual_blocks import residual_blocks
from liax_jax.training.flops import program_flops

_CONFIG = ModelConfig(resolution=32, width=1 / 16, num_blocks=3, num_vectors=4, groups=4)
_WAYS = [
    {"scan_blocks": True},
    {"remat": "blocks"},
    {"remat": "levels"},
    {"scan_blocks": True, "remat": "blocks"},
    {"scan_blocks": True, "remat": "levels"},
]


class _Level(nn.Module):
    config: ModelConfig

    @nn.compact
    def __call__(self, x, style):
        return residual_blocks(self, partial(FlowBlock, self.config.groups), 8, x, style)


def _value_and_gradients(config):
    rng = np.random.default_rng(0)
    x, style = (jnp.asarray(rng.standard_normal(s), jnp.float32) for s in ((2, 8, 8, 8), (2, 16)))
    shapes = jax.eval_shape(_Level(_CONFIG).init, jax.random.key(0), x, style)
    params = jax.tree.map(lambda s: jnp.asarray(rng.standard_normal(s.shape), jnp.float32), shapes)

    def run(params, x, style):
        out = _Level(config).apply(params, x, style)
        return jnp.square(out).mean(), out

    return jax.jit(jax.grad(run, argnums=(0, 1, 2), has_aux=True))(params, x, style)


@pytest.fixture(scope="module")
def plain():
    return _value_and_gradients(_CONFIG)


@pytest.mark.parametrize("way", _WAYS)
def test_numbers_and_gradients_are_the_same(way, plain):
    result = _value_and_gradients(dataclasses.replace(_CONFIG, **way))
    assert jax.tree.structure(result) == jax.tree.structure(plain)
    for ours, theirs in zip(jax.tree.leaves(result), jax.tree.leaves(plain), strict=True):
        scale = np.abs(theirs).max()
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6 * scale)


def _arguments(config, make_params):
    side = config.resolution
    picture = jax.ShapeDtypeStruct((2, side, side, 3), jnp.float32)
    return jax.eval_shape(lambda: make_params(config)), picture


def _loss(config):
    def loss(params, source, driving):
        image, _ = AnimatorModule(config).apply({"params": params}, source, driving)
        return jnp.square(image - driving).mean()

    return loss


@pytest.mark.parametrize("way", _WAYS)
def test_parameters_have_the_same_names_and_shapes(way):
    def shapes(config):
        picture = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
        return jax.eval_shape(AnimatorModule(config).init, jax.random.key(0), picture, picture)

    assert shapes(dataclasses.replace(_CONFIG, **way)) == shapes(_CONFIG)


def test_what_is_computed_again_is_counted(make_params):
    params, picture = _arguments(_CONFIG, make_params)

    def count_flops(function):
        return program_flops(jax.make_jaxpr(function)(params, picture, picture).jaxpr)

    flops = {}
    for remat in ("none", "blocks", "levels"):
        config = dataclasses.replace(_CONFIG, remat=remat)
        flops[remat] = count_flops(jax.grad(_loss(config)))
    forward = count_flops(_loss(_CONFIG))
    assert flops["none"] < flops["blocks"] < flops["none"] + forward
    assert flops["none"] + forward < flops["levels"] < flops["none"] + 2 * forward


def test_a_scanned_model_is_a_shorter_program(make_params):
    params, picture = _arguments(_CONFIG, make_params)

    def convolutions(config):
        jaxpr = jax.make_jaxpr(_loss(config))(params, picture, picture)
        return str(jaxpr).count("conv_general_dilated[")

    # Three blocks of two convolutions, in flow generator and renderer, on three levels.
    saved = convolutions(_CONFIG) - convolutions(dataclasses.replace(_CONFIG, scan_blocks=True))
    assert saved == (3 - 1) * 2 * 2 * 3
