"""Optimisers, schedules, the state's shape, and the presets."""

import importlib
import math

import jax
import jax.numpy as jnp
import optax
import pytest
from ml_collections import ConfigDict

from liax_jax.training.state import build_networks, build_optimizer, create_train_state

# Optax's Adam itself relies on implicit promotion.
pytestmark = pytest.mark.usefixtures("standard_promotion")


def optimizer_fields(**changes):
    fields = {"learning_rate": 0.01, "b1": 0.0, "b2": 0.99, "eps": 1e-8}
    fields |= {"warmup_steps": 0, "decay_to": 1.0, "clip_norm": 0.0}
    return ConfigDict(fields | changes)


def rates(fields, train_steps, count):
    """The learning rates of the first steps: with constant gradients each update is the rate."""
    optimizer = build_optimizer(fields, train_steps)

    def step(state, _):
        updates, state = optimizer.update(jnp.ones(()), state)
        return state, -updates

    _, updates = jax.lax.scan(step, optimizer.init(jnp.zeros(())), length=count)
    return [float(x) for x in updates]


def test_constant_rate():
    assert rates(optimizer_fields(), 100, 5) == pytest.approx([0.01] * 5, rel=1e-4)


def test_warm_up_is_linear_from_the_first_step_on():
    expected = [0.0025, 0.004375, 0.00625, 0.008125, 0.01, 0.01]
    assert rates(optimizer_fields(warmup_steps=4), 100, 6) == pytest.approx(expected, rel=1e-4)


def test_cosine_decay_begins_after_the_warm_up_and_ends_at_the_last_step():
    got = rates(optimizer_fields(warmup_steps=10, decay_to=0.1), 50, 60)
    assert got[10] == pytest.approx(0.01, rel=1e-4)
    for done in (20, 30, 49):
        cosine = (1 + math.cos(math.pi * (done - 10) / 40)) / 2
        assert got[done] == pytest.approx(0.01 * (0.9 * cosine + 0.1), rel=1e-4)
    assert got[50:] == pytest.approx([0.001] * 10, rel=1e-4)


@pytest.mark.parametrize(("clip_norm", "largest"), [(0.0, 1000.0), (2.0, 2.0), (5000.0, 1000.0)])
def test_clipping_bounds_the_global_norm(clip_norm, largest):
    """Seen through the second moment, (1 − β₂)·g²: Adam's update itself forgets the scale."""
    gradient = {"a": jnp.array([600.0, 0.0]), "b": jnp.array([[800.0]])}
    optimizer = build_optimizer(optimizer_fields(clip_norm=clip_norm), 100)
    _, state = optimizer.update(gradient, optimizer.init(gradient))
    (second_moment,) = optax.tree_utils.tree_get_all_with_path(state, "nu")[0][1:]
    norm = math.sqrt(sum(float(x.sum()) for x in jax.tree.leaves(second_moment)) / (1 - 0.99))
    assert norm == pytest.approx(largest, rel=1e-4)
    ratio = float(jnp.sqrt(second_moment["b"][0, 0] / second_moment["a"][0]))
    assert ratio == pytest.approx(8 / 6, rel=1e-4)


def test_state_without_adversarial_term_has_no_discriminator(run_config):
    config = run_config.copy_and_resolve_references()
    config.loss.adversarial = 0.0
    config.ema_decay = 0.0
    state = jax.eval_shape(lambda: create_train_state(config))
    assert state.discriminator is None and state.generator.ema is None
    assert build_networks(config)[1] is None


def test_state_begins_at_zero(initial_state):
    assert int(initial_state.step) == int(initial_state.skipped) == 0
    assert int(initial_state.skipped_in_row) == 0
    assert initial_state.discriminator.ema is None
    params, ema = initial_state.generator.params, initial_state.generator.ema
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), params, ema))
    # Equalised learning rate: every kernel begins at N(0, 1).
    kernel = params["encoder"]["block_8"]["conv1"]["conv"]["kernel"]
    assert abs(float(kernel.mean())) < 0.05 and float(kernel.std()) == pytest.approx(1, abs=0.05)


def preset(name):
    return importlib.import_module(f"configs.{name}").get_config()


def test_lia_recipe_is_the_published_one():
    config = preset("lia_recipe")
    loss = {"l1": 1, "perceptual": 1, "adversarial": 1, "sparsity": 0, "source_code": 0}
    how = {"l1_scales": 1, "sparsity_penalty": "l1", "sparsity_top_k": 3}
    how |= {"sparsity_ramp_steps": 0, "sparsity_release": (), "code_noise": 0.0}
    assert config.loss.to_dict() == loss | how
    assert config.perceptual.layer_weights == (10, 10, 10, 10, 10)
    assert config.perceptual.scales == (1, 2, 4, 8)
    assert config.discriminator.width == 1
    assert config.discriminator.stddev_group == 4
    assert config.discriminator.r1_weight == 0
    for optimizer, rate, b2 in (
        (config.generator_optimizer, 0.0016, 0.992),
        (config.discriminator_optimizer, 0.00188, 0.9906),
    ):
        assert optimizer.learning_rate == pytest.approx(rate, rel=2e-3)
        assert (optimizer.b1, optimizer.b2) == (0, pytest.approx(b2, abs=5e-5))
        assert (optimizer.warmup_steps, optimizer.decay_to, optimizer.clip_norm) == (0, 1, 0)
    assert config.ema_decay == 0
    assert not config.data.flip
    assert config.accumulation_steps == 1
    assert (config.model.family, config.model.resolution) == ("lia", 256)
    assert (config.batch_size, config.train_steps) == (64, 800_000)


def test_default_adds_what_the_field_uses_today():
    config, recipe = preset("default"), preset("lia_recipe")
    assert config.discriminator.r1_weight > 0 and config.discriminator.r1_interval > 1
    assert 0 < config.ema_decay < 1
    for optimizer in (config.generator_optimizer, config.discriminator_optimizer):
        assert optimizer.warmup_steps > 0 and optimizer.clip_norm > 0
    rate = config.discriminator_optimizer.learning_rate
    assert rate < recipe.discriminator_optimizer.learning_rate
    assert config.loss.sparsity > 0
