"""The worst frame of a clip as a picture: source, driving, what was made, and where it differs."""

import io
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from PIL import Image

from liax_jax.evaluation.reenactment import ReenactedBatch
from liax_jax.evaluation.scoring import Metrics, frame_metric_names
from liax_jax.metrics import FrameMetric
from liax_jax.visualization import image_grid, to_uint8, upscale

# |difference| on [0, 1], mean over channels, that is drawn white; larger ones are too.
HEAT_SCALE = 0.25
_MIN_SIDE = 256
_JPEG_QUALITY = 92
# Black, blue, red, yellow, white.
_HEAT_COLORS = np.array(
    [(0, 0, 0), (40, 30, 140), (200, 40, 60), (255, 200, 40), (255, 255, 255)], np.float32
)


def heat_map(picture: np.ndarray, reference: np.ndarray, scale: float = HEAT_SCALE) -> np.ndarray:
    """Where two uint8 pictures (h, w, 3) differ: (h, w, 3) uint8, black for nowhere.

    Args:
      scale: the mean |difference| over channels, on [0, 1], that is drawn white.
    """
    difference = np.abs(picture.astype(np.float32) - reference.astype(np.float32)).mean(-1) / 255
    return heat_colors(difference / scale)


def heat_colors(values: np.ndarray) -> np.ndarray:
    """Values (h, w), 0 black to 1 white by way of blue, red and yellow: (h, w, 3) uint8."""
    place = np.clip(values, 0, 1) * (len(_HEAT_COLORS) - 1)
    below = np.minimum(place.astype(int), len(_HEAT_COLORS) - 2)
    part = (place - below)[..., None]
    colors = _HEAT_COLORS[below] * (1 - part) + _HEAT_COLORS[below + 1] * part
    return np.rint(colors).astype(np.uint8)


def ranking_metric(metrics: Metrics) -> str | None:
    """The metric that says which frames and clips are worst, or None where nothing scores frames.

    LPIPS where it is there, being nearest to what people see, else L1, else the first one.
    """
    names = frame_metric_names(metrics)
    preferred = [name for name in ("lpips_alex", "lpips_vgg", "l1") if name in names]
    return (preferred + names + [None])[0]


class WorstFrame:
    """Keeps the worst frame of a clip as its frames come by: one frame, not the clip.

    Args:
      metrics: by name; see `ranking_metric`.
    """

    def __init__(self, metrics: Metrics):
        self._name = ranking_metric(metrics)
        metric = metrics.get(self._name) if self._name else None
        self._sign = -1 if metric is not None and metric.higher_is_better else 1
        # A heat map against the driving frame makes sense where that is what should come out.
        self._compared = any(
            isinstance(metric, FrameMetric) and metric.against == "driving"
            for metric in metrics.values()
        )
        self._worst = -np.inf
        self._frame = 0
        self._pictures: list[np.ndarray] = []

    def look(self, batch: ReenactedBatch, scores: Mapping[str, np.ndarray]) -> None:
        """Takes the batch's worst frame if it is worse than all before."""
        # Where nothing scores frames, the last one: it tends to be the furthest from the source.
        values = batch.start + np.arange(batch.count)
        if self._name is not None:
            values = scores[self._name]
        badness = np.where(np.isfinite(values), self._sign * values, -np.inf)
        index = int(np.argmax(badness))
        if self._pictures and not badness[index] > self._worst:
            return
        self._worst, self._frame = float(badness[index]), batch.start + index
        shown = jax.device_get((batch.source[0], batch.driving[index], batch.reconstruction[index]))
        self._pictures = [to_uint8(picture) for picture in shown]

    def save(self, path: pathlib.Path) -> None:
        """Writes the labelled picture as a JPEG; it appears complete or not at all."""
        source, driving, made = self._pictures
        tiles = {"source": source, f"driving, frame {self._frame}": driving, "result": made}
        if self._compared:
            tiles[f"|difference|, white: {HEAT_SCALE:g}"] = heat_map(made, driving)
        picture = image_grid([[upscale(tile, _MIN_SIDE) for tile in tiles.values()]], list(tiles))
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=_JPEG_QUALITY)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        try:
            partial.write_bytes(buffer.getvalue())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def describe(self) -> dict[str, Any]:
        """Which frame it is, and by which metric, as JSON."""
        return {"frame": self._frame, "by": self._name}
