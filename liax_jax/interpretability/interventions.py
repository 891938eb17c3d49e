"""Interventions do(α_i + δ): what a model's pictures do when one coefficient is changed."""

import collections
import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from liax_jax.animation.animator import Animator
from liax_jax.animation.portrait import Portrait
from liax_jax.data.clips import ClipSet
from liax_jax.faces.detection import Detector
from liax_jax.interpretability.canonical import (
    FaceFrame,
    find_face_frames,
    from_canonical,
    motion_to_canonical,
    to_canonical,
)
from liax_jax.interpretability.picture_motion import SeenMotion, seen_motion
from liax_jax.interpretability.regions import figure_weight
from liax_jax.metrics.base import FrameMetric
from liax_jax.metrics.psnr import peak_signal_to_noise_ratio
from liax_jax.visualization import to_uint8

# Shares of a direction's reach to which it is changed, both ways.
STEPS = (0.25, 0.5, 0.75, 1.0)
# Names are read from a change that moves the face by about so many canonical units, and no more
# than half the direction's reach: optical flow loses what jumps, and turns are straight only
# while they are small.
_NAMING_MOTION = 0.1
_NAMING_STEP = 0.5
# How far a face moves is the length that so many per cent of its points stay below.
_FURTHEST = 98.0


@dataclasses.dataclass(frozen=True)
class Subject:
    """A portrait that interventions are made on.

    Attributes:
      name: of its clip.
      clip, time: which frame.
      picture: (R, R, 3) uint8.
      frame: where its face is.
    """

    name: str
    clip: int
    time: int
    picture: np.ndarray
    frame: FaceFrame


@dataclasses.dataclass(frozen=True)
class SubjectEffect:
    """What changing one coefficient of one portrait does; S changes, rising, 0 among them.

    Attributes:
      deltas: (S,) changes of the coefficient.
      pictures: (S, R, R, 3) uint8.
      flow: (SIDE, SIDE, 2) canonical units, by the model's finest flow field, from the lowest to
        the highest change.
      seen: what is seen to move over the small change that names are read from.
      seen_step: that change is from −seen_step to seen_step.
      seen_pictures: (2, R, R, 3) uint8, its ends.
      l1: (S,) mean absolute difference on [0, 1] from the picture without a change.
      psnr: (S,) dB likewise; 100 where equal.
      pixels: (S,) mean length of the flow's change, in pixels of the picture.
      change: (SIDE, SIDE) mean absolute difference on [0, 1] between the two ends, canonical.
      progress: (S,) how far along the whole motion the flow is: 0 without a change, and the two
        ends are 1 apart.
      background_l1, figure_l1: mean absolute difference at the two ends outside of head and body,
        and within.
      identity: distance of the ends from the unchanged picture by a face recognition network; NaN
        where it finds no face, or without a network.
    """

    deltas: np.ndarray
    pictures: np.ndarray
    flow: np.ndarray
    seen: SeenMotion
    seen_step: float
    seen_pictures: np.ndarray
    l1: np.ndarray
    psnr: np.ndarray
    pixels: np.ndarray
    change: np.ndarray
    progress: np.ndarray
    background_l1: float
    figure_l1: float
    identity: float


def choose_subjects(
    clips: ClipSet,
    alpha: np.ndarray,
    places: Sequence[tuple[int, int]],
    group: Sequence[int],
    count: int,
    detector: Detector,
) -> tuple[list[Subject], int]:
    """The most ordinary frames, by their coefficients, one a clip; nobody twice before all once.

    These are the ones that look at the camera, as far as a set has them: a turned face doesn't fit
    canonical coordinates, and can't turn much further.

    Args:
      alpha: (n, M) of frames spread over the clips.
      places: (clip, time) of each.
      group: who is in each.
      count: how many, at most.

    Returns:
      The subjects, and in how many of them the face was found.
    """
    from_middle = np.square((alpha - np.median(alpha, axis=0)) / (alpha.std(0) + 1e-6)).sum(1)
    best: dict[int, int] = {}
    for row in np.argsort(from_middle):
        best.setdefault(places[row][0], int(row))
    met: collections.Counter[int] = collections.Counter()
    turn = {}
    for clip, row in best.items():
        who = int(group[row])
        turn[clip] = met[who]
        met[who] += 1
    # The sort keeps the more ordinary first among those of one turn.
    chosen = sorted(sorted(best, key=lambda clip: turn[clip])[:count])
    frames = [places[best[clip]] for clip in chosen]
    pictures = [clips.frame(clip, time) for clip, time in frames]
    faces, found = find_face_frames(pictures, detector)
    subjects = [
        Subject(clips.names[clip], clip, time, picture, face)
        for (clip, time), picture, face in zip(frames, pictures, faces, strict=True)
    ]
    return subjects, found


class Intervener:
    """Changes single coefficients of portraits, two pictures at a time.

    Args:
      animator: the model.
      identity: the metric of identity drift, if its network is at hand.
    """

    def __init__(self, animator: Animator, identity: FrameMetric | None = None):
        self._animator, self._identity = animator, identity
        self._grid = f"grid/{animator.resolution}"

    def effects(self, index: int, reach: float, subjects: Sequence[Subject]) -> list[SubjectEffect]:
        """Changes coefficient `index` by up to ± `reach` (> 0) in each subject.

        Memory doesn't grow with the number of directions: subjects are encoded anew for each.

        Raises:
          ValueError: pictures that aren't finite; names the direction and the subject.
        """
        moved_portraits = []
        for subject in subjects:
            portrait = self._animator.encode(subject.picture)
            pictures, grids = {}, {}
            for share in (0.0, *STEPS):
                ends, fields = self._pair(portrait, index, share * reach, subject)
                pictures[-share], pictures[share] = ends
                grids[-share], grids[share] = fields
            shares = sorted(pictures)
            moved_portraits.append(
                (
                    np.array(shares) * reach,
                    np.stack([pictures[share] for share in shares]),
                    np.stack([grids[share] for share in shares]),
                )
            )
        furthest = sum(
            _furthest_motion(grids, subject.frame)
            for (_, _, grids), subject in zip(moved_portraits, subjects, strict=True)
        ) / len(subjects)
        # Motion grows about evenly with the change: from −reach … reach to what moves enough.
        step = reach * min(_NAMING_STEP, _NAMING_MOTION / max(furthest, 1e-9))
        return [
            self._measure(index, subject, step, *moved)
            for subject, moved in zip(subjects, moved_portraits, strict=True)
        ]

    def _pair(
        self, portrait: Portrait, index: int, change: float, subject: Subject
    ) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """Pictures (R, R, 3) uint8 and grids (R, R, 2) for −change and change."""
        alpha = np.tile(np.asarray(portrait.alpha), (2, 1))
        alpha[:, index] += (-change, change)
        image, out = self._animator.render_with(portrait, alpha, (self._grid,))
        pictures, grids = np.asarray(image), np.asarray(out[self._grid])
        if not (np.isfinite(pictures).all() and np.isfinite(grids).all()):
            raise ValueError(
                f"direction {index}: the model's picture of {subject.name} isn't finite when the "
                f"coefficient changes by {change:g}; use an earlier checkpoint"
            )
        lower, upper = to_uint8(pictures)
        return (lower, upper), (grids[0], grids[1])

    def _measure(
        self,
        index: int,
        subject: Subject,
        step: float,
        deltas: np.ndarray,
        pictures: np.ndarray,
        grids: np.ndarray,
    ) -> SubjectEffect:
        portrait = self._animator.encode(subject.picture)
        ends, _ = self._pair(portrait, index, step, subject)
        side = pictures.shape[1]
        middle = len(deltas) // 2
        # Where a pixel is taken from goes the other way than what is seen.
        moved = -(grids - grids[middle]) * side / 2
        whole = moved[-1] - moved[0]
        along = (moved * whole).sum(axis=(1, 2, 3)) / max(float(np.square(whole).sum()), 1e-12)
        unit = pictures.astype(np.float32) / 255
        difference = np.abs(unit - unit[middle])
        figure = from_canonical(figure_weight(), subject.frame, side)
        at_ends = difference[[0, -1]].mean(axis=(0, 3))
        return SubjectEffect(
            deltas=deltas,
            pictures=pictures,
            flow=motion_to_canonical(whole, subject.frame),
            seen=seen_motion(*ends, subject.frame),
            seen_step=step,
            seen_pictures=np.stack(ends),
            l1=difference.mean(axis=(1, 2, 3)),
            psnr=np.asarray(
                peak_signal_to_noise_ratio(
                    jnp.asarray(unit), jnp.broadcast_to(unit[middle], unit.shape)
                )
            ),
            pixels=np.linalg.norm(moved, axis=-1).mean(axis=(1, 2)),
            change=to_canonical(np.abs(unit[-1] - unit[0]).mean(-1), subject.frame),
            progress=along,
            background_l1=_weighted(at_ends, 1 - figure),
            figure_l1=_weighted(at_ends, figure),
            identity=self._drift(unit[[0, -1]], unit[middle]),
        )

    def _drift(self, ends: np.ndarray, unchanged: np.ndarray) -> float:
        """Mean identity distance of pictures (2, R, R, 3) on [0, 1], of those with a face."""
        if self._identity is None:
            return float("nan")
        source = self._identity.prepare(jnp.asarray(unchanged[None]))
        distances = np.asarray(self._identity(jnp.asarray(ends), source))
        known = distances[np.isfinite(distances)]
        return float(known.mean()) if known.size else float("nan")


def _weighted(values: np.ndarray, weights: np.ndarray) -> float:
    return float((values * weights).sum() / max(float(weights.sum()), 1e-6))


def _furthest_motion(grids: np.ndarray, frame: FaceFrame) -> float:
    """How far the face moves between the first and the last grid, in canonical units."""
    side = grids.shape[1]
    flow = motion_to_canonical((grids[-1] - grids[0]) * side / 2, frame)
    return float(np.percentile(np.linalg.norm(flow, axis=-1), _FURTHEST))
