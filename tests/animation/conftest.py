"""An animator small enough for every test, with two named directions."""

import pytest

from liax_jax.animation.animator import Animator
from liax_jax.directions import Direction, DirectionCard
from liax_jax.model_files import ModelRecord

CARD = DirectionCard(
    4,
    (
        Direction(0, "yaw", "pose", 1, -0.5, 0.5),
        Direction(2, "jaw", "mouth", -1, -0.4, 0.5),
    ),
)


@pytest.fixture(scope="session")
def animator(tiny_config, tiny_params):
    record = ModelRecord(
        config=tiny_config, card=CARD, step=None, origin="drawn", license="", fingerprint="tiny"
    )
    return Animator.create(record, tiny_params)
