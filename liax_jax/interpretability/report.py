"""The lab's report: report.json, directions.json, PNGs, and report.html, which stands alone."""

import dataclasses
import json
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
from liax_jax.interpretability.motion_templates import BY_NAME
from liax_jax.interpretability.naming import UNNAMED
from liax_jax.interpretability.relations import Relations, relate
from liax_jax.interpretability.report_page import IDENTITY_DRIFT, report_page
from liax_jax.interpretability.sparsity import Sparsity, measure_sparsity

# Frames of the clip whose coefficients are drawn, at most.
_MAX_FRAMES = 400


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
            "identity_drift": IDENTITY_DRIFT,
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
    write_text(out / "report.html", report_page(report, pictures))
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
