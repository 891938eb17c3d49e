"""Pictures for people: flow as colour, masks, coefficients as bars, panels and labelled videos.

Everything here is NumPy on the host. Pictures in are (h, w, 3), either uint8 in [0, 255] or float
in [-1, 1]; pictures out are uint8 RGB.
"""

import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

BACKGROUND = (24, 24, 28)
TEXT_COLOR = (235, 235, 235)
POSITIVE_BAR = (80, 170, 255)
NEGATIVE_BAR = (255, 150, 70)
NON_FINITE = (255, 0, 255)
LABEL_HEIGHT = 22
GAP = 4


def to_uint8(image: Any) -> np.ndarray:
    """Turns pictures (..., 3) into uint8: clips [-1, 1] to [0, 255] and rounds; uint8 is kept.

    A pixel with a NaN or infinite channel becomes magenta, so that a diverging model is seen.

    Raises:
      ValueError: another integer type.
    """
    array = np.asarray(image)
    if array.dtype == np.uint8:
        return array
    if np.issubdtype(array.dtype, np.integer) or array.dtype == np.bool_:
        raise ValueError(f"pictures are uint8 or float in [-1, 1], got {array.dtype}")
    array = array.astype(np.float32)
    finite = np.isfinite(array).all(axis=-1, keepdims=True)
    scaled = np.rint((np.clip(np.where(finite, array, 0), -1, 1) + 1) * 127.5).astype(np.uint8)
    return np.where(finite, scaled, np.asarray(NON_FINITE, np.uint8))


def flow_magnitude_scale(flow: Any) -> float:
    """The magnitude to draw as fully saturated: the 99.5th percentile of |flow| (..., h, w, 2).

    Never less than one pixel of the grid, 2 / (w - 1) in normalised units, so that a flow too
    small to move anything looks pale instead of being blown up to full colour.
    """
    array = np.asarray(flow, np.float32)
    magnitude: np.ndarray = np.hypot(array[..., 0], array[..., 1])
    magnitude = magnitude[np.isfinite(magnitude)]
    one_pixel = 2 / max(array.shape[-2] - 1, 1)
    return max(float(np.percentile(magnitude, 99.5)) if magnitude.size else 0.0, one_pixel)


def flow_to_color(flow: Any, max_magnitude: float | None = None) -> np.ndarray:
    """Draws a flow field as colour: hue is the direction, saturation the magnitude, white is rest.

    Red points to +x (right), then by angle towards +y (down): yellow-green is down, cyan left,
    violet up.

    Args:
      flow: (..., h, w, 2) offsets (x, y) in any unit, usually normalised grid units.
      max_magnitude: the magnitude drawn fully saturated, larger ones are too; by default
        `flow_magnitude_scale(flow)`.

    Returns:
      (..., h, w, 3) uint8; non-finite offsets are black.
    """
    array = np.asarray(flow, np.float32)
    if array.shape[-1] != 2:
        raise ValueError(f"a flow has 2 channels (x, y), got shape {array.shape}")
    if max_magnitude is None:
        max_magnitude = flow_magnitude_scale(array)
    finite = np.asarray(np.isfinite(array).all(axis=-1))
    x, y = np.where(finite, array[..., 0], 0), np.where(finite, array[..., 1], 0)
    saturation = np.clip(np.hypot(x, y) / max(max_magnitude, 1e-12), 0, 1)[..., None]
    # HSV at full value: each primary falls off linearly with its distance in hue (in sixths).
    hue = (np.arctan2(y, x) / (2 * np.pi))[..., None] % 1 * 6
    primary = np.abs((hue - np.array([0, 2, 4], np.float32) + 3) % 6 - 3)
    pure = np.clip(2 - primary, 0, 1)
    color = np.rint(255 * (1 - saturation * (1 - pure))).astype(np.uint8)
    return np.where(finite[..., None], color, np.uint8(0))


def mask_to_gray(mask: Any) -> np.ndarray:
    """Draws masks (..., h, w, 1) in [0, 1] as grey (..., h, w, 3) uint8, white is 1."""
    array = np.asarray(mask, np.float32)
    if array.shape[-1] != 1:
        raise ValueError(f"a mask has 1 channel, got shape {array.shape}")
    return to_uint8(np.repeat(2 * array - 1, 3, axis=-1))


def coefficient_bars(
    coefficients: Any, height: int = 128, width: int = 128, scale: float | None = None
) -> np.ndarray:
    """Draws motion coefficients (M,) as bars from a zero line in the middle.

    Args:
      coefficients: (M,), one per motion vector, left to right.
      height, width: of the picture, in pixels; the width grows to at least 3 pixels a bar.
      scale: |coefficient| that reaches the edge; by default the largest one.

    Returns:
      (height, width, 3) uint8: blue bars up for positive, orange ones down for negative values, a
      full-height magenta bar for a value that isn't finite.
    """
    values = np.asarray(coefficients, np.float32)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"coefficients are (M,), got shape {values.shape}")
    finite: np.ndarray = np.isfinite(values)
    if scale is None:
        scale = float(np.abs(values[finite]).max(initial=0))
    width = max(width, 3 * values.size)
    picture = np.full((height, width, 3), BACKGROUND, np.uint8)
    middle = height // 2
    edges = np.linspace(0, width, values.size + 1).astype(int)
    reach = np.clip(np.where(finite, values, 0) / max(scale, 1e-12), -1, 1) * (middle - 2)
    for index, length in enumerate(np.rint(reach).astype(int)):
        columns = slice(edges[index], max(edges[index + 1] - 1, edges[index] + 1))
        if not finite[index]:
            picture[:, columns] = NON_FINITE
        elif length > 0:
            picture[middle - length : middle, columns] = POSITIVE_BAR
        elif length < 0:
            picture[middle + 1 : middle + 1 - length, columns] = NEGATIVE_BAR
    picture[middle] = (140, 140, 140)
    return picture


def upscale(picture: np.ndarray, min_side: int, smooth: bool = True) -> np.ndarray:
    """Enlarges (h, w, 3) uint8 by the least whole factor that makes both sides >= `min_side`.

    Args:
      smooth: bicubic, for photographs; otherwise nearest, for fields that should show their pixels.
    """
    height, width = picture.shape[:2]
    factor = -(-min_side // min(height, width))
    if factor <= 1:
        return picture
    if not smooth:
        return picture.repeat(factor, axis=0).repeat(factor, axis=1)
    size = (width * factor, height * factor)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))


def label_strip(labels: Sequence[str], widths: Sequence[int], gap: int = GAP) -> np.ndarray:
    """A strip (LABEL_HEIGHT, sum(widths) + gaps, 3) with each label centred over its column.

    A label wider than its column is set in a smaller font, and cut where that isn't enough.
    """
    strip = Image.new("RGB", (sum(widths) + gap * (len(widths) - 1), LABEL_HEIGHT), BACKGROUND)
    left = 0
    for label, width in zip(labels, widths, strict=True):
        column = Image.new("RGB", (width, LABEL_HEIGHT), BACKGROUND)
        draw = ImageDraw.Draw(column)
        for size in (14, 12, 10, 9):
            font = ImageFont.load_default(size)
            box = draw.textbbox((0, 0), label, font=font)
            if box[2] - box[0] <= width:
                break
        position = (max((width - box[2] - box[0]) / 2, 0), LABEL_HEIGHT / 2)
        draw.text(position, label, fill=TEXT_COLOR, font=font, anchor="lm")
        strip.paste(column, (left, 0))
        left += width + gap
    return np.asarray(strip)


def image_grid(
    rows: Sequence[Sequence[np.ndarray]], column_labels: Sequence[str], gap: int = GAP
) -> np.ndarray:
    """Lays tiles out as a table under column labels.

    Args:
      rows: pictures (h, w, 3) uint8; every row has one for each label, and tiles are placed at the
        top left of cells as large as the largest tile of their row and column.

    Returns:
      (H, W, 3) uint8.

    Raises:
      ValueError: no rows, or a row whose length isn't that of `column_labels`.
    """
    if not rows:
        raise ValueError("an image grid needs at least one row")
    for index, row in enumerate(rows):
        if len(row) != len(column_labels):
            raise ValueError(f"row {index} has {len(row)} tiles for {len(column_labels)} labels")
    widths = [max(row[column].shape[1] for row in rows) for column in range(len(column_labels))]
    strips = [label_strip(column_labels, widths, gap)]
    for row in rows:
        height = max(tile.shape[0] for tile in row)
        strip = np.full((height + gap, strips[0].shape[1], 3), BACKGROUND, np.uint8)
        left = 0
        for tile, width in zip(row, widths, strict=True):
            strip[: tile.shape[0], left : left + tile.shape[1]] = tile
            left += width + gap
        strips.append(strip)
    return np.concatenate(strips)


class SideBySide:
    """Puts frames next to each other under labels, for a video; made once per clip.

    Args:
      labels: one per picture.
      resolution: side of the square frames, in pixels.
      min_side: frames are enlarged by a whole factor to at least this many pixels.

    The result has even height and width, as video codecs with subsampled colour need.
    """

    def __init__(self, labels: Sequence[str], resolution: int, min_side: int = 256):
        self.resolution = resolution
        self.min_side = min_side
        side = resolution * max(1, -(-min_side // resolution))
        strip = label_strip(labels, [side] * len(labels))
        height, width = strip.shape[0] + side, strip.shape[1]
        self._canvas = np.full((height + height % 2, width + width % 2, 3), BACKGROUND, np.uint8)
        self._canvas[: strip.shape[0], :width] = strip
        self._lefts = [index * (side + GAP) for index in range(len(labels))]
        self._side = side

    def __call__(self, *pictures: Any) -> np.ndarray:
        """(H, W, 3) uint8 from one (resolution, resolution, 3) picture per label."""
        canvas = self._canvas.copy()
        for left, picture in zip(self._lefts, pictures, strict=True):
            tile = upscale(to_uint8(picture), self.min_side)
            canvas[LABEL_HEIGHT : LABEL_HEIGHT + self._side, left : left + self._side] = tile
        return canvas


def finest_level(out: Mapping[str, Any]) -> int:
    """The highest resolution r for which a model's outputs hold "flow/r"."""
    levels = [int(key[5:]) for key in out if re.fullmatch(r"flow/\d+", key)]
    if not levels:
        raise ValueError(f'no "flow/<resolution>" among the outputs: {", ".join(sorted(out))}')
    return max(levels)


def training_panel(
    source: Any,
    driving: Any,
    reconstruction: Any,
    out: Mapping[str, Any],
    *,
    warped_source: Any | None = None,
    max_rows: int = 8,
    min_tile: int = 128,
) -> np.ndarray:
    """One picture of what the model does: a row per example, a labelled column per quantity.

    Columns: source, driving, reconstruction, the warped source if given, the finest flow as colour
    (one scale for all rows, named in the label: normalised grid units, in which the picture's side
    is 2), the finest mask, and the driving coefficients as bars (one scale, named likewise).

    Args:
      source, driving, reconstruction: (b, h, w, 3), uint8 or float in [-1, 1].
      out: the model's named intermediates: of these are read the finest "flow/r" (b, r, r, 3),
        raw, whose tanh in channels 0 and 1 is the offset; "mask/r" (b, r, r, 1) in [0, 1]; and
        "alpha_r2t" (b, M).
      warped_source: (b, h, w, 3), like the source.
      max_rows: at most so many examples are drawn.
      min_tile: tiles are enlarged by a whole factor to at least this side.

    Returns:
      (H, W, 3) uint8.
    """
    level = finest_level(out)
    count = min(len(source), max_rows)
    offsets = np.tanh(np.asarray(out[f"flow/{level}"], np.float32)[:count, ..., :2])
    masks = mask_to_gray(np.asarray(out[f"mask/{level}"])[:count])
    coefficients = np.asarray(out["alpha_r2t"], np.float32)[:count]
    flow_scale = flow_magnitude_scale(offsets)
    flows = flow_to_color(offsets, flow_scale)
    finite = coefficients[np.isfinite(coefficients)]
    coefficient_scale = float(np.abs(finite).max(initial=0))

    photographs = {"source": source, "driving": driving, "reconstruction": reconstruction}
    if warped_source is not None:
        photographs["warped source"] = warped_source
    labels = [
        *photographs,
        f"flow (full: {flow_scale:.3f})",
        f"mask ({level} px)",
        f"alpha (full: ±{coefficient_scale:.2g})",
    ]
    rows = []
    for index in range(count):
        tiles = [upscale(to_uint8(batch[index]), min_tile) for batch in photographs.values()]
        side = tiles[0].shape[0]
        tiles.append(upscale(flows[index], side, smooth=False))
        tiles.append(upscale(masks[index], side, smooth=False))
        tiles.append(coefficient_bars(coefficients[index], side, side, coefficient_scale))
        rows.append(tiles)
    return image_grid(rows, labels)


def save_png(path: str | os.PathLike[str], picture: np.ndarray) -> None:
    """Writes (h, w, 3) uint8 as PNG; the file appears complete or not at all.

    Raises:
      OSError: the place can't be written to.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            Image.fromarray(np.ascontiguousarray(picture)).save(file, format="PNG")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
