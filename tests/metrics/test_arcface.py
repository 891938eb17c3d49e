"""iresnet: torch's embeddings on seeded weights, sizes of the published networks, strict names."""

from pathlib import Path

import jax
import numpy as np
import pytest

from liax_jax.metrics import arcface
from tests.goldens.seeded_weights import draw, pictures

GOLDENS = Path(__file__).parents[1] / "fixtures" / "arcface.npz"
SEED = 1  # of tests/goldens/arcface.py


def test_embeddings_of_iresnet_50_equal_torch():
    params = arcface.from_state_dict(draw(arcface.tensor_shapes(50)))
    assert arcface.depth_of(params) == 50
    crops = pictures(SEED, (2, 112, 112, 3)) * 2 - 1
    embedding = np.asarray(jax.jit(arcface.embed)(params, crops))
    recorded = np.load(GOLDENS)["embedding"]
    assert np.abs(recorded[0] - recorded[1]).max() > 0.1 * np.abs(recorded).max()
    np.testing.assert_allclose(embedding, recorded, atol=2e-5 * np.abs(recorded).max())
    # Each picture's embedding is its own.
    alone = np.asarray(jax.jit(arcface.embed)(params, crops[1:]))
    np.testing.assert_allclose(alone, embedding[1:], atol=1e-5 * np.abs(recorded).max())
    with pytest.raises(ValueError, match=r"\(b, 112, 112, 3\) crops"):
        arcface.embed(params, crops[:, :96])


# Papers state 43.59 million for iresnet-50; both are what torch counts in tests/goldens/arcface.py.
@pytest.mark.parametrize(("depth", "count"), [(50, 43_590_848), (100, 65_156_160)])
def test_parameter_counts(depth, count):
    shapes = arcface.tensor_shapes(depth)
    counted = {name: shape for name, shape in shapes.items() if "running" not in name}
    assert sum(np.prod(shape) for shape in counted.values()) == count
    assert arcface.find_depth(shapes) == depth


def test_names_that_do_not_fit_are_all_told_in_one_error():
    shapes = arcface.tensor_shapes(18)
    tensors = {name: np.broadcast_to(np.float32(1), shape) for name, shape in shapes.items()}
    tensors["bn1.num_batches_tracked"] = np.asarray(7)
    del tensors["layer2.0.prelu.weight"], tensors["features.running_var"]
    tensors["layer1.0.se.weight"] = np.zeros(3)
    tensors["fc.weight"] = np.zeros((512, 8192), np.float32)
    with pytest.raises(ValueError, match="not the weights of iresnet-18") as error:
        arcface.from_state_dict(tensors)
    for part in (
        "missing layer2.0.prelu.weight; missing features.running_var",
        "unexpected layer1.0.se.weight",
        "fc.weight has shape (512, 8192), expected (512, 25088)",
    ):
        assert part in str(error.value)
    assert "num_batches" not in str(error.value)


def test_another_network_is_refused_by_its_blocks():
    tensors = {f"layer1.{i}.bn1.weight": np.ones(64) for i in range(5)}
    with pytest.raises(ValueError, match=r"\(5, 0, 0, 0\) blocks.*iresnet-50 \(3, 4, 14, 3\)"):
        arcface.from_state_dict(tensors)


def test_cosine_distance():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 4, 512), dtype=np.float32)
    assert np.all(np.asarray(arcface.cosine_distance(a, a)) == 0)
    np.testing.assert_allclose(arcface.cosine_distance(a, 3 * a), 0, atol=1e-6)
    np.testing.assert_allclose(arcface.cosine_distance(a, -a), 2, rtol=1e-6)
    expected = 1 - (a * b).sum(-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))
    np.testing.assert_allclose(arcface.cosine_distance(a, b), expected, rtol=1e-5)
