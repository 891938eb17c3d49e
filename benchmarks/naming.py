"""How often directions get the right name without labels.

  python -m benchmarks.naming [--resolutions 64,128] [--groups 6] [--portraits 8] [--greyscale]
  python -m benchmarks.naming --checkpoint MODEL [--checkpoint MODEL …] [--portraits 8]

Without a checkpoint: drawn portraits of identities that nothing was tuned on, one factor changed at
a time (both lids for a blink), named from groups of portraits as `liax interpret` does, and from
single ones. With a checkpoint, trained on drawn portraits: every direction that has an effect,
against the factor that it changes most. Prints the confusion tables.
"""

import dataclasses
import itertools
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from absl import app, flags
from tqdm import tqdm

from benchmarks.measure import report
from liax_jax.animation.animator import load
from liax_jax.animation.streaming import FrameStream
from liax_jax.data.procedural import FACTORS, ONE_SIDED, ProceduralClips
from liax_jax.faces.detection import open_detector
from liax_jax.interpretability.canonical import find_face_frames
from liax_jax.interpretability.direction_names import naming_accuracy, with_a_factor
from liax_jax.interpretability.factor_truth import confusion, is_right
from liax_jax.interpretability.lab import LabOptions, open_probe, run_lab
from liax_jax.interpretability.motion_templates import BLINK, MOTIONS
from liax_jax.interpretability.naming import name_motion
from liax_jax.interpretability.picture_motion import SeenMotion, seen_motion
from liax_jax.interpretability.probe_clips import open_probe_clips
from liax_jax.studies.cells import RUN_NAME

_CHECKPOINTS = flags.DEFINE_multi_string("checkpoint", [], "A model trained on drawn portraits.")
_RESOLUTIONS = flags.DEFINE_list("resolutions", ["64", "128"], "Of the drawn portraits.")
_GROUPS = flags.DEFINE_integer("groups", 6, "Groups of identities.")
_PORTRAITS = flags.DEFINE_integer("portraits", 8, "Identities that one name is read from.")
_STEP = flags.DEFINE_float("step", 0.2, "Change of a factor, both ways, in normalised units.")
_GREYSCALE = flags.DEFINE_bool("greyscale", False, "Draw the portraits without colour.")
_SEED = flags.DEFINE_integer("seed", 777000, "Seed of identities.")

_CONFIDENCES = (0.0, 0.25, 0.5, 0.75, 1.01)

CASES = {motion.name: (motion.name,) for motion in MOTIONS} | {
    BLINK.name: ("lid_left", "lid_right")
}


def factor_step(case: str, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Factors (F,) before and after one of CASES: from −step to step, or 0 to 2 · step."""
    before = np.zeros(len(FACTORS), np.float32)
    after = before.copy()
    for name in CASES[case]:
        at = FACTORS.index(name)
        before[at], after[at] = (0, 2 * step) if name in ONE_SIDED else (-step, step)
    return before, after


def changes_of(clips: ProceduralClips, step: float) -> dict[str, list[SeenMotion]]:
    """What is seen to move in each clip's portrait, for each of CASES."""
    rest = np.zeros(len(FACTORS), np.float32)
    pictures = [_drawn(clips, clip, rest) for clip in range(len(clips))]
    frames, _ = find_face_frames(pictures, open_detector())
    return {
        case: [
            seen_motion(*(_drawn(clips, clip, values) for values in factor_step(case, step)), frame)
            for clip, frame in enumerate(frames)
        ]
        for case in CASES
    }


def _drawn(clips: ProceduralClips, clip: int, factors: np.ndarray) -> np.ndarray:
    picture = clips.frame_at(clip, factors)
    if _GREYSCALE.value:
        picture = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return picture


def on_drawn_portraits(resolution: int) -> dict:
    """Accuracy and confusion from groups of portraits and from single ones."""
    truths: dict[str, list[str]] = {"group": [], "single": []}
    names: dict[str, list[str]] = {"group": [], "single": []}
    for group in tqdm(range(_GROUPS.value), desc=f"{resolution} px"):
        clips = ProceduralClips(resolution, _PORTRAITS.value, 2, seed=_SEED.value + group)
        for case, seen in changes_of(clips, _STEP.value).items():
            found = {"group": [name_motion(seen)], "single": [name_motion([s]) for s in seen]}
            for kind, given in found.items():
                truths[kind] += [case] * len(given)
                # A name in the wrong sense is wrong.
                names[kind] += [n.name if n.sign > 0 else f"-{n.name}" for n in given]
    result = {}
    for kind in truths:
        right = np.mean([a == b for a, b in zip(truths[kind], names[kind], strict=True)])
        table = confusion(truths[kind], names[kind])
        print(f"\n{resolution} px, {kind}: {right:.3f} right of {len(truths[kind])}")
        print_confusion(table)
        result[kind] = {"accuracy": round(float(right), 3), "confusion": table}
    return result


def print_confusion(table: dict[str, dict[str, int]]) -> None:
    """Prints a row for each truth: how often it got which name."""
    for truth, row in table.items():
        given = sorted(row.items(), key=lambda item: -item[1])
        print(f"  {truth:10} " + "  ".join(f"{name} {count}" for name, count in given))


def on_model(checkpoint: str) -> dict:
    """Accuracy of a trained model's names, on people and motion that its training didn't see."""
    animator = load(checkpoint)
    clips = open_probe_clips("procedural", animator.resolution, seed=_SEED.value)
    options = LabOptions(subjects=_PORTRAITS.value)
    probe = open_probe(FrameStream(animator), clips, options, open_detector(), progress=True)
    with tempfile.TemporaryDirectory() as folder:
        findings = run_lab(animator, clips, probe, Path(folder))
    found = naming_accuracy(findings)
    if found is None or not found.with_effect:
        raise ValueError(f"{checkpoint}: no direction changes a factor of a drawn portrait")
    print(f"\n{found.right} of {found.with_effect} directions with an effect have the right name;")
    print(f"of those whose truth is clear, {found.clear_right} of {found.clear}")
    print_confusion(found.confusion)
    about = {"step": animator.record.step, "vectors": animator.record.config.num_vectors}
    by_confidence = [
        {
            "name": finding.name.name,
            "confidence": round(finding.name.confidence, 3),
            "right": is_right(finding.name.name, truth, finding.name.sign),
        }
        for finding, truth in with_a_factor(findings)
    ]
    return about | dataclasses.asdict(found) | {"directions": by_confidence}


def print_by_confidence(models: Iterable[dict[str, Any]]) -> None:
    """Prints how many names are right, by how confident they are."""
    directions = [direction for model in models for direction in model["directions"]]
    for low, high in itertools.pairwise(_CONFIDENCES):
        right = [d["right"] for d in directions if low <= d["confidence"] < high]
        print(f"confidence {low:.2f} to {min(high, 1):.2f}: {sum(right)} of {len(right)} right")


def main(_) -> None:
    figures = {"portraits": _PORTRAITS.value, "seed": _SEED.value}
    if _CHECKPOINTS.value:
        # The last folder that says which: a cell's model is in CELL/run.
        models = {
            next(part for part in reversed(Path(path).parts) if part != RUN_NAME): path
            for path in _CHECKPOINTS.value
        }
        if len(models) < len(_CHECKPOINTS.value):
            raise app.UsageError("two checkpoints are in folders of one name; rename one")
        found = {name: on_model(path) for name, path in models.items()}
        print_by_confidence(found.values())
        report("naming_model", figures | found)
        return
    figures |= {"groups": _GROUPS.value, "step": _STEP.value}
    for resolution in map(int, _RESOLUTIONS.value):
        figures[f"{resolution} px"] = on_drawn_portraits(resolution)
    report("naming_greyscale" if _GREYSCALE.value else "naming", figures)


if __name__ == "__main__":
    app.run(main)
