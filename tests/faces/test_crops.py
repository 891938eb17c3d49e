"""Crops: known places, exact copies, repeated edges, seams."""

import itertools
import tracemalloc

import numpy as np
import pytest

from liax_jax.faces.crops import (
    PORTRAIT_SCALE,
    Box,
    CropError,
    Square,
    center_square,
    cut_out,
    full_square,
    keep_inside,
    parse_box,
    paste_back,
    square_around,
)


def ramps(height, width):
    """A picture whose colours say the place: red rises by 2 a column, green by 2 a row."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([2 * columns, 2 * rows, 0 * rows + 7], axis=-1).astype(np.uint8)


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)


def test_whole_pixels_are_copied_exactly(noise):
    square = Square(50, 40, 32)
    np.testing.assert_array_equal(cut_out(noise, square, 32), noise[24:56, 34:66])


def test_fractional_place_and_scale_are_met():
    # Output pixel j has its centre at left + (j + ½) · side / R, and red is 2 · (x − ½) there.
    square = Square(61.3, 50.7, 40.6)
    crop = cut_out(ramps(110, 120), square, 64).astype(float)
    at = (np.arange(64) + 0.5) * square.side / 64 - 0.5
    np.testing.assert_allclose(crop[10, :, 0], 2 * (square.left + at), atol=0.6)
    np.testing.assert_allclose(crop[:, 10, 1], 2 * (square.top + at), atol=0.6)


def test_scaling_down_averages():
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    crop = cut_out(stripes, Square(128, 128, 200), 40)
    assert np.abs(crop.astype(int) - 128).max() <= 3


def test_edges_are_repeated_outside():
    picture = ramps(60, 100)
    crop = cut_out(picture, Square(0, 30, 60), 60)
    assert (crop[:, :27, 0] == 0).all()
    np.testing.assert_array_equal(crop[:, 30:], picture[:, :30])
    # Every side at once, against a picture with explicit repeated edges.
    padded = np.pad(picture, ((40, 40), (20, 20), (0, 0)), mode="edge")
    for resolution in (70, 140, 300):
        direct = cut_out(picture, Square(50, 30, 140), resolution).astype(int)
        by_padding = cut_out(padded, Square(70, 70, 140), resolution).astype(int)
        assert np.abs(direct - by_padding).max() <= 1


def test_large_square_needs_little_memory():
    picture = np.zeros((1000, 1500, 3), np.uint8)
    picture[0, 0], picture[-1, -1] = 50, 250
    tracemalloc.start()
    crop = cut_out(picture, Square(750, 500, 24_000), 512)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert crop.shape == (512, 512, 3)
    assert (crop[0, 0] == 50).all() and (crop[-1, -1] == 250).all()
    assert peak < 6 * picture.nbytes  # the square itself would be 384 times the picture


def test_absurd_square_is_refused(noise):
    with pytest.raises(CropError, match="far larger than the picture, which has 120x90"):
        cut_out(noise, Square(60, 45, 1e7), 64)


def test_single_pixel_picture():
    assert (cut_out(np.full((1, 1, 3), 9, np.uint8), Square(0.5, 0.5, 1), 16) == 9).all()


def test_not_squashed():
    """A circle in a tall picture stays one."""
    rows, columns = np.mgrid[:200, :80]
    disc = (((rows - 100) ** 2 + (columns - 40) ** 2) < 30**2)[..., None] * np.uint8(255)
    for square in (full_square(200, 80), center_square(200, 80)):
        inside = cut_out(np.repeat(disc, 3, axis=2), square, 128)[..., 0] > 127
        height, width = inside.any(1).sum(), inside.any(0).sum()
        assert abs(height - width) <= 1 and abs(width - 60 * 128 / square.side) <= 2


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_channels_do_not_touch_each_other(noise, channels):
    """A colour under zero alpha is kept; each channel is as if it were alone."""
    stack = np.concatenate([noise, noise[::-1]], axis=2)[..., :channels].copy()
    stack[20:50, 30:70, -1] = 0
    square = Square(55.5, 41.2, 37)
    crop = cut_out(stack, square, 64)
    assert crop.shape == (64, 64, channels)
    for i in range(channels):
        np.testing.assert_array_equal(
            crop[..., i], cut_out(stack[..., i, None], square, 64)[..., 0]
        )


def test_round_trip_of_a_smooth_picture():
    picture = ramps(100, 120)
    square = Square(57.6, 48.3, 61.7)
    back = paste_back(picture, cut_out(picture, square, 128), square)
    assert np.abs(back.astype(int) - picture).max() <= 1


def test_paste_changes_nothing_outside(noise):
    square = Square(60.3, 44.6, 50.2)
    rendered = np.full((64, 64, 3), 255, np.uint8)
    before = noise.copy()
    result = paste_back(noise, rendered, square)
    np.testing.assert_array_equal(noise, before)
    inside = np.zeros((90, 120), bool)
    inside[20:69, 36:85] = True  # pixels wholly within 19.5 … 69.7 and 35.2 … 85.4
    np.testing.assert_array_equal(result[~inside], noise[~inside])
    assert (result[30:60, 45:75] == 255).all()


def test_seam_is_soft_and_monotonic():
    frame = np.zeros((100, 120, 3), np.uint8)
    result = paste_back(frame, np.full((64, 64, 3), 200, np.uint8), Square(60, 50, 60), feather=0.2)
    line = result[50, 30:60, 0].astype(int)
    assert line[0] < 5 and (np.diff(line) >= 0).all() and np.diff(line).max() < 30
    assert (line[12:] == 200).all() and (line[:11] < 200).all()  # 0.2 of 60 pixels
    np.testing.assert_array_equal(result, result[:, ::-1])
    hard = paste_back(frame, np.full((64, 64, 3), 200, np.uint8), Square(60, 50, 60), feather=0)
    assert set(np.unique(hard)) == {0, 200} and (hard == 200).sum() == 60 * 60 * 3


def test_no_seam_on_the_picture_border():
    """The whole of a square picture is replaced; at a border, only the inner sides fade."""
    new = np.full((64, 64, 3), 200, np.uint8)
    frame = np.zeros((50, 50, 3), np.uint8)
    assert (paste_back(frame, new, full_square(50, 50)) == 200).all()
    corner = paste_back(np.zeros((90, 120, 3), np.uint8), new, Square(10, 10, 60))
    assert (corner[:33, :33] == 200).all() and corner[20, 39, 0] < 10
    assert (corner[41:] == 0).all() and (corner[:, 41:] == 0).all()


def test_crossing_the_border_is_gradual():
    """A square that moves out of the picture by small steps changes every pixel by small steps."""
    frame = np.zeros((90, 120, 3), np.uint8)
    new = np.full((64, 64, 3), 200, np.uint8)
    series = [
        paste_back(frame, new, Square(x, 45, 40))[:, 4:].astype(int)
        for x in np.arange(30, 10, -0.25)
    ]
    steps = [np.abs(b - a).max() for a, b in itertools.pairwise(series)]
    assert max(steps) < 50  # of 200


def test_paste_keeps_alpha():
    frame = np.zeros((40, 40, 4), np.uint8)
    frame[..., 3] = np.arange(40, dtype=np.uint8)
    square = Square(20, 20, 20)
    result = paste_back(frame, np.full((32, 32, 3), 90, np.uint8), square)
    np.testing.assert_array_equal(result[..., 3], frame[..., 3])
    assert (result[18:22, 18:22, :3] == 90).all()
    result = paste_back(frame, np.full((32, 32, 4), 90, np.uint8), square)
    assert (result[18:22, 18:22] == 90).all()
    with pytest.raises(ValueError, match="4 channels into a frame of 3"):
        paste_back(frame[..., :3], np.zeros((32, 32, 4), np.uint8), square)


def test_square_thinner_than_a_pixel_pastes_nothing(noise):
    rendered = np.zeros((8, 8, 3), np.uint8)
    np.testing.assert_array_equal(paste_back(noise, rendered, Square(5.5, 5.5, 0.4)), noise)


@pytest.mark.parametrize(
    "function", [lambda f, s: cut_out(f, s, 8), lambda f, s: paste_back(f, f, s)]
)
def test_square_beside_the_picture_is_refused(noise, function):
    with pytest.raises(CropError, match=r"200.0,0.0,50.0 .* 120x90"):
        function(noise, Square(225, 25, 50))


def test_square_around_a_face():
    square = square_around(Box(100, 200, 60, 80))
    assert square.side == pytest.approx(PORTRAIT_SCALE * 80)
    assert square.center_x == 130
    # The face lies a little below the middle, where it leaves room for the hair.
    assert (240 - square.top) / square.side == pytest.approx(0.52)
    assert square_around(Box(0, 0, 10, 10), scale=3).side == 30
    with pytest.raises(CropError, match="positive"):
        square_around(Box(0, 0, 10, 10), scale=0)


def test_keep_inside_moves_and_shrinks_within_its_allowance():
    assert keep_inside(Square(50, 50, 40), 100, 100) == Square(50, 50, 40)
    assert keep_inside(Square(18, 50, 40), 100, 100) == Square(20, 50, 40)
    assert keep_inside(Square(5, 95, 40), 100, 100) == Square(13, 87, 40)  # by 0.2 · 40
    assert keep_inside(Square(47, 52, 110), 100, 100) == Square(50, 50, 100)
    assert keep_inside(Square(50, 50, 200), 100, 100).side == 160
    assert keep_inside(Square(60, 60, 40), 100, 30).side == 32


def test_keep_inside_is_gradual():
    squares = [keep_inside(Square(x, 50, 60 + x), 100, 140) for x in np.arange(-20, 160, 0.5)]
    values = np.array([(s.center_x, s.center_y, s.side) for s in squares])
    assert np.abs(np.diff(values, axis=0)).max() < 1


@pytest.mark.parametrize(
    ("text", "square"),
    [
        ("120,40,300", Square(270, 190, 300)),
        ("-10, 5.5, 20", Square(0, 15.5, 20)),
        ("100,200,60,80", Square(130, 240, 80)),
    ],
)
def test_box_by_hand(text, square):
    assert parse_box(text) == square
    assert parse_box(square.describe()) == square


@pytest.mark.parametrize(
    "text", ["", "1,2", "1,2,3,4,5", "1,2,0", "1,2,-3", "a,b,c", "nan,1,2", "1,2,inf"]
)
def test_wrong_box_says_what_to_write(text):
    with pytest.raises(CropError, match="LEFT,TOP,SIDE"):
        parse_box(text)


def test_square_needs_a_size():
    for values in ((0, 0, 0), (0, 0, -1), (float("nan"), 0, 1)):
        with pytest.raises(CropError, match="positive side"):
            Square(*values)
