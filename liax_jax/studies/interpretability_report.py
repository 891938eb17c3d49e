"""The report of the study of readability: docs/interpretability.md, .json and pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from liax_jax.studies import plots
from liax_jax.studies.cell_measures import EXAMPLES_NAME, KIND, read_codes
from liax_jax.studies.cells import Study
from liax_jax.studies.document import fill, provenance, rows_table, table, write_json
from liax_jax.studies.rows import Row, make_rows
from liax_jax.studies.targets import readability_targets, targets_table

# Of the rows that targets and pictures compare; configs/studies/interpretability.py names them.
DENSE, SPARSE = "dense", "sparse"
COLUMNS = {
    "pooled_psnr": ("PSNR, dB (copy)", 2, True),
    "dci_i": ("informativeness", 2, False),
    "dci_d": ("DCI-D (control)", 3, True),
    "mig": ("MIG (control)", 3, True),
    "matched": ("matched correlation (control)", 2, True),
    "gini": ("Gini (control)", 2, True),
    "effective_vectors": ("effective vectors (control)", 1, True),
}
MORE_COLUMNS = {
    "dci_c": ("DCI-C", 3, True),
    "forest_d": ("DCI-D, forest", 3, True),
    "sap": ("SAP", 3, True),
    "modularity": ("modularity", 3, True),
    "irs": ("IRS", 3, True),
    "udr": ("UDR", 2, True),
    "linear_r2": ("linear R² between seeds", 2, False),
}
_FIGURE_FRAMES = 200


def write_interpretability(
    study: Study, results: Mapping[str, dict[str, Any]], root: Path, docs: Path
) -> None:
    """Writes the report from what has run so far; see `Study.write_report`.

    Raises:
      ImportError: without matplotlib.
      FileNotFoundError, ValueError: the page isn't there, or has no marks.
    """
    plots.require_matplotlib()
    rows = make_rows(study, results, root)
    by_name = {row.name: row for row in rows}
    targets = readability_targets(by_name.get(SPARSE), by_name.get(DENSE))
    main = [row for row in rows if not _of_distribution(row, study)]
    pairs = distribution_pairs(rows)
    pictures = docs / study.name
    pictures.mkdir(parents=True, exist_ok=True)
    if rows:
        _draw(study, results, root, pictures, main, pairs)
    parts = {
        "provenance": provenance(study, results),
        "targets": targets_table(targets),
        "main": rows_table(main, COLUMNS),
        "more": rows_table(main, MORE_COLUMNS),
        "distributions": _distributions_table(pairs),
        "factors": _factors_table(by_name.get(DENSE), by_name.get(SPARSE)),
    }
    write_json(
        docs / f"{study.name}.json",
        {
            "study": study.name,
            "codes": KIND,
            "targets": [target.to_json() for target in targets],
            "rows": [row.to_json() for row in rows],
            "cells": {name: _short(result) for name, result in results.items()},
        },
    )
    fill(docs / f"{study.name}.md", parts)


def describe_cell(result: Mapping[str, Any]) -> str:
    """A finished cell in a line."""
    psnr = result["reconstruction"]["pooled_psnr"]
    text = f"{psnr['mean']:.2f} dB (copy {psnr['copy_source']:.2f})"
    if "readability" in result:
        score = result["readability"][KIND]["scores"]["ridge/disentanglement"]
        text += f", DCI-D {score['value']:.3f} (rotated {score['control']:.3f})"
    return text


def distribution_pairs(rows: Sequence[Row]) -> dict[str, tuple[Row, Row]]:
    """{distribution: (dense, sparse)} of rows that differ in λ₂ and distribution alone."""
    found: dict[str, dict[bool, Row]] = {}
    for row in rows:
        name = row.settings["distribution"]
        if row.name in (DENSE, SPARSE, f"{name}, {DENSE}", f"{name}, {SPARSE}"):
            found.setdefault(name, {})[row.settings["penalty"] != "none"] = row
    return {name: (pair[False], pair[True]) for name, pair in found.items() if len(pair) == 2}


def _of_distribution(row: Row, study: Study) -> bool:
    return row.settings["distribution"] != study.cells[0].config.data.procedural.distribution


def _distributions_table(pairs: Mapping[str, tuple[Row, Row]]) -> str:
    header = ("distribution", "kurtosis", "PSNR dense", "PSNR sparse", "DCI-D dense")
    lines = []
    for name, (dense, sparse) in pairs.items():
        kurtosis = [about["kurtosis"] for about in dense.factors.values()]
        of = [row.statistics[key] for key in ("pooled_psnr", "dci_d") for row in (dense, sparse)]
        gain = of[3].value - of[2].value
        lines.append(
            [
                name,
                f"{sum(kurtosis) / len(kurtosis):+.2f}",
                f"{of[0].value:.2f}",
                f"{of[1].value:.2f}",
                *(f"{s.value:.3f} ({s.control:.3f})" for s in of[2:]),
                f"{gain:+.3f}",
            ]
        )
    return table((*header, "DCI-D sparse", "gain"), lines)


def _factors_table(dense: Row | None, sparse: Row | None) -> str:
    header = ("factor", "kurtosis", "R² dense", "R² sparse", "completeness dense", "sparse")
    if dense is None or sparse is None:
        return table(header, [])
    lines = []
    for name, about in dense.factors.items():
        other = sparse.factors[name]
        pairs = [(about[key], other[key]) for key in ("r2", "completeness")]
        values = [f"{value:.2f}" for pair in pairs for value in pair]
        lines.append([name, f"{about['kurtosis']:+.1f}", *values])
    return table(header, lines)


def _draw(
    study: Study,
    results: Mapping[str, dict[str, Any]],
    root: Path,
    pictures: Path,
    main: Sequence[Row],
    pairs: Mapping[str, tuple[Row, Row]],
) -> None:
    shown = {"dci_d": "DCI disentanglement", "mig": "MIG", "matched": "matched correlation"}
    plots.plot_rows(pictures / "rows.png", main, shown | {"pooled_psnr": "PSNR, dB"})
    finished = [cell for cell in study.cells if cell.name in results]
    curves: dict[str, list[Any]] = {}
    for cell in finished:
        curves.setdefault(cell.row, []).append(results[cell.name]["curve"])
    plots.plot_curves(pictures / "curves.png", curves)
    first = {cell.row: cell for cell in reversed(finished)}
    # Fig. 3 of the paper: the same people, frame by frame.
    codes = {
        name: read_codes(first[name].folder(root)).alpha[:_FIGURE_FRAMES]
        for name in (DENSE, SPARSE)
        if name in first
    }
    if codes:
        plots.plot_coefficients(pictures / "coefficients.png", codes)
    if pairs:
        plots.plot_kurtosis(pictures / "kurtosis.png", pairs)
    usual = study.cells[0].config.data.procedural.distribution
    examples = {
        cell.row: cell.folder(root) / EXAMPLES_NAME
        for cell in dict.fromkeys(first[c.row] for c in finished)
        if cell.config.data.procedural.distribution == usual
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
