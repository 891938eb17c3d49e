"""Stability: runs with known relations."""

import json

import numpy as np
import pytest

from liax_jax.interpretability.predictors import LEAST_GROUPS, split_by_group
from liax_jax.interpretability.rotation import random_rotation
from liax_jax.interpretability.stability import (
    linear_r2,
    match,
    measure_stability,
    pair_udr,
    similarity,
)


@pytest.fixture(scope="module")
def runs(make_codes):
    """The same coefficients in another order, with other signs and noise; mixed; and unrelated."""
    rng = np.random.default_rng(0)
    first = make_codes("perfect").alpha
    order, signs = rng.permutation(8), rng.choice([-1, 1], 8)
    same = (first * signs)[:, order] + 0.02 * rng.standard_normal(first.shape)
    return {
        "first": first,
        "same": same,
        "order": order,
        "mixed": first @ random_rotation(8, rng),
        "unrelated": rng.standard_normal(first.shape),
    }


def test_the_same_coefficients_match_in_any_order_and_with_any_sign(runs, groups):
    value, matches = match(runs["first"], runs["same"])
    assert value > 0.99 and len(matches) == 5  # the others hardly move
    for i, j, correlation in matches:
        assert runs["order"][j] == i and abs(correlation) > 0.99
    found = measure_stability([runs["first"], runs["same"]], groups)
    assert found.matched == value and found.matched_control < 0.85
    assert found.used == (5, 5)  # a deviation of 0.02 is below a hundredth of the largest
    for kind in ("correlation", "lasso"):
        assert found.pairs[0].udr_control[kind] < found.pairs[0].udr[kind]
    assert found.udr["lasso"][0] == found.pairs[0].udr["lasso"]


def test_mixed_runs_share_the_space_and_not_the_axes(runs, groups):
    found = measure_stability([runs["first"], runs["mixed"], runs["unrelated"]], groups)
    by_runs = {pair.runs: pair for pair in found.pairs}
    assert by_runs[0, 1].linear_r2 > 0.99 and by_runs[0, 1].matched < 0.8
    assert by_runs[0, 2].linear_r2 < 0.02 and by_runs[0, 2].matched < 0.15
    assert by_runs[0, 2].udr["lasso"] < 0.1
    assert found.matched == pytest.approx(np.mean([p.matched for p in found.pairs]))
    report = found.to_json()
    assert report["matched"] == found.matched and len(report["pairs"]) == 3


def test_runs_of_random_axes_match_as_their_control_does(groups):
    """Four factors in four of eight vectors, the others nearly still: chance alone matches them."""
    rng = np.random.default_rng(5)
    factors, above = rng.laplace(size=(len(groups), 4)), []
    for _ in range(60):
        codes = [
            np.hstack(
                [factors @ random_rotation(4, rng), 0.02 * rng.standard_normal(factors.shape)]
            )
            for _ in range(2)
        ]
        found = measure_stability(codes, groups, similarities=("correlation",), used_share=0.1)
        above.append(found.matched - found.matched_control)
        assert found.used == (4, 4) and len(found.pairs[0].matches) == 4
    assert abs(np.mean(above)) < 0.03
    # Nearly still coefficients, were they counted, would find no partner.
    assert measure_stability(codes, groups, similarities=()).matched < found.matched - 0.2


def test_matches_are_told_by_the_coefficients_own_numbers(runs, groups):
    last = runs["first"][:, ::-1]
    ((pair),) = measure_stability([runs["first"], last], groups, similarities=()).pairs
    assert len(pair.matches) == 5 and all(i + j == 7 for i, j, _ in pair.matches)


def test_udr_of_a_run_with_itself_is_near_one(runs):
    assert pair_udr(runs["first"], runs["first"], "lasso") > 0.9
    table = similarity(runs["first"], runs["first"], "correlation")
    assert table.shape == (5, 5) and np.diag(table) == pytest.approx(1)
    assert pair_udr(runs["first"], runs["first"], "correlation") > 0.8


def test_udr_does_not_depend_on_the_order_of_the_runs(runs):
    there, back = (runs["first"], runs["mixed"]), (runs["mixed"], runs["first"])
    for kind in ("lasso", "correlation"):
        assert pair_udr(*there, kind) == pytest.approx(pair_udr(*back, kind), abs=1e-6)


def test_runs_of_different_numbers_of_vectors(runs, groups):
    narrow = runs["first"][:, :6]
    found = measure_stability([runs["first"], narrow], groups, similarities=("correlation",))
    assert found.matched == pytest.approx(1)
    assert linear_r2(runs["first"], narrow, groups) > 0.99


def test_of_too_few_people_all_but_the_linear_share_is_measured(runs, groups):
    two = [runs["first"], runs["same"]]
    whole = measure_stability(two, groups, similarities=())
    few = measure_stability(two, groups % (LEAST_GROUPS - 1), similarities=())
    assert few.matched == whole.matched and few.matched_control == whole.matched_control
    assert np.isnan(few.pairs[0].linear_r2)
    assert json.loads(json.dumps(few.to_json()))["pairs"][0]["linear_r2"] is None
    enough = measure_stability(two, groups % LEAST_GROUPS, similarities=())
    assert enough.pairs[0].linear_r2 > 0.99
    with pytest.raises(ValueError, match=f"at least {LEAST_GROUPS} are needed"):
        split_by_group(groups % (LEAST_GROUPS - 1))


def test_bad_input(runs, groups):
    first = runs["first"]
    with pytest.raises(ValueError, match="1 run: stability compares two or more"):
        measure_stability([first], groups)
    with pytest.raises(ValueError, match="run 1 has codes of 700 frames and the probe 800"):
        measure_stability([first, first[:700]], groups)
    with pytest.raises(ValueError, match="at least 1"):
        measure_stability([first, first], groups, rotations=0)
    with pytest.raises(ValueError, match="choose of correlation, lasso"):
        measure_stability([first, first], groups, similarities=("cosine",))
