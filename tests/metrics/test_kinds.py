"""What holds for every kind of metric: streaming, masks, checks, and what is stated."""

import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest

from liax_jax.metrics import (
    FRAME_METRICS,
    METRICS,
    FrameMetric,
    MetricInputError,
    SequenceMetric,
    SetMetric,
    WeightsStore,
    build_metrics,
    check_frames,
)
from liax_jax.metrics.frechet import frechet_distance
from tests.goldens.seeded_weights import pictures

CLIP, OTHER = pictures(0, (10, 24, 24, 3)), pictures(1, (10, 24, 24, 3))


def colours(params, images):
    """Features of a picture: the mean of its channels, and those of its upper half."""
    return params * jnp.concatenate([images.mean((1, 2)), images[:, :12].mean((1, 2))], axis=-1)


def colour_distance() -> SetMetric:
    return SetMetric(
        name="colours",
        apply=colours,
        params=jnp.float32(2),
        dimensions=6,
        distance=frechet_distance,
        higher_is_better=False,
        convention="mean colours",
        decimals=2,
    )


def padded(images, start, size):
    """The batch from `start` on, filled up with NaN, and which of it are frames."""
    part = images[start : start + size]
    padding = np.full((size - len(part), *part.shape[1:]), np.nan, np.float32)
    return np.concatenate([part, padding]), np.arange(size) < len(part)


def test_sets_are_streamed_in_any_batches_and_padding_leaves_no_trace():
    metric = colour_distance()
    whole = metric.update(metric.init(), CLIP), metric.update(metric.init(), OTHER)
    sides = []
    for clip in (CLIP, OTHER):
        parts = []
        for start in range(0, 10, 4):
            images, mask = padded(clip, start, 4)
            parts.append(metric.update(metric.init(), images, mask))
        sides.append(metric.merge(*parts))
        assert sides[-1].count == 10
    assert metric.compute(*whole) > 0.01
    np.testing.assert_allclose(metric.compute(*sides), metric.compute(*whole), rtol=1e-6)
    assert metric.compute(sides[0], sides[0]) < 1e-12


def test_sets_refuse_nan_frames_and_single_frames():
    metric = colour_distance()
    images, _ = padded(CLIP, 8, 4)
    with pytest.raises(MetricInputError, match="colours: a frame has NaN"):
        metric.update(metric.init(), images)
    one = metric.update(metric.init(), CLIP[:1])
    with pytest.raises(MetricInputError, match="at least 2 generated frames, got 1"):
        metric.compute(metric.update(metric.init(), CLIP), one)


def second_difference(_, images, references):
    """How much more the picture's second difference in time is than the reference's."""
    jump = [a[2:] - 2 * a[1:-1] + a[:-2] for a in (images, references)]
    return jnp.abs(jump[0]).mean((1, 2, 3)) - jnp.abs(jump[1]).mean((1, 2, 3))


@pytest.mark.parametrize("size", [1, 3, 4, 10])
def test_sequences_are_streamed_with_their_last_frames_carried(size):
    metric = SequenceMetric(
        name="second difference",
        apply=second_difference,
        context=2,
        higher_is_better=False,
        convention="",
        decimals=3,
    )
    expected = second_difference(None, CLIP, OTHER)
    carry, scores = metric.init(), []
    for start in range(0, 10, size):
        images, mask = padded(CLIP, start, size)
        references, _ = padded(OTHER, start, size)
        carry, values, counted = metric.update(carry, images, references)
        scores += list(np.asarray(values)[mask & counted])
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-6)


def test_frames_are_scored_against_a_source_that_is_prepared_once():
    metric = FrameMetric(
        name="colour",
        apply=lambda p, images, source: jnp.abs(colours(p, images) - source).mean(-1),
        params=jnp.float32(1),
        against="source",
        prepare_source=colours,
        higher_is_better=False,
        convention="",
        decimals=3,
        min_size=20,
    )
    scores = metric(CLIP, metric.prepare(CLIP[:1]))
    assert scores.shape == (10,) and scores[0] < 1e-6 and (scores[1:] > 1e-4).all()
    pure = metric.function(CLIP, metric.prepare(CLIP[:1]))
    np.testing.assert_allclose(pure, scores, atol=1e-6)
    with pytest.raises(MetricInputError, match="colour: needs pictures of at least 20 x 20"):
        metric(CLIP[:, :19], None)
    with pytest.raises(ValueError, match="compares frames with driving"):
        FRAME_METRICS["l1"].prepare(CLIP[:1])


@pytest.mark.parametrize("bad, message", [(np.nan, "NaN or infinite"), (1.2, r"outside \[0, 1\]")])
def test_frames_that_cannot_be_scored_are_named(bad, message):
    images = CLIP.copy()
    check_frames("clip 'a': generated frame", images)
    images[7, 3, 4, 1] = bad
    check_frames("clip 'a': generated frame", images, count=7)
    with pytest.raises(
        MetricInputError, match=f"clip 'a': generated frame 27 .from 0. has .*{message}"
    ):
        check_frames("clip 'a': generated frame", images, first_frame=20)
    with pytest.raises(MetricInputError, match="divide 8-bit pixels by 255"):
        check_frames("clip 'a': generated frame", (CLIP * 255).astype(np.uint8))


def test_every_metric_that_can_be_had_states_what_it_is(tmp_path):
    available, left_out = build_metrics(METRICS, WeightsStore(tmp_path))
    assert {*available, *left_out} == set(METRICS) and {"lpips_alex", "fid"} <= set(left_out)
    for name, metric in available.items():
        assert metric.name == name and metric.decimals > 0 and len(metric.convention) > 10
        described = json.loads(json.dumps(metric.describe(frames=3)))
        assert described["convention"] == metric.convention and described["weights"] == {}
    assert dataclasses.replace(available["l1"], decimals=2).decimals == 2
