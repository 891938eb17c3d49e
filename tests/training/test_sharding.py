"""Devices along the data axis: the same training on eight as on one."""

import jax
import numpy as np
import pytest

from liax_jax.training import sharding


def test_eight_devices_train_as_one(tiny_step, run_config, compile_step, initial_state, make_batch):
    """With minibatch standard deviation, whose groups span the devices."""
    assert run_config.discriminator.stddev_group == 4
    eight = compile_step(run_config, num_devices=8)
    states = {step: step.put(initial_state) for step in (tiny_step, eight)}
    for seed in range(5):
        metrics = {}
        for step, state in states.items():
            states[step], metrics[step] = step(state, make_batch(seed))
        for name, value in metrics[tiny_step].items():
            if name.startswith("loss/"):
                assert metrics[eight][name] == pytest.approx(value, abs=1e-4), (seed, name)
    for leaf in jax.tree.leaves(states[eight]):
        assert len(leaf.sharding.device_set) == 8 and leaf.sharding.is_fully_replicated


def test_mesh_has_every_device_along_the_data_axis():
    mesh = sharding.make_mesh()
    assert dict(mesh.shape) == {"data": 8}
    assert set(mesh.devices.flat) == set(jax.devices())


def test_batch_is_split_in_order():
    mesh = sharding.make_mesh()
    pictures = np.arange(16 * 3, dtype=np.uint8).reshape(16, 3)
    array = sharding.shard_batch({"source": pictures}, mesh)["source"]
    np.testing.assert_array_equal(np.asarray(array), pictures)
    assert array.dtype == np.uint8
    shards = {shard.device: np.asarray(shard.data) for shard in array.addressable_shards}
    for index, device in enumerate(mesh.devices.flat):
        np.testing.assert_array_equal(shards[device], pictures[2 * index : 2 * index + 2])


@pytest.mark.parametrize(("batch_size", "accumulation_steps"), [(8, 1), (16, 2), (64, 8)], ids=str)
def test_batches_that_fit(batch_size, accumulation_steps):
    sharding.check_batch(sharding.make_mesh(), batch_size, accumulation_steps)


@pytest.mark.parametrize(
    ("batch_size", "accumulation_steps"), [(12, 1), (8, 2), (16, 0), (16, -2), (24, 2)], ids=str
)
def test_batches_that_do_not_fit_are_an_error_that_says_so(batch_size, accumulation_steps):
    with pytest.raises(ValueError, match=rf"batch_size = {batch_size} must be a multiple of"):
        sharding.check_batch(sharding.make_mesh(), batch_size, accumulation_steps)
