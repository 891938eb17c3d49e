"""Resampling and the warp, against torch's recorded numbers and independent restatements."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from liax_jax import ops

GOLDENS = Path(__file__).parent / "fixtures" / "warp.npz"
CASES = ("random", "centres_5", "centres_4", "borders", "far", "broken")
FILTER = np.array([1.0, 3.0, 3.0, 1.0]) / 8
BOTH_CORNERS = pytest.mark.parametrize("align_corners", [True, False], ids=["aligned", "edges"])


def draw(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def warp_and_gradients(features, grid, cotangent, align_corners, transform=jax.jit):
    """(value, gradient by features, gradient by grid)."""

    @transform
    def run(features, grid, cotangent):
        value, pullback = jax.vjp(
            lambda f, g: ops.bilinear_warp(f, g, align_corners), features, grid
        )
        return value, *pullback(cotangent)

    return run(features, grid, cotangent)


def hat_warp(features, grid, align_corners):
    """The warp as sums over all pixels, weighted by hat functions: any autodiff is right."""
    _, height, width, _ = features.shape

    def weights(position, size):
        pixel = (
            (position + 1) / 2 * (size - 1) if align_corners else (position + 1) / 2 * size - 0.5
        )
        return jnp.maximum(0.0, 1 - jnp.abs(pixel[..., None] - jnp.arange(size, dtype=jnp.float32)))

    columns, rows = weights(grid[..., 0], width), weights(grid[..., 1], height)
    return jnp.einsum("bHWy,bHWx,byxc->bHWc", rows, columns, features)


def blurred(x: np.ndarray, pad: tuple[int, int], gain: float = 1.0) -> np.ndarray:
    """`gain` times the [1, 3, 3, 1] / 8 filter by np.convolve, on height and width."""
    for axis in (1, 2):
        x = np.apply_along_axis(
            lambda line: np.convolve(np.pad(line, pad), FILTER, mode="valid"), axis, x
        )
    return gain * x


# --- The warp --------------------------------------------------------------------------------


@BOTH_CORNERS
@pytest.mark.parametrize("name", CASES)
def test_warp_equals_torch_in_value_and_gradients(name, align_corners):
    recorded = np.load(GOLDENS)
    rng = np.random.default_rng(21)
    for case in CASES:  # features and cotangents are drawn in this order
        shape, grid = tuple(recorded[f"{case}/shape"]), recorded[f"{case}/grid"]
        features = rng.standard_normal(shape, dtype=np.float32)
        cotangent = rng.standard_normal((*grid.shape[:3], shape[-1]), dtype=np.float32)
        if case == name:
            break
    ours = warp_and_gradients(features, grid, cotangent, align_corners)
    key = f"{name}/{'aligned' if align_corners else 'edges'}"
    torchs = [recorded[f"{key}/{what}"] for what in ("value", "grad_features", "grad_grid")]
    if name == "broken":
        # From NaN and ±inf torch makes NaN values and a NaN gradient for the coordinate beside the
        # broken one; the features get no gradient from there. So do we: nothing is hidden.
        finite = np.isfinite(grid).all(-1)
        assert np.isnan(torchs[0][~finite]).all()
        assert np.isnan(torchs[2][~finite]).any(-1).all()
    for mine, reference in zip(ours, torchs, strict=True):
        np.testing.assert_allclose(mine, reference, atol=2e-6, rtol=1e-5)


@BOTH_CORNERS
def test_jitted_warp_equals_eager_warp(align_corners):
    features, grid = draw((2, 6, 5, 3)), 0.7 * draw((2, 4, 4, 2), 1)
    cotangent = draw((2, 4, 4, 3), 2)
    jitted = warp_and_gradients(features, grid, cotangent, align_corners)
    eager = warp_and_gradients(features, grid, cotangent, align_corners, transform=lambda f: f)
    for a, b in zip(jitted, eager, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@BOTH_CORNERS
def test_warp_gradients_equal_central_differences(align_corners):
    features = draw((1, 5, 6, 2))
    # Pixel positions whose fractions lie in [0.2, 0.8]: the differences don't cross a pixel.
    rng = np.random.default_rng(3)
    pixel = rng.integers(-1, 5, (1, 3, 3, 2)) + rng.uniform(0.2, 0.8, (1, 3, 3, 2))
    size = np.array([6, 5])
    grid = pixel / (size - 1) * 2 - 1 if align_corners else (pixel + 0.5) / size * 2 - 1
    grid, cotangent = grid.astype(np.float32), draw((1, 3, 3, 2), 4)
    _, grad_features, grad_grid = warp_and_gradients(features, grid, cotangent, align_corners)

    @jax.jit
    def loss(features, grid):
        return jnp.vdot(ops.bilinear_warp(features, grid, align_corners), cotangent)

    for argument, gradient, step in ((0, grad_features, 0.5), (1, grad_grid, 0.02)):
        for _ in range(6):
            direction = rng.standard_normal(gradient.shape).astype(np.float32)
            direction /= np.abs(direction).max()
            ahead, behind = [features, grid], [features, grid]
            ahead[argument] = ahead[argument] + step * direction
            behind[argument] = behind[argument] - step * direction
            difference = (loss(*ahead) - loss(*behind)) / (2 * step)
            if argument == 1:  # bilinear in x and y: the cross term is even, and cancels
                np.testing.assert_allclose(difference, np.vdot(gradient, direction), rtol=2e-3)
            else:
                np.testing.assert_allclose(difference, np.vdot(gradient, direction), rtol=1e-4)


def test_one_map_serves_a_batch_of_grids():
    features, grid, cotangent = (
        draw((1, 6, 5, 3)),
        0.8 * draw((4, 5, 4, 2), 1),
        draw((4, 5, 4, 3), 2),
    )
    shared = warp_and_gradients(features, grid, cotangent, True)
    repeated = warp_and_gradients(np.repeat(features, 4, axis=0), grid, cotangent, True)
    np.testing.assert_array_equal(shared[0], repeated[0])
    assert shared[1].shape == features.shape
    np.testing.assert_allclose(shared[1], repeated[1].sum(0, keepdims=True), atol=1e-5)
    np.testing.assert_allclose(shared[2], repeated[2], atol=1e-5)


@pytest.mark.parametrize("resolution", [4, 8, 32])
def test_identity_grid_reads_the_map_itself_with_aligned_corners(resolution):
    features = draw((2, resolution, resolution, 3))
    grid = jnp.broadcast_to(ops.identity_grid(resolution), (2, resolution, resolution, 2))
    np.testing.assert_allclose(ops.bilinear_warp(features, grid, True), features, atol=3e-5)
    np.testing.assert_array_equal(grid[0, 0, :, 1], -np.ones(resolution))  # channel 1 is y
    np.testing.assert_allclose(grid[0, 1, :, 0], np.linspace(-1, 1, resolution), atol=1e-7)


@BOTH_CORNERS
def test_shifts_by_whole_pixels_move_the_map_and_bring_in_zeros(align_corners):
    size = 9 if align_corners else 8  # pixel spacings of 1/4: exact in float32
    centres = np.linspace(-1, 1, 9) if align_corners else (np.arange(8) + 0.5) / 4 - 1
    x, y = np.meshgrid(centres, centres)
    grid = np.stack([x + 0.5, y - 0.25], axis=-1)[None].astype(np.float32)
    features = draw((1, size, size, 2))
    expected = np.zeros_like(features)
    expected[:, 1:, :-2] = features[:, :-1, 2:]
    shifted = jax.jit(ops.bilinear_warp, static_argnums=2)(features, grid, align_corners)
    np.testing.assert_array_equal(shifted, expected)


def test_bfloat16_features_give_bfloat16_and_float32_grid_gradients():
    features, grid, cotangent = (
        draw((2, 6, 6, 4)),
        0.6 * draw((2, 5, 5, 2), 1),
        draw((2, 5, 5, 4), 2),
    )
    full = warp_and_gradients(features, grid, cotangent, True)
    half = warp_and_gradients(
        features.astype(jnp.bfloat16), grid, cotangent.astype(jnp.bfloat16), True
    )
    assert [a.dtype for a in half] == [jnp.bfloat16, jnp.bfloat16, jnp.float32]
    for a, b in zip(half, full, strict=True):
        np.testing.assert_allclose(np.asarray(a, np.float32), b, atol=0.02 * np.abs(b).max())


def chunked_case(batch):
    """Large enough for at least two chunks of the CPU's gradient; fractions away from kinks."""
    rng = np.random.default_rng(5)
    features = rng.standard_normal((batch, 8, 8, 32), dtype=np.float32)
    pixel = rng.integers(-1, 8, (batch, 32, 32, 2)) + rng.uniform(0.05, 0.95, (batch, 32, 32, 2))
    grid = (pixel / 7 * 2 - 1).astype(np.float32)
    cotangent = rng.standard_normal((batch, 32, 32, 32), dtype=np.float32)
    assert cotangent.size >> 17 >= 2
    return features, grid, cotangent


def hat_gradients(features, grid, cotangent):
    value, pullback = jax.vjp(lambda f, g: hat_warp(f, g, True), features, grid)
    return value, *pullback(cotangent)


@pytest.mark.parametrize("map_batch", [1, 8])
def test_gradient_in_chunks_equals_plain_autodiff(map_batch):
    features, grid, cotangent = chunked_case(8)
    features = features[:map_batch]
    ours = warp_and_gradients(features, grid, cotangent, True)
    wide = np.broadcast_to(features, (8, 8, 8, 32))
    value, grad_features, grad_grid = jax.jit(hat_gradients)(wide, grid, cotangent)
    if map_batch == 1:
        grad_features = grad_features.sum(0, keepdims=True)
    for mine, reference in zip(ours, (value, grad_features, grad_grid), strict=True):
        np.testing.assert_allclose(mine, reference, atol=1e-5 * np.abs(reference).max())


def test_warp_sharded_over_eight_devices_gives_the_same_without_communication():
    features, grid, cotangent = chunked_case(8)
    alone = warp_and_gradients(features, grid, cotangent, True)
    assert jax.device_count() == 8
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    sharding = NamedSharding(mesh, PartitionSpec("data"))
    f, g, c = (jax.device_put(a, sharding) for a in (features, grid, cotangent))
    spread = warp_and_gradients(f, g, c, True)
    for a, b in zip(alone, spread, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6 * np.abs(a).max())
        assert b.sharding.is_equivalent_to(sharding, b.ndim)

    def run(f, g, c):
        return warp_and_gradients(f, g, c, True, transform=lambda function: function)

    program = jax.jit(run, out_shardings=sharding).lower(f, g, c).compile().as_text()
    for collective in ("all-gather", "all-reduce", "all-to-all", "collective-permute"):
        assert program is not None and collective not in program


def test_misfitting_shapes_are_named():
    with pytest.raises(ValueError, match=r"grid \(b, H, W, 2\); got .*\(1, 4, 4, 3\)"):
        ops.bilinear_warp(jnp.zeros((1, 4, 4, 2)), jnp.zeros((1, 4, 4, 3)), True)
    with pytest.raises(ValueError, match="batch size 2, the grid 3; they must agree"):
        ops.bilinear_warp(jnp.zeros((2, 4, 4, 2)), jnp.zeros((3, 4, 4, 2)), True)


# --- Activation, blur and resampling ---------------------------------------------------------


def test_activation_is_scaled_leaky_relu_of_x_plus_bias():
    x, bias = jnp.array([[-3.0, 0.5], [1.0, -2.0]]), jnp.array([1.0, -1.0])
    shifted = x + bias
    expected = 2**0.5 * np.where(shifted > 0, shifted, 0.2 * shifted)
    np.testing.assert_allclose(ops.activate(x, bias), expected, rtol=1e-6)
    assert ops.activate(jnp.asarray(x, jnp.bfloat16), bias).dtype == jnp.bfloat16


def zero_inserted(x: np.ndarray) -> np.ndarray:
    b, h, w, c = x.shape
    wide = np.zeros((b, 2 * h, 2 * w, c))
    wide[:, ::2, ::2] = x
    return wide


def scattered(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Stride-2 transposed convolution by its definition: t[2y + u, 2x + v] += kernel[u, v] · x."""
    b, h, w, _ = x.shape
    out = np.zeros((b, 2 * h + 1, 2 * w + 1, kernel.shape[-1]))
    for u in range(3):
        for v in range(3):
            out[:, u : u + 2 * h : 2, v : v + 2 * w : 2] += x @ kernel[u, v]
    return out


@pytest.mark.parametrize("shape", [(2, 4, 4, 3), (1, 5, 3, 2)])
def test_resampling_equals_zero_insertion_and_convolution(shape):
    x, kernel = draw(shape), draw((3, 3, shape[-1], 4), 1)

    @jax.jit
    def run(x, kernel):
        return (
            ops.upsample2x(x),
            ops.blur(x, (2, 2)),
            ops.blur(x, (2, 1)),
            ops.transposed_conv2x_blur(x, kernel),
        )

    expected = (
        blurred(zero_inserted(x), (2, 1), gain=4),
        blurred(x, (2, 2)),
        blurred(x, (2, 1)),
        blurred(scattered(x, kernel), (1, 1), gain=4),
    )
    for ours, reference in zip(run(x, kernel), expected, strict=True):
        np.testing.assert_allclose(ours, reference, atol=1e-5)


@pytest.mark.parametrize("size", [2, 6, 8])
def test_blurred_downsampling_is_every_second_pixel_of_the_blur(size):
    x = draw((2, size, size, 3))
    expected = blurred(x, (1, 1))[:, ::2, ::2]
    assert expected.shape[1] == size // 2
    np.testing.assert_allclose(jax.jit(ops.blur_downsample2x)(x), expected, atol=1e-6)


def test_resampling_keeps_a_constant_away_from_the_border():
    x, ones = np.full((1, 8, 8, 1), 0.7, np.float32), jnp.ones((3, 3, 1, 1))

    @jax.jit
    def run(x):
        results = ops.upsample2x(x), ops.blur(x, (2, 1)), ops.blur_downsample2x(x)
        return *results, ops.transposed_conv2x_blur(x, ones)

    up, blurred_only, down, up_convolved = run(x)
    for result in (up, blurred_only, down):
        np.testing.assert_allclose(result[:, 2:-2, 2:-2], 0.7, rtol=1e-6)
    # Zeros outside: the border loses what the filter reads there.
    np.testing.assert_allclose(up[0, 0, 4, 0], 0.7 * 3 / 4, rtol=1e-6)
    np.testing.assert_allclose(down[0, 0, 2, 0], 0.7 * 7 / 8, rtol=1e-6)
    # Every pixel spreads 9 ones over 4 times as many pixels, and the gain of 4 makes up for that.
    np.testing.assert_allclose(up_convolved[:, 2:-2, 2:-2], 0.7 * 9, rtol=1e-5)


def lax_resample(x, pad, stride=1, dilation=1, gain=1.0):
    """Blur of all channels by one dense convolution, with XLA's own dilation and stride."""
    kernel = gain * np.einsum("y,x,io->yxio", FILTER, FILTER, np.eye(x.shape[-1]))
    return jax.lax.conv_general_dilated(
        x, jnp.asarray(kernel, jnp.float32), (stride, stride), (pad, pad), (dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip


def lax_up_convolution(x, kernel):
    # Forward of the transposed convolution: the flipped kernel over zero-inserted, padded input.
    wide = jax.lax.conv_general_dilated(
        x, kernel[::-1, ::-1], (1, 1), ((2, 2), (2, 2)), (2, 2),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip
    return lax_resample(wide, (1, 1), gain=4.0)


@pytest.mark.parametrize(
    "ours, naive, kernel_shape",
    [
        # Zero insertion by dilation ends with the last pixel: one zero more on the far side.
        (ops.upsample2x, lambda x: lax_resample(x, (2, 2), dilation=2, gain=4.0), None),
        (lambda x: ops.blur(x, (2, 2)), lambda x: lax_resample(x, (2, 2)), None),
        (ops.blur_downsample2x, lambda x: lax_resample(x, (1, 1), stride=2), None),
        (ops.transposed_conv2x_blur, lax_up_convolution, (3, 3, 3, 2)),
    ],
    ids=["upsample2x", "blur", "blur_downsample2x", "transposed_conv2x_blur"],
)
def test_values_and_gradients_equal_a_naive_formulation(ours, naive, kernel_shape):
    arguments = (draw((2, 6, 6, 3)),) + ((draw(kernel_shape, 1),) if kernel_shape else ())

    def value_and_gradients(function):
        @jax.jit
        def run(*arguments):
            value, pullback = jax.vjp(function, *arguments)
            return value, *pullback(jnp.sin(3 * value))

        return run(*arguments)

    for a, b in zip(value_and_gradients(ours), value_and_gradients(naive), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5 * np.abs(b).max())


def test_interleave_alternates():
    even, odd = jnp.array([[0.0, 2.0]]), jnp.array([[1.0, 3.0]])
    np.testing.assert_array_equal(ops.interleave(even, odd, axis=1), [[0, 1, 2, 3]])
