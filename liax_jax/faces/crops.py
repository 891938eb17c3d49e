"""Square crops of pictures: choosing them, cutting them out, pasting the result back.

Everything here is NumPy on the host. Positions are in pixels with the origin at the picture's top
left corner: the first pixel covers 0 to 1, its centre is at 0.5. A square may reach outside the
picture; cutting out repeats the picture's edge there, and pasting back leaves that part away.
"""

import dataclasses
import math

import numpy as np
from PIL import Image

# A portrait crop around a face box shows the head, the neck and some shoulders. Measured on
# portraits and clips framed for portrait animators: the box is 0.6 of the crop's side (0.55 to
# 0.65), and its centre 0.52 of the side from the top.
PORTRAIT_SCALE = 1.7
_BOX_CENTER_HEIGHT = 0.52

# By how much of its side `keep_inside` may shrink or move a square.
INSIDE_ALLOWANCE = 0.2

# A square so many times larger than the picture is a slip of the hand.
_LARGEST_RELATIVE_SIDE = 16

# Half the width of the Lanczos filter, in output pixels when scaling down, else in input pixels.
_FILTER_REACH = 3


class CropError(ValueError):
    """A square that can't be used, or a text that isn't one; the message says what to write."""


@dataclasses.dataclass(frozen=True)
class Box:
    """Where a face is: from the forehead to the chin, from ear to ear.

    Attributes:
      left, top, width, height: pixels from the picture's top left corner.
      score: how sure the detector is, in its own unit; larger is surer.
      landmarks: (x, y) of the eyes, the tip of the nose and the corners of the mouth, of each pair
        the one that is further left in the picture first; empty where the detector finds none.
    """

    left: float
    top: float
    width: float
    height: float
    score: float = 0.0
    landmarks: tuple[tuple[float, float], ...] = ()

    @property
    def center_x(self) -> float:
        return self.left + self.width / 2

    @property
    def center_y(self) -> float:
        return self.top + self.height / 2

    def moved(self, x: float, y: float) -> "Box":
        """The same face so many pixels further right and down."""
        landmarks = tuple((left + x, top + y) for left, top in self.landmarks)
        return dataclasses.replace(self, left=self.left + x, top=self.top + y, landmarks=landmarks)


@dataclasses.dataclass(frozen=True)
class Square:
    """A square region of a picture.

    Attributes:
      center_x, center_y: its centre, pixels from the picture's top left corner.
      side: length of its sides, pixels, positive.
    """

    center_x: float
    center_y: float
    side: float

    def __post_init__(self):
        values = (self.center_x, self.center_y, self.side)
        if not all(math.isfinite(value) for value in values) or self.side <= 0:
            raise CropError(f"a crop needs finite numbers and a positive side, got {values}")

    @property
    def left(self) -> float:
        return self.center_x - self.side / 2

    @property
    def top(self) -> float:
        return self.center_y - self.side / 2

    @property
    def right(self) -> float:
        return self.center_x + self.side / 2

    @property
    def bottom(self) -> float:
        return self.center_y + self.side / 2

    def describe(self) -> str:
        """LEFT,TOP,SIDE, as `parse_box` reads it."""
        return f"{self.left:.1f},{self.top:.1f},{self.side:.1f}"


def square_around(box: Box, scale: float = PORTRAIT_SCALE) -> Square:
    """The portrait crop of a face: the whole head, the neck and some shoulders.

    Args:
      box: where the face is.
      scale: side of the crop over that of the box; larger shows more around the head.

    Raises:
      CropError: a scale that isn't positive.
    """
    if not scale > 0:
        raise CropError(f"the crop's scale must be positive, got {scale:g}")
    side = scale * max(box.width, box.height)
    return Square(box.center_x, box.center_y + (0.5 - _BOX_CENTER_HEIGHT) * side, side)


def keep_inside(
    square: Square, height: int, width: int, allowance: float = INSIDE_ALLOWANCE
) -> Square:
    """Moves and shrinks a square a little, so that less of it, or nothing, is outside a picture.

    Real surroundings serve better than repeated edges, and a picture that is a portrait crop
    already stays as it is. Changes without jumps when the square does.

    Args:
      height, width: of the picture.
      allowance: fraction of the side by which the square may shrink, and then move each way.
    """
    side = max(min(square.side, height, width), (1 - allowance) * square.side)
    reach = allowance * side

    def moved(center: float, size: int) -> float:
        # Where the square is larger than the picture, its place among those that hold all of it.
        low, high = sorted((side / 2, size - side / 2))
        return center + min(max(min(max(center, low), high) - center, -reach), reach)

    return Square(moved(square.center_x, width), moved(square.center_y, height), side)


def full_square(height: int, width: int) -> Square:
    """The smallest square that holds the whole picture; the shorter side gets repeated edges."""
    return Square(width / 2, height / 2, float(max(height, width)))


def center_square(height: int, width: int) -> Square:
    """The largest square inside the picture, in its middle."""
    return Square(width / 2, height / 2, float(min(height, width)))


def parse_box(text: str) -> Square:
    """A square given by hand, in pixels: LEFT,TOP,SIDE or LEFT,TOP,WIDTH,HEIGHT.

    It is the crop itself (head, neck and some shoulders), not the face. Of a rectangle it's the
    smallest square around it with the same centre.

    Raises:
      CropError: another text, or a size that isn't positive.
    """
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) == 3:
        numbers.append(numbers[2])
    if len(numbers) != 4 or not all(map(math.isfinite, numbers)) or min(numbers[2:]) <= 0:
        raise CropError(
            f"{text!r} is no box; write LEFT,TOP,SIDE or LEFT,TOP,WIDTH,HEIGHT of the crop in "
            "pixels, such as 120,40,300"
        )
    left, top, width, height = numbers
    return Square(left + width / 2, top + height / 2, max(width, height))


def check_square(square: Square, height: int, width: int) -> None:
    """Refuses a square that shows nothing, or next to nothing, of a picture of this size.

    Raises:
      CropError: says so, with the picture's size.
    """
    beside = square.right <= 0 or square.left >= width
    if beside or square.bottom <= 0 or square.top >= height:
        what = "lies outside the picture"
    elif square.side > _LARGEST_RELATIVE_SIDE * max(height, width):
        what = "is far larger than the picture"
    else:
        return
    raise CropError(
        f"the crop {square.describe()} (left,top,side) {what}, which has {width}x{height} "
        "pixels; give another box"
    )


def cut_out(frame: np.ndarray, square: Square, resolution: int) -> np.ndarray:
    """The square's part of a picture at another resolution, antialiased.

    Outside the picture its edge is repeated. Channels are resampled each for itself, an alpha
    channel too.

    Args:
      frame: (h, w, c) uint8.
      square: may have any fractional position and reach outside.
      resolution: R, pixels.

    Returns:
      (R, R, c) uint8.

    Raises:
      CropError: the square lies outside the picture, or is far larger.
    """
    height, width = frame.shape[:2]
    check_square(square, height, width)
    scale = square.side / resolution
    out_rows, in_rows = _needed(square.top, height, scale, resolution)
    out_columns, in_columns = _needed(square.left, width, scale, resolution)
    part = _with_edges(frame, in_rows, in_columns)
    box = (
        square.left + out_columns.start * scale - in_columns[0],
        square.top + out_rows.start * scale - in_rows[0],
        square.left + out_columns.stop * scale - in_columns[0],
        square.top + out_rows.stop * scale - in_rows[0],
    )
    visible = _resize(part, (len(out_columns), len(out_rows)), box)
    around = [(span.start, resolution - span.stop) for span in (out_rows, out_columns)]
    return np.pad(visible, (*around, (0, 0)), mode="edge") if np.any(around) else visible


def _with_edges(frame: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Rows and columns of a picture, consecutive indices, with its edge repeated outside.

    Indexing by clipped indices would do the same, at several times the cost.
    """
    height, width = frame.shape[:2]
    first_row, last_row = np.clip((rows[0], rows[-1]), 0, height - 1)
    first_column, last_column = np.clip((columns[0], columns[-1]), 0, width - 1)
    inside = frame[first_row : last_row + 1, first_column : last_column + 1]
    missing = (
        (max(0, -rows[0]), max(0, rows[-1] - height + 1)),
        (max(0, -columns[0]), max(0, columns[-1] - width + 1)),
        (0, 0),
    )
    if not np.any(missing):
        return inside
    padded = np.pad(inside, missing, mode="edge")
    # Of indices that all lie beyond one edge, that edge alone.
    return padded[: len(rows), : len(columns)]


def _needed(start: float, size: int, scale: float, resolution: int) -> tuple[range, np.ndarray]:
    """Along one axis: the output pixels to compute, and the pixels that they are made of.

    Left away are output pixels so far outside the picture that they equal the outermost ones
    computed: so a square much larger than the picture needs no memory.
    """
    reach = _FILTER_REACH * max(scale, 1)
    first = math.floor((-reach - start) / scale - 0.5)
    last = math.ceil((size + reach - start) / scale - 0.5)
    span = range(min(max(first, 0), resolution - 1), max(min(last + 1, resolution), 1))
    inputs = np.arange(
        math.floor(start + span.start * scale - reach),
        math.ceil(start + span.stop * scale + reach) + 1,
    )
    return span, inputs


def _resize(
    image: np.ndarray, size: tuple[int, int], box: tuple[float, float, float, float]
) -> np.ndarray:
    """Scales the box (left, top, right, bottom) of (h, w, c) uint8 to size (width, height)."""
    # Colours together, what is left one by one: Pillow would darken colours under zero alpha.
    groups = [image[..., :3]] if image.shape[-1] >= 3 else []
    groups += [image[..., i] for i in range(3 * len(groups), image.shape[-1])]
    scaled = [
        np.asarray(
            Image.fromarray(np.ascontiguousarray(group)).resize(
                size, Image.Resampling.LANCZOS, box=box
            )
        )
        for group in groups
    ]
    if len(scaled) == 1 and scaled[0].ndim == 3:
        return scaled[0]
    return np.concatenate([part.reshape(*part.shape[:2], -1) for part in scaled], axis=-1)


def paste_back(
    frame: np.ndarray, rendered: np.ndarray, square: Square, feather: float = 0.1
) -> np.ndarray:
    """Puts a picture of the square's content back in its place, with a soft seam.

    Pixels outside the square stay exactly as they are. From the square's sides inwards the new
    picture fades in; not along sides that lie on the picture's border or outside, where there is
    no seam. Close to the border the fade is no wider than what is left outside, so that a square
    that moves over the border changes nothing suddenly.

    Args:
      frame: (h, w, c) uint8; not changed.
      rendered: (R, R, c) uint8; or (R, R, 3) for c = 4, which keeps the frame's alpha.
      square: where it belongs; what is outside the picture is left away.
      feather: width of the fade over the square's side, from 0 (a hard edge) to 0.5.

    Returns:
      (h, w, c) uint8, a new array.

    Raises:
      CropError: the square lies outside the picture or is far larger; feather is out of range.
      ValueError: the number of channels doesn't fit.
    """
    if not 0 <= feather <= 0.5:
        raise CropError(f"feather must be between 0 and 0.5, got {feather:g}")
    height, width, channels = frame.shape
    if rendered.shape[-1] != channels and (rendered.shape[-1], channels) != (3, 4):
        raise ValueError(
            f"can't paste {rendered.shape[-1]} channels into a frame of {channels} channels"
        )
    check_square(square, height, width)
    result = frame.copy()
    rows = _covered_pixels(square.top, square.bottom, height)
    columns = _covered_pixels(square.left, square.right, width)
    if not len(rows) or not len(columns):
        return result
    scale = rendered.shape[0] / square.side
    box = tuple(
        min(max(position * scale, 0.0), float(rendered.shape[0]))
        for position in (
            columns[0] - square.left,
            rows[0] - square.top,
            columns[-1] + 1 - square.left,
            rows[-1] + 1 - square.top,
        )
    )
    new = _resize(rendered, (len(columns), len(rows)), box)
    weight = (
        _fade(rows + 0.5, square.top, square.bottom, height, feather)[:, None, None]
        * _fade(columns + 0.5, square.left, square.right, width, feather)[None, :, None]
    )
    region = result[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1, : new.shape[-1]]
    old = region.astype(np.float32)
    region[...] = np.rint(old + weight * (new.astype(np.float32) - old)).astype(np.uint8)
    return result


def _covered_pixels(start: float, stop: float, size: int) -> np.ndarray:
    """Indices of the picture's pixels that lie completely between start and stop."""
    return np.arange(max(math.ceil(start), 0), min(math.floor(stop), size))


def _fade(centers: np.ndarray, start: float, stop: float, size: int, feather: float) -> np.ndarray:
    """Weight of the new picture at pixel centres along one axis, float32 in [0, 1]."""
    weight = np.ones(len(centers), np.float32)
    full_width = feather * (stop - start)
    for distance, outside in ((centers - start, start), (stop - centers, size - stop)):
        fade_width = min(full_width, max(outside, 0.0))
        if fade_width > 0:
            position = np.clip(distance / fade_width, 0, 1)
            weight *= (position**2 * (3 - 2 * position)).astype(np.float32)
    return weight
