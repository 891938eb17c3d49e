"""Finding faces in a picture, with OpenCV's bundled cascades or a YuNet model.

OpenCV is imported where it is used, so that nothing else needs it.
"""

import contextlib
import dataclasses
import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from liax_jax.faces.crops import Box

# A detector: (picture (h, w, 3) uint8 RGB, smallest and largest face as fractions of the
# picture's longer side) → boxes in any order.
Detector = Callable[[np.ndarray, float, float], list[Box]]

# Faces smaller than this fraction of the longer side are not looked for.
MIN_SIZE = 0.05

# The longer side of what the cascades look at. Their work grows with the number of pixels, their
# smallest face has 20 pixels.
_LARGEST_WORKING_SIDE = 640
_SMALLEST_WORKING_SIDE = 320
_SCALE_STEP = 1.1
_SIZE_SLACK = 1.25

# Two cascades trained apart have to find a face, each this often (a cascade finds a face at many
# neighbouring places and sizes), and together at least as often as the score says. Faces in
# photographs and paintings reach 30 to 200 together, chance finds 10, and 19 in a tilted picture.
_MIN_NEIGHBORS = 3
_MIN_SCORE = 16
_MIN_TILTED_SCORE = 32
_MIN_OVERLAP = 0.4  # intersection over union
# The cascade for faces from the side stands alone; its boxes show more of the head.
_MIN_PROFILE_NEIGHBORS = 12
_PROFILE_SCALE = 0.9

# Cascades find upright faces with something around them. Where they find none, the picture is
# looked at again with its edges continued by this fraction, and tilted both ways.
_CONTINUED_EDGE = 0.2
_TILT_DEGREES = 25.0

_YUNET_MIN_SCORE = 0.7
# YuNet's boxes fit the face closely, the cascades' are about so much larger.
_YUNET_SCALE = 1.1


class FaceError(ValueError):
    """No face, or not the one asked for; the message says what to do."""


def detect_faces(
    rgb: np.ndarray, *, model: str | os.PathLike[str] | None = None, min_size: float = MIN_SIZE
) -> list[Box]:
    """Finds human faces in a picture.

    Args:
      rgb: (h, w, 3) uint8.
      model: a YuNet model (.onnx), which also finds turned and partly hidden faces; by default
        OpenCV's cascades: for faces from the front, upright; where they find none, leaning to one
        side; then from the side.
      min_size: smallest face, as a fraction of the picture's longer side.

    Returns:
      The faces, the largest first.

    Raises:
      FaceError: the model can't be read.
      ImportError: OpenCV is not installed.
    """
    boxes = open_detector(model)(rgb, min_size, 1.0)
    return sorted(boxes, key=lambda box: box.width * box.height, reverse=True)


def choose_face(
    boxes: list[Box], which: str | int = "largest", where: str = "the picture"
) -> list[Box]:
    """Picks faces from those found.

    Args:
      boxes: from `detect_faces`, the largest first.
      which: "largest", "all", or a number counted from 1, the largest.
      where: what was looked at, for the message of errors.

    Raises:
      FaceError: no face, or not so many; or another word.
    """
    check_choice(which)
    if not boxes:
        raise FaceError(
            f"found no face in {where}; give the crop (head, neck and some shoulders) by hand, "
            "as a box LEFT,TOP,SIDE in pixels (--crop, or --driving-crop for a driving video)"
        )
    if which == "all":
        return list(boxes)
    number = 1 if which == "largest" else int(which)
    if number > len(boxes):
        raise FaceError(
            f"there is no face {number} in {where}; found {len(boxes)}, counted from 1, the largest"
        )
    return [boxes[number - 1]]


def check_choice(which: str | int) -> None:
    """Raises FaceError unless `which` is "largest", "all" or a number from 1."""
    if which not in ("largest", "all") and not (str(which).isdigit() and int(which) > 0):
        raise FaceError(f"face {which!r}: write largest, all, or a number from 1 (the largest)")


def open_detector(model: str | os.PathLike[str] | None = None) -> Detector:
    """The detector that `detect_faces` uses; for one thread, since OpenCV's carry state.

    Raises:
      FaceError: the model can't be read.
      ImportError: OpenCV is not installed.
    """
    cv2 = _opencv()
    if model is None:
        return _CascadeDetector(cv2)
    if not Path(model).is_file():
        raise FaceError(f"{model}: no such file; give a YuNet face detection model (.onnx)")
    try:
        network = cv2.FaceDetectorYN.create(str(model), "", (320, 320), _YUNET_MIN_SCORE)
    except cv2.error as error:
        raise FaceError(f"{model}: not a YuNet model that OpenCV reads ({error.err})") from None
    return functools.partial(_detect_by_yunet, cv2, network, str(model))


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, from 0 (apart) to 1 (the same)."""
    width = min(a.left + a.width, b.left + b.width) - max(a.left, b.left)
    height = min(a.top + a.height, b.top + b.height) - max(a.top, b.top)
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / (a.width * a.height + b.width * b.height - shared)


def _opencv() -> ModuleType:
    try:
        import cv2
    except ImportError as error:
        raise ImportError(
            "finding faces needs OpenCV: pip install opencv-python-headless; or give the crop by "
            "hand, as a box LEFT,TOP,SIDE in pixels (--crop, or --driving-crop for a driving video)"
        ) from error
    return cv2


class _CascadeDetector:
    """A `Detector`; the score is how often the cascades found the face."""

    def __init__(self, cv2: ModuleType):
        def load(name: str) -> Any:
            return cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_{name}.xml")

        self._cv2 = cv2
        self._frontal = load("frontalface_alt2")
        self._second_frontal = load("frontalface_default")
        self._profile = load("profileface")

    def __call__(self, rgb: np.ndarray, min_size: float, max_size: float) -> list[Box]:
        gray = self._cv2.cvtColor(np.ascontiguousarray(rgb), self._cv2.COLOR_RGB2GRAY)
        longer = max(gray.shape)
        factor = min(max(longer, _SMALLEST_WORKING_SIDE), _LARGEST_WORKING_SIDE) / longer
        gray = self._cv2.resize(
            gray,
            tuple(max(1, round(side * factor)) for side in gray.shape[::-1]),
            interpolation=self._cv2.INTER_AREA if factor < 1 else self._cv2.INTER_LINEAR,
        )
        # The cascades look for a wider range, so that faces at its ends are found as often.
        limits = (
            min_size / _SIZE_SLACK * max(gray.shape),
            max_size * _SIZE_SLACK * max(gray.shape),
        )
        sizes = tuple(max(1, round(limit)) for limit in limits)
        for attempt in (self._find_frontal, self._find_close, self._find_tilted, self._find_side):
            found = [
                Box(b.left / factor, b.top / factor, b.width / factor, b.height / factor, b.score)
                for b in attempt(gray, sizes)
            ]
            found = [box for box in found if min_size <= box.width / longer <= max_size]
            if found:
                return found
        return []

    def _find(self, cascade: Any, gray: np.ndarray, sizes: tuple[int, ...]) -> list[Box]:
        rectangles, counts = cascade.detectMultiScale2(
            gray,
            scaleFactor=_SCALE_STEP,
            minNeighbors=_MIN_NEIGHBORS,
            minSize=(sizes[0], sizes[0]),
            maxSize=(sizes[1], sizes[1]),
        )
        return [
            Box(float(left), float(top), float(width), float(height), float(count))
            for (left, top, width, height), count in zip(rectangles, counts, strict=True)
        ]

    def _find_frontal(
        self, gray: np.ndarray, sizes: tuple[int, ...], min_score: float = _MIN_SCORE
    ) -> list[Box]:
        candidates = self._find(self._frontal, gray, sizes)
        confirming = self._find(self._second_frontal, gray, sizes) if candidates else []
        faces = []
        for first in candidates:
            second = max(confirming, key=lambda box: overlap(first, box), default=None)
            if second and overlap(first, second) >= _MIN_OVERLAP:
                faces.append(_weighted_mean(first, second))
        return [face for face in faces if face.score >= min_score]

    def _find_close(self, gray: np.ndarray, sizes: tuple[int, ...]) -> list[Box]:
        """Faces that fill the picture or touch its border."""
        edge = round(_CONTINUED_EDGE * max(gray.shape))
        found = self._find_frontal(np.pad(gray, edge, mode="edge"), sizes)
        return [Box(b.left - edge, b.top - edge, b.width, b.height, b.score) for b in found]

    def _find_tilted(self, gray: np.ndarray, sizes: tuple[int, ...]) -> list[Box]:
        """Faces with the head leaning to one side; those of the surer side only."""
        best: list[Box] = []
        center = (gray.shape[1] / 2, gray.shape[0] / 2)
        for degrees in (-_TILT_DEGREES, _TILT_DEGREES):
            turn = self._cv2.getRotationMatrix2D(center, degrees, 1.0)
            tilted = self._cv2.warpAffine(
                gray, turn, gray.shape[::-1], borderMode=self._cv2.BORDER_REPLICATE
            )
            back = self._cv2.invertAffineTransform(turn)
            found = []
            for box in self._find_frontal(tilted, sizes, _MIN_TILTED_SCORE):
                x, y = back @ (box.center_x, box.center_y, 1.0)
                found.append(_around(float(x), float(y), box.width, box.score))
            if _best_score(found) > _best_score(best):
                best = found
        return best

    def _find_side(self, gray: np.ndarray, sizes: tuple[int, ...]) -> list[Box]:
        """The surest face from the side."""
        found = self._find(self._profile, gray, sizes)
        # The cascade knows faces that look one way.
        for box in self._find(self._profile, np.ascontiguousarray(gray[:, ::-1]), sizes):
            found.append(dataclasses.replace(box, left=gray.shape[1] - box.left - box.width))
        best = max(found, key=lambda box: box.score, default=None)
        if best is None or best.score < _MIN_PROFILE_NEIGHBORS:
            return []
        return [_around(best.center_x, best.center_y, best.width * _PROFILE_SCALE, best.score)]


def _around(center_x: float, center_y: float, side: float, score: float) -> Box:
    return Box(center_x - side / 2, center_y - side / 2, side, side, score)


def _best_score(boxes: list[Box]) -> float:
    return max((box.score for box in boxes), default=0.0)


def _weighted_mean(a: Box, b: Box) -> Box:
    """The mean box by score, which is steadier than either; the scores add up."""
    score = a.score + b.score
    share = a.score / score
    left, top, width, height = (
        share * getattr(a, name) + (1 - share) * getattr(b, name)
        for name in ("left", "top", "width", "height")
    )
    return Box(left, top, width, height, score)


def _detect_by_yunet(
    cv2: ModuleType,
    network: Any,
    model: str,
    rgb: np.ndarray,
    min_size: float,
    max_size: float,
) -> list[Box]:
    """A `Detector` with landmarks; the score is the network's, from 0 to 1.

    Boxes are made as the cascades'.
    """
    height, width = rgb.shape[:2]
    factor = min(1.0, _LARGEST_WORKING_SIDE / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    bgr = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2BGR)
    if factor < 1:
        bgr = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
    network.setInputSize(size)
    try:
        _, found = network.detect(bgr)
    except cv2.error as error:
        raise FaceError(f"{model}: OpenCV can't run this YuNet model ({error.err})") from None
    boxes = []
    for left, top, box_width, box_height, *points, score in [] if found is None else found:
        side = float(max(box_width, box_height)) / factor * _YUNET_SCALE
        if min_size <= side / max(height, width) <= max_size:
            center_x = float(left + box_width / 2) / factor
            center_y = float(top + box_height / 2) / factor
            # The person's right eye comes first, which is the left one in the picture.
            landmarks = tuple((float(x), float(y)) for x, y in np.reshape(points, (5, 2)) / factor)
            box = _around(center_x, center_y, side, float(score))
            boxes.append(dataclasses.replace(box, landmarks=landmarks))
    return boxes


@contextlib.contextmanager
def single_threaded() -> Iterator[None]:
    """Keeps OpenCV to one thread: its threads find the same faces in another order, and would
    multiply with those of a pool of processes."""
    cv2 = _opencv()
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
