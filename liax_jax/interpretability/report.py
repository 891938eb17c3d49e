"""The lab's report: report.json, directions.json, PNGs, and report.html, which stands alone."""

import base64
import dataclasses
import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from liax_jax.animation.streaming import FrameStream, closing
from liax_jax.data.clips import ClipSet
from liax_jax.directions import CARD_NAME
from liax_jax.interpretability import figures
from liax_jax.interpretability.canonical import to_canonical
from liax_jax.interpretability.direction_names import (
    NamingAccuracy,
    by_use,
    direction_card,
    naming_accuracy,
    unique_names,
    write_card,
)
from liax_jax.interpretability.lab import Finding, Probe, read_fields, write_text
from liax_jax.interpretability.naming import UNNAMED
from liax_jax.interpretability.relations import Relations, relate
from liax_jax.interpretability.report_style import STYLE
from liax_jax.interpretability.sparsity import Sparsity, measure_sparsity

# Frames of the clip whose coefficients are drawn, at most.
_MAX_FRAMES = 400
_IDENTITY_DRIFT = "left out: this version has no identity network to measure it by"


@dataclasses.dataclass(frozen=True)
class Report:
    """What a report says, beside its pictures.

    Attributes:
      about: checkpoint and data in words, by heading.
      findings: by index.
      names: {index: unique name}.
      sparsity: of the probe's codes within clips.
      relations: between the directions' flows.
      accuracy: of names, where the truth is known.
      faces: in how many portraits a face was found, of how many.
    """

    about: dict[str, str]
    findings: list[Finding]
    names: dict[int, str]
    sparsity: Sparsity
    relations: Relations
    accuracy: NamingAccuracy | None
    faces: tuple[int, int]

    @property
    def order(self) -> list[int]:
        """Indices, the most used first."""
        return [finding.index for finding in by_use(self.findings)]

    @property
    def effective(self) -> list[int]:
        """Indices whose effect can be seen, the most used first."""
        return [finding.index for finding in by_use(self.findings) if finding.has_effect]

    def label(self, index: int) -> str:
        """ "7 yaw"."""
        return f"{index} {self.names[index]}"

    def to_json(self) -> dict[str, Any]:
        """All of it as plain numbers and dictionaries."""
        return {
            "about": self.about,
            "sparsity": self.sparsity.to_json(),
            "naming_accuracy": self.accuracy and dataclasses.asdict(self.accuracy),
            "faces_found": self.faces[0],
            "portraits": self.faces[1],
            "identity_drift": _IDENTITY_DRIFT,
            "partners": self.relations.partners(self.effective),
            "redundant": self.relations.redundant(self.effective),
            "alike": self.relations.alike.round(3).tolist(),
            "mirrored": self.relations.mirrored.round(3).tolist(),
            "directions": [
                {
                    "name": self.names[finding.index],
                    "confidence": finding.name.confidence,
                    "has_effect": finding.has_effect,
                    "finding": finding.to_json(),
                }
                for finding in self.findings
            ],
        }


def write_report(
    out: Path,
    about: dict[str, str],
    stream: FrameStream,
    clips: ClipSet,
    probe: Probe,
    findings: list[Finding],
    vectors: Path,
    seed: int = 0,
) -> Report:
    """Writes report.html, report.json, directions.json and figures/*.png.

    Args:
      out: the folder, which exists.
      about: checkpoint and data in words, by heading.
      findings: of `run_lab`; `vectors` is the folder that it wrote to.
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
        sparsity=measure_sparsity(probe.codes.of_kind("deviations").alpha, seed=seed),
        relations=relate(flows),
        accuracy=naming_accuracy(findings),
        faces=(probe.faces_found, len(probe.subjects)),
    )
    pictures = _draw(out / "figures", report, stream, clips, probe, vectors)
    write_card(out / CARD_NAME, direction_card(findings))
    write_text(out / "report.json", json.dumps(report.to_json(), indent=1) + "\n")
    write_text(out / "report.html", _page(report, pictures))
    return report


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
    return found


def _title(finding: Finding, label: str) -> str:
    if not finding.has_effect:
        return f"direction {label}: no effect that can be seen"
    sense = "" if finding.name.sign > 0 else ", sign turned"
    return f"direction {label} (confidence {finding.name.confidence:.2f}{sense})"


def _liveliest_clip(stream: FrameStream, clips: ClipSet, probe: Probe) -> tuple[str, np.ndarray]:
    """Name and coefficients (t, M) of the clip of the probe that moves most."""
    codes = probe.codes
    moving = {int(c): codes.alpha[codes.clip == c].std(0).sum() for c in np.unique(codes.clip)}
    clip = max(moving, key=lambda c: moving[c])
    frames = (frame for frame, _ in zip(clips.frames(clip), range(_MAX_FRAMES), strict=False))
    with closing(stream.coefficients(frames)) as pieces:
        return clips.names[clip], np.concatenate(list(pieces))


def _page(report: Report, pictures: dict[str, list[Path]]) -> str:
    effective = len(report.effective)
    named = sum(report.names[index] != UNNAMED for index in report.effective)
    rows = [
        *report.about.items(),
        ("directions", f"{len(report.findings)}, {effective} with an effect, {named} named"),
        ("portraits changed", f"{report.faces[1]}, a face found in {report.faces[0]}"),
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
        "<p>Sparsity finds factors that are mostly at rest (high kurtosis), not even ones.</p>",
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


def _figures(paths: Sequence[Path]) -> str:
    tags = []
    for path in paths:
        data = base64.b64encode(path.read_bytes()).decode()
        tags.append(f'<img src="data:image/png;base64,{data}" alt="{html.escape(path.stem)}">')
    return "\n".join(tags)


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]], escape: bool = True) -> str:
    def cells(tag: str, row: Sequence[Any]) -> str:
        return "".join(f"<{tag}>{html.escape(str(c)) if escape else c}</{tag}>" for c in row)

    lines = [f"<tr>{cells('th', head)}</tr>"] if any(head) else []
    lines += [f"<tr>{cells('td', row)}</tr>" for row in rows]
    return "<table>" + "\n".join(lines) + "</table>"


def _sparsity_table(sparsity: Sparsity) -> str:
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


def _directions_table(report: Report) -> str:
    rows = []
    for index in report.order:
        finding, effect = report.findings[index], report.findings[index].effect
        motions = [(n, v) for n, v in list(finding.name.profile.items())[:3] if v]
        sense = "" if finding.name.sign > 0 else "−"
        name = html.escape(report.names[index])
        rows.append(
            (
                f'<a href="#d{index}">{index}</a>',
                f"{sense}{name}" if finding.has_effect else "<i>no effect</i>",
                f"{finding.name.confidence:.2f}" if finding.has_effect else "",
                ", ".join(f"{n.replace('_', ' ')} {100 * v:+.1f}" for n, v in motions),
                f"±{finding.reach:.2f}",
                f"{finding.use:.3f}",
                f"{effect.reach_db:.1f}",
                f"{effect.monotonicity:.2f}",
                f"{effect.linearity:.2f}",
                f"{effect.agreement:.2f}",
                f"{effect.background_l1:.4f} / {effect.figure_l1:.4f}",
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
        "kurtosis",
    )
    note = (
        "<p>A minus before a name: a positive coefficient makes the motion negative; the direction "
        f"card turns it. Identity drift: {html.escape(_IDENTITY_DRIFT)}.</p>"
    )
    return _table(head, rows, escape=False) + note


def _accuracy_section(accuracy: NamingAccuracy | None) -> list[str]:
    if accuracy is None:
        return []
    names = sorted({name for row in accuracy.confusion.values() for name in row})
    rows = [
        (truth, *(row.get(name, "") for name in names)) for truth, row in accuracy.confusion.items()
    ]
    return [
        "<h2>Are the names right?</h2>",
        f"<p>On drawn portraits, whose factors are known: {accuracy.right} of "
        f"{accuracy.with_effect} directions with an effect have the name and sign of the factor "
        f"that they change most, and {accuracy.clear_right} of the {accuracy.clear} in which no "
        "other factor changes nearly as much. Rows: the factor that changes most; columns: the "
        "name given.</p>",
        _table(("", *names), rows),
    ]


def _relations_table(report: Report) -> str:
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
