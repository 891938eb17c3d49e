"""What one coefficient changes: curves, pictures, flows, and the portraits they are seen on."""

import jax.numpy as jnp
import numpy as np
import pytest

from liax_jax.animation.animator import Animator
from liax_jax.faces.detection import open_detector
from liax_jax.interpretability.canonical import STATED_FRAME
from liax_jax.interpretability.effect_summary import linearity, monotonicity, summarise_effects
from liax_jax.interpretability.interventions import Intervener, Subject, choose_subjects


def test_curves():
    deltas = np.linspace(-1, 1, 9)
    assert monotonicity(deltas, 2 * deltas**3) == pytest.approx(1)
    assert monotonicity(deltas, -deltas) == pytest.approx(-1)
    assert monotonicity(deltas, deltas**2) == pytest.approx(0, abs=1e-9)
    assert linearity(deltas, 1 - 3 * deltas) == pytest.approx(1)
    assert linearity(deltas, deltas**2) == pytest.approx(0, abs=1e-9)
    assert monotonicity(deltas, 0 * deltas) == linearity(deltas, 0 * deltas) == 0


def test_interventions_change_one_coefficient(animator, clips):
    subjects = [Subject(clips.names[i], i, 1, clips.frame(i, 1), STATED_FRAME) for i in range(2)]
    effects = Intervener(animator).effects(2, 0.8, subjects)
    for effect, subject in zip(effects, subjects, strict=True):
        np.testing.assert_allclose(effect.deltas, np.linspace(-0.8, 0.8, 9), atol=1e-12)
        assert effect.seen_step <= 0.4
        assert effect.psnr[4] == 100 and effect.l1[4] == effect.progress[4] == 0
        assert effect.progress[-1] - effect.progress[0] == pytest.approx(1)
        portrait = animator.encode(subject.picture)
        alpha = np.asarray(portrait.alpha) + [0, 0, 0.8, 0]
        expected = np.asarray(animator.render(portrait, alpha, uint8=True)[0])
        difference = effect.pictures[-1].astype(int) - expected
        assert np.abs(difference).max() <= 1  # compiled apart, rounded apart
        unchanged = np.asarray(animator.render(portrait, uint8=True)[0]) / 255
        assert effect.l1[-1] == pytest.approx(np.abs(expected / 255 - unchanged).mean(), abs=1e-3)
    assert np.isnan(effects[0].identity)
    summary = summarise_effects(effects)
    assert summary.identity is None
    assert summary.reach_db == min(summary.psnr[0], summary.psnr[-1]) < 100
    assert -1 <= summary.agreement <= 1


def test_identity_drift_is_of_the_ends_from_the_unchanged_picture(animator, clips):
    class Distance:
        def prepare(self, source):
            return source

        def __call__(self, images, prepared):
            found = jnp.abs(images - prepared).mean((1, 2, 3))
            return found.at[0].set(jnp.nan)  # no face there

    subject = Subject("a", 0, 0, clips.frame(0, 0), STATED_FRAME)
    (effect,) = Intervener(animator, Distance()).effects(0, 0.5, [subject])
    assert effect.identity == pytest.approx(effect.l1[-1], rel=1e-5)
    assert summarise_effects([effect]).identity == pytest.approx(effect.identity)


def test_the_flow_shown_goes_where_the_picture_goes(animator, clips, monkeypatch):
    """A grid that samples further left moves what is seen to the right."""
    side = animator.resolution

    def shifted(self, portrait, alpha, names):
        del self
        y, x = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side), indexing="ij")
        grids = [np.stack([x - 0.1 * row[0], y], -1) for row in alpha - np.asarray(portrait.alpha)]
        return np.zeros((len(alpha), side, side, 3)), {names[0]: np.stack(grids)}

    monkeypatch.setattr(Animator, "render_with", shifted)
    subject = Subject("a", 0, 0, clips.frame(0, 0), STATED_FRAME)
    (effect,) = Intervener(animator).effects(0, 1.0, [subject])
    pixels = 2 * 0.1 * side / 2
    np.testing.assert_allclose(effect.flow[..., 0], pixels / side / STATED_FRAME.unit, rtol=1e-4)
    np.testing.assert_allclose(effect.flow[..., 1], 0, atol=1e-6)
    np.testing.assert_allclose(effect.progress, effect.deltas / 2, atol=1e-6)
    assert effect.pixels[-1] == pytest.approx(pixels / 2, rel=1e-4)


def test_subjects_are_the_most_ordinary_frames_of_different_people(clips):
    places = [(clip, time) for clip in range(4) for time in range(8)]
    alpha = np.array([[time - 5.0, clip - 1.6] for clip, time in places])

    def chosen(people, count):
        group = [people[clip] for clip, _ in places]
        return choose_subjects(clips, alpha, places, group, count, open_detector())[0]

    subjects = chosen([0, 1, 2, 3], 2)
    assert [subject.clip for subject in subjects] == [1, 2]  # the median is 1.5
    assert {subject.time for subject in subjects} <= {3, 4}  # the median is 3.5
    np.testing.assert_array_equal(subjects[1].picture, clips.frame(2, subjects[1].time))
    # The two most ordinary clips are of one person, whose second comes after everybody's first.
    people = [0, 7, 7, 3]
    assert [len({people[s.clip] for s in chosen(people, n)}) for n in (1, 2, 3, 4)] == [1, 2, 3, 3]
    assert [subject.clip for subject in chosen(people, 9)] == [0, 1, 2, 3]
    assert [subject.clip for subject in chosen([7, 7, 7, 7], 2)] == [1, 2]


def test_pictures_that_are_not_finite_are_an_error(animator, clips):
    broken = animator.replace(basis=animator.basis * np.float32(np.nan))
    subject = Subject("anna", 0, 0, clips.frame(0, 0), STATED_FRAME)
    with pytest.raises(ValueError, match="direction 1: the model's picture of anna isn't finite"):
        Intervener(broken).effects(1, 0.5, [subject])
