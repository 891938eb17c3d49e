"""The discriminator: sizes, and what its examples know of one another."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from liax_jax.models import Discriminator
from liax_jax.models.discriminator import minibatch_stddev

CHANNELS = {256: 64, 128: 128, 64: 256, 32: 512, 16: 512, 8: 512, 4: 512}


def count(discriminator, resolution):
    picture = jax.ShapeDtypeStruct((4, resolution, resolution, 3), jnp.float32)
    shapes = jax.eval_shape(discriminator.init, jax.random.key(0), picture)
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))


def test_parameter_count_at_256_pixels():
    expected = 3 * CHANNELS[256] + CHANNELS[256]  # 1×1 from RGB
    for size in (256, 128, 64, 32, 16, 8):
        i, o = CHANNELS[size], CHANNELS[size // 2]
        expected += 9 * i * i + i + 9 * i * o + o + i * o
    expected += 9 * 513 * 512 + 512  # after the minibatch standard deviation
    expected += 512 * 16 * 512 + 512 + 512 + 1
    assert count(Discriminator(), 256) == expected == 24_001_089
    assert count(Discriminator(stddev_group=0), 256) == expected - 9 * 512


def random_params(discriminator, images):
    shapes = jax.eval_shape(discriminator.init, jax.random.key(0), images)["params"]
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda s: rng.standard_normal(s.shape, dtype=np.float32), shapes)


@pytest.mark.parametrize("group, dtype", [(0, "float32"), (4, "float32"), (4, "bfloat16")])
def test_examples_see_one_another_only_through_the_minibatch_stddev(group, dtype):
    discriminator = Discriminator(width=1 / 64, stddev_group=group, dtype=dtype)
    images = np.random.default_rng(1).uniform(-1, 1, (4, 16, 16, 3)).astype(np.float32)
    params = random_params(discriminator, images)
    score = jax.jit(lambda x: discriminator.apply({"params": params}, x))
    other = images.copy()
    other[1:] = -images[1:]
    first, second = score(images), score(other)
    assert first.shape == (4,) and first.dtype == jnp.float32
    assert np.isfinite(first).all() and len(np.unique(first)) == 4
    assert (float(first[0]) == float(second[0])) == (group == 0)


@pytest.mark.parametrize("devices, batch", [(8, 8), (8, 16), (4, 8), (2, 8), (2, 6), (6, 12)])
def test_groups_of_the_minibatch_stddev_span_devices(devices, batch):
    """Passed around where g divides the number of devices, else gathered."""
    x = np.random.default_rng(0).standard_normal((batch, 4, 4, 8), dtype=np.float32)
    mesh = jax.make_mesh(
        (devices // 2, 2),
        ("data", "fsdp"),
        axis_types=(jax.sharding.AxisType.Auto,) * 2,
        devices=jax.devices()[:devices],
    )
    spec = jax.sharding.PartitionSpec(("data", "fsdp"))
    split = jax.shard_map(
        lambda x: minibatch_stddev(x, 4, ("data", "fsdp")),
        mesh=mesh,
        in_specs=spec,
        out_specs=spec,
        check_vma=False,
    )

    def score(stddev, x):
        return jnp.sum(jnp.sin(3 * stddev(x)))

    whole = jax.jit(jax.value_and_grad(lambda x: score(lambda x: minibatch_stddev(x, 4), x)))
    for ours, theirs in zip(
        jax.jit(jax.value_and_grad(lambda x: score(split, x)))(x), whole(x), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
