"""Scores against factors, on codes whose scores are known."""

import dataclasses

import numpy as np
import pytest

from liax_jax.interpretability import information
from liax_jax.interpretability.codes import Codes
from liax_jax.interpretability.disentanglement import excess_kurtosis, measure_disentanglement
from liax_jax.interpretability.predictors import (
    completeness,
    disentanglement,
    predict,
    split_by_group,
)

# Of scores whose control is far below a perfect code's; modularity's is not, as is known.
TELLING = (
    "ridge/disentanglement",
    "ridge/completeness",
    "forest/disentanglement",
    "forest/completeness",
    "mig",
    "sap",
    "irs",
)


@pytest.fixture(scope="module")
def measured(make_codes):
    return {
        kind: measure_disentanglement(make_codes(kind), rotations=2, bootstrap=8)
        for kind in ("perfect", "rotated", "noise")
    }


def test_a_perfect_code_scores_one(measured):
    scores = measured["perfect"].scores
    for name in TELLING[:-1]:
        assert scores[name].value > 0.97, name
    # Of heavy-tailed factors: those in the outermost bin differ much from one another.
    assert scores["irs"].value > 0.8
    assert scores["modularity"].value > 0.99
    assert scores["ridge/informativeness"].value > 0.99
    assert scores["ridge/factors_found"].value == 5


def test_its_rotation_scores_far_less_and_as_the_control_says(measured):
    perfect, rotated = measured["perfect"].scores, measured["rotated"].scores
    for name in TELLING:
        assert rotated[name].value < 0.7 * perfect[name].value, name
        assert perfect[name].control < 0.7 * perfect[name].value, name
    for name in ("ridge/disentanglement", "mig", "sap"):
        assert rotated[name].value < 0.3 and perfect[name].control < 0.3
    assert rotated["modularity"].value < perfect["modularity"].value - 0.01
    # What the codes know all together doesn't depend on their axes.
    assert rotated["ridge/informativeness"].value > 0.99


def test_noise_scores_nothing(measured):
    for name, score in measured["noise"].scores.items():
        if not name.endswith("_all"):
            assert score.value < 0.05, name


def test_intervals_hold_the_score_and_the_forest_has_none(measured):
    scores = measured["rotated"].scores
    low, high = scores["ridge/disentanglement"].interval
    assert low < scores["ridge/disentanglement"].value < high and 0.005 < high - low < 0.3
    assert scores["forest/disentanglement"].interval is None
    low, high = scores["mig"].control_range
    assert low <= scores["mig"].control <= high


def test_signs_order_and_scale_of_coefficients_do_not_matter(make_codes):
    codes = make_codes("rotated")
    rng = np.random.default_rng(0)
    signs, order = rng.choice([-1, 1], 8), rng.permutation(8)
    turned = dataclasses.replace(codes, alpha=(codes.alpha * signs)[:, order] * 7.5)
    first, second = (
        measure_disentanglement(c, regressors=("ridge",), rotations=1, bootstrap=0).scores
        for c in (codes, turned)
    )
    for name, score in first.items():
        # Values on the edge of a bin fall to its other side where the sign turns.
        assert second[name].value == pytest.approx(score.value, abs=0.01), name
        assert score.interval is None


def test_the_lasso_makes_dependent_mixed_codes_look_sparse(make_codes):
    codes = make_codes("rotated")
    split = split_by_group(codes.group)
    by_kind = {
        kind: disentanglement(predict(codes.alpha, codes.factors, split, kind).importance)
        for kind in ("ridge", "lasso")
    }
    assert by_kind["lasso"] > 1.5 * by_kind["ridge"]


def test_a_measured_model_names_each_factors_vector(measured, make_codes):
    found = measured["perfect"]
    codes = make_codes("perfect")
    best = found.information.argmax(0)
    for j in range(5):
        assert abs(np.corrcoef(codes.alpha[:, best[j]], codes.factors[:, j])[0, 1]) > 0.99
    np.testing.assert_array_equal(best, found.predictions["ridge"].importance.argmax(0))
    report = found.to_json()
    assert report["factors"]["factor_3"]["best_vector"] == best[3]
    assert report["scores"]["mig"]["control"] < report["scores"]["mig"]["value"]
    assert report["settings"]["groups"] == 40 and report["settings"]["test_groups"] == 13


def test_entropies_of_known_tables():
    assert disentanglement(np.eye(4)) == completeness(np.eye(4)) == 1
    assert disentanglement(np.ones((4, 4))) == pytest.approx(0, abs=1e-12)
    # Two coefficients a factor: each is of one factor, each factor is of two.
    table = np.repeat(np.eye(2), 2, axis=0)
    assert disentanglement(table) == 1
    assert completeness(table) == pytest.approx(0.5)
    assert disentanglement(np.zeros((4, 4))) == completeness(np.zeros((4, 4))) == 0


def test_information_of_known_tables():
    rng = np.random.default_rng(0)
    bins = np.repeat(np.arange(4), 500)[:, None]
    rng.shuffle(bins)
    halves = bins // 2
    known = information.adjusted_information(np.concatenate([bins, halves], 1), bins)
    np.testing.assert_allclose(known[:, 0], [1, 0.5], atol=0.01)
    assert information.mutual_information_gap(known) == pytest.approx(0.5, abs=0.01)
    assert information.modularity(np.array([[1.0, 0.5], [0.0, 0.01]])) == pytest.approx(0.75)


@pytest.mark.parametrize("rest", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("share", [0.5, 0.97])
def test_what_rests_at_any_value_is_told_from_what_moves(rest, share):
    rng = np.random.default_rng(4)
    moving = rng.random((2000, 1)) > share
    factor = np.where(moving, rng.uniform(0, 1, (2000, 1)), rest)
    bins, turned = (information.quantile_bins(values, 20) for values in (factor, -factor))
    # The same frames share a bin, whatever the sign, and those at rest have theirs for themselves.
    assert len(np.unique(np.concatenate([bins, turned], 1), axis=0)) == len(np.unique(bins))
    assert len(np.unique(bins)) == len(np.unique(turned)) > 1
    assert len(np.unique(bins[~moving])) == 1
    assert not np.isin(bins[moving], bins[~moving]).any()
    noise = rng.standard_normal((2000, 1))
    known = information.adjusted_information(
        np.concatenate([turned, information.quantile_bins(noise, 20)], 1), bins
    )
    assert known[0, 0] == pytest.approx(1, abs=0.01) and known[1, 0] < 0.02


def test_persistence_over_time_is_no_information():
    # Slow walks seem to know much of each other; chance, which shifts keep slow, knows as much.
    rng = np.random.default_rng(3)
    slow = np.cumsum(rng.standard_normal((3000, 12)), 0)
    slow -= np.linspace(0, 1, 3000)[:, None] * slow[-1]
    bins = information.quantile_bins(slow, 10)
    plain = information.adjusted_information(
        bins[:, :6], bins[:, 6:], chance=np.zeros((6, 6))
    )  # fmt: skip
    adjusted = information.adjusted_information(bins[:, :6], bins[:, 6:])
    assert plain.mean() > 0.1
    assert adjusted.mean() < 0.5 * plain.mean()


def test_kurtosis_of_known_shapes():
    rng = np.random.default_rng(0)
    columns = [rng.laplace(size=200_000), rng.normal(size=200_000), rng.uniform(size=200_000)]
    found = excess_kurtosis(np.stack([*columns, np.ones(200_000)], 1))
    np.testing.assert_allclose(found, [3, 0, -1.2, 0], atol=0.2)


def test_people_are_not_split(make_codes):
    split = split_by_group(make_codes("perfect").group)
    assert not set(split.group[split.train]) & set(split.group[split.test])
    assert len(split.train) + len(split.test) == 800


def test_bad_input(make_codes):
    codes = make_codes("perfect")
    with pytest.raises(ValueError, match="have no known factors"):
        measure_disentanglement(dataclasses.replace(codes, factors=None))
    with pytest.raises(ValueError, match="3 people or clips are too few"):
        measure_disentanglement(dataclasses.replace(codes, group=codes.group % 3))
    with pytest.raises(ValueError, match="regressor 'trees': choose of ridge, lasso, forest"):
        measure_disentanglement(codes, regressors=("trees",))
    with pytest.raises(ValueError, match="at least 1 random rotation"):
        measure_disentanglement(codes, rotations=0)
    one = Codes(codes.alpha, codes.clip, codes.group, codes.factors[:, :1], ("yaw",))
    with pytest.raises(ValueError, match="nothing to tell apart"):
        measure_disentanglement(one)
    rare = codes.factors.copy()
    rare[:, 1] = codes.clip == 0
    with pytest.raises(ValueError, match="factor_1 doesn't vary among the people"):
        measure_disentanglement(dataclasses.replace(codes, factors=rare))
