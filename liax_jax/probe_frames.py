"""Which frames a model is measured on."""

from collections.abc import Sequence

import numpy as np

# Of drawn portraits: another than any run's default, so that nobody of its training is among them.
PROBE_SEED = 90210


def spread(
    lengths: Sequence[int], max_clips: int, frames_per_clip: int
) -> list[tuple[int, np.ndarray]]:
    """Clips spread evenly over a set, and frames spread over each: [(clip, (frames_per_clip,))].

    Args:
      lengths: frames of every clip; a shorter clip's frames come more than once.
    """
    chosen = np.unique(np.linspace(0, len(lengths) - 1, max_clips).round().astype(int))
    return [
        (int(clip), np.linspace(0, lengths[clip] - 1, frames_per_clip).round().astype(int))
        for clip in chosen
    ]


def distinct_frames(
    lengths: Sequence[int], max_clips: int, frames_per_clip: int
) -> dict[int, list[int]]:
    """The times of each clip that `spread` names, each once: {clip: times}."""
    plan = spread(lengths, max_clips, frames_per_clip)
    return {clip: np.unique(times).tolist() for clip, times in plan}
