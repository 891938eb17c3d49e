"""Plots of an evaluation: metrics over the frames of clips, and their histograms over clips.

They need matplotlib, an optional dependency: pip install 'liax-jax[report]'.
"""

import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from liax_jax.evaluation.text_table import heading
from liax_jax.plotting import new_figure

MISSING = (
    "matplotlib is not installed, so that the report will have no plots; to have them: "
    "pip install 'liax-jax[report]'"
)
_COLUMNS, _WIDTH, _HEIGHT = 3, 4.0, 2.8
_LINE, _BAND = "#1f6fb4", "#a9cbe8"


def plot_over_frames(
    path: pathlib.Path, about: Mapping[str, Any], frames: Mapping[str, Sequence[np.ndarray]]
) -> None:
    """Draws each metric over the number of the frame: mean over clips, and their middle 80 %.

    Args:
      path: PNG to write.
      about: of results.json, what is said of each metric.
      frames: metric to the scores (n,) of each clip's frames; NaN where there is none.
    """
    with _Axes(path, list(frames)) as axes:
        for axis, (name, clips) in zip(axes, frames.items(), strict=True):
            longest = max(map(len, clips))
            table = np.full((len(clips), longest), np.nan)
            for row, values in zip(table, clips, strict=True):
                row[: len(values)] = values
            # Beyond the median clip the mean would be of ever fewer clips, and jump.
            shown = np.isfinite(table).sum(0) >= max(1, len(clips) / 2)
            numbers = np.flatnonzero(shown)
            part = table[:, shown]
            if len(clips) > 1:
                low, high = np.nanpercentile(part, [10, 90], axis=0)
                axis.fill_between(numbers, low, high, color=_BAND, linewidth=0)
            axis.plot(numbers, np.nanmean(part, axis=0), color=_LINE, linewidth=1.2)
            axis.set_title(heading(name, about[name]["higher_is_better"]), fontsize=9)
            axis.set_xlabel("frame", fontsize=8)
            axis.xaxis.get_major_locator().set_params(integer=True)


def plot_histograms(
    path: pathlib.Path, about: Mapping[str, Any], values: Mapping[str, Sequence[float]]
) -> None:
    """Draws how each metric is spread over clips, with a line at the mean.

    Args:
      values: metric to the clips' means over their frames.
    """
    with _Axes(path, list(values)) as axes:
        for axis, (name, clips) in zip(axes, values.items(), strict=True):
            axis.hist(clips, bins=min(30, max(5, len(clips) // 3)), color=_BAND, edgecolor=_LINE)
            axis.axvline(float(np.mean(clips)), color=_LINE, linewidth=1.2)
            axis.set_title(heading(name, about[name]["higher_is_better"]), fontsize=9)
            axis.set_ylabel("clips", fontsize=8)
            axis.yaxis.get_major_locator().set_params(integer=True)
            axis.xaxis.get_major_locator().set_params(nbins=5)


class _Axes:
    """Axes to draw on, one per name; the figure is written at the end."""

    def __init__(self, path: pathlib.Path, names: Sequence[str]):
        columns = min(_COLUMNS, len(names))
        rows = -(-len(names) // columns)
        self._path = path
        self._figure = new_figure(columns * _WIDTH, rows * _HEIGHT, 100)
        grid = self._figure.subplots(rows, columns, squeeze=False).ravel()
        for axis in grid[len(names) :]:
            axis.set_visible(False)
        self._axes = list(grid[: len(names)])
        for axis in self._axes:
            axis.tick_params(labelsize=8)

    def __enter__(self) -> list[Any]:
        return self._axes

    def __exit__(self, kind: Any, *_: Any) -> None:
        if kind is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._figure.savefig(self._path, format="png")


def frame_scores(
    names: Sequence[str], clips: Iterator[Mapping[str, np.ndarray]]
) -> dict[str, list[np.ndarray]]:
    """Metric to the scores of each clip's frames, from what is kept of the clips."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for arrays in clips:
        for name in names:
            values = arrays.get(f"frame/{name}")
            if values is not None and np.isfinite(values).any():
                found[name].append(np.asarray(values, np.float64))
    return {name: values for name, values in found.items() if values}
