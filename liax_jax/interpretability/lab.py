"""The interpretability lab: every direction of a checkpoint changed, measured and named.

Each direction's findings are written to the output folder when they are complete, so that a run
that was stopped goes on. One direction's pictures are in memory at a time.
"""

import collections
import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from liax_jax.animation.animator import Animator
from liax_jax.animation.streaming import FrameStream
from liax_jax.data.clips import ClipSet
from liax_jax.data.procedural import ProceduralClips
from liax_jax.faces.detection import Detector
from liax_jax.interpretability.codes import Codes, extract_codes
from liax_jax.interpretability.disentanglement import excess_kurtosis
from liax_jax.interpretability.effect_summary import EffectSummary, summarise_effects
from liax_jax.interpretability.factor_truth import FactorChange, PortraitChange, factor_change
from liax_jax.interpretability.interventions import (
    Intervener,
    Subject,
    SubjectEffect,
    choose_subjects,
)
from liax_jax.interpretability.naming import Name, name_motion
from liax_jax.interpretability.regions import RegionMotion, region_motion
from liax_jax.metrics.base import FrameMetric
from liax_jax.motion_ranges import useful_ranges
from liax_jax.probe_frames import distinct_frames

# A direction that never changes a picture by more than this (PSNR, higher is less) has no effect
# that could be seen or named.
REAL_EFFECT_DB = 40.0
# So many subjects' pictures are kept for the report, at most so large.
_SHOWN_SUBJECTS = 2
_SHOWN_SIDE = 128
# Of a face's place in the settings, in fractions of the picture's side.
_PLACE_DIGITS = 3
# Changes when findings of an earlier version can't be used any more.
_VERSION = 3
_FLAGS = {"subjects": "--portraits", "max_clips": "--clips", "frames_per_clip": "--frames"}


class LabError(ValueError):
    """Data or a folder that the lab can't work with; says what to do."""


@dataclasses.dataclass(frozen=True)
class LabOptions:
    """What the lab looks at.

    Attributes:
      subjects: how many portraits each direction is tried on.
      max_clips, frames_per_clip: of the frames whose coefficients are measured.
    """

    subjects: int = 8
    max_clips: int = 64
    frames_per_clip: int = 32

    def __post_init__(self):
        for name, flag in _FLAGS.items():
            if getattr(self, name) < 1:
                raise LabError(f"{flag} {getattr(self, name)}: must be 1 or more")


@dataclasses.dataclass(frozen=True)
class Finding:
    """What is known about one direction.

    Attributes:
      index: which.
      reach: how far it moves between frames of one clip, for 98 % of their pairs.
      use: its coefficient's standard deviation within clips.
      kurtosis: excess kurtosis of its coefficient within clips.
      effect: of changing it by up to ± reach.
      name: what it does.
      naming_step: names were read from a change of ± this.
      regions: what its flow does, region by region, from −reach to reach.
      truth: on drawn portraits, which factors it changes; else None.
    """

    index: int
    reach: float
    use: float
    kurtosis: float
    effect: EffectSummary
    name: Name
    naming_step: float
    regions: dict[str, RegionMotion]
    truth: FactorChange | None

    @property
    def has_effect(self) -> bool:
        """Whether its effect can be seen."""
        return self.effect.reach_db < REAL_EFFECT_DB

    def to_json(self) -> dict[str, Any]:
        """As plain numbers and dictionaries."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Finding":
        """Reads what `to_json` gives."""
        truth = content["truth"]
        return cls(
            **{
                **content,
                "effect": EffectSummary(**content["effect"]),
                "name": Name(**content["name"]),
                "regions": {k: RegionMotion(**v) for k, v in content["regions"].items()},
                "truth": FactorChange(**truth) if truth else None,
            }
        )


@dataclasses.dataclass(frozen=True)
class Fields:
    """What of a direction is drawn, beside its finding.

    Attributes:
      flow: (SIDE, SIDE, 2) mean over portraits, canonical units, from −reach to reach.
      change: (SIDE, SIDE) mean |difference| of the pictures on [0, 1] from −reach to reach.
      strips: (n, S, h, h, 3) uint8, pictures of n subjects at S changes.
    """

    flow: np.ndarray
    change: np.ndarray
    strips: np.ndarray


@dataclasses.dataclass(frozen=True)
class Probe:
    """What the directions are measured on.

    Attributes:
      codes: of n frames spread over the clips, as they are.
      deviations: (n, M), of the codes from the mean of their clip.
      places: (clip, time) of each frame.
      reach: (M,).
      subjects: portraits to change.
      faces_found: in how many of them a face was found; the others have the place of these.
    """

    codes: Codes
    deviations: np.ndarray
    places: list[tuple[int, int]]
    reach: np.ndarray
    subjects: list[Subject]
    faces_found: int

    @property
    def people(self) -> int:
        """How many people the portraits are of."""
        who = dict(zip(self.codes.clip.tolist(), self.codes.group.tolist(), strict=True))
        return len({who[subject.clip] for subject in self.subjects})


def open_probe(
    stream: FrameStream, clips: ClipSet, options: LabOptions, detector: Detector, progress: bool
) -> Probe:
    """Reads the coefficients of frames spread over the clips, and picks the portraits to change.

    Raises:
      ValueError: no clips, another resolution, fewer frames than vectors, a clip of a single frame,
        codes that aren't finite.
    """
    if len(clips) == 0:
        raise LabError("there are no clips to look at; name data with at least one")
    limits = options.max_clips, options.frames_per_clip
    codes = extract_codes(stream, clips, *limits, progress=progress, with_factors=False)
    deviations = codes.of_kind("deviations").alpha
    planned = distinct_frames(clips.lengths, *limits)
    # A video may have fewer frames than its header promised: then its last ones are missing.
    places = [
        (clip, time)
        for clip, read in collections.Counter(codes.clip.tolist()).items()
        for time in planned[clip][:read]
    ]
    reach = useful_ranges([codes.alpha[codes.clip == clip] for clip in np.unique(codes.clip)])
    subjects, found = choose_subjects(
        clips, codes.alpha, places, codes.group.tolist(), options.subjects, detector
    )
    return Probe(codes, deviations, places, reach, subjects, found)


def run_lab(
    animator: Animator,
    clips: ClipSet,
    probe: Probe,
    folder: Path,
    *,
    identity: FrameMetric | None = None,
    progress: bool = True,
) -> list[Finding]:
    """Changes, measures and names every direction; those whose findings are in the folder are kept.

    Args:
      animator: the model.
      clips: the probe's; drawn portraits tell the truth about names too.
      folder: gets finding_<index>.json and fields_<index>.npz.
      identity: the metric of identity drift, if its network is at hand.

    Returns:
      One finding a direction, by index.

    Raises:
      LabError: the folder holds findings of another model, other data or options.
      OSError: the folder can't be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    check_same_run(folder, animator, clips, probe, identity)
    intervener = Intervener(animator, identity)
    use, kurtosis = probe.deviations.std(0), excess_kurtosis(probe.deviations)
    findings = []
    for index in tqdm(range(len(use)), unit="direction", desc="change", disable=not progress):
        path = finding_path(folder, index)
        if not path.exists():
            effects = intervener.effects(index, float(probe.reach[index]), probe.subjects)
            finding = Finding(
                index=index,
                reach=float(probe.reach[index]),
                use=float(use[index]),
                kurtosis=float(kurtosis[index]),
                effect=summarise_effects(effects),
                name=name_motion([effect.seen for effect in effects]),
                naming_step=effects[0].seen_step,
                regions=region_motion(np.mean([effect.flow for effect in effects], axis=0)),
                truth=_truth(clips, probe.subjects, effects),
            )
            _write_fields(fields_path(folder, index), effects)
            write_text(path, json.dumps(finding.to_json(), indent=1))
        findings.append(Finding.from_json(json.loads(path.read_text())))
    return findings


def finding_path(folder: Path, index: int) -> Path:
    return folder / f"finding_{index:03d}.json"


def fields_path(folder: Path, index: int) -> Path:
    return folder / f"fields_{index:03d}.npz"


def read_fields(folder: Path, index: int) -> Fields:
    """The fields that `run_lab` has written of a direction."""
    with np.load(fields_path(folder, index)) as arrays:
        return Fields(arrays["flow"], arrays["change"], arrays["strips"])


def check_same_run(
    folder: Path, animator: Animator, clips: ClipSet, probe: Probe, identity: FrameMetric | None
) -> None:
    """Notes in the folder what its findings are of, or compares with what is noted there.

    Coefficients aren't compared: they differ in the last digits by device and chunk.

    Raises:
      LabError: they are of something else.
    """
    frames = hashlib.sha256()
    for clip, time in probe.places:
        frames.update(f"{clips.names[clip]} {time}\n".encode())
    for subject in probe.subjects:
        frames.update(subject.picture.tobytes())
    settings = {
        "version": _VERSION,
        "model": animator.record.fingerprint,
        "subjects": [f"{subject.name} {subject.time}" for subject in probe.subjects],
        "faces": [
            [round(value, _PLACE_DIGITS) for value in dataclasses.astuple(subject.frame)]
            for subject in probe.subjects
        ],
        "frames": frames.hexdigest(),
        "identity": identity.convention if identity else "",
    }
    path = folder / "settings.json"
    if not path.exists():
        write_text(path, json.dumps(settings, indent=1))
    elif json.loads(path.read_text()) != settings:
        raise LabError(
            f"{folder} holds findings of another model, other data or other options; name another "
            "output folder, or start afresh with --restart"
        )


def write_text(path: Path, text: str) -> None:
    """Writes a file that has its name only when it is complete."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    os.replace(partial, path)


def _truth(
    clips: ClipSet, subjects: Sequence[Subject], effects: Sequence[SubjectEffect]
) -> FactorChange | None:
    if not isinstance(clips, ProceduralClips):
        return None
    changes = [
        PortraitChange(subject.clip, subject.time, *effect.seen_pictures)
        for subject, effect in zip(subjects, effects, strict=True)
    ]
    if all(np.array_equal(change.before, change.after) for change in changes):
        return None
    return factor_change(clips, changes)


def _write_fields(path: Path, effects: Sequence[SubjectEffect]) -> None:
    partial = path.with_name(path.name + ".partial")
    with open(partial, "wb") as file:
        np.savez_compressed(
            file,
            flow=np.mean([effect.flow for effect in effects], axis=0),
            change=np.mean([effect.change for effect in effects], axis=0),
            strips=np.stack(
                [[_shown(p) for p in effect.pictures] for effect in effects[:_SHOWN_SUBJECTS]]
            ),
        )
    os.replace(partial, path)


def _shown(picture: np.ndarray) -> np.ndarray:
    side = picture.shape[0]
    if side <= _SHOWN_SIDE:
        return picture
    small: np.ndarray = cv2.resize(picture, (_SHOWN_SIDE,) * 2, interpolation=cv2.INTER_AREA)
    return small
