"""Every impossible model is refused with the field, its value and what it may be."""

import dataclasses
from typing import Any

import pytest

from liax_jax.models import ModelConfig


@pytest.mark.parametrize(
    "field, value, says",
    [
        ("family", "lia_y", "'lia_y': choose one of lia_x, lia"),
        ("flow_init", "zero", "'zero': choose one of published, identity"),
        ("dtype", "float16", "'float16': choose one of float32, bfloat16"),
        ("resolution", 48, "48: must be a power of two, 32 or more"),
        ("resolution", 16, "16: must be a power of two, 32 or more"),
        ("resolution", 64.0, "64.0: must be a power of two, 32 or more"),
        ("width", 0, "0: must be positive"),
        ("width", -1.0, "-1.0: must be positive"),
        ("width", 0.3, "0.3: gives 153.6 channels at 4 pixels; choose a width"),
        ("num_blocks", -1, "-1: must be 0 or more"),
        ("groups", 0, "0: must be 1 or more"),
        ("groups", 48, "48: the 512 channels at 4 pixels are not divisible"),
        ("num_vectors", 0, "0: must lie between 1 and the style width, 512"),
        ("num_vectors", 513, "513: must lie between 1 and the style width, 512"),
    ],
)
def test_the_error_names_field_value_and_remedy(field, value, says):
    with pytest.raises(ValueError) as error:
        ModelConfig(**{field: value})
    assert str(error.value).startswith(f"model.{field} = {says}")


def test_groups_matter_only_where_there_are_flow_blocks():
    narrow: dict[str, Any] = {"resolution": 64, "width": 1 / 8, "num_vectors": 8}
    with pytest.raises(ValueError, match="model.groups = 32: the 16 channels at 32 pixels"):
        ModelConfig(**narrow)
    assert ModelConfig(**narrow, num_blocks=0).channels(64) == 8
    assert ModelConfig(**narrow, family="lia").channels(64) == 32


def test_channel_tables_of_the_published_models():
    lia_x = ModelConfig(resolution=512, width=2.0)
    assert [lia_x.channels(r) for r in (4, *lia_x.levels)] == [
        1024, 1024, 1024, 1024, 1024, 512, 256, 128
    ]  # fmt: skip
    assert (lia_x.style_dim, lia_x.align_corners) == (1024, True)
    lia = ModelConfig(family="lia", resolution=1024)
    assert [lia.channels(r) for r in (4, *lia.levels)] == [512] * 4 + [256, 128, 64, 32, 16]
    assert (lia.style_dim, lia.align_corners) == (512, False)
    assert lia.levels == (8, 16, 32, 64, 128, 256, 512, 1024)


def test_a_config_is_frozen_and_hashable():
    config = ModelConfig()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.width = 2.0  # type: ignore[misc]
    assert hash(config) == hash(ModelConfig()) and config == ModelConfig()
    with pytest.raises(ValueError, match="model.resolution"):
        dataclasses.replace(config, resolution=100)
