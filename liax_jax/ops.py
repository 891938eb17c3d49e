"""Pure image operations on NHWC arrays: activation, resampling and the bilinear warp.

Nothing in this file has parameters. Every function accepts any leading batch size, is safe under
`jax.jit`, `jax.grad` and `jax.vmap`, and computes in the dtype of its image argument; sampling
positions are always float32 or wider.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

SQRT2 = 2.0**0.5
LEAKY_SLOPE = 0.2


def activate(x: jax.Array, bias: jax.Array | None = None) -> jax.Array:
    """Leaky ReLU (slope 0.2) of `x + bias`, times √2 so that unit variance stays unit variance.

    Args:
      x: (..., c).
      bias: (c,) or None.
    """
    if bias is not None:
        x = x + bias.astype(x.dtype)
    return jnp.where(x >= 0, x * SQRT2, x * (LEAKY_SLOPE * SQRT2))


def _shift(x: jax.Array, axis: int, before: int, after: int) -> jax.Array:
    """Pads `axis` with zeros; a negative count crops."""
    config = [(0, 0, 0)] * x.ndim
    config[axis] = (before, after, 0)
    return lax.pad(x, jnp.zeros((), x.dtype), config)


def upsample2x(x: jax.Array) -> jax.Array:
    """Doubles height and width with the [1, 3, 3, 1] filter: (b, h, w, c) → (b, 2h, 2w, c).

    Zero insertion followed by the blur (gain 4, zeros outside) has two phases per axis, with the
    weights (¼, ¾) and (¾, ¼); they are computed directly, without the inserted zeros.
    """
    for axis in (1, 2):
        previous, following = _shift(x, axis, 1, -1), _shift(x, axis, -1, 1)
        x = interleave(0.25 * previous + 0.75 * x, 0.75 * x + 0.25 * following, axis)
    return x


def interleave(even: jax.Array, odd: jax.Array, axis: int) -> jax.Array:
    """Alternates two arrays of the same shape along `axis`: e₀ o₀ e₁ o₁ …"""
    shape = list(even.shape)
    shape[axis] *= 2
    return jnp.stack([even, odd], axis=axis + 1).reshape(shape)


def blur(x: jax.Array, pad: tuple[int, int]) -> jax.Array:
    """Separable [1, 3, 3, 1] / 8 filter with `pad` zeros (before, after) on height and width.

    (b, h, w, c) → (b, h + sum(pad) − 3, w + sum(pad) − 3, c).
    """
    for axis in (1, 2):
        padded = _shift(x, axis, *pad)
        size = padded.shape[axis] - 3
        taps = [lax.slice_in_dim(padded, i, i + size, axis=axis) for i in range(4)]
        x = 0.125 * (taps[0] + taps[3]) + 0.375 * (taps[1] + taps[2])
    return x


def blur_downsample2x(x: jax.Array) -> jax.Array:
    """Halves height and width: the blur with pad (1, 1), at every second position only."""
    for axis in (1, 2):
        padded = _shift(x, axis, 1, 1)
        size = x.shape[axis] // 2
        taps = [
            lax.slice_in_dim(padded, i, i + 2 * size - 1, stride=2, axis=axis) for i in range(4)
        ]
        x = 0.125 * (taps[0] + taps[3]) + 0.375 * (taps[1] + taps[2])
    return x


def conv2d(
    x: jax.Array,
    kernel: jax.Array,
    stride: int = 1,
    padding: str | tuple[tuple[int, int], tuple[int, int]] = "SAME",
) -> jax.Array:
    """Plain NHWC × HWIO cross-correlation, shared by all examples of the batch."""
    return lax.conv_general_dilated(
        x, kernel, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def transposed_conv2x_blur(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Stride-2 transposed 3×3 convolution, then the gain-4 blur: (b, r, r, i) → (b, 2r, 2r, o).

    The transposed convolution (r → 2r + 1, no padding) is the gradient of a stride-2 correlation:
    `t[2y + u] += kernel[u] · x[y]`. Its even and odd output rows and columns are four ordinary
    convolutions with 2×2, 2×1, 1×2 and 1×1 kernels. XLA's weight gradient is fast for those, and
    up to thirty times slower through `lhs_dilation` on CPU. The blur reads the phases before they
    are interleaved, so that the (2r + 1)² map never exists.

    Args:
      x: (b, r, r, i).
      kernel: (3, 3, i, o).
    """
    # Rows: even output rows 2y get kernel[0]·x[y] + kernel[2]·x[y−1]; odd rows get kernel[1]·x[y].
    # One zero row and column at the end makes room for the last even row and column, 2r.
    padded = jnp.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))
    even_taps, odd_taps = slice(2, None, -2), slice(1, 2)
    phases = {}
    for row, row_taps in (("even", even_taps), ("odd", odd_taps)):
        for column, column_taps in (("even", even_taps), ("odd", odd_taps)):
            padding = ((int(row == "even"), 0), (int(column == "even"), 0))
            phases[row, column] = conv2d(padded, kernel[row_taps, column_taps], padding=padding)
    columns_done = {
        row: _blur_phases(phases[row, "even"], phases[row, "odd"], axis=2)
        for row in ("even", "odd")
    }
    return _blur_phases(columns_done["even"], columns_done["odd"], axis=1)


def _blur_phases(even: jax.Array, odd: jax.Array, axis: int) -> jax.Array:
    """Gain-2 [1, 3, 3, 1] / 8 blur, pad (1, 1), of a signal given as its even and odd samples.

    Both phases have r + 1 samples along `axis`; of the odd ones only the first r exist in the
    2r + 1 signal (the last is computed from padding alone and is not read). Output: 2r samples.
    """
    size = even.shape[axis] - 1
    odd = lax.slice_in_dim(odd, 0, size, axis=axis)
    even_here = lax.slice_in_dim(even, 0, size, axis=axis)
    even_next = lax.slice_in_dim(even, 1, size + 1, axis=axis)
    odd_before, odd_next = _shift(odd, axis, 1, -1), _shift(odd, axis, -1, 1)
    first = 0.25 * (odd_before + even_next) + 0.75 * (even_here + odd)
    second = 0.25 * (even_here + odd_next) + 0.75 * (odd + even_next)
    return interleave(first, second, axis)


def identity_grid(resolution: int, dtype: jnp.dtype = jnp.float32) -> jax.Array:
    """(r, r, 2) sampling positions (x, y) in [-1, 1], linspace(−1, 1, r) along each axis."""
    line = jnp.linspace(-1.0, 1.0, resolution, dtype=dtype)
    x, y = jnp.meshgrid(line, line)
    return jnp.stack([x, y], axis=-1)


def bilinear_warp(features: jax.Array, grid: jax.Array, align_corners: bool) -> jax.Array:
    """Samples `features` bilinearly at `grid`; zeros outside (𝒯 in eq. 4).

    Equal to torch's `grid_sample(mode="bilinear", padding_mode="zeros")`, values and gradients,
    including at exact pixel centres, on the border and far outside. A sampling position that is not
    finite gives NaN and no gradient to the features.

    Args:
      features: (b, h, w, c), or (1, h, w, c) to read one map for the whole batch of `grid`.
      grid: (b, H, W, 2) positions (x, y) in [-1, 1].
      align_corners: True: −1 and 1 are the centres of the corner pixels (LIA-X); False: their
        outer edges (LIA).

    Returns:
      (b, H, W, c) in the dtype of `features`.

    Raises:
      ValueError: where the ranks or the batch sizes don't fit.
    """
    if features.ndim != 4 or grid.ndim != 4 or grid.shape[-1] != 2:
        raise ValueError(
            f"bilinear_warp needs features (b, h, w, c) and grid (b, H, W, 2); got "
            f"{features.shape} and {grid.shape}"
        )
    if features.shape[0] not in (1, grid.shape[0]):
        raise ValueError(
            f"bilinear_warp: features have batch size {features.shape[0]}, the grid "
            f"{grid.shape[0]}; they must agree, or the features' be 1"
        )
    # Outside jit a NumPy array would reach the custom rule as it is, without `.at`.
    return _warp(jnp.asarray(features), jnp.asarray(grid), align_corners)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _warp(features: jax.Array, grid: jax.Array, align_corners: bool) -> jax.Array:
    taps = _taps_at(features.shape, grid.reshape(grid.shape[0], -1, 2), align_corners)
    return _weighted_gather(features, taps.rows, taps.weights()).reshape(
        *grid.shape[:3], features.shape[-1]
    )


def _warp_forward(features, grid, align_corners):
    return _warp(features, grid, align_corners), (features, grid)


def _warp_backward(align_corners, residuals, cotangent):
    features, grid = residuals
    batch, channels = grid.shape[0], features.shape[-1]
    positions = grid.reshape(batch, -1, 2)
    flat = cotangent.reshape(batch, -1, channels)

    def some_positions(grad_table, positions, cotangent):
        taps = _taps_at(features.shape, positions, align_corners)
        # Outside nothing was read, whatever the weight: not a number must not reach the features.
        weights = [jnp.where(v, w, 0) for v, w in zip(taps.valid, taps.weights(), strict=True)]
        grad_table = _scatter_add(grad_table, taps.rows, weights, cotangent)

        def channel_sum(rows):
            # Σ_c cotangent · value. As a product with a column of ones, because XLA's CPU
            # reduction over the minor axis is not vectorised (ten times slower).
            product = cotangent * _gather(features, rows)
            ones = jnp.ones((channels, 1), product.dtype)
            return jnp.matmul(product, ones, preferred_element_type=grid.dtype)[..., 0]

        scores = [channel_sum(rows) for rows in taps.rows]

        def weighted(weights):
            return sum(w * score for w, score in zip(weights, scores, strict=True))[..., None]

        grad_x = weighted(taps.weights_by_x()) * taps.scale[0]
        grad_y = weighted(taps.weights_by_y()) * taps.scale[1]
        return grad_table, jnp.concatenate([grad_x, grad_y], axis=-1)

    def in_chunks(grad_table, positions, cotangent):
        # On CPU the (4n, c) updates of all positions at once would be a buffer of four times the
        # map, and the page faults of a fresh buffer cost more than the arithmetic.
        count = positions.shape[1]
        chunks = _largest_divisor(count, at_most=max(1, batch * count * channels >> 17))
        pieces = [
            jnp.moveaxis(a.reshape(batch, chunks, count // chunks, a.shape[-1]), 1, 0)
            for a in (positions, cotangent)
        ]
        grad_table, grad_positions = lax.scan(
            lambda table, piece: some_positions(table, *piece), grad_table, pieces
        )
        return grad_table, jnp.moveaxis(grad_positions, 0, 1).reshape(positions.shape)

    empty = jnp.zeros(
        (features.shape[0], features.shape[1] * features.shape[2], channels), flat.dtype
    )
    grad_features, grad_grid = lax.platform_dependent(
        empty, positions, flat, cpu=in_chunks, default=some_positions
    )
    return grad_features.reshape(features.shape), grad_grid.reshape(grid.shape)


_warp.defvjp(_warp_forward, _warp_backward)


class _Taps(NamedTuple):
    """The four pixels around each of n sampling positions: north-west, north-east, south-west, …"""

    rows: tuple[jax.Array, ...]  # 4 × (b, n): row of the (h·w, c) feature table, always in bounds
    valid: tuple[jax.Array, ...]  # 4 × (b, n): False where the pixel lies outside
    x: jax.Array  # (b, n) fraction of the way from west to east
    y: jax.Array
    scale: tuple[float, float]  # pixels per unit of the grid

    def _masked(self, *weights):
        # A fraction that is not a number stays one, and is seen in the sum.
        pairs = zip(self.valid, weights, strict=True)
        return tuple(jnp.where(valid | jnp.isnan(w), w, 0) for valid, w in pairs)

    def weights(self):
        x, y = self.x, self.y
        return self._masked((1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y)

    def weights_by_x(self):
        """Derivatives of the weights by the position in pixels."""
        y = self.y
        return self._masked(y - 1, 1 - y, -y, y)

    def weights_by_y(self):
        x = self.x
        return self._masked(x - 1, -x, 1 - x, x)


def _taps_at(feature_shape, positions, align_corners) -> _Taps:
    _, height, width, _ = feature_shape
    scale = tuple((size - 1) / 2 if align_corners else size / 2 for size in (width, height))
    shift = 0.0 if align_corners else 0.5
    x = (positions[..., 0] + 1) * scale[0] - shift
    y = (positions[..., 1] + 1) * scale[1] - shift
    x_finite, y_finite = jnp.isfinite(x), jnp.isfinite(y)
    # Far outside (and not a number) becomes a position whose four taps are all invalid, so that
    # the conversion to integers below is defined.
    x = jnp.where(jnp.abs(x) < 2.0**23, x, -4.0)
    y = jnp.where(jnp.abs(y) < 2.0**23, y, -4.0)
    west, north = jnp.floor(x), jnp.floor(y)
    rows, valid = [], []
    for dy in (0, 1):
        for dx in (0, 1):
            column, row = west.astype(jnp.int32) + dx, north.astype(jnp.int32) + dy
            valid.append((column >= 0) & (column < width) & (row >= 0) & (row < height))
            rows.append(jnp.clip(row, 0, height - 1) * width + jnp.clip(column, 0, width - 1))
    x_fraction = jnp.where(x_finite, x - west, jnp.nan)
    y_fraction = jnp.where(y_finite, y - north, jnp.nan)
    return _Taps(tuple(rows), tuple(valid), x_fraction, y_fraction, scale)


def _weighted_gather(features, rows, weights):
    """Σ over taps of weight · feature row: (b, n, c)."""
    total = 0
    for tap_rows, tap_weights in zip(rows, weights, strict=True):
        values = _gather(features, tap_rows)
        total = total + values * tap_weights[..., None].astype(features.dtype)
    return total


def _gather(features, rows):
    """Feature rows (b, n) → (b, n, c). Whole rows of channels are read at once.

    The batch is a batching dimension of the gather (not flattened into the table), so that a
    batch sharded over devices stays where it is.
    """
    table = features.reshape(features.shape[0], -1, features.shape[-1])

    def read(one_table, one_rows):
        return one_table.at[one_rows].get(mode="promise_in_bounds")

    return read(table[0], rows) if table.shape[0] == 1 else jax.vmap(read)(table, rows)


def _scatter_add(table, rows, weights, cotangent):
    """Adds every tap's weight · cotangent to the row it was read from: the gather's transpose.

    One scatter of all four taps. `table`: (b or 1, h·w, c); `cotangent`: (b, n, c).
    """
    batch, _, channels = cotangent.shape
    all_rows = jnp.stack(rows, axis=-1).reshape(batch, -1)
    all_weights = jnp.stack(weights, axis=-1).astype(cotangent.dtype)
    updates = (cotangent[:, :, None, :] * all_weights[..., None]).reshape(batch, -1, channels)

    def add(one_table, one_rows, one_updates):
        return one_table.at[one_rows].add(one_updates, mode="promise_in_bounds")

    if table.shape[0] == 1:
        return add(table[0], all_rows.reshape(-1), updates.reshape(-1, channels))[None]
    return jax.vmap(add)(table, all_rows, updates)


def _largest_divisor(number: int, at_most: int) -> int:
    return next(d for d in range(min(number, at_most), 0, -1) if number % d == 0)
