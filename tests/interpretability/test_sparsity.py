"""Sparsity of codes: known values, no dependence on scale, control."""

import jax.numpy as jnp
import numpy as np
import pytest

from liax_jax.interpretability.sparsity import measure_sparsity
from liax_jax.metrics.coefficients import hoyer


def test_hoyer_of_known_codes():
    codes = jnp.array([[0.0, 3.0, 0.0, 0.0], [-1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0]])
    expected = [1.0, 0.0, 2 - np.sqrt(2)]
    np.testing.assert_allclose(hoyer(codes), expected, atol=1e-6)
    np.testing.assert_array_equal(hoyer(jnp.array([[0.5], [0.0]])), [1, 1])


def test_one_vector_a_frame_is_sparse_and_scale_does_not_matter():
    rng = np.random.default_rng(0)
    alpha = np.eye(10)[rng.integers(0, 10, 400)] * rng.uniform(1, 2, (400, 1))
    found, shrunk = measure_sparsity(alpha), measure_sparsity(1e-3 * alpha)
    assert found.values["gini"] == pytest.approx(0.9, abs=1e-5)  # 1 − 1/M at the most
    assert found.values["hoyer"] == pytest.approx(1, abs=1e-5)
    assert found.values["effective_vectors"] == pytest.approx(1, abs=1e-5)
    assert found.values["active_vectors"] == 1
    assert found.used_vectors == pytest.approx(10, rel=0.02) and found.num_moving == 10
    assert found.control["gini"] < 0.6 and found.control["effective_vectors"] > 5
    for name, value in found.values.items():
        assert shrunk.values[name] == pytest.approx(value, rel=1e-4), name


def test_frames_without_motion_do_not_count():
    alpha = np.random.default_rng(1).laplace(size=(300, 6))
    still = np.zeros((2700, 6))
    still[:, 2] = 1e-9  # rounding
    with_still, found = measure_sparsity(np.concatenate([alpha, still])), measure_sparsity(alpha)
    assert with_still.values == pytest.approx(found.values)
    assert with_still.control == pytest.approx(found.control)
    assert 0 < found.values["hoyer"] < 1 < found.values["effective_vectors"] < 6


def test_bad_input():
    with pytest.raises(ValueError, match="coefficient 1 of frame 2 is inf"):
        alpha = np.random.default_rng(0).normal(size=(9, 3))
        alpha[2, 1] = np.inf
        measure_sparsity(alpha)
    with pytest.raises(ValueError, match="at least 1"):
        measure_sparsity(np.random.default_rng(0).normal(size=(9, 3)), rotations=0)
