"""The sparse motion dictionary: orthonormal, differentiable, with fixed signs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from liax_jax.models.motion_dictionary import MotionDictionary, orthonormal_basis

D, M = 24, 6


def apply(dictionary, variables, *arguments, **options):
    return jax.jit(dictionary.apply, static_argnames="method")(variables, *arguments, **options)


@pytest.fixture(scope="module")
def weight() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((D, M), dtype=np.float32)


@pytest.mark.parametrize("shape", [(1024, 40), (32, 32), (24, 1)])
def test_columns_are_orthonormal(shape):
    weight = np.random.default_rng(1).standard_normal(shape, dtype=np.float32)
    q = np.asarray(jax.jit(orthonormal_basis)(weight), np.float64)
    np.testing.assert_allclose(q.T @ q, np.eye(shape[1]), atol=1e-5)


def test_the_diagonal_of_r_is_positive(weight):
    q = orthonormal_basis(jnp.asarray(weight))
    r = np.asarray(q, np.float64).T @ weight
    assert (np.diagonal(r) > 0).all()
    np.testing.assert_allclose(np.tril(r, -1), 0, atol=1e-5)
    np.testing.assert_allclose(q @ r, weight, atol=1e-5)
    # Gram-Schmidt has this convention by construction.
    expected = np.zeros((D, M))
    for i in range(M):
        rest = weight[:, i] - expected[:, :i] @ (expected[:, :i].T @ weight[:, i])
        expected[:, i] = rest / np.linalg.norm(rest)
    np.testing.assert_allclose(q, expected, atol=1e-5)


def test_what_changes_the_directions_and_what_does_not(weight):
    basis = jax.jit(orthonormal_basis)
    q = basis(weight)
    lengths = np.linspace(0.1, 9, M, dtype=np.float32)
    np.testing.assert_allclose(basis(weight * lengths), q, atol=1e-5)
    mixed = weight.copy()
    mixed[:, 3] += 2 * weight[:, 1]  # what lies along earlier columns is projected away
    np.testing.assert_allclose(basis(mixed), q, atol=1e-5)
    turned = weight.copy()
    turned[:, 2] *= -1  # turns that direction around, and no other
    signs = np.where(np.arange(M) == 2, -1, 1).astype(np.float32)
    np.testing.assert_allclose(basis(turned), q * signs, atol=1e-5)


def test_gradient_equals_central_differences_in_float64(weight):
    rng = np.random.default_rng(2)
    with jax.enable_x64(True):
        wide = jnp.asarray(weight, jnp.float64)
        cotangent = jnp.asarray(rng.standard_normal((D, M)))
        function = jax.jit(lambda w: jnp.vdot(orthonormal_basis(w), cotangent))
        gradient = np.asarray(jax.jit(jax.grad(function))(wide))
        numeric = np.zeros((D, M))
        for i, j in np.ndindex(D, M):
            step = np.zeros((D, M))
            step[i, j] = 1e-6
            numeric[i, j] = (function(wide + step) - function(wide - step)) / 2e-6
        np.testing.assert_allclose(gradient, numeric, atol=1e-7)
    narrow = jax.grad(lambda w: jnp.vdot(orthonormal_basis(w), jnp.float32(cotangent)))
    np.testing.assert_allclose(narrow(jnp.asarray(weight)), gradient, atol=1e-4)


def test_every_direction_moves_by_its_coefficient_along_itself(weight):
    dictionary, variables = MotionDictionary(D, M), {"params": {"weight": weight}}
    q = apply(dictionary, variables, method="directions")
    assert q.shape == (D, M) and q.dtype == jnp.float32
    one_hot = np.eye(M, dtype=np.float32)
    np.testing.assert_allclose(apply(dictionary, variables, 3 * one_hot), 3 * q.T, atol=1e-5)
    np.testing.assert_array_equal(apply(dictionary, variables, np.zeros((2, M), np.float32)), 0)
    alpha = np.random.default_rng(3).standard_normal((4, M), dtype=np.float32)
    moved = apply(dictionary, variables, alpha)
    np.testing.assert_allclose(
        np.linalg.norm(moved, axis=1), np.linalg.norm(alpha, axis=1), rtol=1e-5
    )
    np.testing.assert_allclose(moved @ q, alpha, atol=1e-5)


def test_every_entry_of_the_weight_gets_a_finite_gradient(weight):
    dictionary = MotionDictionary(D, M)
    alpha = np.ones((1, M), np.float32)
    target = np.random.default_rng(4).standard_normal((1, D), dtype=np.float32)
    gradient = jax.grad(
        lambda w: jnp.vdot(apply(dictionary, {"params": {"weight": w}}, alpha), target)
    )(jnp.asarray(weight))
    assert np.isfinite(gradient).all() and (np.abs(gradient).max(0) > 1e-4).all()


@pytest.mark.parametrize("kind", ["zero", "repeated column", "tiny", "vanishing"])
def test_degenerate_weights_still_give_orthonormal_directions(kind, weight):
    """Householder QR completes the basis; which one is arbitrary where columns depend.

    The gradient is only defined for independent columns: it grows like 1 over what is left of a
    column beside the earlier ones, and is then the affair of the trainer's check for finite values.
    """
    degenerate = {
        "zero": np.zeros_like(weight),
        "repeated column": np.repeat(weight[:, :1], M, axis=1),
        "tiny": 1e-5 * weight,
        "vanishing": 1e-30 * weight,
    }[kind]
    dictionary, variables = MotionDictionary(D, M), {"params": {"weight": degenerate}}
    q = apply(dictionary, variables, method="directions")
    np.testing.assert_allclose(q.T @ q, np.eye(M), atol=1e-5)
    if kind == "tiny":  # the 1e-8 that is added before the QR hardly shows: same directions
        np.testing.assert_allclose(q, orthonormal_basis(jnp.asarray(weight)), atol=0.02)
        gradient = jax.grad(lambda w: orthonormal_basis(w).sum())(jnp.asarray(degenerate))
        reference = jax.grad(lambda w: orthonormal_basis(w).sum())(jnp.asarray(weight))
        np.testing.assert_allclose(1e-5 * gradient, reference, atol=1e-4)
