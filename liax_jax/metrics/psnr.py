"""Peak signal-to-noise ratio."""

import jax
import jax.numpy as jnp

from liax_jax.metrics.checks import as_unit_range_pair

# Equal images have no finite ratio. A floor under the error caps the figure at 100 dB, so that one
# perfect frame (the first of a clip, when it is its own source) can't make the mean infinite.
MSE_FLOOR = 1e-10
MAX_PSNR_DB = 100.0


def peak_signal_to_noise_ratio(image: jax.Array, reference: jax.Array) -> jax.Array:
    """PSNR = -10 log10(mean squared error) in dB, per image, on [0, 1] (peak 1), capped at 100 dB.

    Args:
      image: (..., h, w, c), float, in [0, 1].
      reference: the same shape and range.

    Returns:
      (...) float32 in dB. Higher is better; equal images give `MAX_PSNR_DB`.

    Raises:
      ValueError: shapes differ, or the images are integers.
    """
    image, reference = as_unit_range_pair(image, reference)
    mean_squared_error = jnp.mean(jnp.square(image - reference), axis=(-3, -2, -1))
    return -10.0 * jnp.log10(jnp.maximum(mean_squared_error, MSE_FLOOR))
