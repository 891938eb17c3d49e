"""The lab's report: report.json, directions.json, PNGs, and report.html, which stands alone."""

import json
from pathlib import Path

import numpy as np

from liax_jax.animation.streaming import FrameStream, closing
from liax_jax.data.clips import ClipSet
from liax_jax.directions import CARD_NAME
from liax_jax.interpretability import figures
from liax_jax.interpretability.canonical import to_canonical
from liax_jax.interpretability.direction_names import (
    direction_card,
    naming_accuracy,
    unique_names,
    write_card,
)
from liax_jax.interpretability.lab import Finding, LabError, Probe, read_fields, write_text
from liax_jax.interpretability.motion_templates import BY_NAME
from liax_jax.interpretability.naming import UNNAMED
from liax_jax.interpretability.relations import relate
from liax_jax.interpretability.report_content import Report
from liax_jax.interpretability.report_page import report_page
from liax_jax.interpretability.sparsity import measure_sparsity

# Frames of the clip whose coefficients are drawn, at most.
_MAX_FRAMES = 400


def write_report(
    out: Path,
    about: dict[str, str],
    stream: FrameStream,
    clips: ClipSet,
    probe: Probe,
    findings: list[Finding],
    vectors: Path,
    identity: str,
    seed: int = 0,
) -> Report:
    """Writes report.html, report.json, directions.json and figures/*.png.

    Args:
      out: the folder, which exists.
      about: checkpoint and data in words, by heading.
      findings: of `run_lab`; `vectors` is the folder that it wrote to.
      identity: how identity drift is measured, or why it isn't.
      seed: of the random bases beside the measures of sparsity.

    Raises:
      OSError: the folder can't be written to.
      ImportError: Matplotlib is missing.
    """
    flows = np.stack([read_fields(vectors, finding.index).flow for finding in findings])
    report = Report(
        about=about,
        findings=findings,
        names=unique_names(findings),
        sparsity=measure_sparsity(probe.deviations, seed=seed),
        relations=relate(flows),
        accuracy=naming_accuracy(findings),
        faces=(probe.faces_found, len(probe.subjects)),
        people=probe.people,
        identity=identity,
    )
    pictures = _draw(out / "figures", report, stream, clips, probe, vectors)
    write_card(out / CARD_NAME, direction_card(findings))
    write_text(out / "report.json", json.dumps(report.to_json(), indent=1) + "\n")
    write_text(out / "report.html", report_page(report, pictures))
    return report


def check_report_place(out: Path, checkpoint: Path) -> None:
    """Looks at the folder of a report before anything slow begins.

    Raises:
      LabError: it is the checkpoint's, whose direction card would be overwritten; or it is a file,
        or below one.
    """
    if out.resolve() == checkpoint.resolve():
        raise LabError(
            f"--out {out} is the checkpoint's folder, and its {CARD_NAME} would be overwritten; "
            "name another folder, and add --write-card if its card is to be replaced"
        )
    there = next(place for place in (out, *out.absolute().parents) if place.exists())
    if not there.is_dir():
        raise LabError(f"--out {out}: {there} is a file; name a folder")


def _draw(
    folder: Path,
    report: Report,
    stream: FrameStream,
    clips: ClipSet,
    probe: Probe,
    vectors: Path,
) -> dict[str, list[Path]]:
    """Draws everything; returns the files by section, those of directions by "direction <i>"."""
    order = report.order
    ordered = [report.findings[index] for index in order]
    labels = [report.label(index) for index in order]
    clip, alpha = _liveliest_clip(stream, clips, probe)
    figures.draw_coefficients(folder / "coefficients.png", alpha, order, labels, clip)
    figures.draw_relations(folder / "relations.png", report.relations, order, labels)
    figures.draw_kurtosis(folder / "kurtosis.png", ordered, labels)
    face = np.mean([to_canonical(s.picture, s.frame) for s in probe.subjects], axis=0) / 255
    found = {name: [folder / f"{name}.png"] for name in ("coefficients", "relations", "kurtosis")}
    found["traversals"] = figures.draw_traversals(
        folder, ordered, labels, lambda index: read_fields(vectors, index)
    )
    for finding in ordered:
        path = folder / f"direction_{finding.index:03d}.png"
        title = _title(finding, report.label(finding.index))
        figures.draw_direction(path, title, finding, read_fields(vectors, finding.index), face)
        found[f"direction {finding.index}"] = [path]
    # An earlier report may have been of more directions.
    written = {path for paths in found.values() for path in paths}
    for pattern in ("direction_*.png", "traversals_*.png"):
        for path in set(folder.glob(pattern)) - written:
            path.unlink()
    return found


def _title(finding: Finding, label: str) -> str:
    if not finding.has_effect:
        return f"direction {label}: no effect that can be seen"
    if finding.name.name == UNNAMED:
        return f"direction {label}"
    motion = BY_NAME[finding.name.name]
    ends = (motion.low_word, motion.high_word)[:: finding.name.sign]
    return f"direction {label}: {ends[0]} → {ends[1]} (confidence {finding.name.confidence:.2f})"


def _liveliest_clip(stream: FrameStream, clips: ClipSet, probe: Probe) -> tuple[str, np.ndarray]:
    """Name and coefficients (t, M) of the clip of the probe that moves most."""
    codes = probe.codes
    moving = {int(c): codes.alpha[codes.clip == c].std(0).sum() for c in np.unique(codes.clip)}
    clip = max(moving, key=lambda c: moving[c])
    frames = (frame for frame, _ in zip(clips.frames(clip), range(_MAX_FRAMES), strict=False))
    with closing(stream.coefficients(frames)) as pieces:
        return clips.names[clip], np.concatenate(list(pieces))
