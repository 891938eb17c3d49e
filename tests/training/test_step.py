"""The training step: what it computes, skips, repeats and learns."""

import math

import jax
import numpy as np
import pytest

ADVERSARIAL_METRICS = {
    "loss/adversarial",
    "loss/discriminator",
    "loss/r1",
    "discriminator/real",
    "discriminator/fake",
    "gradient_norm/discriminator",
}
METRICS = {
    "loss/total",
    "loss/l1",
    "loss/sparsity",
    "psnr",
    "alpha/mean_abs",
    "alpha/gini",
    "alpha/active_vectors",
    "alpha/effective_vectors",
    "flow/mean_pixels",
    "mask/mean",
    "gradient_norm/generator",
    "skipped",
    "skipped_in_row",
}


def leaves(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def assert_same_bits(ours, theirs):
    jax.tree.map(lambda a, b: None, ours, theirs)  # raises where the structures differ
    for a, b in zip(leaves(ours), leaves(theirs), strict=True):
        assert a.dtype == b.dtype and a.tobytes() == b.tobytes()


def largest_difference(ours, theirs):
    return max(
        float(np.abs(a - b).max()) for a, b in zip(leaves(ours), leaves(theirs), strict=True)
    )


@pytest.fixture(scope="module")
def four_steps(tiny_step, initial_state, make_batch):
    """States (on the host) after 0 … 4 steps, and the metrics of the four steps."""
    state, states, metrics = tiny_step.put(initial_state), [initial_state], []
    for seed in range(4):
        state, values = tiny_step(state, make_batch(seed))
        states.append(jax.device_get(state))
        metrics.append(values)
    return states, metrics


def test_metrics_have_their_names_and_ranges(four_steps, run_config):
    for values in four_steps[1]:
        assert set(values) == METRICS | ADVERSARIAL_METRICS
        assert all(math.isfinite(value) for value in values.values())
        assert 0 < values["psnr"] < 50
        assert 0 < values["mask/mean"] < 1
        assert 0 <= values["alpha/gini"] < 1
        assert 1 <= values["alpha/effective_vectors"] <= run_config.model.num_vectors
        assert 1 <= values["alpha/active_vectors"] <= run_config.model.num_vectors
        assert 0 <= values["flow/mean_pixels"] < run_config.model.resolution
        assert values["loss/sparsity"] == pytest.approx(values["alpha/mean_abs"], rel=1e-5)
        assert values["gradient_norm/generator"] > 0
        assert values["gradient_norm/discriminator"] > 0


def test_total_is_the_weighted_sum_of_the_terms(four_steps, run_config):
    weights = run_config.loss
    assert weights.sparsity > 0
    for values in four_steps[1]:
        total = sum(weights[term] * values[f"loss/{term}"] for term in ("l1", "adversarial"))
        total += weights.sparsity * values["loss/sparsity"]
        assert values["loss/total"] == pytest.approx(total, rel=1e-5)


def test_price_of_the_code_grows_from_nothing_to_its_weight(
    compile_step, run_config, initial_generator_state, make_batch
):
    config = run_config.copy_and_resolve_references()
    config.loss.update(adversarial=0.0, sparsity=0.5, source_code=0.25, sparsity_ramp_steps=4)
    step = compile_step(config)
    state = step.put(initial_generator_state)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0, 1.0):
        state, values = step(state, make_batch(0))
        code = 0.5 * values["loss/sparsity"] + 0.25 * values["loss/source_code"]
        assert values["loss/total"] == pytest.approx(values["loss/l1"] + share * code, rel=1e-5)


def test_price_of_the_code_is_given_up_again(
    compile_step, run_config, initial_generator_state, make_batch
):
    config = run_config.copy_and_resolve_references()
    config.loss.update(adversarial=0.0, sparsity=0.5, source_code=0.25)
    config.loss.update(sparsity_ramp_steps=2, sparsity_release=(3, 5))
    step = compile_step(config)
    state = step.put(initial_generator_state)
    for share in (0.0, 0.5, 1.0, 1.0, 0.5, 0.0, 0.0):
        state, values = step(state, make_batch(0))
        code = 0.5 * values["loss/sparsity"] + 0.25 * values["loss/source_code"]
        assert values["loss/total"] == pytest.approx(values["loss/l1"] + share * code, rel=1e-5)


@pytest.mark.parametrize("penalty", ["hoyer", "topk"])
def test_other_penalties_are_terms_of_their_own(
    penalty, compile_step, run_config, initial_generator_state, make_batch
):
    config = run_config.copy_and_resolve_references()
    config.loss.update(adversarial=0.0, sparsity_penalty=penalty, source_code=0.5)
    config.loss.update(sparsity=0.25, sparsity_top_k=2)
    step = compile_step(config)
    _, values = step(step.put(initial_generator_state), make_batch(0))
    total = values["loss/l1"] + 0.25 * values["loss/sparsity"] + 0.5 * values["loss/source_code"]
    assert values["loss/total"] == pytest.approx(total, rel=1e-5)
    assert 0 < values["loss/sparsity"] <= 1
    assert values["loss/sparsity"] != pytest.approx(values["alpha/mean_abs"], rel=1e-3)
    assert values["loss/source_code"] > 0


def test_same_state_and_batch_give_the_same_bits(four_steps, tiny_step, make_batch):
    states, metrics = four_steps
    again, values = tiny_step(tiny_step.put(states[2]), make_batch(2))
    assert values == metrics[2]
    assert_same_bits(jax.device_get(again), states[3])


def test_state_is_donated(tiny_step, initial_state, make_batch):
    state = tiny_step.put(initial_state)
    tiny_step(state, make_batch(0))
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state.generator.params))


def test_both_networks_move_and_the_steps_are_counted(four_steps):
    states, _ = four_steps
    assert [int(state.step) for state in states] == [0, 1, 2, 3, 4]
    for before, after in zip(states, states[1:], strict=False):
        assert largest_difference(before.generator.params, after.generator.params) > 0
        assert largest_difference(before.discriminator.params, after.discriminator.params) > 0
        assert int(after.skipped) == 0


def test_r1_is_lazy(four_steps, run_config):
    penalties = [values["loss/r1"] for values in four_steps[1]]
    assert run_config.discriminator.r1_interval == 2
    assert penalties[0] > 0 and penalties[2] > 0
    assert penalties[1] == 0 and penalties[3] == 0


def test_ema_ramps_up(four_steps, run_config):
    """Decay min(ema_decay, (1 + n) / (10 + n)) after n steps: 1/10, 2/11, 3/12, 4/13 here."""
    states, _ = four_steps
    assert run_config.ema_decay > 4 / 13
    for n, (before, after) in enumerate(zip(states, states[1:], strict=False)):
        decay = (1 + n) / (10 + n)
        old, params, new = map(
            leaves, (before.generator.ema, after.generator.params, after.generator.ema)
        )
        for a, b, c in zip(old, params, new, strict=True):
            np.testing.assert_allclose(c, decay * a + (1 - decay) * b, rtol=1e-5, atol=1e-6)


def test_warm_up_bounds_the_first_updates(four_steps, run_config):
    """With β₁ = 0 no entry moves further than rate · sqrt((1 − β₂ᵗ)/(1 − β₂))."""
    states, _ = four_steps
    fields = run_config.generator_optimizer
    for n, (before, after) in enumerate(zip(states, states[1:], strict=False)):
        rate = fields.learning_rate * (1 + n * (fields.warmup_steps - 1) / fields.warmup_steps)
        rate /= fields.warmup_steps
        bound = rate * math.sqrt((1 - fields.b2 ** (n + 1)) / (1 - fields.b2))
        moved = largest_difference(before.generator.params, after.generator.params)
        assert 0.5 * rate < moved < 1.001 * bound + 1e-6


def test_nonfinite_gradients_skip_the_update(four_steps, tiny_step, make_batch):
    states, metrics = four_steps
    broken = make_batch(1)
    broken["source"] = broken["source"].copy()
    broken["source"][3, 5, 7, 1] = np.nan
    state = tiny_step.put(states[1])
    for count in (1, 2):
        state, values = tiny_step(state, broken)
        host = jax.device_get(state)
        assert_same_bits(host.generator, states[1].generator)
        assert_same_bits(host.discriminator, states[1].discriminator)
        assert int(host.step) == 1 + count
        assert values["skipped"] == values["skipped_in_row"] == count
        assert not math.isfinite(values["loss/l1"])
    state, values = tiny_step(state, make_batch(1))
    assert values["skipped"] == 2 and values["skipped_in_row"] == 0
    # The same batch and parameters as in the second step: the same loss.
    assert values["loss/l1"] == metrics[1]["loss/l1"]
    after = jax.device_get(state)
    assert largest_difference(after.generator.params, states[1].generator.params) > 0


def first_moments(state):
    """(1 − β₁) times the gradients of the first step, by network."""
    networks = {"generator": state.generator, "discriminator": state.discriminator}
    found = {}
    for name, network in networks.items():
        adam = [s for s in jax.tree.leaves(network.opt_state, is_leaf=is_adam) if is_adam(s)]
        found[name] = adam[0].mu
    return found


def is_adam(node):
    return hasattr(node, "mu")


def test_four_micro_batches_equal_one_batch(run_config, compile_step, initial_state, make_batch):
    config = run_config.copy_and_resolve_references()
    # Statistics across a batch, and clipping, which hides a wrong scale, have to be off.
    config.discriminator.update(stddev_group=0, r1_interval=1)
    state = initial_state.replace(discriminator=without_stddev_channel(initial_state.discriminator))
    for fields in (config.generator_optimizer, config.discriminator_optimizer):
        fields.update(clip_norm=1e9, b1=0.9)
    results = []
    for count in (1, 4):
        config.accumulation_steps = count
        step = compile_step(config)
        new, values = step(step.put(state), make_batch(7, np.uint8))
        results.append((first_moments(jax.device_get(new)), values))
    (gradients, metrics), (accumulated, accumulated_metrics) = results
    assert metrics["loss/r1"] > 0
    for name, value in metrics.items():
        if name.startswith(("loss/", "discriminator/", "gradient_norm/", "psnr")):
            assert accumulated_metrics[name] == pytest.approx(value, rel=1e-5, abs=1e-6), name
    for name, gradient in gradients.items():
        scale = max(float(np.abs(leaf).max()) for leaf in leaves(gradient))
        assert scale > 1e-4
        assert largest_difference(gradient, accumulated[name]) < 1e-5 * scale, name


def without_stddev_channel(network):
    """The discriminator's state without the channel of the minibatch standard deviation."""

    def cut(path, leaf):
        name = jax.tree_util.keystr(path)
        return leaf[:, :, :-1] if "final_conv" in name and "kernel" in name else leaf

    return jax.tree_util.tree_map_with_path(cut, network)


@pytest.fixture(scope="module")
def generator_config(run_config):
    """The tiny run without the adversarial term, at full rate from the start."""
    config = run_config.copy_and_resolve_references()
    config.loss.adversarial = 0.0
    config.generator_optimizer.warmup_steps = 1
    return config


@pytest.fixture(scope="module")
def learning(generator_config, compile_step, initial_generator_state, make_batch):
    """Metrics of 40 steps on drawn portraits."""
    step = compile_step(generator_config)
    state, metrics = step.put(initial_generator_state), []
    for seed in range(40):
        state, values = step(state, make_batch(seed, np.uint8))
        metrics.append(values)
    return metrics


def test_training_learns(learning):
    l1 = [values["loss/l1"] for values in learning]
    psnr = [values["psnr"] for values in learning]
    assert set(learning[0]) == METRICS
    assert np.mean(l1[-5:]) < 0.6 * np.mean(l1[:5])
    assert np.mean(psnr[-5:]) > np.mean(psnr[:5]) + 3


def test_bfloat16_keeps_float32_parameters(
    learning, generator_config, compile_step, initial_generator_state, make_batch
):
    config = generator_config.copy_and_resolve_references()
    config.model.dtype = "bfloat16"
    step = compile_step(config)
    state = step.put(initial_generator_state)
    for seed in range(2):
        state, values = step(state, make_batch(seed, np.uint8))
        assert values["loss/l1"] == pytest.approx(learning[seed]["loss/l1"], rel=0.02)
        assert values["loss/l1"] != learning[seed]["loss/l1"]
    kinds = {leaf.dtype for leaf in jax.tree.leaves((state.generator.params, state.generator.ema))}
    assert kinds == {np.dtype(np.float32)}
