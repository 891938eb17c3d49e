"""Intervals cover what they should, and say so where nothing can be said."""

import numpy as np
import pytest

from liax_jax.evaluation.bootstrap import BootstrapOptions, mean_interval

QUICK = BootstrapOptions(resamples=400)


@pytest.mark.parametrize("draw", ["normal", "exponential"])
def test_coverage_of_the_true_mean(draw):
    rng = np.random.default_rng(0)
    hits, runs = 0, 120
    for _ in range(runs):
        values = getattr(rng, draw)(size=40)
        low, high = mean_interval(values, options=QUICK)
        hits += low <= (draw == "exponential") <= high
    # Four standard deviations of a share of 0.95 in 120 runs are 0.08.
    assert hits / runs >= 0.87


def test_width_is_that_of_theory():
    values = np.random.default_rng(1).normal(size=400)
    low, high = mean_interval(values)
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.05)
    assert low < values.mean() < high


def test_same_seed_same_interval_other_seed_another():
    values = np.random.default_rng(2).exponential(size=30)
    assert mean_interval(values) == mean_interval(values)
    assert mean_interval(values) != mean_interval(values, options=BootstrapOptions(seed=1))


def test_weights_are_drawn_with_their_clips():
    # Equal values within weights: the mean over frames is 1 whatever is drawn of these.
    assert mean_interval([1.0, 1.0, 1.0], [5, 6, 7]) == [1.0, 1.0]
    values, weights = np.array([0.0, 1.0] * 20), np.array([1.0, 9.0] * 20)
    low, high = mean_interval(values, weights)
    assert low < 0.9 < high and low > 0.75
    plain_low, plain_high = mean_interval(values)
    assert plain_low < 0.5 < plain_high


def test_few_clips():
    assert mean_interval([3.0]) is None
    assert mean_interval([2.0, 2.0]) == [2.0, 2.0]
    low, high = mean_interval([1.0, 2.0])
    assert 1 <= low <= high <= 2
