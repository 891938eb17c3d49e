"""Devices along the data axis: the same training on eight as on one."""

import jax
import numpy as np
import pytest

from liax_jax.training import sharding


@pytest.mark.parametrize(("data", "fsdp"), [(8, 1), (2, 4), (1, 8)])
def test_any_mesh_trains_as_one_device(
    data, fsdp, tiny_step, run_config, compile_step, initial_state, make_batch
):
    """With minibatch standard deviation, whose groups span the devices."""
    assert run_config.discriminator.stddev_group == 4
    eight = compile_step(run_config, data, fsdp)
    states = {step: step.put(initial_state) for step in (tiny_step, eight)}
    for seed in range(5):
        metrics = {}
        for step, state in states.items():
            states[step], metrics[step] = step(state, make_batch(seed))
        for name, value in metrics[tiny_step].items():
            if name.startswith("loss/"):
                assert metrics[eight][name] == pytest.approx(value, abs=1e-4), (seed, name)
    one, many = (jax.tree.leaves(states[step].generator.params) for step in (tiny_step, eight))
    for expected, found in zip(one, many, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)
    kernels = [x for x in many if x.ndim == 4 and x.size >= 4096]
    assert len(kernels) >= 5
    for kernel in kernels:
        assert kernel.addressable_data(0).size == kernel.size // fsdp


def test_what_is_random_or_spans_the_batch_is_the_same_on_any_mesh(
    run_config, compile_step, initial_generator_state, make_batch
):
    """Noise on the code; each vector's motion over the batch."""
    config = run_config.copy_and_resolve_references()
    config.loss.update(adversarial=0.0, code_noise=0.5, sparsity_penalty="standardized")
    steps = {"one": compile_step(config), "eight": compile_step(config, 4, 2)}
    quiet = config.copy_and_resolve_references()
    quiet.loss.code_noise = 0.0
    steps["quiet"] = compile_step(quiet)
    states = {name: step.put(initial_generator_state) for name, step in steps.items()}
    for seed in range(3):  # the flow begins as the identity, whatever the code
        metrics = {}
        for name, step in steps.items():
            states[name], metrics[name] = step(states[name], make_batch(seed))
        for name, value in metrics["one"].items():
            assert metrics["eight"][name] == pytest.approx(value, rel=1e-3, abs=1e-4), name
    params = [jax.tree.leaves(states[name].generator.params) for name in ("one", "eight")]
    for expected, found in zip(*params, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)
    assert abs(metrics["quiet"]["loss/l1"] - metrics["one"]["loss/l1"]) > 1e-5


def test_mesh_takes_the_devices_that_are_left():
    devices = set(jax.devices())
    for axes, shape in (
        ({"data": -1}, {"data": 8, "fsdp": 1}),
        ({"data": -1, "fsdp": 4}, {"data": 2, "fsdp": 4}),
        ({"fsdp": -1}, {"data": 1, "fsdp": 8}),
        ({"data": 4, "fsdp": 2}, {"data": 4, "fsdp": 2}),
    ):
        mesh = sharding.make_mesh(axes)
        assert dict(mesh.shape) == shape
        assert set(mesh.devices.flat) == devices


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"data": 3}, r"mesh \(data = 3, fsdp = 1\) doesn't fit the 8 device\(s\)"),
        ({"data": -1, "fsdp": 3}, "doesn't fit"),
        ({"data": -1, "fsdp": -1}, "one of them may be -1"),
        ({"data": 0}, "1 or more"),
        ({"tensor": 2}, "mesh.tensor: there is no such axis; there are data, fsdp"),
    ],
)
def test_meshes_that_do_not_fit(axes, message):
    with pytest.raises(ValueError, match=message):
        sharding.make_mesh(axes)


def test_the_largest_axis_that_divides_is_split():
    mesh = sharding.make_mesh({"data": 2, "fsdp": 4})
    for shape, spec in (
        ((3, 3, 64, 128), (None, None, None, "fsdp")),
        ((3, 3, 128, 64), (None, None, "fsdp")),
        ((3, 3, 64, 64), (None, None, None, "fsdp")),  # of equal ones the last
        ((4097, 64), (None, "fsdp")),  # the longest doesn't divide
        ((64, 8), ()),  # small
        ((77, 77), ()),  # none divides
        ((), ()),
    ):
        assert tuple(sharding.split_over(mesh, shape).spec) == spec, shape


@pytest.mark.parametrize("axes", [{"data": -1}, {"data": 2, "fsdp": 4}], ids=str)
def test_batch_is_split_in_order(axes):
    mesh = sharding.make_mesh(axes)
    pictures = np.arange(16 * 3, dtype=np.uint8).reshape(16, 3)
    rows = sharding.process_rows(mesh, 16)
    assert rows == list(range(16))
    array = sharding.shard_batch({"source": pictures}, mesh, rows)["source"]
    np.testing.assert_array_equal(np.asarray(array), pictures)
    assert array.dtype == np.uint8
    shards = {shard.device: np.asarray(shard.data) for shard in array.addressable_shards}
    for index, device in enumerate(mesh.devices.flat):
        np.testing.assert_array_equal(shards[device], pictures[2 * index : 2 * index + 2])


@pytest.mark.parametrize(("batch_size", "accumulation_steps"), [(8, 1), (16, 2), (64, 8)], ids=str)
def test_batches_that_fit(batch_size, accumulation_steps):
    sharding.check_batch(sharding.make_mesh({"data": -1}), batch_size, accumulation_steps)


@pytest.mark.parametrize(
    ("batch_size", "accumulation_steps"), [(12, 1), (8, 2), (16, 0), (16, -2), (24, 2)], ids=str
)
def test_batches_that_do_not_fit_are_an_error_that_says_so(batch_size, accumulation_steps):
    with pytest.raises(ValueError, match=rf"batch_size = {batch_size} must be a multiple of"):
        sharding.check_batch(sharding.make_mesh({"data": -1}), batch_size, accumulation_steps)
