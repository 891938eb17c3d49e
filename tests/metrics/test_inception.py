"""FID's Inception-v3 against torch's numbers on seeded weights."""

from pathlib import Path

import jax
import numpy as np
import pytest

from liax_jax.metrics import inception
from tests.goldens.seeded_weights import draw, pictures

GOLDENS = Path(__file__).parents[1] / "fixtures" / "inception.npz"
SHAPES = {"enlarged": (1, 96, 80, 3), "reduced": (1, 400, 512, 3)}


def published_shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for name, conv in inception.published_convolutions().items():
        shapes[f"{name}.conv.weight"] = (conv.outputs, conv.inputs, conv.height, conv.width)
        for field in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.bn.{field}"] = (conv.outputs,)
    return shapes


def test_the_published_network_has_as_many_parameters():
    shapes = published_shapes()
    counts = [int(np.prod(shape)) for name, shape in shapes.items() if "running" not in name]
    assert (len(shapes), sum(counts)) == (94 * 5, 21_785_568)


def test_features_equal_torch_on_seeded_weights():
    params = inception.from_state_dict(draw(published_shapes()))
    recorded = np.load(GOLDENS)
    resized = [
        inception.resize(pictures(seed, shape), inception.INPUT_SIZE)
        for seed, shape in enumerate(SHAPES.values())
    ]
    both = np.concatenate([np.asarray(image) for image in resized])
    features = jax.jit(inception.inception_features)(params, both)
    assert features.shape == (2, 2048) and features.dtype == np.float32
    for name, ours in zip(SHAPES, features, strict=True):
        np.testing.assert_allclose(ours, recorded[name], rtol=1e-4, atol=1e-5, err_msg=name)
        error = np.linalg.norm(ours - recorded[name]) / np.linalg.norm(recorded[name])
        assert error < 1e-5, f"{name}: {error}"


def test_what_does_not_fit_is_named():
    tensors = draw({name: shape for name, shape in published_shapes().items() if "7c" not in name})
    tensors["Mixed_5b.branch_pool.conv.weight"] = np.zeros((64, 192, 1, 1), np.float32)
    tensors["fc.weight"] = np.zeros((1008, 2048), np.float32)
    with pytest.raises(ValueError, match="FID's Inception-v3: missing Mixed_7c.branch1x1") as error:
        inception.from_state_dict(tensors)
    assert str(error.value).endswith("and 35 more")
