"""Parts of a report: tables, and a page of which only what stands between marks is renewed."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from liax_jax.studies.cells import Study
from liax_jax.studies.rows import Row
from liax_jax.studies.seed_statistics import Statistic

_VERSIONS = ("python", "jax", "flax", "numpy", "scikit-learn")


def fill(page: Path, parts: Mapping[str, str]) -> None:
    """Renews `<!-- name -->` … `<!-- end of name -->` of a page; the rest is by hand and stays.

    Raises:
      FileNotFoundError: no such page.
      ValueError: a part that the page has no marks for.
    """
    text = page.read_text()
    for name, content in parts.items():
        first, last = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, mark, rest = text.partition(first)
        _, end, after = rest.partition(last)
        if not mark or not end:
            raise ValueError(f"{page} has no lines {first.strip()!r} and {last!r}; add them")
        text = before + first + content.rstrip("\n") + "\n" + last + after
    partial = page.with_suffix(".partial")
    partial.write_text(text)
    partial.replace(page)


def write_json(path: Path, content: Any) -> None:
    """Writes it whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    partial.replace(path)


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    cells = [list(header), ["---"] * len(header), *map(list, lines)]
    return "\n".join("| " + " | ".join(line) + " |" for line in cells) + "\n"


def shown(statistic: Statistic | None, digits: int = 2, control: bool = True) -> str:
    """0.52 [0.48, 0.56] (0.14): the mean, its interval where there is one, and its control.

    Of two seeds both values in braces, 0.52 {0.48, 0.56}: an interval from them would be 13 times
    as wide as they are apart from their mean. An interval over people has a p, [0.48, 0.56]p.
    """
    if statistic is None:
        return "–"
    text = f"{statistic.value:.{digits}f}"
    if statistic.over == "seeds" and len(statistic.values) == 2:
        low, high = sorted(statistic.values)
        text += f" {{{low:.{digits}f}, {high:.{digits}f}}}"
    elif statistic.interval is not None:
        low, high = statistic.interval
        text += f" [{low:.{digits}f}, {high:.{digits}f}]" + "p" * (statistic.over == "people")
    if control and statistic.control is not None:
        text += f" ({statistic.control:.{digits}f})"
    return text


def rows_table(
    rows: Sequence[Row],
    columns: Mapping[str, tuple[str, int, bool]],
    settings: Mapping[str, str] | None = None,
) -> str:
    """A table of rows.

    Args:
      columns: statistic → (heading, digits, whether its control is shown).
      settings: setting → heading, of those that are told.
    """
    told = settings or {}
    header = ["cells", *told.values(), "seeds", *(heading for heading, _, _ in columns.values())]
    lines = [
        [
            row.name,
            *(f"{row.settings[name]:,}" for name in told),
            str(len(row.seeds)),
            *(
                shown(row.statistics.get(name), digits, control)
                for name, (_, digits, control) in columns.items()
            ),
        ]
        for row in rows
    ]
    return table(header, lines)


def origin(study: Study, results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What the figures are from: numbers of cells, seeds, commits, versions, devices, hours."""

    def different(values: Iterable[str]) -> list[str]:
        return list(dict.fromkeys(values))

    found = list(results.values())
    versions = (
        ", ".join(f"{name} {result['versions'][name]}" for name in _VERSIONS) for result in found
    )
    return {
        "cells": len(study.cells),
        "finished": len(found),
        "seeds": sorted({result["seed"] for result in found}),
        "hours_of_training": sum(result["seconds"]["training"] for result in found) / 3600,
        "commits": different(str(result["commit"]) for result in found),
        "versions": different(versions),
        "devices": different(result["device"] for result in found),
        "not_finished": [cell.name for cell in study.cells if cell.name not in results],
    }


def provenance(about: Mapping[str, Any]) -> str:
    """`origin`, in words."""
    if not about["finished"]:
        return "No cell has run yet.\n"
    lines = [
        f"- {about['finished']} of {about['cells']} cells, seeds "
        f"{', '.join(map(str, about['seeds']))}; {about['hours_of_training']:.1f} hours of "
        "training, cells that ran side by side added up.",
        f'- Commit {", ".join(about["commits"])} ("+": with changes not committed); '
        f"{', '.join(about['versions'])}; {', '.join(about['devices'])}.",
    ]
    missing = about["not_finished"]
    if missing:
        more = f" and {len(missing) - 8} more" if len(missing) > 8 else ""
        lines.append(f"- Not finished: {', '.join(missing[:8])}{more}.")
    return "\n".join(lines) + "\n"
