"""Constructed codes whose scores are known, and tiny models in files."""

import numpy as np
import pytest

from liax_jax.animation.animator import Animator
from liax_jax.data.procedural import ProceduralClips
from liax_jax.directions import Direction, DirectionCard
from liax_jax.interpretability.codes import Codes
from liax_jax.interpretability.rotation import random_rotation
from liax_jax.model_files import ModelRecord, fingerprint, save_model

CLIPS, FRAMES, FACTORS, VECTORS = 40, 20, 5, 8


@pytest.fixture(scope="session")
def animator(tiny_config, tiny_params):
    """Of drawn weights, 32 px, four vectors."""
    identity = fingerprint(tiny_config, tiny_params)
    record = ModelRecord(tiny_config, DirectionCard(4), None, "drawn", "", identity)
    return Animator.create(record, tiny_params)


@pytest.fixture(scope="session")
def clips():
    return ProceduralClips(32, 4, 8, seed=3)


@pytest.fixture(scope="session")
def groups():
    return np.repeat(np.arange(CLIPS), FRAMES)


@pytest.fixture(scope="session")
def factors():
    """Heavy-tailed and independent."""
    return np.random.default_rng(1).laplace(size=(CLIPS * FRAMES, FACTORS))


@pytest.fixture(scope="session")
def make_codes(groups, factors):
    """make_codes("perfect" | "rotated" | "noise"): codes of the same factors."""
    rng = np.random.default_rng(2)
    scales = rng.uniform(0.5, 2, FACTORS)
    perfect = np.concatenate(
        [factors * scales, 1e-3 * rng.standard_normal((len(factors), VECTORS - FACTORS))], 1
    )[:, rng.permutation(VECTORS)]
    alphas = {
        "perfect": perfect,
        "rotated": perfect @ random_rotation(VECTORS, rng),
        "noise": rng.standard_normal(perfect.shape),
    }
    names = tuple(f"factor_{j}" for j in range(FACTORS))

    def make(kind: str) -> Codes:
        return Codes(alphas[kind], groups, groups, factors, names)

    return make


@pytest.fixture
def save_tiny(tmp_path):
    """save_tiny(name, config, params): a model directory with one named direction."""

    def save(name, config, params):
        card = DirectionCard(config.num_vectors, (Direction(1, "nod", "pose"),))
        record = ModelRecord(config, card, 7, "trained", "", fingerprint(config, params))
        save_model(tmp_path / name, record, params)
        return tmp_path / name

    return save
