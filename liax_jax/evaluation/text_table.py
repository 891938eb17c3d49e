"""The table of an evaluation as text: a line per clip, then the means and what belongs to them."""

from collections.abc import Mapping, Sequence
from typing import Any

from liax_jax.evaluation.errors import counted

_COLUMN = 8


def number(value: float | None, decimals: int) -> str:
    """A figure as tables show it; "–" where there is none."""
    return "–" if value is None else f"{value:.{decimals}f}"


def heading(name: str, higher_is_better: bool | None) -> str:
    """A metric's name as tables show it, with the direction in which it improves, if any."""
    arrow = "" if higher_is_better is None else "↑" if higher_is_better else "↓"
    return f"{name.upper().replace('_', ' ')}{arrow}"


def format_table(results: Mapping[str, Any]) -> str:
    """A text table of what results.json holds."""
    protocol, about = results["protocol"], results["protocol"]["metrics"]
    names = list(results["mean"])
    floors = results.get("floors", {})
    groups = [("reconstruction" if floors else "result", names)]
    groups += [(floor.replace("_", " "), list(scores)) for floor, scores in floors.items()]
    widths = {
        name: max(_COLUMN - 1, len(heading(name, about[name]["higher_is_better"])))
        for name in names
    }
    means = [("mean over clips", results)]
    means += [
        (key.replace("_", " "), results[key])
        for key in ("mean_over_frames", "mean_without_first_frame")
        if key in results
    ]
    rows = [(entry["name"], str(entry["frames"]), entry, entry) for entry in results["clips"]]
    ends = [(label, "", group["mean"], group) for label, group in means]
    label_width = max(len(row[0]) for row in rows + ends)

    def cells(scores: Mapping[str, Any], shown: Sequence[str]) -> str:
        return " ".join(
            f"{number(scores[name], about[name]['decimals']):>{widths[name]}}" for name in shown
        )

    def line(label: str, frames: str, scores: Mapping[str, Any], group: Mapping[str, Any]) -> str:
        blocks = [cells(scores, names)]
        blocks += [cells(group["floors"][floor], list(floors[floor])) for floor in floors]
        return " | ".join([f"{label:<{label_width}} {frames:>6}", *blocks])

    def block_width(shown: Sequence[str]) -> int:
        return max(sum(widths[name] + 1 for name in shown) - 1, 0)

    titles = [f"{group:^{block_width(shown)}}" for group, shown in groups]
    heads = [
        " ".join(
            f"{heading(name, about[name]['higher_is_better']):>{widths[name]}}" for name in shown
        )
        for _, shown in groups
    ]
    head = " | ".join([f"{'clip':<{label_width}} {'frames':>6}", *heads])
    rule = "-" * len(head)
    return "\n".join(
        [
            f"{protocol['name'].replace('_', '-')}: {counted(protocol['clips'], 'clip')}, "
            f"{protocol['frames']} frames, {protocol['resolution']} px",
            " | ".join([" " * (label_width + 7), *titles]),
            head,
            rule,
            *(line(*row) for row in rows),
            rule,
            *(line(*row) for row in ends),
            *_remarks(results),
        ]
    )


def _remarks(results: Mapping[str, Any]) -> list[str]:
    """Below the table: set metrics, and what isn't in it."""
    about = results["protocol"]["metrics"]
    lines = [
        f"{heading(name, about[name]['higher_is_better'])} "
        f"{number(value, about[name]['decimals'])} over {about[name]['frames']} frames"
        for name, value in results["sets"].items()
    ]
    lines += [f"left out: {name} ({reason})" for name, reason in results["left_out"].items()]
    lines += [f"failed: {failure['reason']}" for failure in results["failed"]]
    return lines + [f"note: {note}" for note in results["notes"]]
