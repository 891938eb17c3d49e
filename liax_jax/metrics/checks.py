"""What the metrics ask of a pair of images."""

import jax
import jax.numpy as jnp


def as_unit_range_pair(image: jax.Array, reference: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns both images as float32, after checking what can be checked without their values.

    Args:
      image: (..., h, w, c), float, values in [0, 1].
      reference: the same shape and range.

    Raises:
      ValueError: the shapes differ, there are fewer than three axes, or the values are integers
        (a sign of 0..255 pixels, for which every constant of these metrics would be wrong).
    """
    for name, array in (("image", image), ("reference", reference)):
        if not jnp.issubdtype(jnp.result_type(array), jnp.floating):
            raise ValueError(
                f"{name} has dtype {jnp.result_type(array)}; metrics take floating-point images in "
                "[0, 1]: divide 8-bit pixels by 255 first"
            )
    if jnp.shape(image) != jnp.shape(reference):
        raise ValueError(
            f"image {jnp.shape(image)} and reference {jnp.shape(reference)} must have equal shapes"
        )
    if jnp.ndim(image) < 3:
        raise ValueError(f"images are (..., height, width, channels), got {jnp.shape(image)}")
    return jnp.asarray(image, jnp.float32), jnp.asarray(reference, jnp.float32)
