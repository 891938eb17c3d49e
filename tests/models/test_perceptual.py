"""VGG19 against torch's numbers on seeded weights, its loaders, and the Gaussian pyramid."""

import logging
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from liax_jax.log import logger
from liax_jax.models import perceptual

GOLDENS = Path(__file__).parents[1] / "fixtures" / "vgg19.npz"
# torchvision's numbering of the convolutions, and their channels.
CONVOLUTIONS = {
    0: 64, 2: 64, 5: 128, 7: 128, 10: 256, 12: 256, 14: 256, 16: 256,
    19: 512, 21: 512, 23: 512, 25: 512, 28: 512,
}  # fmt: skip


@pytest.fixture(scope="module")
def seeded():
    """The weights and the image that the recorded features belong to."""
    rng = np.random.default_rng(19)
    state, inputs = {}, 3
    for index, outputs in CONVOLUTIONS.items():
        weight = rng.standard_normal((outputs, inputs, 3, 3), dtype=np.float32)
        state[f"features.{index}.weight"] = weight * np.float32(np.sqrt(2 / (9 * inputs)))
        bias = rng.standard_normal((outputs,), dtype=np.float32)
        state[f"features.{index}.bias"] = bias * np.float32(0.1)
        inputs = outputs
    return state, rng.uniform(-1.2, 1.2, (1, 32, 32, 3)).astype(np.float32)


@pytest.fixture
def messages(caplog, monkeypatch):
    """The program's logger, which commands take off the root logger, seen by caplog."""
    monkeypatch.setattr(logger, "propagate", True)
    with caplog.at_level(logging.INFO, logger="liax_jax"):
        yield caplog


def test_features_of_a_safetensors_file_equal_torch(seeded, tmp_path, messages):
    state, image = seeded
    path = tmp_path / "vgg19.safetensors"
    save_file({**state, "classifier.0.bias": np.zeros(3, np.float32)}, path)
    params = perceptual.load_vgg19(path)
    assert "vgg19.safetensors, SHA-256 " in messages.text
    features = jax.jit(perceptual.vgg19_features)(params, image)
    recorded = np.load(GOLDENS)
    shapes = [(1, 32, 32, 64), (1, 16, 16, 128), (1, 8, 8, 256), (1, 4, 4, 512), (1, 2, 2, 512)]
    assert [f.shape for f in features] == shapes
    for name, ours in zip(perceptual.TAPS, features, strict=True):
        reference = recorded[name]
        assert np.abs(reference).max() > 0.1
        np.testing.assert_allclose(
            ours[:, ::8, ::8, ::16], reference, atol=1e-5 * np.abs(reference).max()
        )


def test_missing_and_misshapen_tensors_are_all_named(seeded):
    state = dict(seeded[0])
    del state["features.0.weight"], state["features.28.bias"]
    state["features.7.weight"] = np.zeros((128, 64, 3, 3), np.float32)
    with pytest.raises(ValueError, match="not torchvision's VGG19") as error:
        perceptual.vgg19_from_state_dict(state)
    assert str(error.value).count(";") == 2
    for part in (
        "missing features.0.weight",
        "missing features.28.bias",
        "features.7.weight has shape (128, 64, 3, 3), expected (128, 128, 3, 3)",
    ):
        assert part in str(error.value)


def test_files_that_cannot_be_read_are_refused_with_a_way_out(tmp_path):
    missing = tmp_path / "none.pth"
    with pytest.raises(FileNotFoundError, match='no file .*none.pth.*weights = "random"'):
        perceptual.load_vgg19(missing)
    wrong = tmp_path / "vgg19.npz"
    wrong.write_bytes(b"")
    with pytest.raises(ValueError, match=r"read from \.safetensors, \.pt or \.pth"):
        perceptual.load_vgg19(wrong)
    broken = tmp_path / "vgg19.safetensors"
    broken.write_bytes(b"no header at all")
    with pytest.raises(ValueError, match="vgg19.safetensors is not a readable safetensors file"):
        perceptual.load_vgg19(broken)
    torchs = tmp_path / "vgg19.pth"
    torchs.write_bytes(b"")
    with pytest.raises(ValueError, match="vgg19.pth can't be read as torch weights"):
        perceptual.load_vgg19(torchs)


def test_random_weights_are_only_taken_when_asked_for_and_say_so(messages, monkeypatch):
    with pytest.raises(ValueError, match='perceptual.weights is empty.*say "random"'):
        perceptual.perceptual_params("")
    params = perceptual.perceptual_params("random", seed=3)
    warnings = [r.getMessage() for r in messages.records if r.levelno == logging.WARNING]
    assert len(warnings) == 1 and "random projections, not what people see" in warnings[0]
    kernel = np.asarray(params["conv3_2"]["kernel"])
    assert kernel.shape == (3, 3, 256, 256)
    np.testing.assert_allclose(kernel.std(), np.sqrt(2 / (9 * 256)), rtol=0.01)
    again = perceptual.random_vgg19(seed=3)
    np.testing.assert_array_equal(kernel, again["conv3_2"]["kernel"])


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_gaussian_downsampling_equals_an_explicit_convolution(factor):
    size, sigma = 24, (factor - 1) / 2
    image = np.random.default_rng(0).uniform(-1, 1, (2, size, size, 3)).astype(np.float32)
    radius = round(4 * sigma)
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    kernel = np.exp(-(x**2 + y**2) / (2 * sigma**2))
    kernel /= kernel.sum()
    padded = np.pad(image, ((0, 0), (radius, radius), (radius, radius), (0, 0)))
    expected = np.zeros((2, size // factor, size // factor, 3))
    for row, column in np.ndindex(size // factor, size // factor):
        top, left = row * factor, column * factor
        window = padded[:, top : top + 2 * radius + 1, left : left + 2 * radius + 1]
        expected[:, row, column] = np.einsum("yx,byxc->bc", kernel, window)
    ours = perceptual.gaussian_downsample(jnp.asarray(image), factor)
    np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_scale_one_is_the_picture_itself():
    image = jnp.ones((1, 4, 4, 3))
    assert perceptual.gaussian_downsample(image, 1) is image


def test_scales_that_leave_too_few_pixels_are_refused():
    perceptual.check_scales(128, (1, 2, 4, 8))
    with pytest.raises(ValueError, match="1/8 of 64 pixels is 8, and VGG19 needs 16"):
        perceptual.check_scales(64, (1, 2, 4, 8))
    with pytest.raises(ValueError, match="at least 16 pixels"):
        perceptual.vgg19_features({}, jnp.zeros((1, 8, 8, 3)))
