"""Self-reenactment: how well a model rebuilds a clip from its first frame and its motion.

The protocol of the paper's tables 1, 3 and 4: the source is the first frame of a clip, the driving
video is the whole clip, and every generated frame is compared with the driving frame it stands for.
Beside the model stand two floors that need no model: the source frame itself, and the clip's mean
frame, each compared with every frame.
"""

import dataclasses
import functools
import itertools
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from liax_jax.data.clips import ClipSet
from liax_jax.data.video_io import write_video
from liax_jax.evaluation_report import (
    MODEL,
    ClipScores,
    EvaluationError,
    append_clip_line,
    explain_full_disk,
    format_table,
    open_clip_lines,
    summarise,
    video_stems,
    write_results,
)
from liax_jax.metrics import compute_frame_metrics
from liax_jax.models.animator import AnimatorModule
from liax_jax.visualization import SideBySide

VIDEO_LABELS = ("source", "driving", "reconstruction")


@dataclasses.dataclass(frozen=True)
class ReenactmentFns:
    """The three steps of reenacting a clip, each jitted; images float32 in [-1, 1].

    Attributes:
      encode: source (1, h, w, 3) to its code z_s2r (1, D) and features {r: (1, r, r, c)}.
      coefficients: driving frames (b, h, w, 3) to their motion coefficients (b, M).
      render: (z_s2r, features, coefficients) to images (b, h, w, 3), not clipped.
    """

    encode: Callable[[jax.Array], tuple[jax.Array, dict[int, jax.Array]]]
    coefficients: Callable[[jax.Array], jax.Array]
    render: Callable[[jax.Array, dict[int, jax.Array], jax.Array], jax.Array]


# The animator is a static argument and the parameters are not: calling these again with other
# parameters, as a training run does at intervals, compiles nothing anew.
@functools.partial(jax.jit, static_argnums=0)
def _encode(animator: AnimatorModule, params: Any, source: jax.Array) -> tuple[jax.Array, dict]:
    encoded: Any = animator.apply({"params": params}, source, method="encode")
    z_s2r, features, _ = encoded
    return z_s2r, features


@functools.partial(jax.jit, static_argnums=0)
def _coefficients(animator: AnimatorModule, params: Any, driving: jax.Array) -> jax.Array:
    encoded: Any = animator.apply({"params": params}, driving, method="encode")
    return encoded[2]


@functools.partial(jax.jit, static_argnums=0)
def _render(
    animator: AnimatorModule,
    params: Any,
    z_s2r: jax.Array,
    features: dict[int, jax.Array],
    coefficients: jax.Array,
) -> jax.Array:
    variables = {"params": params}
    z_s2t = animator.apply(variables, z_s2r, coefficients, method="navigate")  # eq. 7
    image, _ = animator.apply(variables, z_s2t, features, method="decode")
    return image


def make_reenactment_fns(animator: AnimatorModule, params: Any) -> ReenactmentFns:
    """The steps of self-reenactment with a trained animator.

    Args:
      animator: the model; two equal ones share what is compiled.
      params: its "params" collection.
    """
    return ReenactmentFns(
        encode=functools.partial(_encode, animator, params),
        coefficients=functools.partial(_coefficients, animator, params),
        render=functools.partial(_render, animator, params),
    )


@dataclasses.dataclass(frozen=True)
class ReenactedBatch:
    """Consecutive frames of a clip and what the model made of them, padded to one batch size.

    Attributes:
      start: number of the first frame in the clip, from 0.
      count: how many of the b entries are frames of the clip; the rest repeats the last one.
      source: (1, h, w, 3) float32 in [-1, 1], the clip's first frame.
      driving: (b, h, w, 3) float32 in [-1, 1].
      reconstruction: (b, h, w, 3) float32, as the model returned it, not clipped.
    """

    start: int
    count: int
    source: jax.Array
    driving: jax.Array
    reconstruction: jax.Array


@jax.jit
def _image_from_uint8(pixels: jax.Array) -> jax.Array:
    return pixels.astype(jnp.float32) / 127.5 - 1.0


def _checked_frames(clips: ClipSet, clip: int, max_frames: int | None) -> Iterator[np.ndarray]:
    """The frames to be used of one clip, each checked for its form; at least two."""
    name, side = clips.names[clip], clips.resolution
    count = 0
    for frame in clips.frames(clip):
        if max_frames is not None and count == max_frames:
            break
        if frame.shape != (side, side, 3) or frame.dtype != np.uint8:
            raise EvaluationError(
                f"clip {name!r}, frame {count}: expected ({side}, {side}, 3) uint8, got "
                f"{frame.shape} {frame.dtype}; prepare the clips again at {side} pixels"
            )
        yield frame
        count += 1
    if count < 2:
        raise EvaluationError(
            f"clip {name!r} has {count} frame(s); self-reenactment needs at least 2: leave the "
            "clip out of the split"
        )


def _padded_batches(
    frames: Iterator[np.ndarray], batch_size: int
) -> Iterator[tuple[int, int, np.ndarray]]:
    """(start, count, (batch_size, h, w, 3)); the last batch is filled up with its last frame."""
    start = 0
    while pending := list(itertools.islice(frames, batch_size)):
        padding = [pending[-1]] * (batch_size - len(pending))
        yield start, len(pending), np.stack(pending + padding)
        start += len(pending)


def reenact_clip(
    fns: ReenactmentFns,
    clips: ClipSet,
    clip: int,
    *,
    batch_size: int,
    max_frames: int | None = None,
) -> Iterator[ReenactedBatch]:
    """Reenacts one clip from its first frame, batch by batch, holding one batch at a time.

    The source is encoded once. The last batch is padded, so that one shape is compiled for all.

    Raises:
      EvaluationError: fewer than two frames, or a frame of another size; the clip is named.
    """
    frames = _checked_frames(clips, clip, max_frames)
    for start, count, pixels in _padded_batches(frames, batch_size):
        driving = _image_from_uint8(pixels)
        if start == 0:
            source = driving[:1]
            z_s2r, features = fns.encode(source)
        reconstruction = fns.render(z_s2r, features, fns.coefficients(driving))
        yield ReenactedBatch(start, count, source, driving, reconstruction)


def write_reenactment_video(
    fns: ReenactmentFns,
    clips: ClipSet,
    clip: int,
    path: str | os.PathLike[str],
    *,
    batch_size: int,
    max_frames: int | None = None,
) -> None:
    """Writes source | driving | reconstruction of one clip as a labelled mp4, at the clip's fps.

    Unlike `self_reenactment` this scores nothing and lets non-finite pixels through, as magenta.
    """
    batches = reenact_clip(fns, clips, clip, batch_size=batch_size, max_frames=max_frames)
    compose = SideBySide(VIDEO_LABELS, clips.resolution)
    pictures = (picture for batch in batches for picture in _compose_batch(compose, batch))
    write_video(path, pictures, clips.fps[clip])


def _compose_batch(compose: SideBySide, batch: ReenactedBatch) -> Iterator[np.ndarray]:
    source, driving, reconstruction = jax.device_get(
        (batch.source[0], batch.driving, batch.reconstruction)
    )
    for index in range(batch.count):
        yield compose(source, driving[index], reconstruction[index])


def _clip_mean(clips: ClipSet, clip: int, max_frames: int | None) -> jax.Array:
    """The mean (1, h, w, 3) in [-1, 1] of the frames used, in float64 and not rounded to 8 bits."""
    total = np.zeros((clips.resolution, clips.resolution, 3), np.float64)
    count = 0
    for frame in _checked_frames(clips, clip, max_frames):
        total += frame
        count += 1
    return jnp.asarray((total / count / 127.5 - 1)[None], jnp.float32)


@jax.jit
def _score_images(images: jax.Array, references: jax.Array) -> tuple[dict, jax.Array]:
    """Per-frame metrics of images (b or 1, h, w, 3) in [-1, 1], clipped, and which are finite."""
    finite = jnp.isfinite(images).all(axis=(1, 2, 3))
    images = jnp.broadcast_to((jnp.clip(images, -1, 1) + 1) / 2, references.shape)
    return compute_frame_metrics(images, (references + 1) / 2), finite


def _score_batch(name: str, batch: ReenactedBatch, mean_frame: jax.Array) -> dict[str, Any]:
    """Scores of a batch's frames, scores[row][metric] (count,); raises if one isn't finite."""
    candidates = {MODEL: batch.reconstruction, "copy_source": batch.source, "copy_mean": mean_frame}
    scored = {row: _score_images(images, batch.driving) for row, images in candidates.items()}
    finite = np.asarray(scored[MODEL][1])[: batch.count]
    if not finite.all():
        raise EvaluationError(
            f"clip {name!r}, frame {batch.start + int(np.argmin(finite))} (from 0): the model's "
            "output has NaN or infinite pixels; evaluate an earlier checkpoint"
        )
    return {
        row: {metric: np.asarray(values)[: batch.count] for metric, values in scores.items()}
        for row, (scores, _) in scored.items()
    }


def self_reenactment(
    model_fns: ReenactmentFns,
    clips: ClipSet,
    *,
    batch_size: int,
    out_dir: str | os.PathLike[str],
    max_frames: int | None = None,
    videos: bool = True,
    progress: bool = True,
) -> dict[str, Any]:
    """Scores self-reenactment on every clip: L1, PSNR and SSIM, per clip and in the mean.

    Memory doesn't grow with a clip's length; each clip is read twice, once for its mean frame.

    Args:
      model_fns: see `make_reenactment_fns`.
      clips: the clips of one split, each of at least two frames.
      batch_size: driving frames per call of the model.
      out_dir: gets clips.jsonl (a line per clip, as it is done), results.json, table.txt and, with
        `videos`, <clip>.mp4 with source, driving and reconstruction side by side.
      max_frames: use only so many frames of each clip, from the first on.
      progress: show a progress bar, and print the table at the end.

    Returns:
      What results.json holds: "protocol" (name and conventions), "mean" (over clips, of each
      clip's mean over frames), "floors", "clips", and the same figures averaged in two other ways:
      "mean_over_frames" and "mean_without_first_frame".

    Raises:
      EvaluationError: no clips, a clip that is too short, an output that isn't finite (clip and
        frame are named), or an output folder that can't be written to.
      ValueError: batch_size < 1 or max_frames < 2.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if max_frames is not None and max_frames < 2:
        raise ValueError(f"max_frames must be at least 2 (or None for all), got {max_frames}")
    if len(clips) == 0:
        raise EvaluationError("the split has no clips to evaluate")
    out_dir = pathlib.Path(out_dir)
    scores: list[ClipScores] = []
    frames = sum(min(length, max_frames or length) for length in clips.lengths)
    with (
        open_clip_lines(out_dir) as lines,
        tqdm(total=frames, unit="frame", desc="evaluate", disable=not progress) as bar,
    ):
        for clip, stem in enumerate(video_stems(clips.names)):
            scores.append(ClipScores(clips.names[clip]))
            compose = SideBySide(VIDEO_LABELS, clips.resolution) if videos else None
            pictures = _scored_pictures(
                scores[-1],
                reenact_clip(model_fns, clips, clip, batch_size=batch_size, max_frames=max_frames),
                _clip_mean(clips, clip, max_frames),
                compose,
                bar,
            )
            if videos:
                with explain_full_disk(out_dir):
                    write_video(out_dir / f"{stem}.mp4", pictures, clips.fps[clip])
            # Frames are scored as their pictures are drawn: draw what is left, or all of them.
            for _ in pictures:
                pass
            append_clip_line(lines, scores[-1])
    results = summarise(scores, clips.resolution, max_frames)
    table = format_table(results)
    write_results(out_dir, results, table)
    if progress:
        print(table)
    return results


def _scored_pictures(
    scores: ClipScores,
    batches: Iterator[ReenactedBatch],
    mean_frame: jax.Array,
    compose: SideBySide | None,
    bar: tqdm,
) -> Iterator[np.ndarray]:
    """Scores the batches as they come, and yields their side-by-side pictures where asked to."""
    for batch in batches:
        scores.add(_score_batch(scores.name, batch, mean_frame))
        bar.update(batch.count)
        if compose is not None:
            yield from _compose_batch(compose, batch)
