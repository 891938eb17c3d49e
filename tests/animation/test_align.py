"""Alignment: bounded, sparse, and never further away than before."""

import numpy as np
import pytest

from liax_jax.animation.align import align, parse_align
from liax_jax.directions import DirectionError


@pytest.fixture(scope="module")
def portrait(animator):
    source = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    return animator.encode(source)


@pytest.fixture(scope="module")
def reference(portrait):
    return np.asarray(portrait.alpha) + np.array([0.3, -0.2, 0.9, 0.05], np.float32)


def test_the_edit_stays_within_the_ranges(animator, portrait, reference):
    found = align(animator, portrait, reference)
    low, high = animator.card.coefficient_bounds()
    assert np.all(found.change >= low - 1e-6) and np.all(found.change <= high + 1e-6)
    assert found.distance_after <= found.distance_before


def test_only_allowed_directions_are_used(animator, portrait, reference):
    found = align(animator, portrait, reference, "pose")
    assert set(np.flatnonzero(found.change)) <= {0}
    limited = align(animator, portrait, reference, "all", 2)
    assert np.count_nonzero(limited.change) <= 2


def test_values_repeat_the_edit(animator, portrait, reference):
    found = align(animator, portrait, reference)
    again = animator.card.vector(dict(found.values))
    np.testing.assert_allclose(again, found.change, atol=6e-4)
    assert found.flags().count("--edit") == len(found.values)


def test_nothing_to_do(animator, portrait):
    found = align(animator, portrait, np.asarray(portrait.alpha))
    assert found.values == {} and found.flags() == ""


def test_wrong_requests(animator, portrait, reference):
    assert parse_align("3") == ("all", 3) and parse_align("pose") == ("pose", None)
    with pytest.raises(DirectionError, match="at least 1"):
        align(animator, portrait, reference, "all", 0)
    with pytest.raises(DirectionError, match="no direction 'nose'"):
        align(animator, portrait, reference, "nose")
