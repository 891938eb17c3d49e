"""Counted operations: by hand, and beside XLA's own count."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from liax_jax import ops
from liax_jax.training.flops import program_flops
from liax_jax.training.state import create_train_state
from liax_jax.training.step import make_train_step, model_flops


def count(function, *shapes, **options):
    arguments = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return program_flops(jax.make_jaxpr(function)(*arguments).jaxpr, **options)


def by_xla(function, *shapes):
    arguments = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return jax.jit(function).lower(*arguments).cost_analysis()["flops"]


def test_a_matrix_product():
    assert count(lambda a, b: a @ b, (5, 7), (7, 3)) == 2 * 5 * 7 * 3
    assert count(lambda a, b: jnp.einsum("bij,bjk->bik", a, b), (4, 5, 7), (4, 7, 3)) == 840


def test_taps_outside_of_the_picture_are_not_work():
    x, kernel = (2, 6, 6, 4), (3, 3, 4, 8)
    inside = 6 * 3 - 2  # of the taps of a row of six, the first and the last have one outside
    assert count(ops.conv2d, x, kernel) == 2 * 2 * 8 * 4 * inside**2
    assert count(ops.conv2d, x, kernel, with_padding=True) == 2 * 2 * 8 * 4 * 18**2


@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_as_xla_counts_them(stride):
    def loss(x, kernel):
        y = jax.lax.conv_general_dilated(
            x, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return jnp.sum(y * y)  # so that the gradient needs the forward pass

    shapes = (2, 16, 16, 32), (3, 3, 32, 64)
    gradient = jax.grad(loss, argnums=(0, 1))
    assert count(gradient, *shapes) == pytest.approx(by_xla(gradient, *shapes), rel=0.03)


def test_every_turn_of_a_loop_and_the_cheapest_branch():
    def loop(a):
        return jax.lax.scan(lambda x, _: (x @ a, None), a, None, length=5)[0]

    def branches(a):
        return jax.lax.cond(a[0, 0] > 0, lambda: a @ a @ a, lambda: a @ a)

    assert count(loop, (4, 4)) == 5 * 128
    assert count(branches, (4, 4)) == 128
    assert count(branches, (4, 4), branch=max) == 256
    assert count(lambda a: jax.lax.cond(a[0, 0] > 0, lambda: a @ a, lambda: a), (4, 4)) == 0


def test_calls_and_recomputed_parts_are_looked_into():
    assert count(jax.jit(lambda a: a @ a), (4, 4)) == 128
    recomputed = jax.grad(lambda a: jax.checkpoint(lambda b: jnp.sum(jnp.sin(b @ b)))(a))
    assert count(recomputed, (4, 4)) == 4 * 128  # forward, forward again, two gradients


def test_the_warp_is_not_counted():
    grid = np.zeros((1, 8, 8, 2), np.float32)
    assert count(lambda f: ops.bilinear_warp(f, grid, True), (1, 8, 8, 4)) == 0


@pytest.mark.usefixtures("standard_promotion")
def test_what_is_computed_again_is_none_of_the_models_operations():
    config = tiny.get_config()
    counts = {}
    for remat in ("none", "blocks", "levels"):
        config.model.remat = remat
        state = jax.eval_shape(lambda: create_train_state(config))
        pictures = jax.ShapeDtypeStruct((config.batch_size, 32, 32, 3), jnp.uint8)
        arguments = (state, {"source": pictures, "driving": pictures}, None)
        program = jax.make_jaxpr(make_train_step(config))(*arguments).jaxpr
        counts[remat] = (program_flops(program), model_flops(config, program, arguments))
    assert counts["levels"][0] > counts["blocks"][0] > counts["none"][0]
    assert counts["levels"][1] == counts["blocks"][1] == counts["none"][1] == counts["none"][0]
