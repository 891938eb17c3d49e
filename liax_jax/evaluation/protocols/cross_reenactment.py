"""Cross-reenactment: a portrait moved by somebody else's motion.

The protocol of the paper's table 2: 70 driving clips with two random stills each. There is no true
frame to compare with; frames are scored against the source portrait (identity distance) and by
themselves (image quality), where those metrics' weights are there.
"""

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from liax_jax.data.clips import ClipSet
from liax_jax.evaluation.clip_data import Stills
from liax_jax.evaluation.clip_loop import Finished, Task, run_tasks
from liax_jax.evaluation.pairs import Pair, pair_names, pairs_table
from liax_jax.evaluation.predictions import Predictions
from liax_jax.evaluation.protocols.self_reenactment import check_options
from liax_jax.evaluation.reenactment import (
    ClipFrames,
    ReenactedBatch,
    ReenactmentFns,
    pixel_digest,
    reenact_frames,
)
from liax_jax.evaluation.run_folder import PAIRS_NAME, RunFolder, digest
from liax_jax.evaluation.scored_clips import ScoredClip, score_clip
from liax_jax.evaluation.scoring import Metrics
from liax_jax.evaluation.summary import SCORED_IMAGES, Context, finish
from liax_jax.metrics import FrameMetric, Metric, SetMetric

NAME = "cross_reenactment"
MOTIONS = {
    "relative": "alpha_s + alpha_t - alpha_1 (eq. 8)",
    "absolute": "alpha_t, the driving's own coefficients (eq. 7)",
}
DEFAULT_MOTION = "relative"


def needs_true_frames(metric: Metric) -> bool:
    """Whether a metric compares with what should come out, which only self-reenactment knows."""
    if isinstance(metric, FrameMetric):
        return metric.against == "driving"
    return isinstance(metric, SetMetric)


def cross_reenactment(
    model: ReenactmentFns | Predictions,
    clips: ClipSet,
    stills: Stills,
    pairs: Sequence[Pair],
    *,
    batch_size: int,
    out_dir: str | os.PathLike[str],
    metrics: Metrics,
    context: Context,
    motion: str = DEFAULT_MOTION,
    max_frames: int | None = None,
    videos: bool = True,
    panels: bool = False,
    start_anew: bool = False,
    restart: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Moves each pair's source by its clip and scores the frames; resumable pair by pair.

    Args:
      model: see `make_reenactment_fns`; or another system's frames, named SOURCE__DRIVING.
      out_dir: gets pairs.csv too, before the first pair is scored; see `read_pairs`.
      pairs: of `draw_pairs` or `read_pairs`.
      metrics: by name; those that need a true frame are left out, and listed.
      motion: "relative" or "absolute", see `MOTIONS`.
      The others, and what is returned and raised: as of `self_reenactment`.
    """
    check_options(batch_size, max_frames)
    if motion not in MOTIONS:
        raise ValueError(f"motion is {' or '.join(MOTIONS)}, got {motion!r}")
    context, metrics = without_true_frames(context, metrics)
    names = pair_names(pairs, stills, clips)
    used = "every frame" if max_frames is None else f"the first {max_frames} frames at most"
    protocol = {
        "name": NAME,
        "source": "a still of the pair",
        "driving": f"{used} of the pair's clip",
        "motion": MOTIONS[motion] if isinstance(model, ReenactmentFns) else "another system's",
        "pairs": digest(names),
        "sources": stills.description,
        "resolution": clips.resolution,
        "images": SCORED_IMAGES,
    }
    description = context.describe(protocol, metrics, clips)

    def batches(source: np.ndarray, name: str, driving: ClipFrames) -> Iterator[ReenactedBatch]:
        if isinstance(model, ReenactmentFns):
            relative = motion == "relative"
            frames = iter(driving)
            yield from reenact_frames(
                model, frames, batch_size=batch_size, source=source, relative=relative
            )
        else:
            yield from model.batches(name, driving, batch_size=batch_size, source=source)

    with RunFolder(out_dir, description, names, start_anew=start_anew, restart=restart) as folder:
        # At once, so that others needn't wait for the end to make their frames of the same pairs.
        folder.write(PAIRS_NAME, pairs_table(pairs, stills, clips))

        def work(pair: Pair, name: str, advance: Callable[[int], None]) -> Finished:
            clip, source = pair.driving, stills.read(pair.source)
            scored = ScoredClip(
                name=name,
                resolution=clips.resolution,
                fps=clips.fps[clip],
                driving=ClipFrames(clips, clip, max_frames),
                batches=functools.partial(batches, source, name),
            )
            entry, arrays = score_clip(
                scored,
                metrics,
                advance,
                out_dir=folder.path,
                stem=folder.stems[name],
                videos=videos,
                panels=panels,
            )
            pictured = {"source": stills.names[pair.source], "driving": clips.names[clip]}
            # No frame is the source's own, the first as little as the others.
            kept = {key: value for key, value in entry.items() if key != "without_first_frame"}
            return {**kept, **pictured, "source_sha256": pixel_digest(source)}, arrays

        tasks = [
            Task(
                name,
                min(clips.lengths[pair.driving], max_frames or clips.lengths[pair.driving]),
                functools.partial(work, pair, name),
            )
            for pair, name in zip(pairs, names, strict=True)
        ]
        failures = run_tasks(folder, tasks, progress=progress)
        return finish(folder, metrics, protocol, context, failures, show=progress)


def without_true_frames(context: Context, metrics: Metrics) -> tuple[Context, dict[str, Metric]]:
    """The metrics that need no true frame, and a context that lists the others as left out."""
    reasons = {
        name: "compares with the true frames, which this protocol doesn't have"
        for name, metric in metrics.items()
        if needs_true_frames(metric)
    }
    kept = {name: metric for name, metric in metrics.items() if name not in reasons}
    return context.with_left_out(reasons), kept
