"""Self-reenactment: how well a model rebuilds a clip from its first frame and its motion.

The protocol of the paper's tables 1, 3 and 4: the source is the first frame of a clip, the driving
video is the whole clip, and every generated frame is compared with the driving frame it stands for.
Beside the model stand two floors that need no model: the source frame itself, and the clip's mean
frame, each compared with every frame.
"""

import functools
import os
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from liax_jax.data.clips import ClipSet
from liax_jax.evaluation.clip_loop import Finished, Task, run_tasks
from liax_jax.evaluation.errors import EvaluationError
from liax_jax.evaluation.reenactment import (
    ClipFrames,
    ReenactedBatch,
    ReenactmentFns,
    reenact_frames,
)
from liax_jax.evaluation.run_folder import RunFolder
from liax_jax.evaluation.scored_clips import ScoredClip, score_clip
from liax_jax.evaluation.scoring import Metrics, floor_metrics
from liax_jax.evaluation.summary import SCORED_IMAGES, Context, finish
from liax_jax.metrics import FRAME_METRICS

NAME = "self_reenactment"

# Opens the frames that stand for a clip's driving frames: (clip, driving frames) to batches.
Generator = Callable[[int, ClipFrames], Iterator[ReenactedBatch]]


def self_reenactment(
    model: ReenactmentFns | Generator,
    clips: ClipSet,
    *,
    batch_size: int,
    out_dir: str | os.PathLike[str],
    max_frames: int | None = None,
    videos: bool = True,
    panels: bool = False,
    metrics: Metrics = FRAME_METRICS,
    context: Context | None = None,
    start_anew: bool = True,
    restart: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Scores self-reenactment on every clip, and goes on where an evaluation was stopped.

    Memory doesn't grow with a clip's length; each clip is read twice, once for its mean frame. A
    clip that can't be evaluated is told, left out, and listed under "failed".

    Args:
      model: see `make_reenactment_fns`; or what reads another system's frames, see
        `predictions.PredictedClips`.
      clips: the clips of one split, each of at least two frames.
      batch_size: driving frames per call of the model.
      out_dir: gets run.json, clips.jsonl (a line per clip, as it is done), clips/, results.json,
        table.txt and, with `videos`, videos/CLIP.mp4 with source, driving and result side by side.
      max_frames: use only so many frames of each clip, from the first on.
      panels: keep the worst frame of each clip in frames/.
      metrics: by name, of `metrics.build_metrics`.
      context: what the results say beside the scores, and depend on: model and data. Without it
        nothing is known of the model, and an evaluation is never gone on with.
      start_anew: where `out_dir` holds an evaluation of another checkpoint or by another version
        of this program, it is removed, and that is said; otherwise that is an error, as other data
        or settings are in any case.
      restart: what `out_dir` holds is removed in any case.
      progress: show a progress bar, and print the table at the end.

    Returns:
      What results.json holds: see `summary.summarise`.

    Raises:
      EvaluationError: no clips, none that could be evaluated, or an output folder that can't be
        written to or is of other settings.
      ValueError: batch_size < 1 or max_frames < 2.
    """
    check_options(batch_size, max_frames)
    if len(clips) == 0:
        raise EvaluationError("the split has no clips to evaluate")
    restart = restart or context is None
    context = context or Context()
    used = "every frame" if max_frames is None else f"the first {max_frames} frames at most"
    protocol = {
        "name": NAME,
        "source": "the first frame of the clip",
        "driving": f"{used}, the first included",
        "resolution": clips.resolution,
        "images": SCORED_IMAGES,
        "copy_source": "the first frame against every frame",
        "copy_mean": "the mean of the clip's frames, not rounded, against every frame",
    }
    description = context.describe(protocol, metrics, clips)
    with RunFolder(
        out_dir, description, clips.names, start_anew=start_anew, restart=restart
    ) as folder:

        def work(clip: int, advance: Callable[[int], None]) -> Finished:
            scored = ScoredClip(
                name=clips.names[clip],
                resolution=clips.resolution,
                fps=clips.fps[clip],
                driving=ClipFrames(clips, clip, max_frames),
                batches=functools.partial(open_batches, model, clip, batch_size),
                mean_frame=(
                    functools.partial(_clip_mean, ClipFrames(clips, clip, max_frames))
                    if floor_metrics(metrics)
                    else None
                ),
            )
            return score_clip(
                scored,
                metrics,
                advance,
                out_dir=folder.path,
                stem=folder.stems[scored.name],
                videos=videos,
                panels=panels,
            )

        tasks = [
            Task(name, min(length, max_frames or length), functools.partial(work, clip))
            for clip, (name, length) in enumerate(zip(clips.names, clips.lengths, strict=True))
        ]
        failures = run_tasks(folder, tasks, progress=progress)
        return finish(folder, metrics, protocol, context, failures, show=progress)


def open_batches(
    model: ReenactmentFns | Generator, clip: int, batch_size: int, driving: ClipFrames
) -> Iterator[ReenactedBatch]:
    """The driving frames with what the model makes of them, or with another system's frames."""
    if isinstance(model, ReenactmentFns):
        return reenact_frames(model, iter(driving), batch_size=batch_size)
    return model(clip, driving)


def check_options(batch_size: int, max_frames: int | None) -> None:
    """Raises ValueError for options that can't be meant."""
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if max_frames is not None and max_frames < 2:
        raise ValueError(f"max_frames must be at least 2 (or None for all), got {max_frames}")


def _clip_mean(frames: ClipFrames) -> jax.Array:
    """The mean (1, h, w, 3) in [0, 1] of the frames used, in float64 and not rounded to 8 bits."""
    total: Any = 0
    for frame in frames:
        total = total + frame.astype(np.float64)
    return jnp.asarray((total / frames.count / 255)[None], jnp.float32)
