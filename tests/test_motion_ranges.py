"""Ranges of directions from the motion within clips."""

import tracemalloc

import numpy as np
import pytest

from liax_jax.directions import Direction, DirectionCard, DirectionError, read_card
from liax_jax.motion_ranges import (
    FRAMES_PER_CLIP,
    MAX_CLIPS,
    card_with_ranges,
    coefficients_of_clips,
    useful_ranges,
    write_card,
)


def test_what_differs_between_clips_does_not_widen_the_range():
    rng = np.random.default_rng(0)
    # Direction 0 is the person, 1 moves evenly over 2 units, 2 is still.
    clips = [
        np.stack([np.full(200, 5.0 * clip), rng.uniform(-1, 1, 200), np.zeros(200)], axis=1)
        for clip in range(4)
    ]
    reach = useful_ranges(clips)
    # |a − b| of two uniform numbers on [-1, 1] stays below 2 − 2√0.02 in 98 % of cases.
    assert reach[1] == pytest.approx(2 - 2 * np.sqrt(0.02), abs=0.02)
    np.testing.assert_allclose(reach[[0, 2]], reach[1] / 100)
    # Whatever the scale of a model's coefficients.
    np.testing.assert_allclose(useful_ranges([clip / 1000 for clip in clips]), reach / 1000)
    np.testing.assert_array_equal(useful_ranges([np.ones((3, 2))]), [0.05, 0.05])


def test_all_pairs_of_short_clips_count_and_of_long_ones_few_at_a_time():
    rng = np.random.default_rng(1)
    short = [rng.standard_normal((frames, 3)).astype(np.float32) for frames in (1, 7, 40)]
    pairs = np.concatenate([np.abs(c[:, None] - c[None]).reshape(-1, 3) for c in short])
    np.testing.assert_array_equal(useful_ranges(short), np.percentile(pairs, 98, axis=0))

    long = rng.uniform(-1, 1, (3000, 3))  # nine million pairs, of 72 MB a direction
    tracemalloc.start()
    reach = useful_ranges([long])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6
    np.testing.assert_allclose(reach, 2 - 2 * np.sqrt(0.02), atol=0.05)


def test_frames_are_spread_over_clips_and_time():
    seen = []

    class Clips:
        lengths = (3, 100) + (10,) * 98

        def __len__(self):
            return len(self.lengths)

        def frame(self, clip, t):
            seen.append((clip, t))
            return np.full((4, 4, 3), t, np.uint8)

    found = coefficients_of_clips(lambda frames: frames[:, 0, 0, :2], Clips())
    assert len(found) == MAX_CLIPS and found[0].shape == (FRAMES_PER_CLIP, 2)
    assert {0, 99} <= {clip for clip, _ in seen}
    assert {t for clip, t in seen if clip == 0} == {0, 1, 2}
    np.testing.assert_allclose(found[0][[0, -1], 0], [-1, 2 / 127.5 - 1], atol=1e-6)


def test_names_that_somebody_gave_stay_and_the_rest_is_renewed(tmp_path):
    first = write_card(tmp_path, np.array([0.5, 1.25, 2.0]))
    assert [(d.name, d.low, d.high) for d in first.directions] == [
        ("direction_0", -0.5, 0.5),
        ("direction_1", -1.25, 1.25),
        ("direction_2", -2.0, 2.0),
    ]
    yaw = Direction(1, "yaw", "pose", -1, -0.3, 0.4, "turn")
    (tmp_path / "directions.json").write_text(
        DirectionCard(3, (first.directions[0], yaw, first.directions[2])).to_json()
    )
    write_card(tmp_path, np.array([0.75, 9.0, 1.0]))
    card = read_card(tmp_path / "directions.json")
    assert card.find("yaw") == yaw
    assert (card.at(0).high, card.at(2).low) == (0.75, -1.0)
    low, high = card.coefficient_bounds()
    np.testing.assert_allclose(high, [0.75, 0.3, 1.0])
    np.testing.assert_allclose(low, [-0.75, -0.4, -1.0])
    assert list(tmp_path.iterdir()) == [tmp_path / "directions.json"]


def test_a_broken_card_is_an_error_and_stays(tmp_path):
    (tmp_path / "directions.json").write_text("{}")
    with pytest.raises(DirectionError, match="is not a direction card"):
        write_card(tmp_path, np.ones(3))
    assert (tmp_path / "directions.json").read_text() == "{}"


def test_small_ranges_keep_their_digits():
    card = card_with_ranges(DirectionCard(2), np.array([0.0012345, 2.3456]))
    assert [(d.low, d.high) for d in card.directions] == [(-0.00123, 0.00123), (-2.35, 2.35)]


def test_a_card_without_names_describes_by_index():
    card = card_with_ranges(DirectionCard(2), np.array([1.0, 1.0]))
    assert card.describe(np.array([0.25, 0.0])) == {"direction_0": 0.25}
    assert card.find("0") == card.find("direction_0")
