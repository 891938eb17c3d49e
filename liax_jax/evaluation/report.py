"""The report of an evaluation, made of what is in its folder: report.md, report.html, rows.tex."""

import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from liax_jax.evaluation import plots
from liax_jax.evaluation.bootstrap import FEW_CLIPS
from liax_jax.evaluation.document import (
    Block,
    Bullets,
    Heading,
    Link,
    Paragraph,
    Picture,
    Table,
    to_html,
    to_markdown,
)
from liax_jax.evaluation.errors import counted, explain_full_disk
from liax_jax.evaluation.latex import latex_rows
from liax_jax.evaluation.program import MADE_WITH
from liax_jax.evaluation.published_results import (
    DATASETS,
    SOURCE,
    TABLES,
    PublishedTable,
    published_tables,
)
from liax_jax.evaluation.run_folder import MEAN_PICTURE, RESULTS_NAME, write_whole
from liax_jax.evaluation.text_table import heading, number
from liax_jax.log import logger
from liax_jax.plotting import has_matplotlib

WORST_CLIPS = 10
_GRIDS_SHOWN = 3
_PLOTS = {
    "plots/over_clips.png": "Clips by their mean over frames; the line is the mean over clips.",
    "plots/over_frames.png": "Over the frames: mean over clips, and their middle 80 %.",
}


def announce_missing_plots() -> None:
    """Says before a long evaluation that its report will lack plots, where it will."""
    if not has_matplotlib():
        logger.warning("%s", plots.MISSING)


def write_report(folder: str | os.PathLike[str]) -> None:
    """Writes report.md, report.html, rows.tex and plots/ of an evaluation's folder.

    Raises:
      EvaluationError: they can't be written.
      FileNotFoundError: the folder holds no results.
    """
    folder = pathlib.Path(folder)
    results = json.loads((folder / RESULTS_NAME).read_text())
    with explain_full_disk(folder):
        drawn = _draw_plots(folder, results) if has_matplotlib() else []
    blocks = _blocks(folder, results, drawn)
    write_whole(folder / "report.md", to_markdown(blocks))
    write_whole(folder / "report.html", to_html(blocks, _title(results), folder))
    write_whole(folder / "rows.tex", latex_rows(results))


def _title(results: Mapping[str, Any]) -> str:
    return f"{results['title']}: {results['protocol']['name'].replace('_', '-')}"


def _blocks(folder: pathlib.Path, results: Mapping[str, Any], drawn: Sequence[str]) -> list[Block]:
    return [
        Heading(_title(results), 1),
        *_about(results),
        Heading("Figures"),
        *_figures(results),
        *_missing(results),
        Heading("Conventions"),
        *_conventions(results),
        *_clips(folder, results),
        *_all_clips(folder),
        *_plots(drawn),
        *_videos(folder, results),
    ]


def _about(results: Mapping[str, Any]) -> list[Block]:
    protocol, model = results["protocol"], results["model"]
    clips = counted(protocol["clips"], "clip")
    lines = [f"{clips}, {counted(protocol['frames'], 'frame')}, {protocol['resolution']} px"]
    for title, values in (("model", model), ("data", results["data"])):
        known = [f"{key} {_plain(value)}" for key, value in values.items() if value is not None]
        if known:
            lines.append(f"{title}: {'; '.join(known)}")
    for made in results.get(MADE_WITH, ()):
        lines.append(f"made with liax_jax {made['liax_jax']}, jax {made['jax']}; {made['device']}")
    return [Bullets(lines)]


def _figures(results: Mapping[str, Any]) -> list[Block]:
    """This run's figures, with those that the paper prints for the same data and resolution."""
    about = results["protocol"]["metrics"]
    names = list(about)
    intervals = results["intervals"]
    head = ["", *(heading(name, about[name]["higher_is_better"]) for name in names)]

    def row(label: str, scores: Mapping[str, Any]) -> list[str]:
        return [label, *(number(scores.get(n), about[n]["decimals"]) for n in names)]

    def interval(name: str) -> str:
        found = intervals["mean"].get(name)
        decimals = about[name]["decimals"]
        return "" if found is None else f"[{found[0]:.{decimals}f}, {found[1]:.{decimals}f}]"

    share = f"{100 * intervals['confidence']:g} %"
    rows = [
        row(f"{results['title']}, mean over clips", {**results["mean"], **results["sets"]}),
        row("mean over frames", results["mean_over_frames"]["mean"]),
    ]
    known = [interval(name) for name in names]
    if any(known):
        rows.insert(1, [f"{share} interval", *known])
    if "mean_without_first_frame" in results:
        rows.append(row("without first frames", results["mean_without_first_frame"]["mean"]))
    for floor, scores in results.get("floors", {}).items():
        rows.append(row(floor.replace("_", " "), scores))
    blocks: list[Block] = []
    protocol = results["protocol"]
    tables = published_tables(results["dataset"], protocol["name"], protocol["resolution"])
    first_published = len(rows)
    for table in tables:
        rows += [_published_row(table, system, names) for system in table.rows]
    blocks.append(Table(head, rows, range(first_published, len(rows))))
    if tables:
        places = ", ".join(dict.fromkeys(f"{table.where} ({table.about})" for table in tables))
        blocks.append(
            Paragraph(
                f'Rows marked "published" are figures printed in {SOURCE}, {places}; they were '
                "not measured here, and crops, splits and metric networks may differ."
            )
        )
    elif protocol["name"] in {table.protocol for table in TABLES}:
        sizes = {t.resolution for t in TABLES if t.protocol == protocol["name"] and t.resolution}
        at = f" at {' and '.join(map(str, sorted(sizes)))} px" if sizes else ""
        blocks.append(
            Paragraph(
                f"No published figures are shown: they are there for {', '.join(DATASETS)}{at}; "
                f"this is {results['dataset'] or 'an unnamed data set (--dataset)'} at "
                f"{protocol['resolution']} px."
            )
        )
    blocks.append(Paragraph(_about_intervals(intervals, protocol["clips"], any(known))))
    return blocks


def _about_intervals(intervals: Mapping[str, Any], clips: int, there: bool) -> str:
    if not there:
        return f"{counted(clips, 'clip')}: too few for an interval."
    text = f"{intervals['method']}, {intervals['resamples']} resamples, seed {intervals['seed']}"
    few = " So few clips make them too narrow." if clips < FEW_CLIPS else ""
    return f"Intervals: {text}; {counted(clips, 'clip')}.{few}"


def _published_row(table: PublishedTable, system: str, names: Sequence[str]) -> list[str]:
    printed = dict(zip(table.metrics, table.rows[system], strict=True))
    return [f"{system} (published)", *(printed.get(name, "") for name in names)]


def _missing(results: Mapping[str, Any]) -> list[Block]:
    blocks: list[Block] = []
    for title, lines in (
        ("Clips that couldn't be evaluated", [f["reason"] for f in results["failed"]]),
        ("Metrics left out", [f"{n}: {why}" for n, why in results["left_out"].items()]),
        ("Notes", results["notes"]),
    ):
        if lines:
            blocks += [Heading(title), Bullets(lines)]
    return blocks


def _conventions(results: Mapping[str, Any]) -> list[Block]:
    protocol = results["protocol"]
    lines = [
        f"{key.replace('_', ' ')}: {_plain(value)}"
        for key, value in protocol.items()
        if key not in ("metrics", "clips", "frames", "name")
    ]
    for name, about in protocol["metrics"].items():
        weights = [f"{net} {w.get('sha256', '')}" for net, w in about["weights"].items()]
        tail = f"; weights (SHA-256): {', '.join(weights)}" if weights else ""
        lines.append(f"{name}: {about['convention']}; {about['frames']} frames{tail}")
    return [Bullets(lines)]


def _clips(folder: pathlib.Path, results: Mapping[str, Any]) -> list[Block]:
    """The worst clips, with the worst frame of each; or the first ones where nothing ranks them."""
    entries = results["clips"]
    by = next((e["worst_frame"]["by"] for e in entries if "worst_frame" in e), None)
    title, shown = "Clips", list(entries)
    if by is not None:
        higher = results["protocol"]["metrics"][by]["higher_is_better"]
        ranked = [entry for entry in entries if entry[by] is not None]
        shown = sorted(ranked, key=lambda entry: entry[by], reverse=not higher)
        title = f"Worst clips, by {by}"
    shown = shown[:WORST_CLIPS]
    about = results["protocol"]["metrics"]
    names = list(results["mean"])
    head = ["clip", "frames", *(heading(n, about[n]["higher_is_better"]) for n in names)]
    rows = [
        [e["name"], str(e["frames"]), *(number(e[n], about[n]["decimals"]) for n in names)]
        for e in shown
    ]
    blocks: list[Block] = [Heading(title), Table(head, rows)]
    for place, suffix, most in (
        ("frames", ".jpg", WORST_CLIPS),
        ("pictures", ".png", _GRIDS_SHOWN),
    ):
        for entry in shown[:most]:
            path = f"{place}/{entry['file']}{suffix}"
            if (folder / path).exists():
                blocks += [Paragraph(entry["name"]), Picture(path, entry["name"])]
    return blocks


def _all_clips(folder: pathlib.Path) -> list[Block]:
    """What a protocol draws of all clips together."""
    if not (folder / MEAN_PICTURE).exists():
        return []
    text = "Mean |alpha| of every vector, a column per clip."
    return [Heading("All clips"), Paragraph(text), Picture(MEAN_PICTURE, text)]


def _plots(drawn: Sequence[str]) -> list[Block]:
    blocks: list[Block] = [Heading("Plots")] if drawn else []
    for path in drawn:
        blocks += [Paragraph(_PLOTS[path]), Picture(path, _PLOTS[path])]
    return blocks


def _videos(folder: pathlib.Path, results: Mapping[str, Any]) -> list[Block]:
    links = [
        Link(f"videos/{entry['file']}.mp4", entry["name"])
        for entry in results["clips"]
        if (folder / "videos" / f"{entry['file']}.mp4").exists()
    ]
    return [Heading("Videos"), *links] if links else []


def _draw_plots(folder: pathlib.Path, results: Mapping[str, Any]) -> list[str]:
    about, names = results["protocol"]["metrics"], list(results["mean"])
    values = {
        name: [entry[name] for entry in results["clips"] if entry[name] is not None]
        for name in names
    }
    values = {name: found for name, found in values.items() if found}

    def kept() -> Any:
        for entry in results["clips"]:
            with np.load(folder / "clips" / f"{entry['file']}.npz") as file:
                yield {key: file[key] for key in file.files if key.startswith("frame/")}

    drawn = []
    if values and len(results["clips"]) > 1:
        drawn.append("plots/over_clips.png")
        plots.plot_histograms(folder / drawn[-1], about, values)
    frames = plots.frame_scores(names, kept())
    if frames:
        drawn.append("plots/over_frames.png")
        plots.plot_over_frames(folder / drawn[-1], about, frames)
    return drawn


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
