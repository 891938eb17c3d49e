"""Useful ranges of a trained model's directions, from how far they move within real clips."""

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from liax_jax.data.clips import ClipSet
from liax_jax.directions import CARD_NAME, Direction, DirectionCard, default_name, read_card
from liax_jax.probe_frames import spread

MAX_CLIPS, FRAMES_PER_CLIP = 48, 16
# Of all pairs of frames of one clip, so many per cent differ by less along a direction.
WITHIN_PERCENT = 98.0
# A direction that hardly moves has this share of the range of the one that moves most, and where
# none moves, this.
_LEAST_SHARE, _WITHOUT_MOTION = 0.01, 0.05
_MAX_FRAMES = 256  # of a clip, for pairs


def coefficients_of_clips(
    coefficients: Callable[[jax.Array], jax.Array], clips: ClipSet
) -> list[np.ndarray]:
    """Coefficients (t, M) of frames spread over clips that are spread over the set.

    Args:
      coefficients: (b, R, R, 3) float32 in [-1, 1] → (b, M).
      clips: at most 48 of them are read, 16 frames of each.
    """
    found = []
    # As many frames of every clip: one program. Short clips repeat some.
    for clip, times in spread(clips.lengths, MAX_CLIPS, FRAMES_PER_CLIP):
        frames = np.stack([clips.frame(clip, int(t)) for t in times])
        found.append(np.asarray(coefficients(jnp.asarray(frames, jnp.float32) / 127.5 - 1)))
    return found


def useful_ranges(coefficients: list[np.ndarray]) -> np.ndarray:
    """(M,) > 0: how far each direction moves between frames of one clip, for 98 % of their pairs.

    At least a hundredth of the largest, so that a still direction has a range too.

    Args:
      coefficients: one array (t, M) a clip; of more than 256 frames of one, 256 spread over it
        count.
    """
    few = [
        values[np.linspace(0, len(values) - 1, min(len(values), _MAX_FRAMES)).round().astype(int)]
        for values in coefficients
    ]
    # Direction by direction, as pairs of frames are many.
    reach = [
        np.percentile(
            np.concatenate([np.abs(v[:, None, i] - v[:, i]).reshape(-1) for v in few]),
            WITHIN_PERCENT,
        )
        for i in range(few[0].shape[1])
    ]
    return np.maximum(reach, _LEAST_SHARE * max(reach) or _WITHOUT_MOTION)


def rounded(reach: float) -> float:
    """To three digits: the coefficients of one model go to 0.002 where another's go to 3."""
    return float(f"{reach:.3g}")


def card_with_ranges(card: DirectionCard, reach: np.ndarray) -> DirectionCard:
    """The card with a measured range, ± `reach` (M,), for every direction that nobody has named."""
    named = {d.index: d for d in card.named}
    measured = (
        named.get(i) or Direction(i, default_name(i), low=-rounded(r), high=rounded(r))
        for i, r in enumerate(reach)
    )
    return DirectionCard(card.num_vectors, tuple(measured))


def write_card(folder: Path, reach: np.ndarray) -> DirectionCard:
    """Writes or renews the folder's direction card; names and ranges that somebody gave stay.

    Raises:
      DirectionError: there is a card that can't be read.
      OSError: the folder can't be written to.
    """
    path = folder / CARD_NAME
    before = read_card(path) if path.exists() else DirectionCard(len(reach))
    card = card_with_ranges(before, reach)
    partial = path.with_suffix(".partial")
    partial.write_text(card.to_json())
    partial.replace(path)
    return card
