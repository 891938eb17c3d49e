"""The report of the ablations: docs/ablations.md, .json and pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from liax_jax.plotting import require_matplotlib
from liax_jax.studies import plots
from liax_jax.studies.cell_measures import EXAMPLES_NAME, read_codes
from liax_jax.studies.cells import Study
from liax_jax.studies.document import fill, origin, provenance, shown, table, write_json
from liax_jax.studies.rows import Row, make_rows

# Questions of the paper, and the rows that answer them; configs/studies/ablations.py names them.
BASE, DENSE, LIA = "LIA-X", "LIA-X, dense", "LIA"
LIA_HALF = "LIA, half as wide"
HALF, QUARTER = "LIA-X, half as wide", "LIA-X, a quarter as wide"
QUESTIONS: dict[str, Sequence[str]] = {
    "sparsity": (BASE, DENSE),
    "family": (BASE, DENSE, LIA_HALF, LIA),
    "width": (QUARTER, HALF, BASE),
}
_FIGURE_FRAMES = 160


def write_ablations(
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
    about = origin(study, results)
    parts = {"provenance": provenance(about) + _floors(results)}
    for question, names in QUESTIONS.items():
        parts[question] = _table([by_name[name] for name in names if name in by_name], question)
    pictures = docs / study.name
    pictures.mkdir(parents=True, exist_ok=True)
    if rows:
        _draw(study, results, root, pictures, rows)
    write_json(
        docs / f"{study.name}.json",
        {"study": study.name, "origin": about, "rows": [row.to_json() for row in rows]},
    )
    fill(docs / f"{study.name}.md", parts)


def _floors(results: Mapping[str, dict[str, Any]]) -> str:
    """What needs no model; the same for all cells, which are evaluated on the same clips."""
    if not results:
        return ""
    reconstruction = next(iter(results.values()))["reconstruction"]
    words = {"copy_source": "the source frame for every frame", "copy_mean": "the mean of them all"}
    parts = [
        f"{words[name]} L1 {of['l1']:.4f}, PSNR {of['psnr']:.2f} dB, SSIM {of['ssim']:.3f}"
        for name, of in reconstruction["floors"].items()
    ]
    return f"- On the {reconstruction['clips']} clips: {'; '.join(parts)}.\n"


def _table(rows: Sequence[Row], question: str) -> str:
    header = ["model", "parameters", "seeds", "L1", "PSNR, dB (copy)"]
    header += ["PSNR of pooled error, dB (copy)", "SSIM"]
    more = {"gini": "Gini (rotated)", "effective_vectors": "effective vectors (rotated)"}
    lines = []
    for row in rows:
        of = row.statistics
        line = [row.name, f"{row.settings['parameters']:,}", str(len(row.seeds))]
        line += [shown(of["l1"], 4, False), shown(of["psnr"], 2), shown(of["pooled_psnr"], 2)]
        line.append(shown(of["ssim"], 3, False))
        if question == "sparsity":
            line += [shown(of.get(name), 2) for name in more]
        lines.append(line)
    return table(header + list(more.values()) * (question == "sparsity"), lines)


def _draw(
    study: Study,
    results: Mapping[str, dict[str, Any]],
    root: Path,
    pictures: Path,
    rows: Sequence[Row],
) -> None:
    shown_here = {"psnr": "PSNR, dB", "ssim": "SSIM", "gini": "Gini of |α|"}
    plots.plot_rows(pictures / "rows.png", rows, shown_here)
    finished = [cell for cell in study.cells if cell.name in results]
    curves: dict[str, list[Any]] = {}
    for cell in finished:
        curves.setdefault(cell.row, []).append(results[cell.name]["curve"])
    plots.plot_curves(pictures / "curves.png", curves)
    first = {cell.row: cell for cell in reversed(finished)}
    codes = {
        name: read_codes(first[name].folder(root)).alpha[:_FIGURE_FRAMES]
        for name in (DENSE, BASE)
        if name in first
    }
    if codes:
        plots.plot_coefficients(pictures / "coefficients.png", codes)
    examples = {row: cell.folder(root) / EXAMPLES_NAME for row, cell in first.items()}
    plots.examples_sheet(
        pictures / "examples.png", examples, study.cells[0].config.model.resolution
    )
