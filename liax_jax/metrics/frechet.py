"""Fréchet distance of two Gaussians (Dowson and Landau 1982), float64, and FID on top of it.

  d² = |μ₁ − μ₂|² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁ Σ₂)^½

With any factors Σ = AᵀA the product Σ₁ Σ₂ = A₁ᵀ(A₁ A₂ᵀ)A₂ has the non-zero eigenvalues of
(A₁ A₂ᵀ)(A₁ A₂ᵀ)ᵀ: the last trace is the sum of the singular values of A₁ A₂ᵀ. No root of a
product of matrices is formed, which is where the usual formula fails on singular covariances and
has to be helped by adding to their diagonal; nothing is squared, so that small values keep their
digits; and with fewer frames than dimensions, A is the centred features themselves and the matrix
is only as large as the numbers of frames.
"""

import numpy as np

from liax_jax.metrics import inception
from liax_jax.metrics.base import SetMetric, StoredWeights
from liax_jax.metrics.feature_statistics import FeatureStatistics


def frechet_distance(real: FeatureStatistics, generated: FeatureStatistics) -> float:
    """d² between the Gaussians of two sets of vectors, with unbiased covariances; at least 0.

    Raises:
      ValueError: different dimensions, or fewer than two vectors in one.
    """
    if real.dimensions != generated.dimensions:
        raise ValueError(
            f"features of {real.dimensions} and of {generated.dimensions} dimensions have no "
            "Fréchet distance"
        )
    (mean, factor), (other_mean, other_factor) = map(_mean_and_factor, (real, generated))
    traces = np.sum(np.square(factor)) + np.sum(np.square(other_factor))
    singular_values = np.linalg.svd(factor @ other_factor.T, compute_uv=False)
    squared = np.sum(np.square(mean - other_mean)) + traces - 2 * np.sum(singular_values)
    return max(float(squared), 0.0)


def _mean_and_factor(statistics: FeatureStatistics) -> tuple[np.ndarray, np.ndarray]:
    """Mean (d,) and A (k, d) with AᵀA the covariance, k the smaller of n and d."""
    if statistics.count < 2:
        raise ValueError(f"a covariance needs at least 2 vectors, got {statistics.count}")
    if statistics.scatter is None:
        rows = statistics.rows.astype(np.float64)
        mean = rows.mean(axis=0)
        return mean, (rows - mean) / np.sqrt(len(rows) - 1)
    mean, covariance = statistics.moments()
    values, vectors = np.linalg.eigh(covariance)
    # Rounding makes zeros of a singular covariance slightly negative.
    return mean, np.sqrt(np.maximum(values, 0))[:, None] * vectors.T


def make_fid(weights: StoredWeights) -> SetMetric:
    """The metric, given the weights "inception"."""
    size = inception.INPUT_SIZE
    return SetMetric(
        name="fid",
        apply=inception.inception_features,
        params=weights.params,
        dimensions=inception.DIMENSIONS,
        distance=frechet_distance,
        higher_is_better=False,
        convention=(
            "Inception-v3 of 2015-12-05 as pytorch-fid has it, 2048 features; pictures resized to "
            f"{size} x {size}, bilinear, antialiased where reduced, not rounded to 8 bits; Fréchet "
            "distance in float64, unbiased covariances, nothing added to them"
        ),
        decimals=2,
        weights={weights.name: weights.provenance},
    )
