"""Where a face is in a picture, and fields of the picture in the face's own coordinates.

Canonical coordinates: x to the viewer's right, y down, the origin between the eyes. The unit is
about half the height of a face: eyes at (-0.33, 0) and (0.33, 0), mouth at (0, 0.66), chin at
(0, 1.06), top of the head at (0, -1). Fields of all people lie on top of one another there.
"""

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from liax_jax.faces.crops import PORTRAIT_SCALE, Box
from liax_jax.faces.detection import Detector
from liax_jax.log import logger

# The canonical window, and pixels along each of its sides.
SIDE = 96
LEFT, RIGHT, TOP, BOTTOM = -1.5, 1.5, -1.4, 1.6

# Within a face box. Measured with OpenCV's cascades on drawn portraits of 256 pixels, whose eyes
# and size are known: the height of the eyes is 0.42 ± 0.02 box heights, the unit 0.59 ± 0.04.
_EYES_IN_BOX = 0.42
_UNIT_IN_BOX = 0.59
# Between the eyes, and from there to the mouth.
_EYES_APART = 0.66
# The framing of `liax prepare`: the box's centre is 0.52 of the side from the top.
_BOX_CENTER_HEIGHT = 0.52

# Smallest face that is looked for, as a fraction of the picture: these are portraits.
_SMALLEST_FACE = 0.25
# Faces of one data set are framed alike: one found so far from the others' median (in its unit) or
# so much larger or smaller is taken for a slip of the detector.
_MAX_OFFSET = 0.6
_MAX_SIZE_RATIO = 1.5
# Where fewer than this share of pictures shows a face, none of the findings is believed.
_MIN_FOUND = 1 / 3


@dataclasses.dataclass(frozen=True)
class FaceFrame:
    """Where a face is in a square picture, in fractions of the picture's side.

    Attributes:
      eyes_x, eyes_y: the point between the eyes.
      unit: one canonical unit.
    """

    eyes_x: float
    eyes_y: float
    unit: float

    @classmethod
    def of_box(cls, box: Box, side: float) -> "FaceFrame":
        """From a face in a picture of `side` pixels: by its landmarks, else by its box."""
        if box.landmarks:
            points = np.array(box.landmarks) / side
            eyes, mouth = points[:2].mean(0), points[3:].mean(0)
            # A turn makes the one length shorter, a nod the other.
            lengths = np.linalg.norm(points[1] - points[0]), np.linalg.norm(mouth - eyes)
            return cls(float(eyes[0]), float(eyes[1]), float(max(lengths)) / _EYES_APART)
        eyes_y = box.top + _EYES_IN_BOX * box.height
        return cls(box.center_x / side, eyes_y / side, _UNIT_IN_BOX * box.width / side)


_STATED_BOX = 1 / PORTRAIT_SCALE
# Where the face is in a picture that `liax prepare` has cropped.
STATED_FRAME = FaceFrame.of_box(
    Box(0.5 - _STATED_BOX / 2, _BOX_CENTER_HEIGHT - _STATED_BOX / 2, _STATED_BOX, _STATED_BOX), 1.0
)


def canonical_positions() -> tuple[np.ndarray, np.ndarray]:
    """x and y (SIDE, SIDE) float32 of the canonical window's pixels."""
    x, y = np.meshgrid(np.linspace(LEFT, RIGHT, SIDE), np.linspace(TOP, BOTTOM, SIDE))
    return x.astype(np.float32), y.astype(np.float32)


def to_canonical(
    field: np.ndarray, frame: FaceFrame, displacement: np.ndarray | None = None
) -> np.ndarray:
    """Samples a field of a square picture on the canonical window.

    Args:
      field: (h, h, c) or (h, h); beyond its border the border's values go on.
      frame: where the face is.
      displacement: (SIDE, SIDE, 2) canonical units by which the places looked at are moved.

    Returns:
      (SIDE, SIDE, c) or (SIDE, SIDE), float32, values as they were.
    """
    x, y = canonical_positions()
    if displacement is not None:
        x, y = x + displacement[..., 0], y + displacement[..., 1]
    side = field.shape[0]
    columns = (frame.eyes_x + x * frame.unit) * side - 0.5
    rows = (frame.eyes_y + y * frame.unit) * side - 0.5
    sampled: np.ndarray = cv2.remap(
        np.asarray(field, np.float32),
        columns.astype(np.float32),
        rows.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return sampled


def from_canonical(
    field: np.ndarray, frame: FaceFrame, side: int, outside: float = 0.0
) -> np.ndarray:
    """The reverse: a canonical field (SIDE, SIDE) on a picture of `side` pixels, (side, side).

    Below the window, where only the body is, the field's last row goes on.

    Args:
      outside: the value where the window doesn't reach at its sides and above.
    """
    place = (np.arange(side, dtype=np.float32) + 0.5) / side
    columns = ((place - frame.eyes_x) / frame.unit - LEFT) * (SIDE - 1) / (RIGHT - LEFT)
    rows = ((place - frame.eyes_y) / frame.unit - TOP) * (SIDE - 1) / (BOTTOM - TOP)
    columns, rows = np.meshgrid(columns, np.minimum(rows, SIDE - 1))
    sampled: np.ndarray = cv2.remap(
        np.asarray(field, np.float32), columns, rows, cv2.INTER_LINEAR, borderValue=outside
    )
    return sampled


def motion_to_canonical(flow: np.ndarray, frame: FaceFrame) -> np.ndarray:
    """A flow (h, h, 2) in pixels of its own grid → (SIDE, SIDE, 2) in canonical units."""
    return to_canonical(flow, frame) / (frame.unit * flow.shape[0])


def find_face_frames(
    pictures: Sequence[np.ndarray], detector: Detector
) -> tuple[list[FaceFrame], int]:
    """Where the face is in each of several portraits that are framed alike.

    The largest face of each picture counts. A picture without one, or with one far from where it
    is in the others, is given the median place of the others; where few show a face in such a
    place, all are given `STATED_FRAME`, with a warning.

    Args:
      pictures: (h, h, 3) uint8 each.
      detector: of `faces.detection.open_detector`.

    Returns:
      One frame a picture, and in how many the face was found.
    """
    found: list[FaceFrame | None] = []
    for picture in pictures:
        boxes = detector(picture, _SMALLEST_FACE, 1.0)
        largest = max(boxes, key=lambda box: box.width, default=None)
        found.append(FaceFrame.of_box(largest, picture.shape[0]) if largest else None)
    table = np.array([dataclasses.astuple(frame) for frame in found if frame])
    middle = FaceFrame(*np.median(table, axis=0).tolist()) if len(table) else STATED_FRAME
    kept = [frame if frame and _alike(frame, middle) else None for frame in found]
    alike = sum(frame is not None for frame in kept)
    if alike < max(1, _MIN_FOUND * len(pictures)):
        logger.warning(
            "found faces alike in place and size in %d of %d portraits, so all are taken to be "
            "framed as `liax prepare` does; names are wrong where they aren't. Find more with "
            "--face-model, or prepare the clips",
            alike,
            len(pictures),
        )
        return [STATED_FRAME] * len(pictures), 0
    return [frame or middle for frame in kept], alike


def _alike(frame: FaceFrame, other: FaceFrame) -> bool:
    offset = np.hypot(frame.eyes_x - other.eyes_x, frame.eyes_y - other.eyes_y) / other.unit
    ratio = frame.unit / other.unit
    return bool(offset <= _MAX_OFFSET and 1 / _MAX_SIZE_RATIO <= ratio <= _MAX_SIZE_RATIO)
