"""SSIM and PSNR against scikit-image, MS-SSIM against its definition on scikit-image's maps."""

import jax
import numpy as np
import pytest
from scipy.ndimage import correlate1d
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from liax_jax import metrics
from liax_jax.metrics.ms_ssim import MIN_SIZE, SCALE_WEIGHTS, multi_scale_structural_similarity
from liax_jax.metrics.ssim import gaussian_window
from tests.goldens.seeded_weights import pictures


def pairs(height: int, width: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """A noisy copy, a shifted one, another picture, and an inverted one."""
    image = pictures(0, (1, height, width, 3))[0]
    noise = np.random.default_rng(1).normal(0, 0.1, image.shape)
    noisy = np.clip(image + noise, 0, 1).astype(np.float32)
    other = pictures(2, (1, height, width, 3))[0]
    return [(image, noisy), (image, np.roll(image, 3, 1)), (image, other), (image, 1 - image)]


def test_ssim_and_psnr_equal_scikit_image():
    images, references = map(np.stack, zip(*pairs(90, 70), strict=True))
    ours = jax.jit(metrics.compute_frame_metrics)(images, references)
    for i, (image, reference) in enumerate(zip(images, references, strict=True)):
        image, reference = image.astype(np.float64), reference.astype(np.float64)
        ssim = structural_similarity(
            image, reference, data_range=1.0, channel_axis=-1,
            gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        )  # fmt: skip
        psnr = peak_signal_noise_ratio(reference, image, data_range=1.0)
        np.testing.assert_allclose(ours["ssim"][i], ssim, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(ours["psnr"][i], psnr, rtol=1e-6)


def by_definition(x: np.ndarray, y: np.ndarray) -> float:
    """Wang et al. 2003 for one (h, w, c) pair in float64."""

    def blur(planes):
        for axis in (0, 1):
            planes = correlate1d(planes, gaussian_window(), axis=axis)
        return planes[5:-5, 5:-5]

    x, y = x.astype(np.float64), y.astype(np.float64)
    product = np.ones(x.shape[-1])
    for scale, weight in enumerate(SCALE_WEIGHTS):
        mean_x, mean_y = blur(x), blur(y)
        variances = blur(x * x) - mean_x**2 + blur(y * y) - mean_y**2
        covariance = blur(x * y) - mean_x * mean_y
        factor = (2 * covariance + 0.03**2) / (variances + 0.03**2)
        if scale == len(SCALE_WEIGHTS) - 1:
            factor *= (2 * mean_x * mean_y + 0.01**2) / (mean_x**2 + mean_y**2 + 0.01**2)
        product *= np.maximum(factor.mean((0, 1)), 0) ** weight
        height, width = x.shape[0] // 2, x.shape[1] // 2
        x, y = (
            a[: 2 * height, : 2 * width].reshape(height, 2, width, 2, -1).mean((1, 3))
            for a in (x, y)
        )
    return float(product.mean())


def test_ms_ssim_equals_its_definition():
    images, references = map(np.stack, zip(*pairs(183, 200), strict=True))
    score = jax.jit(multi_scale_structural_similarity)
    ours = score(images, references)
    expected = [by_definition(x, y) for x, y in zip(images, references, strict=True)]
    assert expected[0] > 0.8 and expected[3] == 0  # an inverted picture has negative structure
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(score(images, images), 1)


def test_pictures_too_small_for_five_scales_are_refused_and_left_out(tmp_path):
    image = pictures(0, (1, MIN_SIZE, MIN_SIZE, 3))
    assert multi_scale_structural_similarity(image, image) == 1
    with pytest.raises(ValueError, match="at least 176 x 176 pixels.*higher resolution"):
        multi_scale_structural_similarity(image[:, 1:], image[:, 1:])
    store = metrics.WeightsStore(tmp_path)
    available, left_out = metrics.build_metrics(["ssim", "ms_ssim"], store, 128)
    assert list(available) == ["ssim"] and "at least 176 x 176 pixels" in left_out["ms_ssim"]
    available, _ = metrics.build_metrics(["ms_ssim"], store)
    with pytest.raises(metrics.MetricInputError, match="ms_ssim: needs pictures of at least 176"):
        available["ms_ssim"](image[:, 1:], image[:, 1:])
