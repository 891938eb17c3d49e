"""The card of names, and how many of them are right."""

import numpy as np
import pytest

from liax_jax.data.procedural import FACTORS
from liax_jax.directions import DirectionCard
from liax_jax.interpretability.direction_names import direction_card, naming_accuracy, unique_names
from liax_jax.interpretability.effect_summary import EffectSummary
from liax_jax.interpretability.factor_truth import FactorChange
from liax_jax.interpretability.lab import Finding
from liax_jax.interpretability.naming import UNNAMED, Name


def finding(index, name, use, reach_db=20.0, sign=1, truth=None):
    effect = EffectSummary([], [], [], [], [], 1.0, 1.0, reach_db, 0.0, 0.1, 0.9)
    given = Name(name, sign, 0.2, 0.5, 0.8, 0.9, {"yaw": 0.2})
    return Finding(index, 0.7, use, 3.0, effect, given, 0.1, {}, truth)


def test_the_card_has_unique_names_by_use_signs_and_confidence(tmp_path):
    findings = [
        finding(0, "yaw", 0.1),
        finding(1, "yaw", 0.5, sign=-1),
        finding(2, "jaw", 0.3, reach_db=45.0),
        finding(3, UNNAMED, 0.9),
    ]
    assert unique_names(findings) == {1: "yaw", 0: "yaw_2", 2: UNNAMED, 3: UNNAMED}
    card = direction_card(findings)
    yaw = card.find("yaw")
    assert (yaw.index, yaw.sign, yaw.group) == (1, -1, "pose")
    assert (yaw.low, yaw.high, yaw.confidence) == (-0.7, 0.7, pytest.approx(0.4))
    assert yaw.meaning == "turned left to turned right"
    np.testing.assert_allclose(card.vector({"yaw": 0.5}), [0, -0.5, 0, 0])
    assert [direction.name for direction in card.named] == ["yaw_2", "yaw"]
    assert DirectionCard.from_json(card.to_json()) == card
    assert "null" not in card.to_json()


def test_accuracy_counts_what_has_an_effect():
    def truth(**amounts):
        values = dict.fromkeys(FACTORS, 0.0) | amounts
        return FactorChange(values, {n: float(v != 0) for n, v in values.items()}, 1.0)

    findings = [
        finding(0, "yaw", 1.0, truth=truth(yaw=0.2)),
        finding(1, "yaw", 1.0, truth=truth(yaw=-0.2)),  # the wrong sense
        finding(2, "roll", 1.0, truth=truth(yaw=0.2, roll=0.19)),  # not clear
        finding(3, "roll", 1.0, reach_db=50.0, truth=truth(roll=0.1)),  # no effect
        finding(4, "yaw", 1.0, sign=-1, truth=truth(yaw=-0.2)),
        finding(5, UNNAMED, 1.0, truth=truth(yaw=-0.2)),
        finding(6, "blink", 1.0, truth=truth(lid_left=0.3, lid_right=0.28)),
        finding(7, "yaw", 1.0, truth=truth()),  # of light, say
        finding(8, "yaw", 1.0),
    ]
    found = naming_accuracy(findings)
    assert (found.with_effect, found.right, found.clear, found.clear_right) == (6, 3, 5, 3)
    assert found.no_factor == 2
    # One of six halves between two factors, and a blink is one; all are used alike.
    assert found.purity == pytest.approx((5 + 0.5) / 6)
    assert found.confusion == {
        "yaw": {"yaw": 2, "-yaw": 1, "roll": 1, UNNAMED: 1},
        "blink": {"blink": 1},
    }
    assert naming_accuracy([finding(0, "yaw", 1.0)]) is None
    nothing = naming_accuracy([finding(0, "yaw", 1.0, truth=truth())])
    assert (nothing.with_effect, nothing.no_factor, nothing.confusion) == (0, 1, {})
    assert nothing.purity is None
