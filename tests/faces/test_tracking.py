"""Tracking: drawn squares and an own detector for numbers, drawn portraits for the cascades."""

import itertools
import logging
import weakref

import numpy as np
import pytest

from liax_jax.data.procedural import ProceduralClips
from liax_jax.faces.crops import PORTRAIT_SCALE, Box, keep_inside, square_around
from liax_jax.faces.detection import FaceError
from liax_jax.faces.tracking import track_faces

FPS = 25
HEIGHT, WIDTH = 240, 400


def find_squares(rgb, min_size, max_size):
    """A detector of squares in pure red, by their left edge, one for each shade of blue."""
    boxes = []
    for shade in np.unique(rgb[rgb[..., 0] == 255][:, 2]):
        rows, columns = np.nonzero((rgb[..., 0] == 255) & (rgb[..., 2] == shade))
        left, top = columns.min(), rows.min()
        side = int(columns.max() - left) + 1
        if min_size <= side / max(rgb.shape[:2]) <= max_size:
            boxes.append(Box(float(left), float(top), side, side, 1.0))
    return boxes


def draw(*squares):
    """A frame with squares (left, top, side) in shades of blue 0, 1, …; None is left out."""
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for shade, square in enumerate(squares):
        if square is not None:
            left, top, side = (round(value) for value in square)
            frame[top : top + side, left : left + side] = (255, 0, shade)
    return frame


def track(frames, times=None, **options):
    frames = list(frames)
    times = [i / FPS for i in range(len(frames))] if times is None else times
    options = {"detector": find_squares, **options}
    return track_faces(zip(times, frames, strict=True), **options)


def values(squares):
    return np.array([(s.center_x, s.center_y, s.side) for s in squares])


def test_still_face():
    (squares,) = track([draw((180, 90, 40))] * 23)
    expected = square_around(Box(180, 90, 40, 40))
    np.testing.assert_allclose(values(squares), values([expected] * 23), atol=1e-9)
    assert expected.side == 40 * PORTRAIT_SCALE


def test_steady_motion_is_followed_without_delay():
    """Also at both ends, between the finds, and while the face grows."""
    frames = [draw((60 + 2 * i, 80 + i, 40)) for i in range(71)]
    (squares,) = track(frames)
    expected = [square_around(Box(60 + 2 * i, 80 + i, 40, 40)) for i in range(71)]
    np.testing.assert_allclose(values(squares), values(expected), atol=1e-6)
    (squares,) = track([draw((150, 80, 30 * 1.01**i)) for i in range(71)])
    assert values(squares)[[0, -1], 2] == pytest.approx(
        [30 * PORTRAIT_SCALE, 30 * 1.01**70 * PORTRAIT_SCALE], rel=0.03
    )


def test_jitter_is_smoothed():
    random = np.random.default_rng(0)
    noise = random.integers(-3, 4, (150, 3))
    frames = [draw((180 + x, 90 + y, 40 + s)) for x, y, s in noise]
    (rough,) = track(frames, smooth=0)
    (smooth,) = track(frames)
    rough_steps, smooth_steps = (np.diff(values(s), axis=0).std(axis=0) for s in (rough, smooth))
    assert (smooth_steps < 0.3 * rough_steps).all()
    assert smooth_steps[2] < 0.15 * rough_steps[2]
    assert values(smooth).mean(axis=0) == pytest.approx(values(rough).mean(axis=0), abs=1.0)


def test_single_mistake_is_left_out():
    frames = [draw((180, 90, 40))] * 51
    frames[25] = draw((205, 90, 40))
    (squares,) = track(frames)
    assert np.ptp(values(squares), axis=0) == pytest.approx([0, 0, 0], abs=1e-9)


def test_reads_once_and_keeps_no_frame():
    alive = []

    def frames():
        for index in range(60):
            frame = draw((180, 90, 40))
            alive.append(weakref.ref(frame))
            yield index / FPS, frame
            del frame
            assert sum(reference() is not None for reference in alive) <= 1

    (squares,) = track_faces(frames(), detector=find_squares)
    assert len(squares) == 60


def test_looks_only_at_every_few_frames_and_the_last():
    seen = []

    def detector(rgb, min_size, max_size):
        seen.append(int(rgb[..., 1].max()))
        return find_squares(rgb, min_size, max_size)

    frames = [draw((180, 90, 40)) for _ in range(23)]
    for index, frame in enumerate(frames):
        frame[70:75, 180:185, 1] = index  # close to the face
    track(frames, detector=detector, every=10)
    assert sorted(set(seen)) == [0, 10, 20, 22]


def test_hidden_face_is_bridged():
    frames = [draw((100 + i, 90, 40)) for i in range(100)]
    for index in range(40, 80):
        frames[index] = draw()
    (squares,) = track(frames, smooth=0)
    assert squares[60].center_x == pytest.approx(180, abs=1e-6)
    with pytest.raises(FaceError, match=r"me.mp4 is lost at 1.4 s and not found again for 1 s"):
        track(frames, max_gap=1, where="me.mp4")


def test_face_lost_for_good_is_an_error_before_the_end():
    def frames():
        for index in range(1000):
            assert index < 120
            yield index / FPS, draw((100, 90, 40)) if index < 30 else draw()

    with pytest.raises(FaceError, match=r"lost at 1.0 s .* LEFT,TOP,SIDE"):
        track_faces(frames(), detector=find_squares)


def test_late_face_counts_from_the_beginning():
    (squares,) = track([draw()] * 30 + [draw((180, 90, 40))] * 30)
    assert len(squares) == 60 and squares[0] == pytest.approx(squares[-1])


def test_no_face():
    with pytest.raises(FaceError, match=r"no face in the first 2.0 s of me.mp4; .*LEFT,TOP,SIDE"):
        track([draw()] * 80, where="me.mp4")
    with pytest.raises(FaceError, match="no face in"):
        track([draw()] * 3)
    with pytest.raises(FaceError, match="has no frames"):
        track([])


def test_single_frame():
    (squares,) = track([draw((180, 90, 40))])
    expected = square_around(Box(180, 90, 40, 40))
    np.testing.assert_allclose(values(squares), values([expected]), atol=1e-9)


def test_cut_jumps_with_a_warning(caplog):
    frames = [draw((100, 90, 40))] * 40 + [draw((300, 90, 40))] * 40
    with caplog.at_level(logging.WARNING, "liax_jax"):
        (squares,) = track(frames)
    assert "jumps at 1.6 s" in caplog.text
    x = values(squares)[:, 0]
    assert x[:40] == pytest.approx([120] * 40) and x[40:] == pytest.approx([320] * 40)


def test_several_faces_keep_apart():
    """Two faces pass close by each other's old place; a third appears later and is not followed."""
    frames = [
        draw((60 + i, 40, 50), (300 - i, 140, 40), (20, 180, 30) if i > 20 else None)
        for i in range(100)
    ]
    large, small = track(frames, which="all")
    steps = np.arange(100)
    assert values(large)[:, 0] == pytest.approx(85 + steps, abs=1e-6)
    assert values(small)[:, 0] == pytest.approx(320 - steps, abs=1e-6)
    (second,) = track(frames, which=2)
    assert second == small
    with pytest.raises(FaceError, match="no face 3"):
        track(frames[:15], which=3)


def test_fixed_crop_holds_the_face_throughout():
    frames = [draw((150 + 20 * np.sin(i / 8), 90, 40)) for i in range(120)]
    (squares,) = track(frames, mode="fixed")
    assert len(squares) == 120 and len(set(squares)) == 1
    square = squares[0]
    assert square.left < 130 and square.right > 210
    assert 40 * PORTRAIT_SCALE < square.side < 40 * PORTRAIT_SCALE + 40


def test_face_at_the_border_is_moved_inside_softly():
    frames = [draw((200 - 2 * i, 90, 40)) for i in range(96)]
    (squares,) = track(frames)
    end = keep_inside(square_around(Box(10, 90, 40, 40)), HEIGHT, WIDTH)
    assert squares[-1].left == pytest.approx(end.left, abs=2)
    second_differences = np.diff(values(squares), n=2, axis=0)
    assert np.abs(second_differences).max() < 0.3


def test_variable_frame_rate():
    """Between finds the place follows the time, not the frame's number."""
    times = np.cumsum(np.tile([0.02, 0.08], 30))
    frames = [draw((100 + 40 * t, 90, 40)) for t in times]
    (squares,) = track(frames, times.tolist(), smooth=0)
    # Drawn to whole pixels.
    assert values(squares)[:, 0] == pytest.approx(120 + 40 * times, abs=0.6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "steady"}, "follow, fixed"),
        ({"every": 0}, "every >= 1"),
        ({"smooth": -1}, "smooth >= 0"),
        ({"which": "tall"}, "largest, all, or a number"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(FaceError, match=message):
        track(iter(()), **options)


def test_cascades_follow_a_drawn_head():
    """A portrait that is carried over a canvas by known shifts."""
    clips = ProceduralClips(256, 14, frames_per_clip=2, seed=0)
    portrait = clips.frame(3, 0)
    shifts = [
        (round(120 + 100 * np.sin(i / 20)), round(50 + 30 * np.sin(i / 15))) for i in range(76)
    ]
    frames = []
    for left, top in shifts:
        frame = np.full((360, 560, 3), 90, np.uint8)
        frame[top : top + 256, left : left + 256] = portrait
        frames.append(frame)
    (squares,) = track(frames, detector=None)
    off = values(squares)[:, :2] - shifts
    assert np.abs(off - np.median(off, axis=0)).max() < 8
    sides = values(squares)[:, 2]
    assert np.ptp(sides) < 0.05 * sides.mean()
    steps = [
        np.hypot(b.center_x - a.center_x, b.center_y - a.center_y)
        for a, b in itertools.pairwise(squares)
    ]
    assert max(steps) < 10
