"""Cutting, blending, joining, looping, smoothing and resampling motions."""

import dataclasses

import numpy as np
import pytest

from liax_jax.animation.motion import Motion, MotionError
from liax_jax.animation.motion_editing import (
    blend,
    cut,
    cut_frames,
    join,
    loop,
    rebase,
    resample,
    smooth,
)
from liax_jax.animation.smoothing import smooth_rows


def _motion(frames, seed=0, fps=25.0, **fields):
    alpha = np.random.default_rng(seed).standard_normal((frames, 4)).astype(np.float32)
    return Motion(alpha, fps, "model", source=f"clip{seed}", **fields)


VARYING = _motion(4, times=np.array([2.0, 2.1, 2.5, 2.6]), fps=8.0)


@pytest.mark.parametrize(
    ("start", "end", "first", "stop"),
    [
        (None, None, 0, 100),
        (1.0, None, 25, 100),
        (None, 1.0, 0, 25),
        (1.0, 2.0, 25, 50),
        (1.001, 2.001, 26, 51),
        (0.999, 1.05, 25, 27),
        (3.96, 4.0, 99, 100),
    ],
)
def test_cut(start, end, first, stop):
    motion = _motion(100)
    part = cut(motion, start, end)
    np.testing.assert_array_equal(part.alpha, motion.alpha[first:stop])
    assert (part.fps, part.fingerprint, part.times) == (25.0, "model", None)


def test_parts_of_a_cut_make_up_the_whole():
    motion = _motion(101, fps=30000 / 1001)
    edges = [None, 0.5005, 1.1, 2.002, None]
    parts = [cut(motion, *pair) for pair in zip(edges[:-1], edges[1:], strict=True)]
    np.testing.assert_array_equal(join(parts).alpha, motion.alpha)


def test_typed_seconds_hit_the_frame_they_mean():
    motion = _motion(100, fps=30000 / 1001)
    for frame in range(99):
        typed = float(f"{frame / motion.fps:.5f}")
        np.testing.assert_array_equal(cut(motion, typed).alpha, motion.alpha[frame:])


def test_cut_of_a_varying_rate_counts_from_the_first_frame():
    part = cut(VARYING, 0.1, 0.6)
    np.testing.assert_array_equal(part.alpha, VARYING.alpha[1:3])
    np.testing.assert_allclose(part.times, [0.0, 0.4])


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (-1.0, None, "can't cut from -1 s"),
        (2.0, 1.0, "can't cut from 2 s to 1 s"),
        (1.0, 1.0, "can't cut"),
        (float("nan"), None, "can't cut"),
        (4.0, 5.0, "100 frames, the last at 3.960 s, and ends at 4.000 s"),
        (0.0, 5.0, "ends at 4.000 s"),
        (0.01, 0.03, "no frame is between"),
    ],
)
def test_impossible_cuts(start, end, message):
    with pytest.raises(MotionError, match=message):
        cut(_motion(100), start, end)


@pytest.mark.parametrize(("first", "end"), [(-1, 5), (5, 5), (0, 101)])
def test_impossible_frames(first, end):
    with pytest.raises(MotionError, match="there are 100, from 0"):
        cut_frames(_motion(100), first, end)


def test_blend_by_weight():
    a, b = _motion(10), _motion(10, 1)
    np.testing.assert_array_equal(blend(a, b, 0).alpha, a.alpha)
    np.testing.assert_array_equal(blend(a, b, 1).alpha, b.alpha)
    np.testing.assert_allclose(blend(a, b, 0.25).alpha, 0.75 * a.alpha + 0.25 * b.alpha, atol=1e-6)
    mouth = blend(a, b, np.array([0, 1, 0, 0])).alpha
    np.testing.assert_array_equal(mouth[:, 1], b.alpha[:, 1])
    np.testing.assert_array_equal(mouth[:, [0, 2, 3]], a.alpha[:, [0, 2, 3]])
    ramp = blend(a, b, np.linspace(0, 1, 10)[:, None]).alpha
    np.testing.assert_array_equal(ramp[[0, -1]], [a.alpha[0], b.alpha[-1]])
    assert blend(a, b).source == "clip0 + clip1"
    with pytest.raises(MotionError, match="weight"):
        blend(a, b, np.zeros((3, 1, 4)))


def test_blend_of_unlike_lengths_warns(caplog):
    a, b = _motion(10), _motion(7, 1)
    with caplog.at_level("WARNING", "liax_jax"):
        assert blend(a, b).num_frames == blend(b, a).num_frames == 7
    assert "blending 10 with 7 frames: the result has the first 7" in caplog.text


def test_join():
    parts = [_motion(10, seed) for seed in range(3)]
    joined = join(parts)
    np.testing.assert_array_equal(joined.alpha, np.concatenate([p.alpha for p in parts]))
    assert joined.source == "clip0 + clip1 + clip2"
    np.testing.assert_array_equal(join(parts[:1]).alpha, parts[0].alpha)


def test_crossfade_overlaps_and_is_smooth():
    ones, twos = (Motion(np.full((20, 2), v), 25.0, "m") for v in (1.0, 2.0))
    column = join([ones, twos, ones], crossfade=0.4).alpha[:, 0]  # 10 frames
    assert len(column) == 40
    np.testing.assert_array_equal(column[:10], 1)
    assert (np.diff(column[9:20]) > 0).all() and (np.diff(column[20:31]) < 0).all()
    np.testing.assert_allclose(column[10:20] + column[10:20][::-1], 3, atol=1e-6)
    column = join([ones, twos], crossfade=0.4).alpha[:, 0]
    # Half a cosine over 11 steps: the greatest speed and acceleration that it has.
    assert np.abs(np.diff(column)).max() < np.pi / 11 / 2
    assert np.abs(np.diff(column, 2)).max() < (np.pi / 11) ** 2 / 2


def test_crossfade_takes_whole_motions_but_not_more():
    parts = [_motion(10), _motion(10, 1), _motion(10, 2)]
    assert join(parts, crossfade=0.2).num_frames == 20  # 5 frames: the middle is all crossfade
    with pytest.raises(MotionError, match="motion 2 has 10 frames, too few for 2 crossfades of 6"):
        join(parts, crossfade=0.24)
    with pytest.raises(MotionError, match="0 seconds or more"):
        join(parts, crossfade=-1)


def test_rebase_keeps_the_movement():
    a, b = _motion(10), _motion(10, 1)
    moved = rebase(b, a.alpha[0])
    np.testing.assert_allclose(moved.alpha[0], a.alpha[0], atol=1e-6)
    np.testing.assert_allclose(np.diff(moved.alpha, axis=0), np.diff(b.alpha, axis=0), atol=1e-6)


def test_loop_without_crossfade_repeats():
    motion = _motion(10)
    np.testing.assert_array_equal(loop(motion, 3).alpha, np.tile(motion.alpha, (3, 1)))


def test_loop_with_crossfade_has_no_jump_anywhere():
    ramp = Motion(np.linspace(0, 1, 50)[:, None], 25.0, "m")  # ends far from where it begins
    looped = loop(ramp, 3, crossfade=0.8).alpha[:, 0]  # 20 frames
    assert len(looped) == 3 * 30
    assert looped[0] == ramp.alpha[20, 0]
    round_trip = np.append(looped, looped[0])  # played again and again
    assert np.abs(np.diff(round_trip)).max() < 0.07
    np.testing.assert_array_equal(looped[:30], looped[30:60])
    assert np.abs(np.diff(loop(ramp, 3).alpha[:, 0])).max() == 1  # what it is there for


@pytest.mark.parametrize(
    ("times", "crossfade", "message"),
    [
        (0, 0.0, "at least once"),
        (2, 0.24, "6 frames takes more than half of the motion's 10"),
        (2, float("nan"), "0 seconds or more"),
    ],
)
def test_impossible_loops(times, crossfade, message):
    with pytest.raises(MotionError, match=message):
        loop(_motion(10), times, crossfade)


def test_smooth():
    motion = _motion(40)
    np.testing.assert_array_equal(smooth(motion, 1.5).alpha, smooth_rows(motion.alpha, 1.5))
    some = smooth(motion, 1.5, only=[0, 3]).alpha
    np.testing.assert_array_equal(some[:, [1, 2]], motion.alpha[:, [1, 2]])
    np.testing.assert_array_equal(some[:, [0, 3]], smooth_rows(motion.alpha, 1.5)[:, [0, 3]])


@pytest.mark.parametrize("fps", [5.0, 24.0, 25.0, 60.0])
def test_resample_keeps_length_and_straight_lines(fps):
    line = Motion(np.arange(100)[:, None] / 25 * [1.0, -2.0], 25.0, "m")
    other = resample(line, fps)
    assert other.fps == fps and other.num_frames == 4 * fps
    inside = other.frame_times <= 99 / 25
    np.testing.assert_allclose(other.alpha[inside, 0], other.frame_times[inside], atol=1e-6)
    np.testing.assert_array_equal(other.alpha[~inside], line.alpha[-1:].repeat((~inside).sum(), 0))


def test_resample_to_the_same_rate_changes_nothing():
    motion = _motion(50)
    np.testing.assert_array_equal(resample(motion, 25.0).alpha, motion.alpha)
    np.testing.assert_array_equal(resample(resample(motion, 50.0), 25.0).alpha, motion.alpha)


def test_resample_makes_a_varying_rate_steady():
    line = dataclasses.replace(VARYING, alpha=VARYING.times[:, None] - 2)
    steady = resample(line, 20.0)
    assert steady.times is None
    inside = steady.frame_times <= 0.6
    np.testing.assert_allclose(steady.alpha[inside, 0], steady.frame_times[inside], atol=1e-6)


@pytest.mark.parametrize("fps", [0.0, -5.0, float("nan"), 0.01])
def test_impossible_rates(fps):
    with pytest.raises(MotionError, match="frame"):
        resample(_motion(10), fps)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (dataclasses.replace(_motion(10), fingerprint="other"), "different models"),
        (_motion(10, fps=30.0), "25 and 30 frames/s and can't be"),
        (_motion(10, fps=25.01), "liax motion resample"),
        (VARYING, "motion 2 has a varying frame rate"),
    ],
)
def test_motions_that_don_t_go_together(other, message):
    for combine in (blend, lambda a, b: join([a, b])):
        with pytest.raises(MotionError, match=message):
            combine(_motion(10), other)
    with pytest.raises(MotionError, match="no motion to be joined"):
        join([])
