"""The scores of one clip: every metric over its frames as they come, and what is kept of them."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from liax_jax.evaluation.errors import ClipError
from liax_jax.evaluation.reenactment import ReenactedBatch
from liax_jax.metrics import (
    FeatureStatistics,
    FrameMetric,
    Metric,
    MetricInputError,
    SequenceMetric,
    SetMetric,
)

MODEL = "model"
FLOORS = ("copy_source", "copy_mean")
SIDES = ("real", "generated")

Metrics = Mapping[str, Metric]


@jax.jit
def as_scored(images: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Images (b, h, w, 3) in [-1, 1] as they are scored, and which of them are finite (b,).

    Clipped, rounded to 8 bits and mapped to [0, 1]: what is written to a file without loss and read
    again scores exactly the same.
    """
    finite = jnp.isfinite(images).all(axis=(1, 2, 3))
    return jnp.round((jnp.clip(images, -1, 1) + 1) * 127.5) / 255, finite


class ClipScorer:
    """Collects the scores of one clip, batch by batch.

    Args:
      name: of the clip, for messages.
      metrics: by name.
      mean_frame: (1, h, w, 3) in [0, 1], for the floor "copy_mean"; None scores no floors.
    """

    def __init__(self, name: str, metrics: Metrics, *, mean_frame: jax.Array | None = None):
        self.name = name
        self.frames = 0
        self._metrics = metrics
        self._mean_frame = mean_frame
        self._scores: dict[str, dict[str, list[np.ndarray]]] = {}
        self._prepared: dict[str, Any] = {}
        self._carries = {n: m.init() for n, m in metrics.items() if isinstance(m, SequenceMetric)}
        self._sets = {
            n: dict.fromkeys(SIDES, m.init())
            for n, m in metrics.items()
            if isinstance(m, SetMetric)
        }

    def add(self, batch: ReenactedBatch) -> dict[str, np.ndarray]:
        """Scores consecutive frames; returns the scores of the generated ones, (count,) each.

        Raises:
          ClipError: a frame that isn't finite, or a score that isn't where it has to be.
        """
        images, finite = as_scored(batch.reconstruction)
        self._check(
            np.asarray(finite)[: batch.count],
            batch.start,
            "the output has NaN or infinite pixels; of this picture the model can't be evaluated",
        )
        references, _ = as_scored(batch.driving)
        source, _ = as_scored(batch.source)
        try:
            scores = self._frame_scores(images, references, source, batch)
            self._add_to_sets(images, references, batch)
        except MetricInputError as error:
            raise ClipError(f"clip {self.name!r}: {error}") from error
        self._keep(MODEL, scores)
        if self._mean_frame is not None:
            floors = {"copy_source": source, "copy_mean": self._mean_frame}
            for floor, picture in floors.items():
                copies = jnp.broadcast_to(picture, references.shape)
                found = {
                    name: np.asarray(metric(copies, references), np.float32)[: batch.count]
                    for name, metric in floor_metrics(self._metrics).items()
                }
                self._keep(floor, found)
        self.frames += batch.count
        return scores

    def _frame_scores(
        self, images: jax.Array, references: jax.Array, source: jax.Array, batch: ReenactedBatch
    ) -> dict[str, np.ndarray]:
        scores = {}
        for name, metric in self._metrics.items():
            if isinstance(metric, FrameMetric):
                found = metric(images, self._compared_with(name, metric, references, source))
                values = np.asarray(found, np.float32)[: batch.count]
                if not metric.skips_frames:
                    self._check(np.isfinite(values), batch.start, f"{name} isn't a finite number")
            elif isinstance(metric, SequenceMetric):
                carry, found, counts = metric.update(self._carries[name], images, references)
                self._carries[name] = carry
                values = np.where(counts, np.asarray(found, np.float32), np.nan)[: batch.count]
            else:
                continue
            scores[name] = values
        return scores

    def _compared_with(
        self, name: str, metric: FrameMetric, references: jax.Array, source: jax.Array
    ) -> Any:
        if metric.against == "driving":
            return references
        if metric.against == "source" and name not in self._prepared:
            self._prepared[name] = metric.prepare(source)
        return self._prepared.get(name)

    def _add_to_sets(self, images: jax.Array, references: jax.Array, batch: ReenactedBatch) -> None:
        mask = np.arange(len(images)) < batch.count
        for name, sides in self._sets.items():
            metric = self._metrics[name]
            assert isinstance(metric, SetMetric)
            sides["real"] = metric.update(sides["real"], references, mask)
            sides["generated"] = metric.update(sides["generated"], images, mask)

    def _check(self, good: np.ndarray, start: int, problem: str) -> None:
        if not good.all():
            number = start + int(np.argmin(good))
            raise ClipError(f"clip {self.name!r}, frame {number} (from 0): {problem}")

    def _keep(self, row: str, scores: Mapping[str, np.ndarray]) -> None:
        kept = self._scores.setdefault(row, {})
        for name, values in scores.items():
            kept.setdefault(name, []).append(values)

    def _row(self, row: str) -> dict[str, np.ndarray]:
        return {name: np.concatenate(parts) for name, parts in self._scores[row].items()}

    def entry(self) -> dict[str, Any]:
        """The clip's line: means over its frames, with and without the first, and the floors'."""
        rows = {row: self._row(row) for row in self._scores}
        scored = {
            name: int(np.isfinite(values).sum())
            for name, values in rows[MODEL].items()
            if not np.isfinite(values).all()
        }
        entry: dict[str, Any] = {"name": self.name, "frames": self.frames, **_means(rows[MODEL])}
        later = {row: _means({n: v[1:] for n, v in found.items()}) for row, found in rows.items()}
        if floors := [row for row in rows if row != MODEL]:
            entry["floors"] = {floor: _means(rows[floor]) for floor in floors}
        entry["without_first_frame"] = later.pop(MODEL)
        if floors:
            entry["without_first_frame"]["floors"] = later
        if scored:
            entry["frames_scored"] = scored
        return entry

    def arrays(self) -> dict[str, np.ndarray]:
        """What is kept beside the line: "frame/METRIC" (n,) and "set/METRIC/SIDE/…"."""
        arrays = {f"frame/{name}": values for name, values in self._row(MODEL).items()}
        for name, sides in self._sets.items():
            for side, statistics in sides.items():
                for key, array in statistics.to_arrays().items():
                    arrays[f"set/{name}/{side}/{key}"] = array
        return arrays


def _means(scores: Mapping[str, np.ndarray]) -> dict[str, float | None]:
    """Means in float64 over the frames that have a score; None where none has."""
    means: dict[str, float | None] = {}
    for name, values in scores.items():
        counted = values[np.isfinite(values)].astype(np.float64)
        means[name] = float(counted.mean()) if counted.size else None
    return means


def floor_metrics(metrics: Metrics) -> dict[str, FrameMetric]:
    """The metrics that the floors are scored with: against the driving frame, without a network."""
    return {
        name: metric
        for name, metric in metrics.items()
        if isinstance(metric, FrameMetric) and metric.against == "driving" and metric.params is None
    }


def frame_metric_names(metrics: Metrics) -> list[str]:
    """The metrics that score each frame, in order."""
    return [name for name, metric in metrics.items() if not isinstance(metric, SetMetric)]


def set_distance(metric: SetMetric, clips: Iterable[Mapping[str, np.ndarray]]) -> tuple[float, int]:
    """A set metric over all clips, from the arrays kept of each; and of how many frames.

    Raises:
      MetricInputError: too few frames.
    """
    merged = dict.fromkeys(SIDES, metric.init())
    for arrays in clips:
        for side in SIDES:
            prefix = f"set/{metric.name}/{side}/"
            own = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
            merged[side] = metric.merge(merged[side], FeatureStatistics.from_arrays(own))
    value = metric.compute(merged["real"], merged["generated"])
    return value, merged["generated"].count
