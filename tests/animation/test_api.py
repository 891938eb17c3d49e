"""The programmatic API: encode, edit, animate, render, traverse."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from liax_jax.animation.animator import Animator
from liax_jax.directions import DirectionCard, DirectionError


@pytest.fixture(scope="module")
def source():
    return np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def portrait(animator, source):
    return animator.encode(source)


@pytest.fixture(scope="module")
def driving(animator):
    frames = np.random.default_rng(2).uniform(-1, 1, (3, 32, 32, 3)).astype(np.float32)
    return np.asarray(animator.coefficients(frames))


def test_pictures_in_bytes_and_in_floats_are_the_same(animator, source):
    as_float = source.astype(np.float32) / 127.5 - 1
    a, b = animator.encode(source), animator.encode(jnp.asarray(as_float)[None])
    np.testing.assert_allclose(a.z_s2r, b.z_s2r, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(animator.coefficients(source)[0], a.alpha, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="uint8 or float"):
        animator.encode(source.astype(np.int32))


def test_rendering_agrees_with_the_whole_network(animator, source, portrait):
    picture = jnp.asarray(source[None].astype(np.float32) / 127.5 - 1)
    image, out = animator.module.apply({"params": animator.params}, picture, picture)
    np.testing.assert_allclose(animator.render(portrait), image, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(portrait.alpha, out["alpha_r2s"][0], rtol=1e-5, atol=1e-5)


def test_the_basis_is_that_of_the_network(animator):
    q = animator.module.apply({"params": animator.params}, method="directions")
    np.testing.assert_allclose(animator.basis, q, atol=1e-6)
    np.testing.assert_allclose(animator.basis.T @ animator.basis, np.eye(4), atol=1e-5)


def test_bytes_out_are_the_clipped_floats(animator, portrait):
    floats = np.asarray(animator.render(portrait))
    expected = np.rint((np.clip(floats, -1, 1) + 1) * 127.5)
    difference = np.abs(np.asarray(animator.render(portrait, uint8=True)) - expected)
    assert difference.max() <= 1 and difference.mean() < 0.01


def test_edits_add_up_and_follow_the_sign_of_the_name(animator, portrait):
    named = animator.edit(portrait, {"jaw": 0.2, "yaw": 0.1})
    np.testing.assert_allclose(named.edit, [0.1, 0, -0.2, 0], atol=1e-6)
    again = animator.edit(named, {"2": 0.05, 3: 0.4})  # by index: the coefficient
    np.testing.assert_allclose(again.edit, [0.1, 0, -0.15, 0.4], atol=1e-6)
    np.testing.assert_allclose(again.edited_alpha, portrait.alpha + again.edit, atol=1e-6)
    np.testing.assert_array_equal(portrait.edit, np.zeros(4))
    np.testing.assert_allclose(
        animator.render(again), animator.render(portrait, again.edited_alpha), atol=1e-5
    )


def test_relative_motion_starts_at_the_source(animator, portrait, driving):
    frames = animator.animate(portrait, driving)
    assert frames.shape == (3, 32, 32, 3)
    np.testing.assert_allclose(frames[0], animator.render(portrait)[0], rtol=1e-4, atol=1e-4)
    moved = portrait.alpha + driving[2] - driving[0]
    np.testing.assert_allclose(frames[2], animator.render(portrait, moved)[0], rtol=1e-4, atol=1e-4)


def test_a_later_chunk_needs_the_reference(animator, portrait, driving):
    whole = animator.animate(portrait, driving)
    later = animator.animate(portrait, driving[1:], reference=driving[0])
    np.testing.assert_allclose(later, whole[1:], rtol=1e-4, atol=1e-4)


def test_absolute_motion_takes_coefficients_over(animator, portrait, driving):
    frames = animator.animate(portrait, driving, absolute="all")
    np.testing.assert_allclose(frames, animator.render(portrait, driving), rtol=1e-4, atol=1e-4)
    edited = animator.edit(portrait, {"yaw": 0.3})
    mixed = np.array(portrait.alpha + driving[1] - driving[0])
    mixed[2] = driving[1, 2]
    mixed[0] += 0.3
    frames = animator.animate(edited, driving, absolute=["mouth"])
    np.testing.assert_allclose(frames[1], animator.render(portrait, mixed)[0], rtol=1e-4, atol=1e-4)


def test_no_strength_is_no_motion(animator, portrait, driving):
    frames = animator.animate(portrait, driving, strength=0.0, absolute="all")
    still = np.repeat(animator.render(portrait), 3, axis=0)
    np.testing.assert_allclose(frames, still, rtol=1e-4, atol=1e-4)


def test_a_traversal_shows_each_value(animator, portrait):
    pictures = animator.traverse(portrait, "jaw")
    assert pictures.shape == (11, 32, 32, 3)
    # The card has -0.4 to 0.5 for it.
    for position, value in ((0, -0.4), (5, 0.0), (10, 0.5)):
        edited = animator.edit(portrait, {"jaw": value})
        expected = animator.render(edited)[0]
        np.testing.assert_allclose(pictures[position], expected, rtol=1e-4, atol=1e-4)
    two = animator.traverse(portrait, "jaw", [0.0, 0.5])
    np.testing.assert_allclose(two, pictures[np.array([5, 10])], rtol=1e-4, atol=1e-4)


def test_opacity_is_warped_along(animator, portrait):
    opaque = animator.render(portrait, opacity=jnp.zeros((32, 32)))
    assert opaque.shape == (1, 32, 32, 4)
    np.testing.assert_array_equal(opaque[..., 3], -np.ones((1, 32, 32)))
    np.testing.assert_allclose(opaque[..., :3], animator.render(portrait), atol=1e-5)


def test_editing_frames_one_by_one_equals_editing_each_as_a_portrait(animator):
    frames = np.random.default_rng(3).uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)
    edited = animator.edit_frames(frames, {"yaw": -0.2})
    for frame, picture in zip(frames, edited, strict=True):
        alone = animator.edit(animator.encode(frame), {"yaw": -0.2})
        np.testing.assert_allclose(picture, animator.render(alone)[0], rtol=1e-4, atol=1e-4)


def test_everything_works_under_jit_with_the_animator_as_an_argument(animator, source, driving):
    @jax.jit
    def talk(animator, image, driving):
        portrait = animator.edit(animator.encode(image), {"yaw": 0.1})
        return animator.animate(portrait, driving)

    portrait = animator.edit(animator.encode(source), {"yaw": 0.1})
    np.testing.assert_allclose(
        talk(animator, source, driving), animator.animate(portrait, driving), rtol=1e-4, atol=1e-4
    )


def test_bfloat16_stays_close(animator, source):
    config = dataclasses.replace(animator.config, dtype="bfloat16")
    half = Animator.create(dataclasses.replace(animator.record, config=config), animator.params)
    exact = animator.render(animator.encode(source), uint8=True).astype(jnp.float32)
    rough = half.render(half.encode(source), uint8=True).astype(jnp.float32)
    psnr = 10 * jnp.log10(255**2 / jnp.mean((exact - rough) ** 2))
    assert psnr > 20  # random weights amplify; trained ones stay above 40 dB


def test_wrong_input_says_what_to_do(animator, portrait):
    with pytest.raises(ValueError, match="pictures of shape"):
        animator.encode(np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(ValueError, match="one by one"):
        animator.encode(np.zeros((2, 32, 32, 3), np.uint8))
    with pytest.raises(DirectionError, match="Did you mean 'jaw'"):
        animator.edit(portrait, {"jww": 0.1})
    with pytest.raises(DirectionError, match="outside the useful range"):
        animator.edit(portrait, {"yaw": 3.0}, strict=True)
    with pytest.raises(DirectionError, match="no direction 4"):
        animator.traverse(portrait, 4)
    unnamed = dataclasses.replace(animator.record, card=DirectionCard(4))
    with pytest.raises(DirectionError, match="no names"):
        animator.replace(record=unnamed).edit(portrait, {"yaw": 0.1})
