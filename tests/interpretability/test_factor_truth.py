"""Which factors of drawn portraits a change of their pictures moves."""

import pytest

from liax_jax.data.procedural import FACTORS, ProceduralClips
from liax_jax.interpretability.factor_truth import (
    FactorChange,
    PortraitChange,
    confusion,
    factor_change,
    is_right,
)


def change(clips, clip, time, **deltas):
    """A portrait before and after a change of its factors, evenly to both sides of its own."""
    ends = []
    for part in (-0.5, 0.5):
        values = clips.factors(clip)[time].copy()
        for name, delta in deltas.items():
            values[clips.factor_names.index(name)] += part * delta
        ends.append(clips.frame_at(clip, values))
    return PortraitChange(clip, time, *ends)


def test_factors_of_a_change_are_found():
    clips = ProceduralClips(64, 4, 8, seed=3)
    both = [change(clips, clip, 2, yaw=0.12, jaw=0.2) for clip in range(4)]
    found = factor_change(clips, both)
    # Yaw goes from −1 to 1, the jaw from 0 to 1.
    assert found.amounts["yaw"] == pytest.approx(0.06, abs=0.01)
    assert found.amounts["jaw"] == pytest.approx(0.2, abs=0.04)
    assert list(found.counted) == ["jaw", "yaw"] and found.is_clear
    assert found.explained > 0.85
    assert is_right("jaw", found) and is_right("jaw", found, 1)
    assert not is_right("jaw", found, -1) and not is_right("yaw", found)
    with pytest.raises(ValueError, match="nothing changed"):
        factor_change(clips, [change(clips, 0, 0)])


def test_only_factors_that_move_are_looked_for():
    clips = ProceduralClips(64, 4, 8, seed=3, moving=("jaw", "yaw", "scale"), people="plain")
    found = factor_change(clips, [change(clips, clip, 2, jaw=0.3) for clip in range(3)])
    assert set(found.amounts) == {"jaw", "yaw", "scale"} and list(found.counted) == ["jaw"]
    assert found.amounts["jaw"] == pytest.approx(0.3, abs=0.05) and is_right("jaw", found, 1)


def test_a_blink_is_both_lids():
    amounts = dict.fromkeys(FACTORS, 0.0) | {"lid_left": 0.5, "lid_right": 0.45}
    importance = dict.fromkeys(FACTORS, 0.0) | {"lid_left": 0.5, "lid_right": 0.4}
    truth = FactorChange(amounts, importance, 0.9)
    assert truth.counted == {"blink": pytest.approx(0.475)} and truth.is_clear
    assert is_right("blink", truth, 1) and not is_right("blink", truth, -1)
    assert not is_right("lid_left", truth)
    wink = FactorChange(amounts, importance | {"lid_right": 0.0}, 0.9)
    against = FactorChange(amounts | {"lid_right": -0.45}, importance, 0.9)
    uneven = FactorChange(amounts | {"lid_right": 0.2}, importance, 0.9)
    for truth in (wink, against, uneven):
        assert not is_right("blink", truth) and is_right("lid_left", truth, 1)
    # Both lids' share is the blink's.
    assert FactorChange(amounts, importance, 0.9).purity == pytest.approx(1)
    assert FactorChange(amounts, importance | {"yaw": 0.1}, 1.0).purity == pytest.approx(0.9)
    assert wink.purity == pytest.approx(1) and against.purity == pytest.approx(5 / 9)
    table = confusion(["yaw", "roll", "yaw"], ["yaw", "yaw", "pitch"])
    assert table == {"yaw": {"yaw": 1, "pitch": 1}, "roll": {"yaw": 1}}
