"""The Fréchet distance against scipy's matrix root, and the statistics it is computed from."""

import io

import numpy as np
import pytest
from scipy.linalg import sqrtm

from liax_jax.metrics.feature_statistics import FeatureStatistics
from liax_jax.metrics.frechet import frechet_distance


def statistics(rows: np.ndarray) -> FeatureStatistics:
    return FeatureStatistics.empty(rows.shape[1]).add(rows)


def by_definition(rows: np.ndarray, others: np.ndarray, added: float = 0.0) -> float:
    """With scipy's sqrtm of the product; `added` to both diagonals, as FID programs do."""
    rows, others = rows.astype(np.float64), others.astype(np.float64)
    eye = added * np.eye(rows.shape[1])
    covariance, other = np.cov(rows.T), np.cov(others.T)
    root = sqrtm((covariance + eye) @ (other + eye)).real
    step = rows.mean(0) - others.mean(0)
    return float(step @ step + np.trace(covariance) + np.trace(other) - 2 * np.trace(root))


def sample(seed: int, count: int, dimensions: int = 64, condition: float = 1e3) -> np.ndarray:
    """Correlated vectors, float32, whose covariance has about this condition number squared."""
    rng = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(rng.standard_normal((dimensions, dimensions)))
    scale = np.geomspace(1, 1 / condition, dimensions)
    mean = rng.standard_normal(dimensions)
    rows = rng.standard_normal((count, dimensions)) * scale @ basis + mean
    return rows.astype(np.float32)


@pytest.mark.parametrize("condition", [1.0, 1e2, 1e5])
@pytest.mark.parametrize("counts", [(500, 400), (500, 30), (20, 30)])
def test_distance_equals_scipy_on_ill_conditioned_and_singular_covariances(condition, counts):
    rows, others = (sample(seed, n, condition=condition) for seed, n in enumerate(counts))
    ours = frechet_distance(statistics(rows), statistics(others))
    # Where a covariance is singular the plain root of the product isn't reliable itself.
    reference = by_definition(rows, others, added=1e-10)
    assert reference > 1
    np.testing.assert_allclose(ours, reference, rtol=1e-3)
    if min(counts) > 64 and condition == 1:
        np.testing.assert_allclose(ours, by_definition(rows, others), rtol=1e-9)


def test_gaussians_that_commute_have_the_closed_form():
    """Diagonal covariances: |μ₁ − μ₂|² + Σ (σ₁ − σ₂)², here with zeros among the σ."""
    sigma = np.concatenate([np.geomspace(1e-6, 10, 15), [0.0]])
    other = np.concatenate([np.geomspace(5, 1e-4, 14), [0.0, 2.0]])

    def rows(scale):  # ± each axis: mean 0, no correlation, variance scale²
        n = 2 * len(scale)
        return np.concatenate([np.diag(scale), -np.diag(scale)]) * np.sqrt((n - 1) / 2)

    ours = frechet_distance(statistics(rows(sigma)), statistics(rows(other) + 3))
    np.testing.assert_allclose(ours, 9 * 16 + np.sum((sigma - other) ** 2), rtol=1e-12)


def test_equal_sets_have_no_distance_and_it_is_symmetric():
    few, many = sample(0, 40), sample(1, 300)
    for rows in (few, many):
        assert frechet_distance(statistics(rows), statistics(rows)) < 1e-10
    one = frechet_distance(statistics(few), statistics(many))
    np.testing.assert_allclose(one, frechet_distance(statistics(many), statistics(few)), rtol=1e-10)


def test_statistics_do_not_depend_on_how_the_vectors_came():
    rows = sample(2, 333) + 1000  # a mean far from zero, where sums of squares lose their digits
    whole = np.cov(rows.astype(np.float64).T)
    streamed = FeatureStatistics.empty(64)
    for start in range(0, 333, 7):
        streamed = streamed.add(rows[start : start + 7])
    clips = [statistics(rows[a:b]) for a, b in ((0, 10), (10, 11), (11, 200), (200, 333))]
    merged = FeatureStatistics.empty(64)
    for clip in clips:
        merged = merged.merge(clip)
    for result in (streamed, merged, statistics(rows)):
        assert result.count == 333 and len(result.rows) < 64
        mean, covariance = result.moments()
        np.testing.assert_allclose(mean, rows.astype(np.float64).mean(0), rtol=1e-13)
        np.testing.assert_allclose(covariance, whole, atol=1e-9 * np.abs(whole).max())


def test_statistics_come_back_from_a_file():
    for count in (0, 20, 100, 200):
        before = statistics(sample(3, count)) if count else FeatureStatistics.empty(64)
        file = io.BytesIO()
        np.savez(file, **before.to_arrays())
        file.seek(0)
        after = FeatureStatistics.from_arrays(np.load(file))
        assert (after.count, after.dimensions) == (count, 64)
        if count:
            for ours, theirs in zip(after.moments(), before.moments(), strict=True):
                np.testing.assert_array_equal(ours, theirs)


def test_wrong_vectors_are_refused():
    with pytest.raises(ValueError, match=r"vectors \(n, 8\), got \(3, 9\)"):
        FeatureStatistics.empty(8).add(np.zeros((3, 9), np.float32))
    with pytest.raises(ValueError, match="at least 2 vectors, got 1"):
        frechet_distance(statistics(np.zeros((1, 8))), statistics(np.zeros((3, 8))))
    with pytest.raises(ValueError, match="8 and of 9 dimensions"):
        frechet_distance(statistics(np.zeros((2, 8))), statistics(np.zeros((3, 9))))
