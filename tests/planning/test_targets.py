"""Targets as they are written, and what isn't one."""

import pytest

from liax_jax.planning.targets import (
    CHIPS,
    TargetError,
    gpu_target_config,
    parse_target,
    topology_arguments,
)


@pytest.mark.parametrize(
    "text, devices, linked",
    [
        ("v5e:16x16", 256, 256),
        ("v5e:16x16*4", 1024, 256),
        ("v4:2x2x4", 16, 16),
        ("v5p:4x4x8*2", 256, 128),
        ("V6E:1x1", 1, 1),
        ("a100-80gb:2x8", 16, 8),
        ("h200:1x4", 4, 4),
        ("cpu:8", 8, 8),
    ],
)
def test_sizes(text, devices, linked):
    target = parse_target(text)
    assert (target.num_devices, target.devices_linked) == (devices, linked)
    assert parse_target(target.text) == target


@pytest.mark.parametrize(
    "text, says",
    [
        ("tpu-v9:4x4", "unknown target 'tpu-v9:4x4': write KIND:TOPOLOGY"),
        ("v5e", "unknown target"),
        ("v5e:4x4x4", "TPU v5e has topologies of 2 dimensions, e.g. v5e:16x16"),
        ("v5p:4x4", "3 dimensions, e.g. v5p:4x4x8"),
        ("v5e:3x5", "no such topology; TPU v5e comes as 1x1, 2x2"),
        ("h100:8", "2 dimensions, e.g. h100:1x8"),
        ("h100:1x8*2", "give more nodes instead"),
        ("cpu:0", "1 dimensions, e.g. cpu:8"),
        ("v5e:16x16*0", "2 dimensions"),
    ],
)
def test_what_is_not_a_target_says_what_is(text, says):
    with pytest.raises(TargetError) as error:
        parse_target(text)
    assert says in str(error.value)


def test_what_the_toolchains_are_asked_for():
    assert topology_arguments(parse_target("v5e:1x1")) == {
        "platform": "tpu",
        "topology_name": "v5e:1x1",
        "chips_per_host_bounds": (1, 1, 1),
    }
    v4 = topology_arguments(parse_target("v4:2x2x1*2"))
    assert v4["chip_config_name"] == "megacore" and v4["num_slices"] == 2
    gpu = topology_arguments(parse_target("a100-80gb:2x8"))
    assert gpu["platform"] == "cuda" and gpu["topology"] == "1x2x8"
    assert "core_count: 108" in gpu["target_config"]


def test_a_program_can_have_less_than_a_chip_has():
    for kind, chip in CHIPS.items():
        if kind != "cpu":
            assert 0.94 * chip.rates.hbm_bytes < chip.hbm_bytes < 1.08 * chip.rates.hbm_bytes, kind
            assert chip.outside_bandwidth < chip.rates.link_bytes_per_second, kind
        if chip.gpu:
            assert chip.hbm_bytes < chip.gpu.memory_bytes
            assert gpu_target_config(chip).count("{") == gpu_target_config(chip).count("}")
