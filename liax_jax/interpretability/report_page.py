"""The report as one page for a browser, which needs no other file."""

import base64
import html
import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from liax_jax.interpretability.naming import UNNAMED
from liax_jax.interpretability.report_style import STYLE

if TYPE_CHECKING:
    from liax_jax.interpretability.direction_names import NamingAccuracy
    from liax_jax.interpretability.report_content import Report
    from liax_jax.interpretability.sparsity import Sparsity

_QUALITY = 88  # of pictures within the page


def report_page(report: "Report", pictures: dict[str, list[Path]]) -> str:
    """The whole report as one HTML page; pictures are PNG files by section."""
    effective = len(report.effective)
    named = sum(report.names[index] != UNNAMED for index in report.effective)
    rows = [
        *report.about.items(),
        ("directions", f"{len(report.findings)}, {effective} with an effect, {named} named"),
        ("portraits changed", _portraits(report)),
    ]
    parts = [
        "<h1>What the directions do</h1>",
        _table(("", ""), rows),
        "<h2>How few move a picture</h2>",
        _sparsity_table(report.sparsity),
        _figures(pictures["coefficients"]),
        "<h2>The directions, the most used first</h2>",
        _directions_table(report),
        *_accuracy_section(report.accuracy),
        "<h2>Traversals</h2>",
        "<p>One portrait along every direction. The last column shows where it changes.</p>",
        _figures(pictures["traversals"]),
        "<h2>Directions that do the same, or mirror each other</h2>",
        _relations_table(report),
        _figures(pictures["relations"]),
        "<h2>Shape of the coefficients and readability</h2>",
        "<p>Where coefficients vary equally, sparsity can find only factors that mostly rest (high "
        "kurtosis).</p>",
        _figures(pictures["kurtosis"]),
        "<h2>Direction by direction</h2>",
    ]
    for index in report.order:
        parts.append(f'<div id="d{index}">{_figures(pictures[f"direction {index}"])}</div>')
    title = html.escape(f"Directions of {report.about.get('checkpoint', 'a model')}")
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _portraits(report: "Report") -> str:
    found, portraits = report.faces
    place = "" if found else ": all are taken to be where `liax prepare` puts it"
    return f"{portraits} of {report.people} people, a face found in {found}{place}"


def _figures(paths: Sequence[Path]) -> str:
    tags = []
    for path in paths:
        # A quarter of the PNG's size, so that a report of 40 directions still opens at once.
        smaller = io.BytesIO()
        with Image.open(path) as picture:
            picture.save(smaller, "WEBP", quality=_QUALITY)
        data = base64.b64encode(smaller.getvalue()).decode()
        tags.append(f'<img src="data:image/webp;base64,{data}" alt="{html.escape(path.stem)}">')
    return "\n".join(tags)


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]], escape: bool = True) -> str:
    def cells(tag: str, row: Sequence[Any]) -> str:
        return "".join(f"<{tag}>{html.escape(str(c)) if escape else c}</{tag}>" for c in row)

    lines = [f"<tr>{cells('th', head)}</tr>"] if any(head) else []
    lines += [f"<tr>{cells('td', row)}</tr>" for row in rows]
    return "<table>" + "\n".join(lines) + "</table>"


def _sparsity_table(sparsity: "Sparsity") -> str:
    words = {
        "gini": "Gini index (0 all equal, 1 a single one)",
        "hoyer": "Hoyer index (0 all equal, 1 a single one)",
        "effective_vectors": "effective number of vectors in a frame",
        "active_vectors": "vectors above 5 % of the frame's largest",
    }
    rows = [
        (words.get(name, name), f"{value:.3f}", f"{sparsity.control[name]:.3f}")
        for name, value in sparsity.values.items()
    ]
    rows.append(("vectors used by all frames", f"{sparsity.used_vectors:.3f}", ""))
    return _table(("of coefficients within clips", "value", "in random bases"), rows)


def _directions_table(report: "Report") -> str:
    rows = []
    for index in report.order:
        finding, effect = report.findings[index], report.findings[index].effect
        motions = [(n, v) for n, v in list(finding.name.profile.items())[:3] if v]
        name = f'<span class="name">{html.escape(report.signed_name(index))}</span>'
        rows.append(
            (
                f'<a href="#d{index}">{index}</a>',
                name if finding.has_effect else "<i>no effect</i>",
                f"{finding.name.confidence:.2f}" if finding.has_effect else "",
                ", ".join(f"{n.replace('_', '&nbsp;')}&nbsp;{100 * v:+.1f}" for n, v in motions),
                f"±{finding.reach:.3g}",
                f"{finding.use:.2g}",
                f"{effect.reach_db:.1f}",
                f"{effect.monotonicity:.2f}",
                f"{effect.linearity:.2f}",
                "–" if effect.agreement is None else f"{effect.agreement:.2f}",
                f"{effect.background_l1:.4f}&nbsp;/ {effect.figure_l1:.4f}",
                "" if effect.identity is None else f"{effect.identity:.3f}",
                f"{finding.kurtosis:.1f}",
            )
        )
    head = (
        "direction",
        "name",
        "confidence",
        "motions, % of full range",
        "reach",
        "use",
        "change dB",
        "monotone",
        "linear R²",
        "agreement",
        "L1 background / figure",
        "identity drift",
        "kurtosis",
    )
    note = (
        "<p>A minus before a name: a positive coefficient makes the motion negative; the direction "
        f"card turns it. Identity drift: {html.escape(report.identity)}.</p>"
    )
    # A column without a figure, as identity drift is without its network, only takes width.
    filled = [any(row[column] for row in rows) for column in range(len(head))]
    shown = [list(itertools.compress(row, filled)) for row in (head, *rows)]
    return _table(shown[0], shown[1:], escape=False) + note


def _accuracy_section(accuracy: "NamingAccuracy | None") -> list[str]:
    if accuracy is None:
        return []
    pure = ""
    if accuracy.purity is not None:
        pure = f"One factor makes {accuracy.purity:.0%} of a direction's change (by use). "
    names = sorted({name for row in accuracy.confusion.values() for name in row})
    rows = [
        (truth, *(row.get(name, "") for name in names)) for truth, row in accuracy.confusion.items()
    ]
    return [
        "<h2>Are the names right?</h2>",
        f"<p>On drawn portraits, whose factors are known: {accuracy.right} of "
        f"{accuracy.with_effect} directions with an effect have the name and sign of the factor "
        f"that they change most, and {accuracy.clear_right} of the {accuracy.clear} in which no "
        f"other factor changes nearly as much. {accuracy.no_factor} more move no factor. {pure}"
        "Rows: the factor that changes most; columns: the name given, with a minus in the wrong "
        "sense.</p>",
        _table(("", *names), rows),
    ]


def _relations_table(report: "Report") -> str:
    rows = [
        (kind, report.label(i), report.label(j), f"{cosine:+.2f}")
        for kind, pairs in (
            ("left and right", report.relations.partners(report.effective)),
            ("the same", report.relations.redundant(report.effective)),
        )
        for i, j, cosine in pairs
    ]
    if not rows:
        return "<p>None: no two directions move a face in the same or in mirrored ways.</p>"
    return _table(("", "direction", "direction", "cosine"), rows)
