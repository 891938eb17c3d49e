"""Video editing: edit the first frame, then carry the clip's own motion over (Fig. 5, eq. 10).

Only one picture is edited, and all others have to follow. What is measured is how far they do: the
edited video against the same clip rebuilt without the edit, in the first frame and in the others.
"""

import functools
import os
from collections.abc import Callable, Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np

from liax_jax.data.clips import ClipSet
from liax_jax.data.video_io import write_video
from liax_jax.directions import DirectionCard, Edits
from liax_jax.evaluation.clip_loop import Finished, Task, exhaust, run_tasks
from liax_jax.evaluation.errors import ClipError, EvaluationError, explain_full_disk
from liax_jax.evaluation.measures import Measure
from liax_jax.evaluation.protocols.cross_reenactment import without_true_frames
from liax_jax.evaluation.protocols.self_reenactment import check_options
from liax_jax.evaluation.reenactment import (
    ClipFrames,
    ReenactedBatch,
    ReenactmentFns,
    reenact_frames,
)
from liax_jax.evaluation.run_folder import RunFolder
from liax_jax.evaluation.scoring import ClipScorer, Metrics, as_scored
from liax_jax.evaluation.summary import SCORED_IMAGES, Context, finish
from liax_jax.metrics import Metric, l1_distance
from liax_jax.visualization import SideBySide

NAME = "video_editing"
VIDEO_LABELS = ("driving", "reconstruction", "edited")

MEASURES: dict[str, Metric] = {
    "edit_first": Measure(
        name="edit_first",
        convention="L1 on [0, 1] between the edited first frame and the same without the edit",
        decimals=4,
    ),
    "edit_later": Measure(
        name="edit_later",
        convention="the same, mean over the other frames, which nobody edited",
        decimals=4,
    ),
    "carried": Measure(
        name="carried",
        convention="edit_later / edit_first: 1 where the edit stays as visible as it was",
        decimals=3,
    ),
    "motion_change": Measure(
        name="motion_change",
        convention=(
            "L1 between the steps from frame to frame of the edited video and of the one without "
            "the edit: how far the edit disturbs the motion"
        ),
        decimals=4,
    ),
}


def video_editing(
    fns: ReenactmentFns,
    clips: ClipSet,
    *,
    card: DirectionCard,
    edits: Edits,
    batch_size: int,
    out_dir: str | os.PathLike[str],
    metrics: Metrics,
    context: Context,
    max_frames: int | None = None,
    videos: bool = True,
    start_anew: bool = False,
    restart: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Edits every clip by its first frame; resumable clip by clip.

    Args:
      card: what the model's directions are called.
      edits: {name or index: value}, at least one.
      metrics: by name; those that need no true frame score the edited frames.
      out_dir: gets videos/CLIP.mp4 with driving, reconstruction and edited side by side.
      The others, and what is returned and raised: as of `self_reenactment`.
    """
    check_options(batch_size, max_frames)
    change = card.vector(edits)
    if not change.any():
        raise EvaluationError("video_editing needs an edit: --edit NAME=VALUE or INDEX=VALUE")
    context, kept = without_true_frames(context, metrics)
    measured: dict[str, Metric] = {**MEASURES, **kept}
    protocol = {
        "name": NAME,
        "source": "the first frame of the clip, edited",
        "edit": card.describe(change, digits=6),
        "motion": "alpha_s + edit + alpha_t - alpha_1 (eq. 10)",
        "driving": "every frame" if max_frames is None else f"the first {max_frames} at most",
        "resolution": clips.resolution,
        "images": SCORED_IMAGES,
    }
    description = context.describe(protocol, measured, clips)
    with RunFolder(
        out_dir, description, clips.names, start_anew=start_anew, restart=restart
    ) as folder:

        def work(clip: int, advance: Callable[[int], None]) -> Finished:
            name = clips.names[clip]
            frames = ClipFrames(clips, clip, max_frames)
            effect = _Effect()
            scorer = ClipScorer(name, kept)
            compose = SideBySide(VIDEO_LABELS, clips.resolution) if videos else None

            def pictures() -> Iterator[np.ndarray]:
                for plain, edited in _both(fns, iter(frames), change, batch_size):
                    scorer.add(edited)
                    effect.add(plain, edited)
                    advance(edited.count)
                    for index in range(edited.count if compose is not None else 0):
                        shown = (edited.driving, plain.reconstruction, edited.reconstruction)
                        assert compose is not None
                        yield compose(*(np.asarray(images[index]) for images in shown))

            shown = pictures()
            if videos:
                with explain_full_disk(folder.path):
                    path = folder.path / "videos" / f"{folder.stems[name]}.mp4"
                    write_video(path, shown, clips.fps[clip])
            exhaust(shown)
            if not np.isfinite(effect.changes()).all():
                raise ClipError(f"clip {name!r}: the reconstruction has NaN or infinite pixels")
            entry = {**scorer.entry(), **effect.measures(), "driving_sha256": frames.digest}
            del entry["without_first_frame"]
            later = scorer.frames - 1
            counts = {
                "edit_first": 1,
                "edit_later": later,
                "carried": later,
                "motion_change": later,
            }
            entry["frames_scored"] = {**entry.get("frames_scored", {}), **counts}
            return entry, {**scorer.arrays(), "frame/edit": effect.changes()}

        tasks = [
            Task(name, min(length, max_frames or length), functools.partial(work, clip))
            for clip, (name, length) in enumerate(zip(clips.names, clips.lengths, strict=True))
        ]
        failures = run_tasks(folder, tasks, progress=progress)
        return finish(folder, measured, protocol, context, failures, show=progress)


def _both(
    fns: ReenactmentFns, frames: Iterator[np.ndarray], change: np.ndarray, batch_size: int
) -> Iterator[tuple[ReenactedBatch, ReenactedBatch]]:
    """Each batch without and with the edit; driving frames are read and encoded once."""
    for plain in reenact_frames(fns, frames, batch_size=batch_size):
        if plain.start == 0:
            z_s2r, features = fns.encode(plain.source)
        assert plain.coefficients is not None
        # α_s is α_1, the source being the first frame: α_s + edit + α_t − α_1 = α_t + edit.
        images = fns.render(z_s2r, features, plain.coefficients + change)
        yield (
            plain,
            ReenactedBatch(plain.start, plain.count, plain.source, plain.driving, images),
        )


class _Effect:
    """How far an edit changes a clip's frames, and their steps from one to the next."""

    def __init__(self) -> None:
        self._changes: list[np.ndarray] = []
        self._steps: list[np.ndarray] = []
        self._last: Any = None

    def add(self, plain: ReenactedBatch, edited: ReenactedBatch) -> None:
        """Takes consecutive frames in."""
        without, _ = as_scored(plain.reconstruction)
        images, _ = as_scored(edited.reconstruction)
        self._changes.append(np.asarray(l1_distance(images, without))[: plain.count])
        difference = images - without
        if self._last is not None:
            difference = jnp.concatenate([self._last, difference])
        steps = jnp.abs(difference[1:] - difference[:-1]).mean(axis=(1, 2, 3))
        kept = plain.count - (self._last is None)
        self._steps.append(np.asarray(steps)[:kept])
        self._last = difference[len(difference) - len(images) :][plain.count - 1 : plain.count]

    def changes(self) -> np.ndarray:
        """(n,) L1 between each frame with and without the edit."""
        return np.concatenate(self._changes)

    def measures(self) -> dict[str, float | None]:
        """Of the clip: see `MEASURES`."""
        changes = self.changes().astype(np.float64)
        first, later = float(changes[0]), float(changes[1:].mean())
        return {
            "edit_first": first,
            "edit_later": later,
            "carried": later / first if first > 0 else None,
            "motion_change": float(np.concatenate(self._steps).astype(np.float64).mean()),
        }
