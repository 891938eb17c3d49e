"""Plots and pictures of a study's report. They need matplotlib: the extra "interpret"."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from liax_jax.studies.rows import Row
from liax_jax.visualization import label_strip, save_png

_VALUE, _CONTROL, _DPI = "#1f6fb4", "#b0b0b0", 110


def require_matplotlib() -> None:
    """Raises ImportError with the command that installs it."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "the report's plots need matplotlib: pip install 'liax-jax[interpret]'"
        ) from error


def _figure(width: float, height: float, columns: int = 1, **options: Any):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(1, columns, squeeze=False, **options)[0]


def plot_rows(path: Path, rows: Sequence[Row], statistics: Mapping[str, str]) -> None:
    """A panel for each measure: a dot for every row, small ones for its seeds, its control in grey.

    From three seeds on with the interval of the mean.
    """
    figure, axes = _figure(
        3 + 2.6 * len(statistics), 1 + 0.3 * len(rows), len(statistics), sharey=True
    )
    heights = np.arange(len(rows))[::-1]
    for axis, (name, title) in zip(axes, statistics.items(), strict=True):
        for height, row in zip(heights, rows, strict=True):
            found = row.statistics.get(name)
            if found is None:
                continue
            if found.interval is not None and len(found.values) > 2:
                axis.plot(found.interval, [height, height], color=_VALUE, linewidth=1.2)
            if found.over != "pairs":
                axis.scatter(
                    found.values, [height] * len(found.values), s=6, color=_VALUE, alpha=0.5
                )
            axis.scatter([found.value], [height], s=28, color=_VALUE, zorder=3)
            if found.control is not None:
                axis.scatter([found.control], [height], s=40, marker="|", color=_CONTROL)
        axis.set_title(title, fontsize=9)
        axis.tick_params(labelsize=8)
        axis.grid(axis="x", color="#e6e6e6")
    axes[0].set_yticks(heights, [row.name for row in rows])
    figure.savefig(path, dpi=_DPI)


def plot_curves(path: Path, curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Training PSNR, mean |α| and Gini over steps: a line a seed, a colour a row."""
    names = {"psnr": "training PSNR, dB", "alpha/mean_abs": "mean |α|", "alpha/gini": "Gini"}
    figure, axes = _figure(12, 3.6, len(names))
    colours = [f"C{i}" for i in range(10)]
    for number, (row, seeds) in enumerate(curves.items()):
        for which, curve in enumerate(seeds):
            for axis, name in zip(axes, names, strict=True):
                axis.plot(
                    curve["step"],
                    curve[name],
                    color=colours[number % len(colours)],
                    linestyle=("-", "--", ":")[number // len(colours) % 3],
                    linewidth=0.9,
                    label=row if which == 0 else None,
                )
    for axis, title in zip(axes, names.values(), strict=True):
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("step", fontsize=8)
        axis.tick_params(labelsize=8)
    axes[1].set_yscale("log")
    axes[1].tick_params(which="minor", labelsize=7)
    axes[-1].legend(fontsize=6, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, dpi=_DPI)


def plot_coefficients(path: Path, codes: Mapping[str, np.ndarray]) -> None:
    """|α| of the same frames, a panel a row (the paper's Fig. 3): vectors sorted by use.

    Args:
      codes: {row: (t, M)}.
    """
    figure, axes = _figure(4.2 * len(codes), 3.2, len(codes))
    for axis, (name, alpha) in zip(axes, codes.items(), strict=True):
        size = np.abs(alpha)
        ordered = size[:, np.argsort(-size.mean(0))]
        picture = axis.imshow(
            ordered.T / size.max(), aspect="auto", cmap="magma", vmin=0, vmax=1,
            interpolation="nearest",
        )  # fmt: skip
        axis.set_title(name, fontsize=9)
        axis.set_xlabel("frame", fontsize=8)
        axis.set_ylabel("vector, by use", fontsize=8)
        axis.yaxis.get_major_locator().set_params(integer=True)
        axis.tick_params(labelsize=8)
        figure.colorbar(picture, ax=axis, label="|α| / largest")
    figure.savefig(path, dpi=_DPI)


def examples_sheet(path: Path, examples: Mapping[str, Path], resolution: int) -> None:
    """Source and driving frames once, then what each row's first seed made of them.

    Args:
      examples: {row: examples.png of a cell}; all of the same people.
      resolution: of the models.
    """
    scale = max(1, 96 // resolution)
    read = {name: np.asarray(Image.open(file).convert("RGB")) for name, file in examples.items()}
    first = next(iter(read.values()))
    strips = {"source": first[:resolution], "driving": first[resolution : 2 * resolution]}
    strips |= {name: picture[2 * resolution :] for name, picture in read.items()}
    large = [strip.repeat(scale, 0).repeat(scale, 1) for strip in strips.values()]
    labels = [label_strip([name], [large[0].shape[1]]) for name in strips]
    parts = [part for pair in zip(labels, large, strict=True) for part in pair]
    save_png(path, np.concatenate(parts))


def plot_tradeoff(path: Path, rows: Sequence[Row], sweep: Sequence[str]) -> None:
    """Readability over reconstruction, a point a row: what a penalty buys, and what it costs.

    Args:
      rows: any.
      sweep: names of rows to be joined by a line, in order.
    """
    figure, (axis,) = _figure(8, 5)
    by_name = {row.name: row for row in rows}
    points = {
        name: (row.statistics["pooled_psnr"].value, row.statistics["dci_d"].value)
        for name, row in by_name.items()
        if "dci_d" in row.statistics
    }
    line = [points[name] for name in sweep if name in points]
    if line:
        axis.plot(*zip(*line, strict=True), color=_CONTROL, linewidth=1, zorder=1)
    for name, (psnr, score) in points.items():
        axis.scatter([psnr], [score], s=22, color=_VALUE, zorder=2)
        axis.annotate(
            name, (psnr, score), fontsize=6, xytext=(3, 3), textcoords="offset points", alpha=0.8
        )
    axis.set_xlabel("PSNR, dB", fontsize=9)
    axis.set_ylabel("DCI disentanglement", fontsize=9)
    axis.grid(color="#e6e6e6")
    figure.savefig(path, dpi=_DPI)


def plot_kurtosis(path: Path, pairs: Mapping[str, tuple[Row, Row]]) -> None:
    """What sparsity changes for each factor, over the factor's excess kurtosis.

    Args:
      pairs: {distribution: (dense, sparse)}.
    """
    figure, (axis,) = _figure(5.5, 4)
    for number, (name, (dense, sparse)) in enumerate(pairs.items()):
        for factor in dense.factors.keys() & sparse.factors.keys():
            gain = sparse.factors[factor]["completeness"] - dense.factors[factor]["completeness"]
            if math.isnan(gain):  # not found by one of the two
                continue
            kurtosis = dense.factors[factor]["kurtosis"]
            axis.scatter([kurtosis], [gain], color=f"C{number}", s=18)
            axis.annotate(factor, (kurtosis, gain), fontsize=6, alpha=0.7)
        axis.scatter([], [], color=f"C{number}", label=name)
    axis.axhline(0, color=_CONTROL, linewidth=0.8)
    axis.set_xlabel("excess kurtosis of the factor", fontsize=9)
    axis.set_ylabel("completeness, sparse − dense", fontsize=9)
    axis.legend(fontsize=8)
    figure.savefig(path, dpi=_DPI)
