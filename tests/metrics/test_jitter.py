"""Jitter: known shakes are recovered in pixels/frame², steady motion has next to none."""

import jax.numpy as jnp
import numpy as np
import pytest

from liax_jax.metrics import METRICS, MetricInputError
from liax_jax.metrics.jitter import accelerations, jitter_difference

SIZE = 128
FRAMES = 7


def moving(path):
    """(n, SIZE, SIZE, 3) of a texture at these (x, y), exact at any fraction of a pixel."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    waves = [(*rng.uniform(-0.35, 0.35, 2), rng.uniform(0, 6)) for _ in range(40)]
    frames = np.empty((len(path), SIZE, SIZE))
    for frame, (x, y) in zip(frames, path, strict=True):
        frame[:] = sum(np.sin(a * (columns - x) + b * (rows - y) + phase) for a, b, phase in waves)
    frames = 0.5 + 0.5 * frames / np.abs(frames).max()
    return np.repeat(frames[..., None], 3, axis=-1).astype(np.float32)


def straight(x, y):
    return [(x * i, y * i) for i in range(FRAMES)]


def shaking(amplitude, x=0.0):
    return [(x * i + amplitude * (-1) ** i, 0) for i in range(FRAMES)]


@pytest.mark.parametrize("amplitude", [0.25, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("speed", [0.0, 0.7])
def test_the_amplitude_of_a_shake_is_recovered(amplitude, speed):
    levels = accelerations(moving(shaking(amplitude, speed)))
    assert levels.shape == (FRAMES - 2,) and levels.dtype == np.float32
    np.testing.assert_allclose(levels, 4 * amplitude, rtol=0.05)


@pytest.mark.parametrize("velocity", [(0.7, 0.3), (2.5, -1.0)])
def test_steady_motion_has_next_to_none(velocity):
    assert accelerations(moving(straight(*velocity))).max() < 0.08


def test_constant_acceleration_is_its_own_level():
    path = [(0.3 * i * i, 0) for i in range(FRAMES)]
    np.testing.assert_allclose(accelerations(moving(path)), 0.6, rtol=0.1)


def test_still_and_equal_videos_score_exactly_zero():
    still = moving([(0, 0)] * 4)
    assert np.all(accelerations(still) == 0)
    shaken = moving(shaking(1.0, 0.5))
    assert np.all(jitter_difference(shaken, shaken) == 0)


def test_only_what_the_driving_does_not_do_counts():
    smooth = moving(straight(0.5, 0))
    shaken = moving(shaking(0.5, 0.5))
    for frames, driving in ((shaken, smooth), (smooth, shaken)):
        np.testing.assert_allclose(jitter_difference(frames, driving), 2, rtol=0.05)


def test_batches_give_what_the_whole_clip_gives():
    metric = METRICS["jitter"].make()
    frames, driving = moving(shaking(0.5, 0.5)), moving(straight(0.5, 0))
    expected = jitter_difference(frames, driving)
    padded = [np.concatenate([clip, clip[-1:]]) for clip in (frames, driving)]
    carry, scores, counts = metric.init(), [], []
    for start in range(0, FRAMES + 1, 2):
        batch = [jnp.asarray(clip[start : start + 2]) for clip in padded]
        carry, found, counted = metric.update(carry, *batch)
        scores.append(np.asarray(found))
        counts.append(counted)
    counts = np.concatenate(counts)[:FRAMES]
    assert counts.tolist() == [False] * 2 + [True] * (FRAMES - 2)
    np.testing.assert_array_equal(np.concatenate(scores)[:FRAMES][counts], expected)
    assert "pixels/frame^2" in metric.describe(FRAMES)["convention"]
    assert carry.images.shape == (2, SIZE, SIZE, 3)


def test_frames_that_cannot_be_scored_are_refused():
    metric = METRICS["jitter"].make()
    good = jnp.asarray(moving(straight(0, 0)[:2]))
    with pytest.raises(MetricInputError, match="jitter: generated frame .* NaN"):
        metric.update(None, good.at[1, 3, 3].set(jnp.nan), good)
    with pytest.raises(MetricInputError, match="jitter: driving frame .* outside"):
        metric.update(None, good, good * 2)
    with pytest.raises(MetricInputError, match="at least 32 x 32"):
        metric.update(None, good[:, :16], good[:, :16])
