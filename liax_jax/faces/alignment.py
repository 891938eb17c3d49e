"""Faces brought to the place where face recognition networks expect them: 112 x 112 pixels.

NumPy and OpenCV on the host. Positions are in pixels with the origin at the picture's top left
corner, as in `liax_jax.faces.crops`.
"""

import math
import os
from collections.abc import Sequence

import numpy as np

from liax_jax.faces.crops import PORTRAIT_SCALE, Box, Square, center_square, square_around
from liax_jax.faces.detection import MIN_SIZE, Detector, open_detector, single_threaded

ALIGNED_SIZE = 112
# Where ArcFace (Deng et al. 2019; insightface) puts the eyes, the tip of the nose and the corners
# of the mouth. Published with the centre of the first pixel at 0; here it is at 0.5.
TEMPLATE = 0.5 + np.array(
    [
        (38.2946, 51.6963),
        (73.5318, 51.5014),
        (56.0252, 71.7366),
        (41.5493, 92.3655),
        (70.7299, 92.2041),
    ]
)

# The upright crop that fits the template best where only a face's box is known. Measured with the
# cascades on 28 frames of portraits and clips: the eyes are 0.38 (0.32 to 0.45) of the box's side
# apart and 0.39 (0.37 to 0.43) of it from its top, the mouth is at about 0.78.
_BOX_SCALE = 1.12
_BOX_CENTER_HEIGHT = 0.42

# Faces this large, as a fraction of the picture's longer side, are looked for first: those of
# portraits are, and smaller ones take most of the time.
_PORTRAIT_SIZE = 0.2

METHODS = ("landmarks", "box", "centered")


def similarity_transform(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The turn, scale and shift that bring points closest to targets, in the least squares sense.

    Umeyama 1991 in two dimensions, without reflections: there a turn and a scale are one complex
    factor, so that it's a line fit.

    Args:
      points: (n, 2) x, y; n at least 2, not all the same.
      targets: (n, 2).

    Returns:
      (2, 3) float64: target ≈ matrix @ (x, y, 1).

    Raises:
      ValueError: numbers that aren't finite, or points that are all the same.
    """
    from_, to = (np.asarray(array, np.float64) @ (1, 1j) for array in (points, targets))
    centred = from_ - from_.mean()
    spread = np.vdot(centred, centred).real
    if not (np.isfinite(from_).all() and np.isfinite(to).all() and spread > 0):
        raise ValueError(f"no similarity transform fits the points {np.asarray(points).tolist()}")
    factor = np.vdot(centred, to - to.mean()) / spread
    shift = to.mean() - factor * from_.mean()
    return np.array(
        [(factor.real, -factor.imag, shift.real), (factor.imag, factor.real, shift.imag)]
    )


def crop_transform(square: Square, size: int = ALIGNED_SIZE) -> np.ndarray:
    """(2, 3): the transform that brings an upright square to a picture of this size."""
    scale = size / square.side
    return np.array([(scale, 0, -scale * square.left), (0, scale, -scale * square.top)])


def face_transform(box: Box) -> np.ndarray:
    """(2, 3): by a face's landmarks to the template, or, without any, the crop of its box."""
    if box.landmarks:
        return similarity_transform(np.array(box.landmarks), TEMPLATE)
    side = max(box.width, box.height)
    height = box.top + _BOX_CENTER_HEIGHT * box.height
    return crop_transform(Square(box.center_x, height, _BOX_SCALE * side))


def centered_transform(height: int, width: int) -> np.ndarray:
    """(2, 3): the crop of a picture that is a portrait crop itself, framed as `square_around` does.

    The face's box is where that framing puts it.
    """
    whole = center_square(height, width)
    side = whole.side / PORTRAIT_SCALE
    box = Box(whole.center_x - side / 2, whole.center_y - side / 2, side, side)
    off = square_around(box).center_y - whole.center_y
    return face_transform(box.moved(0, -off))


def sample_aligned(rgb: np.ndarray, transform: np.ndarray, size: int = ALIGNED_SIZE) -> np.ndarray:
    """What a transform shows of a picture, antialiased; black outside, as published.

    Bilinear at a grid as fine as the picture's pixels, or the result's where those are finer, and
    the mean of what falls into one pixel of the result.

    Args:
      rgb: (h, w, 3) uint8.
      transform: (2, 3), from the picture to the result; turn, scale and shift.

    Returns:
      (size, size, 3) uint8.
    """
    import cv2

    scale = math.hypot(transform[0, 0], transform[1, 0])
    finer = max(1, math.ceil(1 / scale))
    # OpenCV has the first pixel's centre at 0.
    corner = transform[:, 2] + transform[:, :2] @ (0.5, 0.5)
    matrix = np.column_stack([finer * transform[:, :2], finer * corner - 0.5])
    fine = cv2.warpAffine(np.ascontiguousarray(rgb), matrix, (finer * size, finer * size))
    return fine if finer == 1 else cv2.resize(fine, (size, size), interpolation=cv2.INTER_AREA)


class FaceAligner:
    """Finds the largest face of a picture and aligns it."""

    def __init__(
        self,
        method: str = "box",
        face_model: str | os.PathLike[str] | None = None,
        detector: Detector | None = None,
    ):
        """Chooses how faces are found and aligned.

        Args:
          method: "landmarks": the five points that a YuNet model finds; "box": the face's box, by
            OpenCV's cascades or by the model; "centered": nothing is looked for, as the pictures
            are portrait crops with the face where it should be.
          face_model: a YuNet model (.onnx).
          detector: instead of the cascades or the model.

        Raises:
          FaceError: the model can't be read.
          ValueError: an unknown method, or "landmarks" without a model.
        """
        if method not in METHODS:
            raise ValueError(f"face alignment {method!r}: write one of {', '.join(METHODS)}")
        if method == "landmarks" and face_model is None and detector is None:
            raise ValueError(
                "aligning faces by landmarks needs a YuNet model (.onnx), which finds them; "
                'give one, or align by "box" or "centered"'
            )
        self.method = method
        self._detector = detector
        if detector is None and method != "centered":
            self._detector = open_detector(face_model)

    @property
    def convention(self) -> str:
        """How faces are aligned, for the description of results."""
        return {
            "landmarks": "aligned by five landmarks (YuNet) to the ArcFace template, per frame",
            "box": (
                f"upright crop of {_BOX_SCALE} times the largest face's box per frame, without "
                "landmarks"
            ),
            "centered": "fixed upright crop of the portrait framing, no face looked for",
        }[self.method]

    def transform(self, rgb: np.ndarray) -> np.ndarray | None:
        """(2, 3) of one picture (h, w, 3) uint8; None where no face is found."""
        if self._detector is None or self.method == "centered":
            return centered_transform(*rgb.shape[:2])
        with single_threaded():
            boxes = self._detector(rgb, _PORTRAIT_SIZE, 1.0)
            boxes = boxes or self._detector(rgb, MIN_SIZE, _PORTRAIT_SIZE)
        if not boxes:
            return None
        largest = max(boxes, key=lambda box: box.width * box.height)
        if self.method == "box":
            largest = Box(largest.left, largest.top, largest.width, largest.height)
        return face_transform(largest)

    def __call__(self, frames: Sequence[np.ndarray] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Aligned faces of pictures, each for itself.

        Args:
          frames: (b, h, w, 3) uint8 RGB.

        Returns:
          (b, 112, 112, 3) uint8, black where there is no face; and (b,) bool, where there is one.
        """
        crops = np.zeros((len(frames), ALIGNED_SIZE, ALIGNED_SIZE, 3), np.uint8)
        found = np.zeros(len(frames), bool)
        for i, frame in enumerate(frames):
            if i and np.array_equal(frame, frames[i - 1]):  # the padding of a last batch
                crops[i], found[i] = crops[i - 1], found[i - 1]
                continue
            transform = self.transform(frame)
            if transform is not None:
                crops[i], found[i] = sample_aligned(frame, transform), True
        return crops, found
