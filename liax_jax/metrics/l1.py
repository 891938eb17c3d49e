"""Mean absolute difference."""

import jax
import jax.numpy as jnp

from liax_jax.metrics.checks import as_unit_range_pair


def l1_distance(image: jax.Array, reference: jax.Array) -> jax.Array:
    """Mean over pixels and channels of |image - reference|, on [0, 1].

    On images in [-1, 1] this is half the mean absolute difference, which is the form in which the
    LIA family of papers computes it; the numbers are the same.

    Args:
      image: (..., h, w, c), float, in [0, 1].
      reference: the same shape and range.

    Returns:
      (...) float32, 0 for equal images, at most 1. Lower is better.

    Raises:
      ValueError: shapes differ, or the images are integers.
    """
    image, reference = as_unit_range_pair(image, reference)
    return jnp.mean(jnp.abs(image - reference), axis=(-3, -2, -1))
