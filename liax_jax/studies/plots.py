"""Plots and pictures of a study's report. They need matplotlib: the extra "interpret"."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from liax_jax.interpretability.codes import Codes
from liax_jax.plotting import new_figure
from liax_jax.studies.rows import Row
from liax_jax.studies.seed_statistics import differences

_VALUE, _CONTROL, _DPI = "#1f6fb4", "#b0b0b0", 110
_MARKS = "os^DvPX"


def _figure(width: float, height: float, columns: int = 1, **options: Any):
    figure = new_figure(width, height, _DPI)
    return figure, figure.subplots(1, columns, squeeze=False, **options)[0]


def plot_rows(path: Path, rows: Sequence[Row], statistics: Mapping[str, str]) -> None:
    """A panel for each measure that any row has: a dot for every row, a grey tick its control.

    Small dots are its seeds. A line is an interval: of the mean from three seeds on; pale, over
    people, of one seed.
    """
    panels = {n: t for n, t in statistics.items() if any(n in row.statistics for row in rows)}
    figure, axes = _figure(
        2.4 + 1.75 * len(panels), 0.8 + 0.25 * len(rows), len(panels), sharey=True
    )
    heights = np.arange(len(rows))[::-1]
    for axis, (name, title) in zip(axes, panels.items(), strict=True):
        for height, row in zip(heights, rows, strict=True):
            found = row.statistics.get(name)
            if found is None:
                continue
            if found.interval is not None and len(found.values) != 2:
                pale = 0.35 if found.over == "people" else 1.0
                axis.plot(found.interval, [height, height], color=_VALUE, linewidth=1.2, alpha=pale)
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
    axes[0].set_ylim(-0.7, len(rows) - 0.3)
    figure.savefig(path)


def plot_curves(path: Path, curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Training PSNR, mean |α| and Gini over steps: a line a seed, a colour a row.

    The first seed's line is strong, the others' are pale.
    """
    names = {"psnr": "training PSNR, dB", "alpha/mean_abs": "mean |α|", "alpha/gini": "Gini of |α|"}
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
                    alpha=1.0 if which == 0 else 0.35,
                    label=row if which == 0 else None,
                )
    for axis, title in zip(axes, names.values(), strict=True):
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("step", fontsize=8)
        axis.tick_params(labelsize=8)
    axes[1].set_yscale("log")
    axes[1].tick_params(which="minor", labelsize=7)
    axes[-1].legend(fontsize=6, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path)


def plot_coefficients(
    path: Path, codes: Mapping[str, np.ndarray], clip: np.ndarray | None = None
) -> None:
    """|α| of the same frames, a panel a row (the paper's Fig. 3): vectors sorted by use.

    Args:
      codes: {row: (t, M)}.
      clip: (t,) which one a frame is of; a thin line where another begins.
    """
    figure, axes = _figure(4.2 * len(codes), 3.2, len(codes))
    for axis, (name, alpha) in zip(axes, codes.items(), strict=True):
        size = np.abs(alpha)
        ordered = size[:, np.argsort(-size.mean(0))]
        picture = axis.imshow(
            ordered.T / size.max(), aspect="auto", cmap="magma", vmin=0, vmax=1,
            interpolation="nearest",
        )  # fmt: skip
        for first in [] if clip is None else 1 + np.flatnonzero(np.diff(clip)):
            axis.axvline(first - 0.5, color="white", linewidth=0.5, alpha=0.6)
        axis.set_title(name, fontsize=9)
        axis.set_xlabel("frame", fontsize=8)
        axis.set_ylabel("vector, by use", fontsize=8)
        axis.yaxis.get_major_locator().set_params(integer=True)
        axis.tick_params(labelsize=8)
        figure.colorbar(picture, ax=axis, label="|α| / largest")
    figure.savefig(path)


def plot_loadings(path: Path, codes: Mapping[str, Codes]) -> None:
    """|correlation| of each vector with each factor, a panel a row, the most used vector first.

    Beside each vector how much it moves, its standard deviation as a share of all of them.

    Args:
      codes: {row: codes of the same frames, with their factors}.
    """
    figure, axes = _figure(2.9 * len(codes) + 0.6, 3.4, len(codes))
    for axis, (name, found) in zip(axes, codes.items(), strict=True):
        assert found.factors is not None
        size = found.alpha.std(0)
        order = np.argsort(-size)
        vectors = len(order)
        both = np.corrcoef(found.alpha[:, order].T, found.factors.T)
        matrix = np.abs(both[:vectors, vectors:])
        picture = axis.imshow(matrix, aspect="auto", cmap="magma", vmin=0, vmax=1)
        for (i, j), value in np.ndenumerate(matrix):
            colour = "black" if value > 0.6 else "white"
            axis.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=6, color=colour)
        axis.set_title(name, fontsize=9)
        axis.set_xticks(range(matrix.shape[1]), found.factor_names, fontsize=8)
        shares = size[order] / size.sum()
        axis.set_yticks(range(vectors), [f"{share:.0%}" for share in shares], fontsize=8)
    axes[0].set_ylabel("vectors, with their share of motion", fontsize=8)
    figure.colorbar(picture, ax=axes[-1], label="|correlation|")
    figure.savefig(path)


def examples_sheet(path: Path, examples: Mapping[str, Path], resolution: int) -> None:
    """Source and driving frames once, then what each row's first seed made of them.

    Args:
      examples: {row: examples.png of a cell}; all of the same people.
      resolution: of the models.
    """
    scale, gap = max(1, 96 // resolution), 6
    read = {name: np.asarray(Image.open(file).convert("RGB")) for name, file in examples.items()}
    first = next(iter(read.values()))
    strips = {"source": first[:resolution], "driving": first[resolution : 2 * resolution]}
    strips |= {name: picture[2 * resolution :] for name, picture in read.items()}
    large = [strip.repeat(scale, 0).repeat(scale, 1) for strip in strips.values()]
    sheet = np.concatenate(
        [np.pad(s, ((0, gap), (0, 0), (0, 0)), constant_values=255) for s in large]
    )
    height = large[0].shape[0]
    # Names beside the strips, in the fonts of the plots, which have λ.
    figure, (axis,) = _figure(2 + sheet.shape[1] / _DPI, 0.2 + sheet.shape[0] / _DPI)
    axis.imshow(sheet, interpolation="nearest")
    axis.set_yticks(
        [height / 2 + number * (height + gap) for number in range(len(strips))], list(strips)
    )
    axis.set_xticks([])
    axis.tick_params(length=0, labelsize=9)
    axis.spines[:].set_visible(False)
    figure.savefig(path)


def plot_tradeoff(
    path: Path, rows: Sequence[Row], turned: Mapping[str, float], sweep: Sequence[str]
) -> None:
    """Readability over reconstruction: what a penalty buys, what it costs, what turning adds.

    Args:
      rows: any; a dot each, numbered, small where it is of one seed.
      turned: {row: score of the same codes turned afterwards}, an open circle above its dot.
      sweep: names of rows to be joined by a line, in order.
    """
    figure, (axis,) = _figure(9, 5)
    points = {
        row.name: (row.statistics["pooled_psnr"].value, row.statistics["dci_d"].value)
        for row in rows
        if "dci_d" in row.statistics
    }
    line = [points[name] for name in sweep if name in points]
    if line:
        axis.plot(*zip(*line, strict=True), color=_CONTROL, linewidth=1, zorder=1, label="λ₂")
    seeds = {row.name: len(row.seeds) for row in rows}
    offsets = _label_offsets(list(points.values()))
    for number, (name, (psnr, score)) in enumerate(points.items(), 1):
        size = 30 if seeds[name] > 1 else 12
        of = "seed" if seeds[name] == 1 else "seeds"
        label = f"{number}  {name}, {seeds[name]} {of}"
        axis.scatter([psnr], [score], s=size, color=_VALUE, zorder=2, label=label)
        if name in turned:
            axis.plot([psnr, psnr], [score, turned[name]], color=_VALUE, linewidth=0.6, alpha=0.5)
            axis.scatter([psnr], [turned[name]], s=size, facecolors="white", edgecolors=_VALUE)
        axis.annotate(
            str(number),
            (psnr, score),
            fontsize=8,
            ha="center",
            va="center",
            xytext=offsets[number - 1],
            textcoords="offset points",
        )
    axis.scatter(
        [], [], s=22, facecolors="white", edgecolors=_VALUE, label="turned, ℓ1 of deviations"
    )
    axis.set_xlabel("PSNR, dB", fontsize=9)
    axis.set_ylabel("DCI disentanglement", fontsize=9)
    axis.grid(color="#e6e6e6")
    axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5), handlelength=1)
    figure.savefig(path)


def _label_offsets(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Where a short label of each goes, in points from its dot: clear of the labels before it."""
    places = np.array(points, float).reshape(-1, 2)
    spread = np.maximum(np.ptp(places, axis=0), 1e-9) if len(places) else 1.0
    # About as many points as the axes of `plot_tradeoff` are wide and high.
    dots = places / spread * (380, 260)
    around = [
        (9.0 * x, 8.0 * y) for x, y in ((1, -1), (-1, -1), (1, 1), (-1, 1), (0, -1.4), (0, 1.4))
    ]
    taken: list[np.ndarray] = []
    offsets: list[tuple[float, float]] = []
    for dot in dots:
        others = [*taken, *(each for each in dots if each is not dot)]

        def room(offset: tuple[float, float], dot=dot, others=others) -> float:
            gaps = [np.abs((dot + offset - other) / (1.4, 1)).max() for other in others]
            return min(min(gaps, default=9.0), 9.0)

        best = max(around, key=room)
        taken.append(dot + best)
        offsets.append(best)
    return offsets


def plot_kurtosis(path: Path, pairs: Mapping[str, tuple[Row, Row]]) -> None:
    """What sparsity changes for each factor, over the factor's excess kurtosis.

    A large mark is the difference of the means over seeds, small ones those seed by seed.

    Args:
      pairs: {distribution: (dense, sparse)}.
    """
    figure, (axis,) = _figure(8.5, 4.5)
    factors = list(dict.fromkeys(name for dense, _ in pairs.values() for name in dense.factors))
    marks = {name: _MARKS[number % len(_MARKS)] for number, name in enumerate(factors)}
    for number, (distribution, (dense, sparse)) in enumerate(pairs.items()):
        colour, missing = f"C{number}", []
        for factor in (f for f in dense.factors if f in sparse.factors):
            gain = sparse.factors[factor]["completeness"] - dense.factors[factor]["completeness"]
            if math.isnan(gain):
                missing.append(factor)
                continue
            kurtosis, mark = dense.factors[factor]["kurtosis"], marks[factor]
            of_sparse, of_dense = (
                dict(zip(row.seeds, row.factors[factor]["completeness_of_seeds"], strict=True))
                for row in (sparse, dense)
            )
            gains = differences(of_sparse, of_dense)
            each = gains.values if gains else ()
            axis.scatter([kurtosis] * len(each), each, color=colour, marker=mark, s=9, alpha=0.4)
            axis.scatter([kurtosis], [gain], color=colour, marker=mark, s=42)
        label = f"{distribution}, seeds: {len(dense.seeds)}"
        label += f"; not found: {', '.join(missing)}" if missing else ""
        axis.scatter([], [], color=colour, label=label)
    for factor, mark in marks.items():
        axis.scatter([], [], color="#505050", marker=mark, label=factor)
    axis.axhline(0, color=_CONTROL, linewidth=0.8)
    axis.margins(x=0.1)
    axis.set_xlabel("excess kurtosis of the factor", fontsize=9)
    axis.set_ylabel("DCI completeness, sparse − dense", fontsize=9)
    axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path)
