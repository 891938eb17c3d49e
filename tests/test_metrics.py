"""L1, PSNR and SSIM against float64 re-statements of their definitions, under jit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from liax_jax import metrics
from liax_jax.metrics import psnr, ssim


def ssim_by_definition(x: np.ndarray, y: np.ndarray) -> float:
    """One (h, w, c) pair in float64: every window gathered, weighted moments, the 2004 formula."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    axis = np.arange(11) - 5.0
    weights = np.exp(-(axis[:, None] ** 2 + axis[None, :] ** 2) / (2 * 1.5**2))
    weights = weights / weights.sum()
    values = []
    for channel in range(x.shape[-1]):
        wx = np.lib.stride_tricks.sliding_window_view(x[..., channel], (11, 11))
        wy = np.lib.stride_tricks.sliding_window_view(y[..., channel], (11, 11))
        mean_x, mean_y = (wx * weights).sum((-2, -1)), (wy * weights).sum((-2, -1))
        dx, dy = wx - mean_x[..., None, None], wy - mean_y[..., None, None]
        var_x, var_y = (dx * dx * weights).sum((-2, -1)), (dy * dy * weights).sum((-2, -1))
        covariance = (dx * dy * weights).sum((-2, -1))
        c1, c2 = 0.01**2, 0.03**2
        index = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
        index /= (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
        values.append(index.mean())
    return float(np.mean(values))


def smooth_images(rng: np.random.Generator, count: int, height: int, width: int) -> np.ndarray:
    """Pictures with large flat parts near 1, where float32 variances are hardest."""
    y, x = np.mgrid[0:height, 0:width] / height
    frequency = rng.uniform(1, 4, (count, 1, 1, 3))
    wave = np.sin(frequency * x[..., None] + rng.uniform(0, 6, (count, 1, 1, 3)) + 2 * y[..., None])
    return np.clip(0.7 + 0.5 * wave, 0, 1).astype(np.float32)


def image_pairs() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    noise = rng.random((2, 33, 40, 3), dtype=np.float32)
    smooth = smooth_images(rng, 2, 33, 40)
    jitter = rng.normal(0, 0.01, smooth.shape).astype(np.float32)
    return {
        "unrelated noise": (noise, rng.random(noise.shape, dtype=np.float32)),
        "smooth, slightly noisy": (smooth, np.clip(smooth + jitter, 0, 1)),
        "smooth, shifted": (smooth, np.roll(smooth, 2, axis=2)),
        "black and white": (np.zeros_like(noise), np.ones_like(noise)),
        "inverted": (noise, 1 - noise),
    }


@pytest.mark.parametrize("case", list(image_pairs()))
def test_all_metrics_equal_float64_definitions_under_jit(case):
    x, y = image_pairs()[case]
    result = jax.jit(metrics.compute_frame_metrics)(x, y)
    difference = x.astype(np.float64) - y.astype(np.float64)
    l1 = np.abs(difference).mean((1, 2, 3))
    decibels = -10 * np.log10(np.square(difference).mean((1, 2, 3)))
    np.testing.assert_allclose(result["l1"], l1, atol=1e-5, rtol=0)
    np.testing.assert_allclose(result["psnr"], decibels, atol=1e-5, rtol=1e-6)
    expected = [ssim_by_definition(a, b) for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(result["ssim"], expected, atol=1e-5, rtol=0)
    assert all(value.shape == (2,) and value.dtype == jnp.float32 for value in result.values())


def test_equal_images_give_the_perfect_score_exactly():
    for x, _ in image_pairs().values():
        result = jax.jit(metrics.compute_frame_metrics)(x, x)
        np.testing.assert_array_equal(result["l1"], 0)
        np.testing.assert_array_equal(result["ssim"], 1)
        np.testing.assert_allclose(result["psnr"], psnr.MAX_PSNR_DB, rtol=1e-6)


def test_known_values_of_constant_images():
    x = np.full((1, 16, 16, 3), 0.5, np.float32)
    y = np.full((1, 16, 16, 3), 0.6, np.float32)
    result = metrics.compute_frame_metrics(x, y)
    np.testing.assert_allclose(result["l1"], [0.1], atol=1e-6)
    np.testing.assert_allclose(result["psnr"], [20.0], atol=1e-4)
    # No variance: the structure term is 1 and the luminance term is left.
    luminance = (2 * 0.5 * 0.6 + 1e-4) / (0.5**2 + 0.6**2 + 1e-4)
    np.testing.assert_allclose(result["ssim"], [luminance], atol=1e-6)


def test_any_leading_axes_and_symmetry():
    x, y = image_pairs()["smooth, shifted"]
    one = metrics.compute_frame_metrics(x[0], y[0])
    clip = metrics.compute_frame_metrics(x[None], y[None])
    swapped = metrics.compute_frame_metrics(y, x)
    for name in metrics.FRAME_METRICS:
        assert one[name].shape == () and clip[name].shape == (1, 2)
        np.testing.assert_allclose(clip[name][0, 0], one[name], rtol=1e-6)
        np.testing.assert_allclose(clip[name][0], swapped[name], rtol=1e-5)


def test_ssim_leaves_five_pixels_off_each_border():
    x, _ = image_pairs()["unrelated noise"]
    y = x.copy()
    y[:, 16, 20] = 1 - y[:, 16, 20]
    inner = (slice(None), slice(5, 28), slice(5, 35))
    # A window of 11 reaches a pixel from the 11 x 11 places around it, all of them inside here.
    whole = metrics.structural_similarity(x, y)
    part = metrics.structural_similarity(x[inner], y[inner])
    places_whole, places_part = 23 * 30, 13 * 20
    np.testing.assert_allclose((1 - whole) * places_whole, (1 - part) * places_part, rtol=1e-4)
    np.testing.assert_allclose(ssim.gaussian_window().sum(), 1, atol=1e-15)


def test_half_precision_images_are_scored_in_float32():
    x, y = image_pairs()["smooth, shifted"]
    x16, y16 = jnp.asarray(x, jnp.bfloat16), jnp.asarray(y, jnp.bfloat16)
    rounded = np.asarray(x16.astype(jnp.float32)), np.asarray(y16.astype(jnp.float32))
    for name, metric in metrics.FRAME_METRICS.items():
        np.testing.assert_array_equal(metric.function(x16, y16), metric.function(*rounded), name)


def test_gradient_of_equal_images_is_finite():
    x, _ = image_pairs()["smooth, shifted"]
    gradient = jax.grad(lambda image: metrics.structural_similarity(image, x).sum())(x)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("metric", list(metrics.FRAME_METRICS.values()))
def test_bad_input_is_refused(metric):
    image = np.zeros((2, 16, 16, 3), np.float32)
    with pytest.raises(ValueError, match="equal shapes"):
        metric.function(image, image[:1])
    with pytest.raises(ValueError, match="divide 8-bit pixels by 255"):
        metric.function(image.astype(np.uint8), image.astype(np.uint8))
    with pytest.raises(ValueError, match="height, width, channels"):
        metric.function(image[0, 0], image[0, 0])


def test_ssim_refuses_images_smaller_than_its_window():
    image = np.zeros((1, 10, 32, 3), np.float32)
    with pytest.raises(ValueError, match="at least 11 x 11"):
        metrics.structural_similarity(image, image)
