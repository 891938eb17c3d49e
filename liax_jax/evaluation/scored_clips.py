"""One clip of a protocol that scores pictures: scores, side-by-side video, and its worst frame."""

import dataclasses
import pathlib
from collections.abc import Callable, Iterator

import jax
import numpy as np

from liax_jax.data.video_io import write_video
from liax_jax.evaluation.clip_loop import Finished, exhaust
from liax_jax.evaluation.clip_pictures import WorstFrame
from liax_jax.evaluation.errors import explain_full_disk
from liax_jax.evaluation.reenactment import (
    VIDEO_LABELS,
    ClipFrames,
    ReenactedBatch,
    compose_batch,
)
from liax_jax.evaluation.scoring import ClipScorer, Metrics
from liax_jax.visualization import SideBySide


@dataclasses.dataclass(frozen=True)
class ScoredClip:
    """A clip to be scored.

    Attributes:
      name: of the clip or pair.
      resolution: side of its frames.
      fps: of its video.
      driving: its driving frames, to be read once by `batches`.
      batches: opens the driving frames together with those made after them.
      mean_frame: the clip's mean (1, h, w, 3) in [0, 1]; None for no floors.
    """

    name: str
    resolution: int
    fps: float
    driving: ClipFrames
    batches: Callable[[ClipFrames], Iterator[ReenactedBatch]]
    mean_frame: Callable[[], jax.Array] | None = None


def score_clip(
    clip: ScoredClip,
    metrics: Metrics,
    advance: Callable[[int], None],
    *,
    out_dir: pathlib.Path,
    stem: str,
    videos: bool,
    panels: bool,
) -> Finished:
    """Scores a clip, batch by batch; nothing of it is held but its scores and its worst frame.

    Args:
      advance: is told of frames that are done.
      out_dir: gets videos/STEM.mp4 and frames/STEM.jpg.
      videos, panels: whether it does.

    Raises:
      ClipError, VideoError, RecordsError: something is wrong with this clip.
    """
    mean_frame = clip.mean_frame() if clip.mean_frame is not None else None
    scorer = ClipScorer(clip.name, metrics, mean_frame=mean_frame)
    worst = WorstFrame(metrics) if panels else None
    compose = SideBySide(VIDEO_LABELS, clip.resolution) if videos else None

    def scored_pictures() -> Iterator[np.ndarray]:
        for batch in clip.batches(clip.driving):
            scores = scorer.add(batch)
            if worst is not None:
                worst.look(batch, scores)
            advance(batch.count)
            if compose is not None:
                yield from compose_batch(compose, batch)

    pictures = scored_pictures()
    if videos:
        with explain_full_disk(out_dir):
            write_video(out_dir / "videos" / f"{stem}.mp4", pictures, clip.fps)
    # Frames are scored as their pictures are drawn: draw what is left, or all of them.
    exhaust(pictures)
    entry = scorer.entry() | {"driving_sha256": clip.driving.digest}
    if worst is not None:
        with explain_full_disk(out_dir):
            worst.save(out_dir / "frames" / f"{stem}.jpg")
        entry["worst_frame"] = worst.describe()
    return entry, scorer.arrays()
