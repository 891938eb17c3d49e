"""Following one face: squares that an own detector finds, so that every number is known."""

import numpy as np
import pytest

from liax_jax.data.crop_options import CropOptions
from liax_jax.data.items import Annotation
from liax_jax.data.spans import find_cuts, find_spans, outside_share
from liax_jax.faces.crops import Box, Square, keep_inside, square_around

FPS = 25
HEIGHT, WIDTH = 240, 400


def find_squares(rgb, min_size, max_size):
    """A detector of squares in pure red, one for each shade of blue."""
    boxes = []
    for shade in np.unique(rgb[rgb[..., 0] == 255][:, 2]):
        rows, columns = np.nonzero((rgb[..., 0] == 255) & (rgb[..., 2] == shade))
        side = int(columns.max() - columns.min()) + 1
        if min_size <= side / max(rgb.shape[:2]) <= max_size:
            boxes.append(Box(float(columns.min()), float(rows.min()), side, side, 1.0))
    return boxes


def draw(*squares, gray=0):
    """A frame with squares (left, top, side) in shades of blue 0, 1, …; None is left out."""
    frame = np.full((HEIGHT, WIDTH, 3), gray, np.uint8)
    for shade, square in enumerate(squares):
        if square is not None:
            left, top, side = (round(value) for value in square)
            frame[top : top + side, left : left + side] = (255, 0, shade)
    return frame


def spans_of(frames, hint=None, **options):
    timed = ((index / FPS, frame) for index, frame in enumerate(frames))
    return find_spans(timed, CropOptions(**options), find_squares, hint)


def stretches(spans):
    return [(span.start, span.stop, span.problem) for span in spans]


def portrait(left, top, side):
    return square_around(Box(left, top, side, side))


def test_still_face_is_one_stretch_with_its_portrait_square():
    (span,) = spans_of([draw((180, 90, 40))] * 23)
    assert (span.start, span.stop, span.problem) == (0, 23, "")
    expected = portrait(180, 90, 40)
    assert span.square.center_x == pytest.approx(expected.center_x)
    assert span.square.center_y == pytest.approx(expected.center_y)
    assert span.square.side == pytest.approx(expected.side)


def test_one_square_holds_a_moving_face():
    path = [(150 + 14 * np.sin(0.2 * t), 90, 60) for t in range(60)]
    (span,) = spans_of([draw(square) for square in path])
    assert (span.start, span.stop) == (0, 60)
    for left, top, side in path:
        # With a margin of a fifth of the face all around.
        assert span.square.left < left - side / 5 and left + side * 1.2 < span.square.right
        assert span.square.top < top - side / 5 and top + side * 1.2 < span.square.bottom
    assert span.square.side < 1.3 * portrait(*path[0]).side


def test_split_at_a_cut_exactly():
    """Also where the face of the new shot is at the same place."""
    first = [draw((180, 90, 40), gray=20)] * 33
    second = [draw((180, 90, 40), gray=200)] * 31
    third = [draw((60, 40, 50), gray=60)] * 27
    found = spans_of([*first, *second, *third])
    assert stretches(found) == [(0, 33, ""), (33, 64, ""), (64, 91, "")]
    assert stretches(spans_of([*first, *second], cut_threshold=0)) == [(0, 64, "")]


def test_what_is_a_cut():
    still = [0.0] + [0.01] * 40
    assert find_cuts(still, 0.08) == []
    cut = list(still)
    cut[20] = 0.3
    assert find_cuts(cut, 0.08) == [20]
    assert find_cuts(cut, 0.0) == find_cuts(cut, 0.5) == []
    fast = [0.0] + [0.15 + 0.03 * (t % 3) for t in range(40)]  # as much all the time
    assert find_cuts(fast, 0.08) == []
    fast[20] = 0.9
    assert find_cuts(fast, 0.08) == [20]


def test_lost_face_splits_and_a_short_absence_does_not():
    face = (180, 90, 40)
    there, away = [draw(face)] * 40, draw()
    # The last find before is in frame 35, the first after in the next multiple of 5.
    assert stretches(spans_of([*there, *[away] * 45, *there])) == [(0, 36, ""), (85, 125, "")]
    assert stretches(spans_of([*there, *[away] * 15, *there])) == [(0, 95, "")]
    (span,) = spans_of([*there, *[away] * 20, *there[:10]], min_found=0.8)
    assert span.problem == "unstable track" and "71% of the looks" in span.detail


def test_drift_begins_a_new_stretch_without_a_gap():
    frames = [draw((20 + 2 * t, 90, 60)) for t in range(100)]
    found = spans_of(frames)
    assert [span.start for span in found[1:]] == [span.stop for span in found[:-1]]
    assert (found[0].start, found[-1].stop) == (0, 100) and len(found) == 5
    for span in found[:-1]:
        # Overlap 0.25 is reached after 0.6 sides: 36 px, 18 frames, so at the look in the 20th.
        assert span.stop - span.start == 20
    assert len(spans_of(frames, min_iou=0, max_spread=9)) == 1


def test_jump_between_looks_is_a_cut():
    """In a picture that hardly changes, as of two people before one wall."""
    first, second = [draw((30, 90, 20))] * 30, [draw((330, 90, 20))] * 30
    assert stretches(spans_of([*first, *second])) == [(0, 26, ""), (30, 60, "")]


def test_single_mistake_changes_nothing():
    frames = [draw((180, 90, 40))] * 40
    frames[20] = draw((240, 150, 44))
    (span,) = spans_of(frames)
    assert span.square.side == pytest.approx(portrait(180, 90, 40).side)
    assert (span.start, span.stop) == (0, 40)


def test_short_and_wandering_stretches_say_why():
    (span,) = spans_of([draw((180, 90, 40))] * 8)
    assert (span.problem, span.detail) == ("too short", "0.32 s where 0.5 s are needed")
    wander = [draw((100 + 3 * t, 90, 40)) for t in range(40)]
    (span,) = spans_of(wander, min_iou=0, max_spread=1.6)
    assert span.problem == "unstable track" and "times each one's" in span.detail


def test_no_face_no_stretch():
    assert spans_of([draw()] * 30) == []


def test_the_largest_or_the_one_pointed_at():
    frames = [draw((40, 100, 60), (280, 60, 30))] * 20
    (span,) = spans_of(frames)
    assert span.square.center_x == pytest.approx(70, abs=12)
    # In pixels of a picture of half the size.
    hint = Annotation(130, 20, 170, 60, width=WIDTH / 2, height=HEIGHT / 2)
    (span,) = spans_of(frames, hint)
    assert span.square.center_x == pytest.approx(295)
    assert spans_of(frames, Annotation(0, 0, 10, 10)) == []


def test_share_outside():
    assert outside_share(Square(50, 50, 40), 100, 100) == 0
    assert outside_share(Square(0, 50, 40), 100, 100) == pytest.approx(0.5)
    assert outside_share(Square(-50, 50, 40), 100, 100) == 1
    assert outside_share(keep_inside(Square(10, 50, 40), 100, 100), 100, 100) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mode", "all"),
        ("scale", 0),
        ("detect_every", 0),
        ("min_size", -1),
        ("min_found", 1.1),
        ("max_spread", 0.5),
        ("face_model", "nowhere.onnx"),
    ],
)
def test_impossible_options(field, value):
    with pytest.raises(ValueError, match="must|no such face model"):
        CropOptions(**{field: value})
