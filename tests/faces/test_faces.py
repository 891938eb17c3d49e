"""Finding faces: drawn portraits are found where they are, other things are not."""

import sys

import numpy as np
import pytest
from PIL import Image

from liax_jax.data.procedural import ProceduralClips
from liax_jax.faces.crops import Box
from liax_jax.faces.detection import (
    FaceError,
    choose_face,
    detect_faces,
    open_detector,
    overlap,
)


@pytest.fixture(scope="module")
def portraits():
    """Portraits of 256 pixels, looking at the viewer."""
    clips = ProceduralClips(256, 14, frames_per_clip=2, seed=0)
    return [clips.frame(index, 0) for index in (0, 1, 3, 13)]


@pytest.fixture(scope="module")
def boxes(portraits):
    return [detect_faces(portrait)[0] for portrait in portraits]


def on_canvas(height, width, *placed):
    """Pictures at (left, top) on grey."""
    canvas = np.full((height, width, 3), 90, np.uint8)
    for picture, left, top in placed:
        canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return canvas


def scaled(picture, side):
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS))


def test_faces_are_found(portraits, boxes):
    for portrait, box in zip(portraits, boxes, strict=True):
        assert len(detect_faces(portrait)) == 1
        assert box.width == box.height and 100 < box.width < 150
        assert 30 < box.left < box.left + box.width < 220
        assert 40 < box.top < box.top + box.height < 220


def test_box_follows_the_face(portraits, boxes):
    for left, top in ((0, 0), (300, 100), (444, 144)):
        (found,) = detect_faces(on_canvas(400, 700, (portraits[2], left, top)))
        assert found.left == pytest.approx(boxes[2].left + left, abs=6)
        assert found.top == pytest.approx(boxes[2].top + top, abs=6)
        assert found.width == pytest.approx(boxes[2].width, rel=0.06)


def test_box_scales_with_the_picture(portraits, boxes):
    """Small pictures, and ones larger than what the cascades look at."""
    for side in (64, 1024):
        (found,) = detect_faces(scaled(portraits[0], side))
        assert found.left == pytest.approx(boxes[0].left * side / 256, abs=0.03 * side)
        assert found.width == pytest.approx(boxes[0].width * side / 256, rel=0.08)


def test_several_faces_largest_first(portraits, boxes):
    canvas = on_canvas(400, 800, (scaled(portraits[3], 150), 20, 20), (portraits[2], 450, 90))
    large, small = detect_faces(canvas)
    assert large.width > small.width
    assert large.left == pytest.approx(boxes[2].left + 450, abs=8)
    assert small.left == pytest.approx(boxes[3].left * 150 / 256 + 20, abs=8)
    (only,) = detect_faces(canvas, min_size=0.13)
    assert overlap(only, large) > 0.8


def test_no_face_where_none_is(portraits, boxes):
    random = np.random.default_rng(0)
    pictures = [
        np.zeros((200, 300, 3), np.uint8),
        np.full((7, 5, 3), 255, np.uint8),
        random.integers(0, 256, (240, 320, 3), np.uint8),
        scaled(random.integers(0, 256, (24, 24, 3), np.uint8), 256),
    ]
    for portrait, box in zip(portraits[:2], boxes[:2], strict=True):
        without = portrait.copy()
        top, left, side = int(box.top), int(box.left), int(box.width)
        without[top : top + side, left : left + side] = without[:20].mean((0, 1))
        pictures.append(without)
        pictures.append(portrait[::-1])
    for picture in pictures:
        assert detect_faces(picture) == []


@pytest.mark.parametrize("degrees", [-25, 25])
def test_leaning_head_is_found(portraits, boxes, degrees):
    canvas = on_canvas(360, 400, (portraits[2], 72, 52))
    tilted = np.asarray(Image.fromarray(canvas).rotate(degrees, Image.Resampling.BICUBIC))
    (found,) = detect_faces(tilted)
    # Image.rotate turns counterclockwise about the middle, with y pointing down.
    x, y = boxes[2].center_x + 72 - 200, boxes[2].center_y + 52 - 180
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    assert found.center_x == pytest.approx(200 + cosine * x + sine * y, abs=6)
    assert found.center_y == pytest.approx(180 - sine * x + cosine * y, abs=6)
    assert found.width == pytest.approx(boxes[2].width, rel=0.06)


def test_face_that_fills_the_picture_is_found(portraits, boxes):
    box = boxes[0]
    top, left, side = int(box.top + 4), int(box.left + 4), int(box.width - 8)
    (found,) = detect_faces(portraits[0][top : top + side, left : left + side])
    assert found.center_x == pytest.approx(side / 2, abs=0.1 * side)
    assert found.width == pytest.approx(side, rel=0.25)


def test_overlap():
    a = Box(0, 0, 10, 10)
    assert overlap(a, a) == 1
    assert overlap(a, Box(5, 0, 10, 10)) == pytest.approx(1 / 3)
    assert overlap(a, Box(10, 10, 5, 5)) == 0


def test_choice_of_faces():
    three = [Box(0, 0, side, side) for side in (30, 20, 10)]
    assert choose_face(three) == three[:1]
    assert choose_face(three, 2) == choose_face(three, "2") == three[1:2]
    assert choose_face(three, "all") == three
    with pytest.raises(FaceError, match=r"no face 4 in me.jpg; found 3"):
        choose_face(three, 4, "me.jpg")
    for wrong in (0, -1, "first", "1.5"):
        with pytest.raises(FaceError, match="largest, all, or a number"):
            choose_face(three, wrong)
    for which in ("largest", "all", 1):
        with pytest.raises(FaceError, match=r"no face in alpaca.jpg; .* LEFT,TOP,SIDE"):
            choose_face([], which, "alpaca.jpg")


def test_without_opencv(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match="pip install opencv-python-headless"):
        detect_faces(np.zeros((64, 64, 3), np.uint8))


def test_model_that_is_none(tmp_path):
    with pytest.raises(FaceError, match="no such file; give a YuNet"):
        open_detector(tmp_path / "yunet.onnx")
    (tmp_path / "yunet.onnx").write_bytes(b"not a network")
    with pytest.raises(FaceError, match="not a YuNet model"):
        open_detector(tmp_path / "yunet.onnx")


class DrawnYuNet:
    """Answers as OpenCV's network does: rows of box, five points and score; None for no face."""

    def __init__(self, rows):
        self.rows = rows
        self.sizes = []

    def setInputSize(self, size):  # noqa: N802
        self.sizes.append(size)

    def detect(self, bgr):
        assert bgr.shape[:2] == self.sizes[-1][::-1] and tuple(bgr[0, 0]) == (30, 20, 10)
        rows = [[*box, *range(box[0], box[0] + 10), score] for box, score in self.rows]
        return 1, np.array(rows, np.float32) if rows else None


def test_yunet_boxes_are_brought_to_the_picture(monkeypatch, tmp_path):
    import cv2

    (tmp_path / "yunet.onnx").touch()
    network = DrawnYuNet([((100, 50, 40, 60), 0.8), ((300, 200, 70, 90), 0.9), ((0, 0, 4, 5), 0.9)])
    monkeypatch.setattr(cv2.FaceDetectorYN, "create", lambda *_: network)
    picture = np.full((960, 1280, 3), (10, 20, 30), np.uint8)
    large, small = detect_faces(picture, model=tmp_path / "yunet.onnx")
    assert network.sizes == [(640, 480)]
    assert (large.center_x, large.center_y, large.score) == pytest.approx((670, 490, 0.9))
    assert (small.center_x, small.center_y, small.score) == pytest.approx((240, 160, 0.8))
    # Square, as the cascades' boxes are, and a little larger than YuNet's.
    assert small.width == small.height == pytest.approx(1.1 * 120)
    # The network saw the picture at half its size.
    assert small.landmarks == ((200, 202), (204, 206), (208, 210), (212, 214), (216, 218))
    moved = small.moved(-10, 5)
    assert (moved.left, moved.top) == (small.left - 10, small.top + 5)
    assert moved.landmarks[4] == (206, 223) and moved.width == small.width
    network.rows = []
    assert detect_faces(picture, model=tmp_path / "yunet.onnx") == []
