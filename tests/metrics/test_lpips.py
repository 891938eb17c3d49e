"""LPIPS against torch's numbers on seeded weights, and its strict reading of published files."""

from pathlib import Path

import jax
import numpy as np
import pytest

from liax_jax.metrics import lpips
from tests.goldens.seeded_weights import draw, pictures

GOLDENS = Path(__file__).parents[1] / "fixtures" / "lpips.npz"
BACKBONES = {"alex": lpips.ALEXNET, "vgg": lpips.VGG16}
distance = jax.jit(lpips.lpips_distance, static_argnums=0)


def published_shapes(backbone) -> dict[str, tuple[int, ...]]:
    shapes = {}
    for conv in backbone:
        shapes[f"features.{conv.number}.weight"] = (conv.outputs, conv.inputs, conv.size, conv.size)
        shapes[f"features.{conv.number}.bias"] = (conv.outputs,)
    widths = [conv.outputs for conv in backbone if conv.tap]
    return shapes | {f"lin{i}.model.1.weight": (1, w, 1, 1) for i, w in enumerate(widths)}


@pytest.mark.parametrize("net", list(BACKBONES))
def test_distances_equal_torch_on_seeded_weights(net):
    backbone = BACKBONES[net]
    params = lpips.from_state_dict(backbone, draw(published_shapes(backbone)))
    image, reference = pictures(1, (2, 64, 72, 3)), pictures(2, (2, 64, 72, 3))
    ours = distance(backbone, params, image, reference)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, np.load(GOLDENS)[net], rtol=1e-5)
    np.testing.assert_array_equal(distance(backbone, params, image, image), 0)
    np.testing.assert_allclose(distance(backbone, params, reference, image), ours, rtol=1e-5)


def test_each_frame_is_scored_on_its_own_and_black_pictures_have_a_score():
    backbone = lpips.ALEXNET
    params = lpips.from_state_dict(backbone, draw(published_shapes(backbone)))
    image, reference = pictures(1, (2, 64, 72, 3)), pictures(2, (2, 64, 72, 3))
    image[1] = 0
    both = distance(backbone, params, image[None], reference[None])
    one = distance(backbone, params, image[0], reference[0])
    assert both.shape == (1, 2) and one.shape == ()
    np.testing.assert_allclose(both[0, 0], one, rtol=1e-5)
    assert np.isfinite(both).all()


def test_what_does_not_fit_is_named():
    tensors = draw(published_shapes(lpips.ALEXNET))
    del tensors["features.0.bias"]
    tensors["features.30.weight"] = np.zeros(3, np.float32)
    tensors["lin2.model.1.weight"] = np.zeros((1, 256, 1, 1), np.float32)
    with pytest.raises(ValueError, match="not LPIPS weights .torchvision's AlexNet") as error:
        lpips.from_state_dict(lpips.ALEXNET, tensors)
    for part in (
        "missing features.0.bias",
        "unexpected features.30.weight",
        "lin2.model.1.weight has shape (1, 256, 1, 1), expected (1, 384, 1, 1)",
    ):
        assert part in str(error.value)


@pytest.mark.parametrize("backbone", list(BACKBONES.values()), ids=list(BACKBONES))
def test_small_pictures_are_refused_and_the_least_size_has_a_score(backbone):
    params = lpips.from_state_dict(backbone, draw(published_shapes(backbone)))
    side = lpips.MIN_SIZES[backbone]
    image, reference = pictures(1, (1, side, side, 3)), pictures(2, (1, side, side, 3))
    assert np.isfinite(distance(backbone, params, image, reference)).all()
    with pytest.raises(ValueError, match=f"at least {side} x {side}"):
        lpips.lpips_distance(backbone, params, image[:, 1:], reference[:, 1:])
