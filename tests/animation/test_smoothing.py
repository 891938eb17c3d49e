"""Zero-phase Gaussian smoothing, whole and streamed."""

import tracemalloc

import numpy as np
import pytest

from liax_jax.animation.smoothing import smooth_rows, smooth_stream


def _noise(frames, vectors=3, seed=0):
    return np.random.default_rng(seed).standard_normal((frames, vectors)).astype(np.float32)


def test_the_middle_is_a_gaussian_average():
    rows = _noise(60)
    lags = np.arange(-8, 9)
    kernel = np.exp(-0.5 * (lags / 2.0) ** 2)
    expected = np.stack([np.convolve(c, kernel / kernel.sum(), "valid") for c in rows.T], axis=1)
    np.testing.assert_allclose(smooth_rows(rows, 2.0)[8:-8], expected, atol=1e-6)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.7, 30.0])
@pytest.mark.parametrize("frames", [2, 3, 7, 50])
def test_constant_and_steady_motion_pass_unchanged(sigma, frames):
    steady = np.arange(frames)[:, None] * [0.1, -0.3, 0.0] + [1.0, 2.0, 3.0]
    smoothed = smooth_rows(steady, sigma)
    assert smoothed.dtype == np.float32 and smoothed.shape == steady.shape
    np.testing.assert_allclose(smoothed, steady, rtol=2e-6)


def test_no_delay():
    times = np.arange(200)
    wave = np.sin(2 * np.pi * times / 40)[:, None]
    smoothed = smooth_rows(wave, 2.0)[:, 0]
    # The Fourier transform of a Gaussian: the amplitude shrinks, the phase stays.
    expected = np.exp(-0.5 * (2.0 * 2 * np.pi / 40) ** 2) * wave[:, 0]
    np.testing.assert_allclose(smoothed[8:-8], expected[8:-8], atol=2e-4)


def test_jitter_shrinks_at_the_ends_too():
    rows = _noise(4000 * 30, 1).reshape(30, 4000)  # 4000 independent sequences of 30 frames
    spread = smooth_rows(rows, 2.0).std(1)
    assert spread[10:20].max() < 0.4
    assert spread.max() < 0.8


def test_backwards_is_the_same():
    rows = _noise(33)
    np.testing.assert_allclose(
        smooth_rows(rows[::-1], 1.5)[::-1], smooth_rows(rows, 1.5), atol=1e-6
    )


@pytest.mark.parametrize("chunk", [1, 2, 7, 8, 100])
@pytest.mark.parametrize("frames", [1, 2, 5, 16, 17, 40, 99])
@pytest.mark.parametrize("sigma", [0.0, 0.2, 1.0, 2.0])
def test_streaming_gives_the_same_bits(chunk, frames, sigma):
    rows = _noise(frames)
    pieces = list(smooth_stream((rows[i : i + chunk] for i in range(0, frames, chunk)), sigma))
    assert all(len(piece) for piece in pieces)
    np.testing.assert_array_equal(np.concatenate(pieces), smooth_rows(rows, sigma))


def test_pieces_of_any_length_even_none():
    rows = _noise(30)
    pieces = [rows[:0], rows[:1], rows[1:20], rows[20:20], rows[20:]]
    streamed = np.concatenate(list(smooth_stream(pieces, 1.3)))
    np.testing.assert_array_equal(streamed, smooth_rows(rows, 1.3))
    assert list(smooth_stream([], 1.3)) == []
    assert smooth_rows(rows[:0], 1.3).shape == (0, 3)


def test_zero_changes_nothing():
    rows = _noise(9)
    np.testing.assert_array_equal(smooth_rows(rows, 0), rows)


def test_rows_come_out_as_soon_as_they_can():
    given = 0

    def frames():
        nonlocal given
        for row in _noise(50):
            given += 1
            yield row[None]

    received = 0
    for piece in smooth_stream(frames(), 1.0):
        received += len(piece)
        assert given == 50 or given - received == 4


def test_memory_does_not_grow_with_the_length():
    def peak(frames):
        chunk = _noise(16, 40)
        tracemalloc.start()
        for _ in smooth_stream((chunk for _ in range(frames // 16)), 2.0):
            pass
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(160)  # what Python and NumPy set up once
    assert peak(16_000) < 1.2 * peak(320)


@pytest.mark.parametrize("sigma", [-1.0, np.nan, np.inf])
def test_wrong_sigma(sigma):
    with pytest.raises(ValueError, match="0 or more"):
        smooth_stream([_noise(3)], sigma)


@pytest.mark.parametrize("pieces", [[np.zeros(3)], [np.zeros((2, 3)), np.zeros((2, 4))]])
def test_wrong_shape(pieces):
    with pytest.raises(ValueError, match="smoothing takes pieces"):
        list(smooth_stream(pieces, 1.0))
