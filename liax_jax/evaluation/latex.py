"""An evaluation as rows of a LaTeX table."""

from collections.abc import Mapping
from typing import Any

from liax_jax.evaluation.errors import counted
from liax_jax.evaluation.published_results import SOURCE, published_tables
from liax_jax.evaluation.text_table import number

_ESCAPED = {character: f"\\{character}" for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def latex_rows(results: Mapping[str, Any]) -> str:
    """Rows to be put into a tabular: this run, and what the paper prints for the same data.

    Figures are means over clips (set metrics: over all frames), as many digits as in the report.
    """
    protocol = results["protocol"]
    about = protocol["metrics"]
    names = list(about)
    arrows = [_escaped(name.upper()) + _arrow(about[name]["higher_is_better"]) for name in names]
    scores = {**results["mean"], **results["sets"]}
    lines = [
        f"% {protocol['name']}, {protocol['resolution']} px, {counted(protocol['clips'], 'clip')}, "
        f"{protocol['frames']} frames",
        " & ".join(["Method", *arrows]) + r" \\",
        r"\midrule",
    ]
    for table in published_tables(results["dataset"], protocol["name"], protocol["resolution"]):
        lines.append(f"% published figures: {SOURCE}, {table.where}, {table.about}")
        for system, figures in table.rows.items():
            printed = dict(zip(table.metrics, figures, strict=True))
            cells = [printed.get(name, "--") for name in names]
            lines.append(" & ".join([_escaped(system), *cells]) + r" \\")
    lines.append("% measured")
    own = [number(scores[name], about[name]["decimals"]).replace("–", "--") for name in names]
    lines.append(" & ".join([_escaped(results["title"]), *own]) + r" \\")
    return "\n".join(lines) + "\n"


def _arrow(up: bool | None) -> str:
    return "" if up is None else r" $\uparrow$" if up else r" $\downarrow$"


def _escaped(text: str) -> str:
    return "".join(_ESCAPED.get(character, character) for character in text)
