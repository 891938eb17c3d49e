"""HyperIQA: torch's scores on seeded weights, strict names, resizing as Pillow's, seeded crops."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from liax_jax.metrics import METRICS, WeightsStore, hyperiqa
from liax_jax.metrics.image_quality import crop_offsets, image_quality, resize
from liax_jax.torch_files import write_torch_archive
from tests.goldens.seeded_weights import draw, pictures

GOLDENS = Path(__file__).parents[1] / "fixtures" / "hyperiqa.npz"
SEED = 1  # of tests/goldens/hyperiqa.py


@pytest.fixture(scope="module")
def tensors():
    return draw(hyperiqa.tensor_shapes())


@pytest.fixture(scope="module")
def params(tensors):
    return hyperiqa.from_state_dict(tensors)


def test_scores_and_vectors_equal_torch(params):
    crops = pictures(SEED, (2, 224, 224, 3))
    recorded = np.load(GOLDENS)
    scores = np.asarray(jax.jit(hyperiqa.score_crops)(params, crops))
    assert np.ptp(recorded["score"]) > 0.01
    # Recorded in float64; float32 is off by 1.4e-5 here, torch's too: the target network, whose
    # weights are themselves computed, makes more of roundings.
    np.testing.assert_allclose(scores, recorded["score"], rtol=5e-5)
    _, vector = jax.jit(hyperiqa.backbone)(params, crops)
    np.testing.assert_allclose(
        vector, recorded["vector"], atol=2e-5 * np.abs(recorded["vector"]).max()
    )
    with pytest.raises(ValueError, match=r"\(b, 224, 224, 3\) crops"):
        hyperiqa.score_crops(params, crops[:, :112])


def test_parameter_count():
    shapes = hyperiqa.tensor_shapes()
    counted = {name: shape for name, shape in shapes.items() if "running" not in name}
    # What torch counts in tests/goldens/hyperiqa.py.
    assert sum(np.prod(shape) for shape in counted.values()) == 27_375_369


def test_names_that_do_not_fit_are_all_told_in_one_error(tensors):
    wrong = dict(tensors)
    del wrong["res.lda1_pool.0.weight"]
    wrong["fc3w_conv.weight"] = np.zeros((28, 112, 3, 3))
    wrong["res.fc.weight"] = np.zeros((1000, 2048))
    with pytest.raises(ValueError, match="not the weights of HyperIQA") as error:
        hyperiqa.from_state_dict(wrong)
    for part in (
        "missing res.lda1_pool.0.weight",
        "unexpected res.fc.weight",
        "fc3w_conv.weight has shape (28, 112, 3, 3), expected (32, 112, 3, 3)",
    ):
        assert part in str(error.value)


@pytest.mark.parametrize("size", [(96, 128), (720, 600)])
def test_frames_are_resized_as_pillow_does(size):
    pixels = np.rint(255 * pictures(0, (1, *size, 3))).astype(np.uint8)
    expected = Image.fromarray(pixels[0]).resize((384, 512), Image.Resampling.BILINEAR)
    ours = np.asarray(resize(jnp.asarray(pixels, jnp.float32)))
    assert ours.shape == (1, 512, 384, 3)
    # Pillow rounds to 8 bits after each direction.
    assert np.abs(ours[0] - np.asarray(expected, np.float32)).max() < 1.01


def test_crops_are_seeded_and_inside():
    offsets = crop_offsets()
    np.testing.assert_array_equal(offsets, crop_offsets())
    assert offsets.shape == (10, 2) and not np.array_equal(offsets, crop_offsets(seed=1))
    many = crop_offsets(5000)
    assert many.min() == 0
    np.testing.assert_array_equal(many.max(0), (512 - 224, 384 - 224))


def test_a_frame_scores_the_mean_of_its_crops_whatever_is_beside_it(params):
    frames = jnp.asarray(pictures(2, (2, 64, 80, 3)), jnp.float32)
    offsets = crop_offsets(2)
    scores = np.asarray(jax.jit(image_quality)(params, frames, offsets))
    resized = resize(frames[1:])
    crops = jnp.concatenate([resized[:, y : y + 224, x : x + 224] for y, x in offsets])
    expected = np.asarray(jax.jit(hyperiqa.score_crops)(params, crops)).mean()
    np.testing.assert_allclose(scores[1], expected, rtol=1e-5)
    assert abs(scores[0] - scores[1]) > 1e-3
    with pytest.raises(ValueError, match=r"\(b, h, w, 3\) frames"):
        image_quality(params, frames[0])


def test_the_published_file_goes_through_the_store_into_the_metric(tensors, tmp_path):
    published = tmp_path / "koniq_pretrained.pkl"
    counters = {"res.bn1.num_batches_tracked": np.asarray(3)}
    with published.open("wb") as file:
        write_torch_archive(file, tensors | counters)
    store = WeightsStore(tmp_path / "store")
    name, provenance = store.import_files("hyperiqa", [published])
    assert name == "hyperiqa" and list(provenance["sources"]) == ["koniq_pretrained.pkl"]
    stored = store.load("hyperiqa")
    metric = METRICS["image_quality"].make(stored)
    np.testing.assert_array_equal(
        metric.params["lda"][1]["reduce"], tensors["res.lda2_pool.0.weight"][:, :, 0, 0].T
    )
    assert metric.against == "nothing" and metric.higher_is_better
    described = metric.describe(3)
    assert "height 512 and width 384" in described["convention"]
    assert described["weights"]["hyperiqa"] == provenance
    published.unlink()
    store.path("hyperiqa").unlink()  # 110 MB each
