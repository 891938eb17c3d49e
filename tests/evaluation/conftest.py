import pytest

from liax_jax.directions import DirectionCard
from liax_jax.model_files import ModelRecord, fingerprint, save_model


@pytest.fixture(scope="session")
def save_tiny_model(tiny_config, tiny_params):
    """Writes the tiny model, as of step 7, into a folder: (path) → None."""

    def save(path):
        record = ModelRecord(
            config=tiny_config,
            card=DirectionCard(4),
            step=7,
            origin="drawn",
            license="",
            fingerprint=fingerprint(tiny_config, tiny_params),
        )
        save_model(path, record, tiny_params)

    return save
