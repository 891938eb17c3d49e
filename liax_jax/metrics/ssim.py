"""Structural similarity (Wang, Bovik, Sheikh and Simoncelli, 2004)."""

import jax
import jax.numpy as jnp
import numpy as np

from liax_jax.metrics.checks import as_unit_range_pair

WINDOW_SIZE = 11
WINDOW_SIGMA = 1.5
K1 = 0.01
K2 = 0.03


def gaussian_window(size: int = WINDOW_SIZE, sigma: float = WINDOW_SIGMA) -> np.ndarray:
    """The one-dimensional Gaussian window (size,), float64, with sum 1."""
    offsets = np.arange(size) - (size - 1) / 2
    window = np.exp(-0.5 * np.square(offsets / sigma))
    return window / window.sum()


def _window_matrix(length: int) -> np.ndarray:
    """Banded (length - 10, length) float32 matrix: one row per place where the window fits."""
    window = gaussian_window()
    places = length - WINDOW_SIZE + 1
    matrix = np.zeros((places, length), np.float32)
    for place in range(places):
        matrix[place, place : place + WINDOW_SIZE] = window
    return matrix


def _local_mean(image: jax.Array) -> jax.Array:
    """Gaussian-weighted mean at every place where the whole window fits: (..., h-10, w-10, c)."""
    height, width = image.shape[-3:-1]
    # Two products with banded matrices: on CPU several times as fast as a depthwise convolution,
    # and faster than sums of shifted images up to 512 px. Highest precision because local
    # variances, which are small differences of these means, would not survive bfloat16 or TF32.
    precision = jax.lax.Precision.HIGHEST
    rows = jnp.einsum("ph,...hwc->...pwc", _window_matrix(height), image, precision=precision)
    return jnp.einsum("qw,...pwc->...pqc", _window_matrix(width), rows, precision=precision)


def structural_similarity(image: jax.Array, reference: jax.Array) -> jax.Array:
    """SSIM on [0, 1]: Gaussian window of 11 pixels, sigma 1.5, K1 = 0.01, K2 = 0.03.

    Border: only places where the whole window lies inside the image count ("valid", 5 pixels off
    each side), as in the original definition and in scikit-image with gaussian_weights=True and
    use_sample_covariance=False. The index is computed per channel and averaged over places and
    channels.

    Args:
      image: (..., h, w, c), float, in [0, 1], h and w at least 11.
      reference: the same shape and range.

    Returns:
      (...) float32 in [-1, 1], exactly 1 for equal images. Higher is better.

    Raises:
      ValueError: shapes differ, the images are integers or smaller than the window.
    """
    image, reference = as_unit_range_pair(image, reference)
    if min(image.shape[-3:-1]) < WINDOW_SIZE:
        raise ValueError(
            f"SSIM needs images of at least {WINDOW_SIZE} x {WINDOW_SIZE} pixels, got shape "
            f"{image.shape}"
        )
    c1, c2 = K1**2, K2**2
    # Variances don't change when a constant is subtracted, and lose fewer digits around zero.
    x, y = image - 0.5, reference - 0.5
    difference = x - y
    mean_x, mean_y = _local_mean(x), _local_mean(y)
    mean_difference_squared = jnp.square(mean_x - mean_y)
    variance_sum = (
        _local_mean(jnp.square(x) + jnp.square(y)) - jnp.square(mean_x) - jnp.square(mean_y)
    )
    variance_of_difference = _local_mean(jnp.square(difference)) - mean_difference_squared
    # Both factors are written as 1 - (what differs) / (what there is): since
    # 2ab = a² + b² - (a - b)² and 2 cov(x, y) = var x + var y - var(x - y), this is the usual
    # quotient, with one filtering fewer, and equal images give exactly 1.
    energy = jnp.square(mean_x + 0.5) + jnp.square(mean_y + 0.5)
    luminance = 1.0 - mean_difference_squared / (energy + c1)
    contrast_structure = 1.0 - variance_of_difference / (variance_sum + c2)
    return jnp.mean(luminance * contrast_structure, axis=(-3, -2, -1))
