"""The report of the study of readability: docs/interpretability.md, .json and pictures."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from liax_jax.plotting import require_matplotlib
from liax_jax.studies import plots
from liax_jax.studies.axes_afterwards import axes_by_row, axes_of_cell
from liax_jax.studies.cell_measures import EXAMPLES_NAME, KIND, read_codes
from liax_jax.studies.cells import Study
from liax_jax.studies.document import (
    fill,
    origin,
    provenance,
    rows_table,
    write_json,
)
from liax_jax.studies.readability_tables import (
    AIMED_AT,
    COLUMNS,
    DENSE,
    KEYS,
    LONGER_DENSE,
    LONGER_SPARSE,
    RELEASED,
    SCORE_COLUMNS,
    SETTINGS,
    SEVEN_DENSE,
    SPARSE,
    SPARSITY_COLUMNS,
    TRAINED_COLUMNS,
    axes_table,
    comparisons_table,
    distribution_pairs,
    distributions_table,
    factors_table,
)
from liax_jax.studies.rows import Row, make_rows
from liax_jax.studies.targets import readability_targets, remedies_table, targets_table

_FIGURE_FRAMES = 200


def write_interpretability(
    study: Study, results: Mapping[str, dict[str, Any]], root: Path, docs: Path
) -> None:
    """Writes the report from what has run so far; see `Study.write_report`.

    Raises:
      ImportError: without matplotlib.
      FileNotFoundError, ValueError: the page isn't there, or has no marks.
    """
    require_matplotlib()
    rows = make_rows(study, results, root)
    by_name = {row.name: row for row in rows}
    targets = {
        name: readability_targets(by_name.get(sparse), by_name.get(dense))
        for name, (sparse, dense) in AIMED_AT.items()
    }
    trained = [row for row in rows if row.settings["rotation"] is None]
    alike = [row for row in trained if _moves_alike(row, study)]
    axes = axes_by_row(study, results, root)
    pairs = distribution_pairs(rows)
    sweep = [row.name for row in sorted(trained, key=_lambda) if _is_of_sweep(row)]
    pictures = docs / study.name
    pictures.mkdir(parents=True, exist_ok=True)
    if rows:
        _draw(study, results, root, pictures, rows, pairs, sweep)
        turned = {name: found[f"l1 of {KIND}"].value for name, found in axes.items()}
        plots.plot_tradeoff(pictures / "tradeoff.png", alike, turned, sweep)
    about = origin(study, results)
    parts = {
        "provenance": provenance(about),
        **{name: targets_table(of_pair) for name, of_pair in targets.items()},
        "remedies": remedies_table(
            [by_name[n] for n in (DENSE, LONGER_DENSE, SEVEN_DENSE) if n in by_name], trained, axes
        ),
        "comparisons": comparisons_table(by_name),
        "main": rows_table(rows, COLUMNS, SETTINGS),
        "distributions": distributions_table(pairs),
        "axes": axes_table(pairs, axes),
        "factors": factors_table(by_name.get(DENSE), by_name.get(SPARSE)),
    }
    scores = {
        "scores": rows_table(rows, SCORE_COLUMNS),
        "sparsity": rows_table(rows, SPARSITY_COLUMNS),
        "trained": rows_table(trained, TRAINED_COLUMNS),
    }
    write_json(
        docs / f"{study.name}.json",
        {
            "study": study.name,
            "origin": about,
            "keys": KEYS,
            "codes": KIND,
            **{name: [target.to_json() for target in of] for name, of in targets.items()},
            "rows": [row.to_json() for row in rows],
            "axes": {
                row: {name: dataclasses.asdict(statistic) for name, statistic in found.items()}
                for row, found in axes.items()
            },
            "cells": {name: _short(result) for name, result in results.items()},
        },
    )
    fill(docs / f"{study.name}.md", parts)
    fill(docs / f"{study.name}_scores.md", scores)


def describe_cell(result: Mapping[str, Any]) -> str:
    """A finished cell in a line."""
    psnr = result["reconstruction"]["pooled_psnr"]
    text = f"{psnr['mean']:.2f} dB (copy {psnr['copy_source']:.2f})"
    if "readability" in result:
        score = result["readability"][KIND]["scores"]["ridge/disentanglement"]
        text += f", DCI-D {score['value']:.3f} (rotated {score['control']:.3f})"
    return text


def _moves_alike(row: Row, study: Study) -> bool:
    """Whether its people move as those of the first cell do, so that PSNR can be compared."""
    usual = study.cells[0].config.data.procedural
    return row.motion == (usual.distribution, tuple(usual.moving))


def _lambda(row: Row) -> float:
    return row.settings["lambda2"]


def _is_of_sweep(row: Row) -> bool:
    """Cells that differ in λ₂ alone, named so."""
    return row.name in (DENSE, SPARSE) or (row.name.startswith("λ₂ ") and "," not in row.name)


def _draw(
    study: Study,
    results: Mapping[str, dict[str, Any]],
    root: Path,
    pictures: Path,
    rows: Sequence[Row],
    pairs: Mapping[str, tuple[Row, Row]],
    sweep: Sequence[str],
) -> None:
    panels = {
        "dci_d": "DCI disentanglement",
        "mig_frames": "MIG of frames",
        "matched": "matched correlation",
        "pooled_psnr": "PSNR, dB",
    }
    for file, turned in (("rows.png", False), ("rows_turned.png", True)):
        chosen = [row for row in rows if (row.settings["rotation"] is not None) == turned]
        if chosen:
            plots.plot_rows(pictures / file, chosen, panels)
    finished = [cell for cell in study.cells if cell.name in results]
    alike = {row.name for row in rows if _moves_alike(row, study)}
    for file, shown_rows in (
        ("curves.png", (*sweep, RELEASED)),
        ("curves_longer.png", (LONGER_DENSE, *LONGER_SPARSE)),
    ):
        curves: dict[str, list[Any]] = {}
        for cell in finished:
            if cell.row in shown_rows:
                curves.setdefault(cell.row, []).append(results[cell.name]["curve"])
        if curves:
            plots.plot_curves(pictures / file, curves)
    first = {cell.row: cell for cell in reversed(finished)}
    codes = {}
    for name in (DENSE, SPARSE, *LONGER_SPARSE):
        if name in first:
            codes[name] = read_codes(first[name].folder(root))
        if name == DENSE and name in first:
            turned = codes[name].alpha @ axes_of_cell(first[name], root).matrix
            codes[f"{name}, turned"] = dataclasses.replace(codes[name], alpha=turned)
    if codes:
        # Fig. 3 of the paper: the same people, frame by frame.
        clip = next(iter(codes.values())).clip[:_FIGURE_FRAMES]
        sizes = {
            name: found.alpha[:_FIGURE_FRAMES]
            for name, found in codes.items()
            if name not in LONGER_SPARSE
        }
        plots.plot_coefficients(pictures / "coefficients.png", sizes, clip)
        moved = {name: found.of_kind(KIND) for name, found in codes.items()}
        plots.plot_loadings(pictures / "loadings.png", moved)
    if pairs:
        plots.plot_kurtosis(pictures / "kurtosis.png", pairs)
    # In the order of the tables; all from the same frames.
    examples = {
        row: first[row].folder(root) / EXAMPLES_NAME
        for row in dict.fromkeys(cell.row for cell in study.cells)
        if row in alike and row in first
    }
    if examples:
        resolution = study.cells[0].config.model.resolution
        plots.examples_sheet(pictures / "examples.png", examples, resolution)


def _short(result: Mapping[str, Any]) -> dict[str, Any]:
    """A cell in the report's JSON: all but long lists."""
    left_out = ("curve", "readability", "rotated")
    kept = {name: value for name, value in result.items() if name not in left_out}
    if "readability" in result:
        kept["readability"] = {
            kind: {"scores": found["scores"], "factors": found["factors"]}
            for kind, found in result["readability"].items()
        }
    return kept
