"""Decoded video frames as a player shows them: square pixels, turned as the header says."""

from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from PIL import Image


def upright_square_pixels(frame: av.VideoFrame, pixel_aspect: Fraction | None) -> np.ndarray:
    """Converts a decoded frame into an (h, w, 3) uint8 RGB array as a player shows it."""
    image: np.ndarray = frame.to_ndarray(format="rgb24")
    if pixel_aspect and pixel_aspect != 1:
        width = max(1, round(frame.width * float(pixel_aspect)))
        image = np.asarray(
            Image.fromarray(image).resize((width, frame.height), Image.Resampling.LANCZOS)
        )
    return _upright(image, frame)


def _upright(image: np.ndarray, frame: av.VideoFrame) -> np.ndarray:
    """Turns and mirrors a picture as the frame's display matrix says, to whole quarter turns."""
    side_data: Any = frame.side_data
    if SideDataType.DISPLAYMATRIX not in side_data:
        return image
    stored = side_data[SideDataType.DISPLAYMATRIX]
    # A stored point (x, y) is shown at (a x + c y, b x + d y).
    (a, b, _), (c, d, _), _ = np.frombuffer(bytes(stored), np.int32).reshape(3, 3).tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        image, a, d = image.swapaxes(0, 1), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])
