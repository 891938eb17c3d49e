"""The report of the study of readability: docs/interpretability.md, .json and pictures."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from liax_jax.studies import plots
from liax_jax.studies.cell_measures import EXAMPLES_NAME, KIND, read_codes
from liax_jax.studies.cells import Study
from liax_jax.studies.document import fill, provenance, rows_table, shown, table, write_json
from liax_jax.studies.rows import Row, above_control, make_rows, paired
from liax_jax.studies.targets import readability_targets, remedies_table, targets_table

# Of the rows that targets and pictures compare; configs/studies/interpretability.py names them.
DENSE, SPARSE, RELEASED = "dense", "sparse", "sparse, released"
# The basis found as the penalty would, and the one that knows of variances alone.
TURNED, PRINCIPAL = "rotated (l1 of frames)", "rotated (pca)"
COLUMNS = {
    "pooled_psnr": ("PSNR, dB (copy)", 2, True),
    "dci_d": ("DCI-D (control)", 2, True),
    "mig_frames": ("MIG (control)", 2, True),
    "matched": ("matched correlation (control)", 2, True),
    "matched_above": ("above its control", 2, False),
}
SCORE_COLUMNS = {
    "found": ("factors found", 1, False),
    "dci_i": ("informativeness", 2, False),
    "dci_d_all": ("DCI-D of all factors (control)", 2, True),
    "dci_d_used": ("of used vectors (control)", 2, True),
    "forest_d": ("with a forest (control)", 2, True),
    "dci_c": ("DCI-C (control)", 2, True),
    "mig": ("MIG of deviations (control)", 2, True),
    "sap": ("SAP (control)", 2, True),
}
OTHER_COLUMNS = {
    "modularity": ("modularity (control)", 2, True),
    "irs": ("IRS (control)", 2, True),
    "udr": ("UDR (control)", 2, True),
    "linear_r2": ("linear R² between seeds", 2, False),
    "gini_deviations": ("Gini (control)", 2, True),
    "effective_vectors_deviations": ("effective vectors (control)", 1, True),
    "mean_abs": ("mean abs. α", 3, False),
    "l1": ("L1 (copy)", 4, True),
    "ssim": ("SSIM (copy)", 2, True),
}
_COMPARED = (
    (SPARSE, DENSE),
    (SPARSE, f"{DENSE}, {TURNED}"),
    (SPARSE, f"{DENSE}, {PRINCIPAL}"),
    (f"{DENSE}, {TURNED}", f"{DENSE}, {PRINCIPAL}"),
    (f"{SPARSE}, {TURNED}", SPARSE),
    (RELEASED, DENSE),
    (RELEASED, SPARSE),
)
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
    sweep = [row.name for row in sorted(main, key=_lambda) if _is_of_sweep(row)]
    pictures = docs / study.name
    pictures.mkdir(parents=True, exist_ok=True)
    if rows:
        _draw(study, results, root, pictures, main, pairs)
        plots.plot_tradeoff(pictures / "tradeoff.png", main, sweep)
    parts = {
        "provenance": provenance(study, results),
        "targets": targets_table(targets),
        "remedies": remedies_table(by_name.get(DENSE), main),
        "comparisons": _comparisons_table(by_name),
        "main": rows_table(main, COLUMNS),
        "scores": rows_table(main, SCORE_COLUMNS),
        "other": rows_table(main, OTHER_COLUMNS),
        "distributions": _distributions_table(pairs, by_name),
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


def _lambda(row: Row) -> float:
    return row.settings["lambda2"]


def _is_of_sweep(row: Row) -> bool:
    """Cells that differ in λ₂ alone, named so."""
    return row.name in (DENSE, SPARSE) or (row.name.startswith("λ₂ ") and "," not in row.name)


def _comparisons_table(rows: Mapping[str, Row]) -> str:
    """Differences seed by seed, which are surer than those of the means."""
    lines = []
    for first, second in _COMPARED:
        if first not in rows or second not in rows:
            continue
        line = [paired(rows[first], rows[second], measure) for measure in ("dci_d", "dci_d_all")]
        # Turning a dictionary changes no picture.
        trained_alike = first.startswith(second) or "rotated" in first
        psnr = None if trained_alike else paired(rows[first], rows[second], "pooled_psnr")
        texts = [*(shown(found, 3) for found in line), shown(psnr, 2)]
        lines.append([f"{first} − {second}", *texts])
    for row in (rows[name] for name in (SPARSE, DENSE) if name in rows):
        texts = [shown(above_control(row, measure), 3) for measure in ("dci_d", "dci_d_all")]
        lines.append([f"{row.name} − its control", *texts, "–"])
    return table(("seed by seed", "DCI-D", "DCI-D of all factors", "PSNR, dB"), lines)


def _distributions_table(pairs: Mapping[str, tuple[Row, Row]], rows: Mapping[str, Row]) -> str:
    header = [
        "distribution", "kurtosis", "seeds", "PSNR dense", "sparse", "factors found, dense",
        "sparse", "DCI-D dense", "dense, turned (l1)", "dense, turned (pca)", "sparse",
        "standardized", "gain, sparse − dense",
    ]  # fmt: skip
    lines = []
    for name, (dense, sparse) in pairs.items():
        kurtosis = [about["kurtosis"] for about in dense.factors.values()]
        prefix = dense.name.removesuffix(DENSE)
        compared = [
            dense,
            rows.get(f"{dense.name}, {TURNED}"),
            rows.get(f"{dense.name}, {PRINCIPAL}"),
            sparse,
            rows.get(f"{prefix}standardized"),
        ]
        psnr, found = (
            [shown(row.statistics.get(key), digits, False) for row in (dense, sparse)]
            for key, digits in (("pooled_psnr", 2), ("found", 1))
        )
        lines.append(
            [
                name,
                f"{sum(kurtosis) / len(kurtosis):+.2f}",
                str(len(dense.seeds)),
                *psnr,
                *found,
                *(shown(row.statistics["dci_d"] if row else None, 3) for row in compared),
                shown(paired(sparse, dense, "dci_d"), 3),
            ]
        )
    return table(header, lines)


def _factors_table(dense: Row | None, sparse: Row | None) -> str:
    header = ("factor", "kurtosis", "R² dense", "R² sparse", "completeness dense", "sparse")
    if dense is None or sparse is None:
        return table(header, [])
    lines = []
    for name, about in dense.factors.items():
        other = sparse.factors[name]
        pairs = [(about[key], other[key]) for key in ("r2", "completeness")]
        values = ["–" if math.isnan(value) else f"{value:.2f}" for pair in pairs for value in pair]
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
    panels = {
        "dci_d": "DCI disentanglement",
        "mig_frames": "MIG",
        "matched": "matched correlation",
        "pooled_psnr": "PSNR, dB",
    }
    plots.plot_rows(pictures / "rows.png", main, panels)
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
