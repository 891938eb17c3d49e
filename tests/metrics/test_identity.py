"""Identity distance: 0 of a picture with itself, wherever its face is; faceless frames are NaN."""

import dataclasses
import hashlib
import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from liax_jax.faces.alignment import TEMPLATE, FaceAligner
from liax_jax.faces.crops import Box
from liax_jax.log import logger
from liax_jax.metrics import (
    METRICS,
    MetricInputError,
    StoredWeights,
    WeightsStore,
    arcface,
    build_metrics,
)
from liax_jax.metrics.identity import identity_metric
from tests.goldens.seeded_weights import draw, pictures

PLACED = 130


def find_bright(rgb, *_):
    """A detector: the face is what is bright, with landmarks as in the template."""
    rows, columns = np.nonzero(rgb.max(-1) > 60)
    if not len(rows):
        return []
    left, top = int(columns.min()), int(rows.min())
    factor = (columns.max() + 1 - left) / 112
    landmarks = tuple(map(tuple, TEMPLATE * factor + (left, top)))
    return [Box(left, top, 112 * factor, 112 * factor, landmarks=landmarks)]


def on_canvas(picture, left, top):
    canvas = np.zeros((256, 256, 3), np.float32)
    canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return canvas


@pytest.fixture(scope="module")
def stored():
    params = arcface.from_state_dict(draw(arcface.tensor_shapes(18)))
    return StoredWeights("arcface", params, {"sha256": "ab", "sources": {"backbone.pth": "cd"}})


@pytest.fixture(scope="module")
def metric(stored):
    return identity_metric(stored, FaceAligner("landmarks", detector=find_bright))


@pytest.fixture(scope="module")
def faces():
    return 0.3 + 0.7 * pictures(3, (2, PLACED, PLACED, 3))


def test_distance_is_zero_for_the_same_face_in_any_place(metric, faces):
    source = on_canvas(faces[0], 60, 60)
    frames = jnp.asarray(
        [
            source,
            on_canvas(faces[0], 11, 97),  # elsewhere
            on_canvas(faces[1], 60, 60),  # another one
            np.zeros((256, 256, 3)),  # none
        ],
        jnp.float32,
    )
    distances = np.asarray(metric(frames, metric.prepare(jnp.asarray(source[None]))))
    # The source was embedded in a batch of another size, which changes the last digits.
    np.testing.assert_allclose(distances[:2], 0, atol=1e-9)
    assert distances[2] > 0.01
    assert np.isnan(distances[3])


def test_a_source_without_a_face_leaves_all_frames_out_and_says_so(
    metric, faces, caplog, monkeypatch
):
    monkeypatch.setattr(logger, "propagate", True)
    with caplog.at_level(logging.WARNING, logger="liax_jax"):
        prepared = metric.prepare(jnp.zeros((1, 256, 256, 3)))
    assert "identity: found no face in a source picture" in caplog.text
    frame = jnp.asarray(on_canvas(faces[0], 60, 60)[None])
    frames = jnp.concatenate([frame, frame, frame, frame])
    assert np.isnan(np.asarray(metric(frames, prepared))).all()


def test_frames_that_cannot_be_scored_are_refused(metric, faces):
    frame = on_canvas(faces[0], 60, 60)[None]
    prepared = jnp.ones((1, 512))
    with pytest.raises(MetricInputError, match="identity: frame 0 .* NaN"):
        metric(jnp.asarray(np.where(frame > 0.5, np.nan, frame)), prepared)
    with pytest.raises(MetricInputError, match="divide 8-bit pixels by 255"):
        metric(jnp.asarray(frame * 255, jnp.int32), prepared)
    with pytest.raises(MetricInputError, match="at least 32 x 32"):
        metric(jnp.asarray(frame[:, :20]), prepared)


def test_damaged_weights_are_an_error_rather_than_frames_without_a_face(stored, faces):
    params = jax.tree.map(lambda x: jnp.full_like(x, jnp.nan), stored.params)
    damaged = dataclasses.replace(stored, params=params)
    metric = identity_metric(damaged, FaceAligner("landmarks", detector=find_bright))
    frame = jnp.asarray(on_canvas(faces[0], 60, 60)[None])
    with pytest.raises(MetricInputError, match="NaN for a face; import its weights again"):
        metric.prepare(frame)
    with pytest.raises(MetricInputError, match="NaN for a face"):
        metric(frame, jnp.ones((1, 512)))


def test_results_state_network_alignment_and_weights(metric, stored):
    described = metric.describe(12)
    assert "1 - cosine of iresnet-18" in described["convention"]
    assert "five landmarks (YuNet)" in described["convention"]
    assert described["weights"] == {"arcface": stored.provenance}
    assert described["frames"] == 12 and not described["higher_is_better"]
    by_default = METRICS["identity"].make(stored)
    assert "box per frame, without landmarks" in by_default.convention


def test_a_face_model_adds_landmarks_and_its_hash(stored, monkeypatch, tmp_path):
    import cv2

    path = tmp_path / "yunet.onnx"
    path.write_bytes(b"a model")
    monkeypatch.setattr(cv2.FaceDetectorYN, "create", lambda *_: None)
    metric = identity_metric(stored).with_face_model(path)
    assert metric.aligner.method == "landmarks" and "five landmarks" in metric.convention
    assert metric.weights["yunet"]["sha256"] == hashlib.sha256(b"a model").hexdigest()
    assert metric.weights["arcface"] == stored.provenance


def test_without_weights_it_is_left_out_with_the_reason(tmp_path):
    names = ["identity", "image_quality", "jitter"]
    available, left_out = build_metrics(names, WeightsStore(tmp_path))
    assert list(available) == ["jitter"]
    assert "liax weights import arcface FILE" in left_out["identity"]
    assert "liax weights import hyperiqa FILE" in left_out["image_quality"]
