"""The direction card."""

import numpy as np
import pytest

from liax_jax.directions import (
    RELEASED_LIA_X,
    Direction,
    DirectionCard,
    DirectionError,
    read_card,
)


def test_the_released_names_and_ranges():
    card = RELEASED_LIA_X
    assert len(card.directions) == 14
    assert card.find("yaw").index == 37 and card.find(25).name == "mouth_close"
    assert card.select("pose") == (15, 28, 31, 33, 37, 39)
    assert card.select("expression") == (6, 13, 16, 17, 19, 24, 25, 26)
    low, high = card.coefficient_bounds()
    np.testing.assert_allclose([low[37], high[37], low[17], high[17]], [-1, 0.5, -0.2, 0.2])
    np.testing.assert_allclose([low[0], high[0]], [-0.5, 0.5])  # not named


def test_the_sign_of_a_name_turns_value_and_range():
    card = DirectionCard(3, (Direction(1, "jaw", "mouth", -1, -0.1, 0.4),))
    np.testing.assert_allclose(card.vector({"jaw": 0.3}), [0, -0.3, 0])
    np.testing.assert_allclose(card.coefficient_bounds()[0][1], -0.4)
    assert card.describe(np.array([0.5, -0.25, 0])) == {"0": 0.5, "jaw": 0.25}
    described = card.describe(np.array([0.5, -0.25, 0]))
    np.testing.assert_allclose(card.vector(described), [0.5, -0.25, 0])


def test_a_sweep_covers_the_range_with_zero_in_its_middle():
    fig_4 = np.round(np.arange(-5, 6) * 0.1, 1)
    np.testing.assert_allclose(DirectionCard(2).at(1).sweep(), fig_4, atol=1e-7)
    uneven = Direction(0, "yaw", "pose", 1, -1.0, 0.5).sweep()
    np.testing.assert_allclose(uneven[[0, 4, 5, 6, 10]], [-1, -0.2, 0, 0.1, 0.5], atol=1e-7)
    np.testing.assert_allclose(Direction(0, "lids", "eyes", 1, 0, 0.2).sweep()[[0, 10]], [0, 0.2])


def test_selection_by_name_index_group_and_all():
    card = DirectionCard(5, (Direction(1, "jaw", "mouth"), Direction(3, "lids", "eyes")))
    assert card.select("jaw, 4") == (1, 4)
    assert card.select(["expression", 0]) == (0, 1, 3)
    assert card.select("all") == (0, 1, 2, 3, 4)
    assert card.select("") == ()
    np.testing.assert_array_equal(card.mask("lids"), [False, False, False, True, False])
    with pytest.raises(DirectionError, match="no direction of this model is named as 'pose'"):
        card.select("pose")


def test_a_card_survives_its_file(tmp_path):
    path = tmp_path / "directions.json"
    path.write_text(RELEASED_LIA_X.to_json())
    assert read_card(path) == RELEASED_LIA_X


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "is not a direction card"),
        ("{", "is not a direction card"),
        ('{"num_vectors": 2, "directions": [{"index": 2, "name": "a"}]}', "no direction 2"),
        ('{"num_vectors": 2, "directions": [{"index": 0, "name": "7"}]}', "is no name"),
        ('{"num_vectors": 2, "directions": [{"index": 0, "name": "eyes"}]}', "names a group"),
        ('{"num_vectors": 2, "directions": [{"index": 0, "name": "a", "low": 1}]}', "hold 0"),
        ('{"num_vectors": 2, "directions": [{"index": 0, "name": "a", "sign": 0}]}', "sign 0"),
        ('{"num_vectors": 2, "directions": [{"index": 0, "nam": "a"}]}', "unexpected keyword"),
        (
            '{"num_vectors": 2, "directions": [{"index": 0, "name": "a"}, '
            '{"index": 1, "name": "a"}]}',
            "repeats the name a",
        ),
    ],
)
def test_a_wrong_card_says_what_is_wrong(tmp_path, text, message):
    path = tmp_path / "card.json"
    path.write_text(text)
    with pytest.raises(DirectionError, match=message) as error:
        read_card(path)
    assert "card.json" in str(error.value)


def test_values_out_of_range_warn_and_strictly_fail(caplog):
    change = RELEASED_LIA_X.vector({"gaze": 0.3})
    np.testing.assert_allclose(change[17], 0.3)
    assert "outside the useful range" in caplog.text
    with pytest.raises(DirectionError, match="gaze=0.3"):
        RELEASED_LIA_X.vector({"gaze": 0.3}, strict=True)
    with pytest.raises(DirectionError, match="finite"):
        RELEASED_LIA_X.vector({"gaze": float("nan")})
