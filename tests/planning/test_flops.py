"""The count against XLA's own, and loops and branches, which XLA's count has otherwise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from liax_jax import ops
from liax_jax.planning.flops import count_flops, count_jaxpr_flops

_X, _KERNEL = jnp.zeros((2, 16, 16, 8)), jnp.zeros((3, 3, 8, 12))


def _same(x, kernel):
    return ops.conv2d(x, kernel)


def _halved(x, kernel):
    return ops.conv2d(x, kernel, stride=2, padding="VALID")


def _doubled(x, kernel):
    return lax.conv_transpose(x, kernel, (2, 2), "VALID")


@pytest.mark.parametrize("function", [_same, _halved, _doubled])
@pytest.mark.parametrize("gradient", [False, True])
def test_convolutions_agree_with_the_compiler(function, gradient):
    def run(x, kernel):
        if not gradient:
            return function(x, kernel)
        return jax.grad(lambda *a: jnp.square(function(*a)).sum(), argnums=(0, 1))(x, kernel)

    theirs = jax.jit(run).lower(_X, _KERNEL).cost_analysis()["flops"]
    # Theirs has the squares of the loss besides.
    assert count_flops(run, _X, _KERNEL) == pytest.approx(theirs, rel=0.02)


def test_a_convolution_by_hand():
    # 14 × 14 outputs have nine taps, 4 · 14 on the edges six, the corners four.
    taps = 14 * 14 * 9 + 4 * 14 * 6 + 4 * 4
    assert count_flops(_same, _X, _KERNEL) == 2 * 2 * taps * 8 * 12


def test_matrix_products_and_loops():
    matrices = jnp.zeros((5, 32, 32))

    def chain(matrices):
        return lax.scan(lambda x, m: (x @ m, None), jnp.eye(32), matrices)[0]

    assert count_flops(chain, matrices) == 5 * 2 * 32**3


def test_of_a_conditional_one_branch_counts():
    def maybe(flag, x):
        return lax.cond(flag, lambda: x @ x, lambda: x)

    jaxpr = jax.make_jaxpr(maybe)(True, jnp.zeros((8, 8))).jaxpr
    assert count_jaxpr_flops(jaxpr) == 2 * 8**3
    assert count_jaxpr_flops(jaxpr, min) == 0


def test_a_loop_of_unknown_length_is_an_error_where_it_computes():
    def endless(x):
        return lax.while_loop(lambda x: x[0, 0] < 1, lambda x: x @ x, x)

    with pytest.raises(ValueError, match="while loop"):
        count_flops(endless, np.eye(4))
