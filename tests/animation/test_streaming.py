"""Streaming: same numbers as at once, bounded reading ahead, errors that come through."""

import threading
import time

import jax
import numpy as np
import pytest

from liax_jax.animation.streaming import FrameStream, chunked, in_background


@pytest.fixture(scope="module")
def frames():
    return np.random.default_rng(5).integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def stream(animator):
    return FrameStream(animator, chunk=4, devices=jax.devices()[:1])


def test_the_last_chunk_is_filled_up():
    chunks = list(chunked((np.full(2, i) for i in range(5)), 3))
    assert [count for _, count in chunks] == [3, 2]
    np.testing.assert_array_equal(chunks[1][0], [[3, 3], [4, 4], [4, 4]])


def test_streamed_coefficients_equal_those_at_once(animator, stream, frames):
    pieces = list(stream.coefficients(iter(frames)))
    assert [len(piece) for piece in pieces] == [4, 3]
    expected = animator.coefficients(frames)
    np.testing.assert_allclose(np.concatenate(pieces), expected, rtol=1e-4, atol=1e-4)


def test_streamed_pictures_equal_those_at_once(animator, stream, frames):
    portrait = animator.encode(frames[0])
    alphas = np.asarray(animator.coefficients(frames))
    pictures = list(stream.render(portrait, iter([alphas[:5], alphas[5:]])))
    expected = np.asarray(animator.render(portrait, alphas, uint8=True)).astype(int)
    assert np.stack(pictures).dtype == np.uint8
    assert np.abs(np.stack(pictures) - expected).max() <= 1


def test_frames_are_spread_over_devices(animator, frames):
    several = FrameStream(animator, chunk=3, devices=jax.devices()[:4])
    assert several.chunk == 4
    pieces = np.concatenate(list(several.coefficients(iter(frames))))
    np.testing.assert_allclose(pieces, animator.coefficients(frames), rtol=1e-4, atol=1e-4)


def test_one_program_serves_every_chunk(animator, stream, frames):
    from liax_jax.animation import animator as module

    list(stream.coefficients(iter(frames)))
    before = module._coefficients._cache_size()
    list(stream.coefficients(iter(frames[:1])))
    list(stream.coefficients(iter(frames[:6])))
    assert module._coefficients._cache_size() == before


def test_edited_frames(animator, stream, frames):
    change = np.array([0.2, 0, -0.1, 0], np.float32)
    pictures = np.stack(list(stream.edit_frames(iter(frames), change)))
    expected = np.asarray(animator.edit_frames(frames, change, uint8=True)).astype(int)
    assert np.abs(pictures - expected).max() <= 1


def test_the_background_reads_no_further_than_asked():
    read = []

    def items():
        for i in range(100):
            read.append(i)
            yield i

    results = in_background(items(), depth=3)
    assert next(results) == 0
    time.sleep(0.3)
    assert len(read) <= 6
    results.close()
    assert threading.active_count() < 50 and len(read) <= 7


def test_the_background_passes_errors_on_and_ends():
    def items():
        yield 1
        raise OSError("the file ends here")

    results = in_background(items(), depth=2)
    assert next(results) == 1
    with pytest.raises(OSError, match="the file ends here"):
        next(results)


def test_closing_closes_what_is_read():
    closed = []

    def items():
        try:
            yield from range(100)
        finally:
            closed.append(True)

    results = in_background(items(), depth=2)
    next(results)
    results.close()
    assert closed == [True]


def test_a_chunk_of_nothing_is_refused(animator):
    with pytest.raises(ValueError, match="at least 1 frame"):
        FrameStream(animator, chunk=0)
