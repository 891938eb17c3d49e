"""Measures of sparsity on coefficients whose sparsity is known."""

import jax.numpy as jnp
import numpy as np
import pytest

from liax_jax.metrics.coefficients import active_vectors, effective_vectors, gini

SIZE = 20


@pytest.fixture(scope="module")
def alpha():
    """Rows: one active; all equal, of either sign; half active; nothing."""
    rows = np.zeros((4, SIZE), np.float32)
    rows[0, 7] = -0.3
    rows[1] = 2.0 * np.where(np.arange(SIZE) % 2, 1, -1)
    rows[2, : SIZE // 2] = 0.01
    return jnp.asarray(rows)


def test_gini(alpha):
    np.testing.assert_allclose(gini(alpha)[:3], [1 - 1 / SIZE, 0, 0.5], atol=1e-6)


def test_gini_ignores_scale_order_and_sign():
    row = np.random.default_rng(0).standard_normal((1, SIZE)).astype(np.float32)
    changed = -7 * row[:, ::-1]
    np.testing.assert_allclose(gini(jnp.asarray(changed)), gini(jnp.asarray(row)), rtol=1e-5)
    # Half the mean absolute difference over the mean: the index by its definition.
    magnitude = np.abs(row[0])
    differences = np.abs(magnitude[:, None] - magnitude[None]).mean()
    np.testing.assert_allclose(
        gini(jnp.asarray(row))[0], differences / 2 / magnitude.mean(), rtol=1e-5
    )


def test_active_vectors(alpha):
    np.testing.assert_array_equal(active_vectors(alpha), [1, SIZE, SIZE // 2, 0])
    row = jnp.asarray([[1.0, -0.06, 0.04, 0.0]])
    assert int(active_vectors(row)[0]) == 2
    assert int(active_vectors(row, threshold=0.01)[0]) == 3


def test_effective_vectors(alpha):
    np.testing.assert_allclose(effective_vectors(alpha), [1, SIZE, SIZE / 2, 0], rtol=1e-5)


def test_all_measures_are_finite_without_any_motion(alpha):
    for measure in (gini, active_vectors, effective_vectors):
        assert np.isfinite(measure(alpha)[3])
