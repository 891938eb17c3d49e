"""The report of the study of readability: docs/interpretability.md, .json and pictures."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from liax_jax.studies import plots
from liax_jax.studies.axes_afterwards import axes_by_row
from liax_jax.studies.cell_measures import EXAMPLES_NAME, KIND, read_codes
from liax_jax.studies.cells import Study
from liax_jax.studies.document import fill, provenance, rows_table, shown, table, write_json
from liax_jax.studies.rows import Row, above_control, make_rows, paired
from liax_jax.studies.seed_statistics import Statistic
from liax_jax.studies.targets import readability_targets, remedies_table, targets_table

# Of the rows that targets and pictures compare; configs/studies/interpretability.py names them.
DENSE, SPARSE, RELEASED = "dense", "sparse", "sparse, released"
# Trained for more steps.
LONGER_DENSE = f"{DENSE}, longer"
LONGER_SPARSE = ("λ₂ 0.01, longer", "λ₂ 0.03, longer")
# Bases found afterwards: as the penalty of eq. 9 would, on frames; and on deviations by sparsity
# and by variances alone.
OF_FRAMES, TURNED, PRINCIPAL = "rotated (l1 of frames)", "rotated (l1)", "rotated (pca)"
COLUMNS = {
    "pooled_psnr": ("PSNR, dB (copy)", 2, True),
    "dci_d": ("DCI-D (control)", 2, True),
    "mig_frames": ("MIG of frames (control)", 2, True),
    "matched": ("matched correlation (control)", 2, True),
    "matched_above": ("above its control", 2, False),
}
SCORE_COLUMNS = {
    "dci_d_all": ("DCI-D of all factors (control)", 2, True),
    "dci_d_used": ("of used vectors (control)", 2, True),
    "forest_d": ("with a forest (control)", 2, True),
    "dci_c": ("DCI-C (control)", 2, True),
    "mig": ("MIG of deviations (control)", 2, True),
    "sap": ("SAP (control)", 2, True),
    "modularity": ("modularity (control)", 2, True),
    "irs": ("IRS (control)", 2, True),
}
SPARSITY_COLUMNS = {
    "gini_deviations": ("Gini (control)", 2, True),
    "effective_vectors_deviations": ("effective vectors (control)", 1, True),
    "mean_abs": ("mean abs. α", 3, False),
    "udr": ("UDR (control)", 2, True),
}
# What doesn't depend on the axes.
TRAINED_COLUMNS = {
    "l1": ("L1 (copy)", 4, True),
    "ssim": ("SSIM (copy)", 2, True),
    "psnr": ("PSNR, mean over frames, dB (copy)", 2, True),
    "found": ("factors found", 1, False),
    "dci_i": ("R² of factors, mean", 2, False),
    "linear_r2": ("linear R² between seeds", 2, False),
    "minutes": ("minutes of training", 0, False),
}
_COMPARED = (
    (SPARSE, DENSE),
    (SPARSE, f"{DENSE}, {TURNED}"),
    (f"{DENSE}, {TURNED}", DENSE),
    (f"{DENSE}, {TURNED}", f"{DENSE}, {PRINCIPAL}"),
    (f"{SPARSE}, {OF_FRAMES}", SPARSE),
    (RELEASED, DENSE),
    (RELEASED, SPARSE),
    *((name, LONGER_DENSE) for name in LONGER_SPARSE),
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
    trained = [row for row in rows if row.settings["rotation"] is None]
    alike = [row for row in trained if _moves_alike(row, study)]
    axes = axes_by_row(study, results, root)
    pairs = distribution_pairs(rows)
    sweep = [row.name for row in sorted(trained, key=_lambda) if _is_of_sweep(row)]
    pictures = docs / study.name
    pictures.mkdir(parents=True, exist_ok=True)
    if rows:
        _draw(study, results, root, pictures, rows, pairs, sweep)
        turned = {name: found["l1 of frames"].value for name, found in axes.items()}
        plots.plot_tradeoff(pictures / "tradeoff.png", alike, turned, sweep)
    parts = {
        "provenance": provenance(study, results),
        "targets": targets_table(targets),
        "remedies": remedies_table(
            [by_name[name] for name in (DENSE, LONGER_DENSE) if name in by_name], alike, axes
        ),
        "comparisons": _comparisons_table(by_name),
        "main": rows_table(rows, COLUMNS),
        "distributions": _distributions_table(pairs),
        "axes": _axes_table(pairs, axes),
        "factors": _factors_table(by_name.get(DENSE), by_name.get(SPARSE)),
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
            "codes": KIND,
            "targets": [target.to_json() for target in targets],
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


def distribution_pairs(rows: Sequence[Row]) -> dict[str, tuple[Row, Row]]:
    """{distribution: (dense, sparse)} of rows that differ in λ₂ and distribution alone."""
    found: dict[str, dict[bool, Row]] = {}
    for row in rows:
        name = row.settings["distribution"]
        if row.name in (DENSE, SPARSE, f"{name}, {DENSE}", f"{name}, {SPARSE}"):
            found.setdefault(name, {})[row.settings["penalty"] != "none"] = row
    return {name: (pair[False], pair[True]) for name, pair in found.items() if len(pair) == 2}


def _moves_alike(row: Row, study: Study) -> bool:
    """Whether its people move as those of the first cell do, so that PSNR can be compared."""
    usual = study.cells[0].config.data.procedural
    moving = list(usual.moving)
    return (row.settings["distribution"], row.settings["moving"]) == (usual.distribution, moving)


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
        turned = "rotated" in first
        psnr = None if turned else paired(rows[first], rows[second], "pooled_psnr")
        texts = [*(shown(found, 3) for found in line), shown(psnr, 2)]
        lines.append([f"{first} − {second}", *texts])
    for row in (rows[name] for name in (SPARSE, DENSE) if name in rows):
        texts = [shown(above_control(row, measure), 3) for measure in ("dci_d", "dci_d_all")]
        lines.append([f"{row.name} − its control", *texts, "–"])
    return table(("seed by seed", "DCI-D", "DCI-D of all factors", "PSNR, dB"), lines)


def _distributions_table(pairs: Mapping[str, tuple[Row, Row]]) -> str:
    """What training with the penalty does, by the distribution of the factors."""
    header = [
        "distribution", "kurtosis", "seeds", "PSNR dense", "PSNR sparse", "found dense",
        "found sparse", "DCI-D dense (control)", "DCI-D sparse (control)", "gain",
    ]  # fmt: skip
    lines = []
    for name, (dense, sparse) in pairs.items():
        kurtosis = [about["kurtosis"] for about in dense.factors.values()]
        both = [
            shown(row.statistics.get(key), digits, control)
            for key, digits, control in (
                ("pooled_psnr", 2, False),
                ("found", 1, False),
                ("dci_d", 2, True),
            )
            for row in (dense, sparse)
        ]
        gain = shown(paired(sparse, dense, "dci_d"), 2)
        mean = f"{sum(kurtosis) / len(kurtosis):+.2f}"
        lines.append([name, mean, str(len(dense.seeds)), *both, gain])
    return table(header, lines)


def _axes_table(
    pairs: Mapping[str, tuple[Row, Row]], axes: Mapping[str, Mapping[str, Statistic]]
) -> str:
    """Which axes of the dense models' codes each criterion finds, by the factors' distribution."""
    header = [
        "distribution", "random", "ℓ1, of frames", "principal axes, of frames",
        "ℓ1, of deviations", "principal axes, of deviations",
        "equal sizes: random", "equal sizes: ℓ1",
    ]  # fmt: skip
    lines = []
    for name, (dense, _) in pairs.items():
        found = axes.get(dense.name)
        if found is None:
            continue
        forms = [
            found[f"{criterion} of {form}"]
            for form in ("frames", KIND)
            for criterion in ("l1", "pca")
        ]
        equal = found["l1 of equal sizes"]
        lines.append(
            [
                name,
                f"{forms[0].control:.2f}",
                *(shown(score, 2, control=False) for score in forms),
                f"{equal.control:.2f}",
                shown(equal, 2, control=False),
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
    plots.plot_rows(pictures / "rows.png", rows, panels)
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
