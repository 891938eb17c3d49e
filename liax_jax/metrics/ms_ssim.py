"""Multi-scale structural similarity (Wang, Simoncelli and Bovik, 2003)."""

import jax
import jax.numpy as jnp

from liax_jax.metrics.checks import as_unit_range_pair
from liax_jax.metrics.ssim import WINDOW_SIZE, dissimilarity, dissimilarity_maps

# The exponents of the five scales, from the finest: table 1 of the paper, whose sum is 1.
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
MIN_SIZE = WINDOW_SIZE * 2 ** (len(SCALE_WEIGHTS) - 1)


def multi_scale_structural_similarity(image: jax.Array, reference: jax.Array) -> jax.Array:
    """MS-SSIM on [0, 1]: contrast and structure at five scales, luminance at the coarsest.

    From scale to scale the picture is halved by the mean of 2×2 pixels; a last odd row or column
    is left out. The constants and the window are those of `structural_similarity`, the border too.
    At each scale the factor is averaged over places, per channel; where such a mean is negative
    it counts as 0, since it has no real power. The product is averaged over channels.

    Args:
      image: (..., h, w, c), float, in [0, 1], h and w at least 176, so that the window fits into
        the coarsest scale.
      reference: the same shape and range.

    Returns:
      (...) float32 in [0, 1], exactly 1 for equal images. Higher is better.

    Raises:
      ValueError: shapes differ, the images are integers or too small.
    """
    image, reference = as_unit_range_pair(image, reference)
    if min(image.shape[-3:-1]) < MIN_SIZE:
        raise ValueError(
            f"MS-SSIM needs images of at least {MIN_SIZE} x {MIN_SIZE} pixels, as its window of "
            f"{WINDOW_SIZE} has to fit into 1/16 of them; got shape {image.shape}. Leave it out, "
            "or evaluate at a higher resolution"
        )
    pair = [jnp.moveaxis(array, -1, -3) for array in (image, reference)]
    product = jnp.ones((), jnp.float32)
    for scale, weight in enumerate(SCALE_WEIGHTS):
        coarsest = scale == len(SCALE_WEIGHTS) - 1
        luminance, contrast_structure = dissimilarity_maps(*pair)
        missing = dissimilarity(luminance, contrast_structure) if coarsest else contrast_structure
        mean = 1.0 - jnp.mean(missing, axis=(-2, -1))
        product = product * jnp.maximum(mean, 0.0) ** weight
        pair = [_halve(planes) for planes in pair]
    return jnp.mean(product, axis=-1)


def _halve(planes: jax.Array) -> jax.Array:
    """Mean of 2×2 pixels: (..., h, w) → (..., h // 2, w // 2)."""
    height, width = (size // 2 * 2 for size in planes.shape[-2:])
    rows = planes[..., 0:height:2, :width] + planes[..., 1:height:2, :width]
    return 0.25 * (rows[..., 0::2] + rows[..., 1::2])
