"""Aligning faces: known transforms are recovered, samples antialiased, boxes fit the template."""

import math

import numpy as np
import pytest

from liax_jax.data.procedural import ProceduralClips
from liax_jax.faces.alignment import (
    ALIGNED_SIZE,
    TEMPLATE,
    FaceAligner,
    centered_transform,
    crop_transform,
    face_transform,
    sample_aligned,
    similarity_transform,
)
from liax_jax.faces.crops import Box, Square, center_square, square_around


def similarity(degrees, scale, shift):
    turn = scale * np.exp(1j * math.radians(degrees))
    return np.array([(turn.real, -turn.imag, shift[0]), (turn.imag, turn.real, shift[1])])


def moved(transform, points):
    return points @ transform[:, :2].T + transform[:, 2]


def inverse(transform):
    linear = np.linalg.inv(transform[:, :2])
    return np.column_stack([linear, -linear @ transform[:, 2]])


@pytest.mark.parametrize(("degrees", "scale"), [(0, 1), (33, 0.4), (-170, 3)])
def test_a_known_similarity_is_recovered(degrees, scale):
    known = similarity(degrees, scale, (-40.5, 17))
    np.testing.assert_allclose(
        similarity_transform(TEMPLATE, moved(known, TEMPLATE)), known, atol=1e-10
    )


def test_of_points_that_do_not_fit_it_is_the_least_squares_one_without_reflection():
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 300, (5, 2))
    # Unknowns a, b, s, t of (ax − by + s, bx + ay + t).
    x, y = points.T
    one, zero = np.ones(5), np.zeros(5)
    rows = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    for targets in (TEMPLATE + rng.normal(0, 4, (5, 2)), TEMPLATE * (-1, 1)):
        a, b, s, t = np.linalg.lstsq(rows, targets.T.reshape(-1), rcond=None)[0]
        found = similarity_transform(points, targets)
        np.testing.assert_allclose(found, [(a, -b, s), (b, a, t)], rtol=1e-9)
        assert np.linalg.det(found[:, :2]) > 0


def test_points_without_a_transform_are_refused():
    for points in (np.ones((5, 2)), np.full((5, 2), np.nan)):
        with pytest.raises(ValueError, match="no similarity transform fits"):
            similarity_transform(points, TEMPLATE)


def waves(points):
    """A smooth picture (..., 3) of the template's coordinates, 0 to 255."""
    x, y = points[..., 0], points[..., 1]
    planes = [np.sin(x / 9 + 1), np.sin(y / 7), np.sin((x + y) / 12)]
    return 127.5 + 100 * np.stack(planes, axis=-1)


def centres(height, width):
    rows, columns = np.mgrid[:height, :width] + 0.5
    return np.stack([columns, rows], axis=-1)


@pytest.mark.parametrize(("degrees", "scale"), [(0, 1), (20, 0.4), (-35, 0.5), (8, 1.7)])
def test_a_face_drawn_in_any_place_is_brought_back(degrees, scale):
    """The picture is one of the template, seen through the inverse of a transform."""
    known = similarity(degrees, scale, (0, 0))
    known[:, 2] = 56 - known[:, :2] @ (200, 190)
    frame = np.rint(waves(moved(known, centres(400, 400)))).astype(np.uint8)
    landmarks = tuple(map(tuple, moved(inverse(known), TEMPLATE)))
    found = face_transform(Box(0, 0, 1, 1, landmarks=landmarks))
    np.testing.assert_allclose(found, known, atol=1e-9)
    aligned = sample_aligned(frame, found)
    assert aligned.shape == (ALIGNED_SIZE, ALIGNED_SIZE, 3) and aligned.dtype == np.uint8
    difference = np.abs(aligned - waves(centres(112, 112)))
    assert difference.max() < 4 and difference.mean() < 0.8


def test_fine_patterns_become_grey_and_outside_is_black():
    checks = np.where(np.indices((600, 600)).sum(0) % 2, 255, 0).astype(np.uint8)
    frame = np.repeat(checks[..., None], 3, axis=2)
    inside = sample_aligned(frame, crop_transform(Square(300, 300, 500)))
    assert np.abs(inside.astype(int) - 127).max() < 20  # single samples would be 0 and 255
    outside = sample_aligned(frame, crop_transform(Square(0, 300, 224)))
    assert outside[:, :55].max() == 0 and outside[:, 57:].min() > 100


def test_a_box_alone_gives_a_crop_with_the_face_where_the_template_has_it():
    transform = face_transform(Box(40, 60, 200, 200))
    # Where eyes and mouth were found in the boxes of portraits.
    eyes_and_mouth = np.array([(0.31, 0.39), (0.69, 0.39), (0.5, 0.78)]) * 200 + (40, 60)
    expected = np.array([TEMPLATE[0], TEMPLATE[1], TEMPLATE[3:].mean(0)])
    np.testing.assert_allclose(moved(transform, eyes_and_mouth), expected, atol=2)
    # The same picture at another size and place.
    larger = face_transform(Box(400, 600, 2000, 2000))
    np.testing.assert_allclose(moved(larger, eyes_and_mouth * 10), moved(transform, eyes_and_mouth))


def test_the_centred_crop_is_that_of_the_box_whose_portrait_crop_is_the_picture():
    box = Box(70, 77, 150, 150)
    square = square_around(box)
    centred = centered_transform(256, 300)
    # The box moved and scaled as its portrait crop has to be to become the picture's middle.
    middle = center_square(256, 300)
    factor = middle.side / square.side
    same = Box(
        middle.left + (box.left - square.left) * factor,
        middle.top + (box.top - square.top) * factor,
        box.width * factor,
        box.height * factor,
    )
    np.testing.assert_allclose(centred, face_transform(same))


def test_the_largest_face_is_aligned_and_missing_ones_are_told():
    portrait = ProceduralClips(256, 14, frames_per_clip=2, seed=0).frame(1, 0)
    frames = np.stack([portrait, np.full_like(portrait, 90), portrait])
    crops, found = FaceAligner("box")(frames)
    assert found.tolist() == [True, False, True]
    assert crops[1].max() == 0 and crops[0].std() > 20
    np.testing.assert_array_equal(crops[0], crops[2])
    small, large = Box(5, 5, 20, 20), Box(100, 90, 60, 60)
    aligner = FaceAligner("box", detector=lambda *_: [small, large])
    np.testing.assert_allclose(aligner.transform(portrait), face_transform(large))


def test_small_faces_are_looked_for_when_there_are_no_large_ones():
    asked = []

    def detector(rgb, smallest, largest):
        asked.append((smallest, largest))
        return [Box(10, 10, 20, 20)] if smallest < 0.1 else []

    frames = np.zeros((1, 200, 200, 3), np.uint8)
    assert FaceAligner("box", detector=detector)(frames)[1].all()
    assert asked == [(0.2, 1.0), (0.05, 0.2)]


def test_methods_say_what_they_do_and_what_they_need(tmp_path):
    assert "portrait framing" in FaceAligner("centered").convention
    assert "1.12 times the largest face's box" in FaceAligner("box").convention
    with_landmarks = FaceAligner("landmarks", detector=lambda *_: [])
    assert "five landmarks" in with_landmarks.convention
    with pytest.raises(ValueError, match="landmarks, box, centered"):
        FaceAligner("nose")
    with pytest.raises(ValueError, match="needs a YuNet model"):
        FaceAligner("landmarks")
    with pytest.raises(ValueError, match="no such file"):
        FaceAligner("landmarks", tmp_path / "yunet.onnx")
