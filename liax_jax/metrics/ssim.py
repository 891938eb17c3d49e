"""Structural similarity (Wang, Bovik, Sheikh and Simoncelli, 2004)."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

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


def _local_mean(planes: jax.Array) -> jax.Array:
    """Gaussian-weighted mean where the whole window fits: (..., h, w) → (..., h-10, w-10)."""
    # Two sums of eleven shifted copies: XLA makes one vectorised loop of each, and on CPU they are
    # several times as fast as products with banded matrices or as a convolution.
    window = gaussian_window()
    centre = WINDOW_SIZE // 2
    for axis in (planes.ndim - 2, planes.ndim - 1):
        places = planes.shape[axis] - WINDOW_SIZE + 1

        def shifted(offset: int, planes=planes, places=places, axis=axis) -> jax.Array:
            return lax.slice_in_dim(planes, offset, offset + places, axis=axis)

        total = float(window[centre]) * shifted(centre)
        for offset in range(centre):  # the window is symmetric
            both = shifted(offset) + shifted(WINDOW_SIZE - 1 - offset)
            total = total + float(window[offset]) * both
        planes = total
    return planes


@jax.jit
def dissimilarity_maps(image: jax.Array, reference: jax.Array) -> tuple[jax.Array, jax.Array]:
    """How far both factors of the index are from 1 at every place where the window fits.

    What is missing from 1 is averaged, not the index itself: near 1 that keeps more digits.

    Args:
      image: (..., h, w) float32 in [0, 1], planes of one channel.
      reference: the same shape and range.

    Returns:
      For luminance, and for contrast times structure, (..., h-10, w-10) each; exactly 0 where the
      windows are equal.
    """
    c1, c2 = K1**2, K2**2
    # Variances don't change when a constant is subtracted, and lose fewer digits around zero.
    x, y = image - 0.5, reference - 0.5
    quantities = jnp.stack([x, y, jnp.square(x) + jnp.square(y), jnp.square(x - y)])
    mean_x, mean_y, mean_energy, mean_square_of_difference = _local_mean(quantities)
    mean_difference_squared = jnp.square(mean_x - mean_y)
    variance_sum = mean_energy - jnp.square(mean_x) - jnp.square(mean_y)
    variance_of_difference = mean_square_of_difference - mean_difference_squared
    # Each factor is 1 - (what differs) / (what there is): since
    # 2ab = a² + b² - (a - b)² and 2 cov(x, y) = var x + var y - var(x - y), this is the usual
    # quotient, with one filtering fewer, and equal images give exactly 1.
    energy = jnp.square(mean_x + 0.5) + jnp.square(mean_y + 0.5)
    luminance = mean_difference_squared / (energy + c1)
    contrast_structure = variance_of_difference / (variance_sum + c2)
    return luminance, contrast_structure


def dissimilarity(luminance: jax.Array, contrast_structure: jax.Array) -> jax.Array:
    """1 minus the product of both factors, given what is missing from 1 in each."""
    return luminance + contrast_structure - luminance * contrast_structure


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
    planes = (jnp.moveaxis(array, -1, -3) for array in (image, reference))
    return 1.0 - jnp.mean(dissimilarity(*dissimilarity_maps(*planes)), axis=(-3, -2, -1))
