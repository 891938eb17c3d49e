"""Motion coefficients of a model on a set of clips, with what is known about each frame."""

import dataclasses
from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from liax_jax.animation.streaming import FrameStream, closing
from liax_jax.data.clips import ClipSet
from liax_jax.data.mixture import clip_identities
from liax_jax.interpretability.probe_clips import VideoClips
from liax_jax.probe_frames import distinct_frames

KINDS = ("frames", "deviations", "differences")
_SILENT = 1e-6
# Of the largest value: what differs from a clip's mean by less doesn't differ from it.
_ROUNDING = 1e-12


@dataclasses.dataclass(frozen=True)
class Codes:
    """Coefficients of frames, in the order of clips and, within a clip, of time.

    Attributes:
      alpha: (n, M) float64.
      clip: (n,) int, which clip; not falling.
      group: (n,) int, who is in it. Frames of one group are never split between training and test.
      factors: (n, K) float64, normalised factors where they are known, else None.
      factor_names: K names.
    """

    alpha: np.ndarray
    clip: np.ndarray
    group: np.ndarray
    factors: np.ndarray | None = None
    factor_names: tuple[str, ...] = ()

    def __post_init__(self):
        check_codes(self.alpha)
        for name in ("clip", "group", "factors"):
            value = getattr(self, name)
            if value is not None and len(value) != len(self.alpha):
                raise ValueError(
                    f"codes of {len(self.alpha)} frames, but {name} of {len(value)}: give one each"
                )
        if self.factors is not None:
            check_factors(self.factors, self.factor_names)

    def of_kind(self, kind: str) -> "Codes":
        """The codes, and the factors with them, in another form.

        Args:
          kind: "frames" as they are; "deviations" from the mean of their clip, which leaves out
            who is in it; "differences" between frames half a clip apart, as relative transfer
            uses them (eq. 8).

        Raises:
          ValueError: another kind, or a clip of a single frame.
        """
        if kind not in KINDS:
            raise ValueError(f"codes of kind {kind!r}: choose one of {', '.join(KINDS)}")
        if kind == "frames":
            return self
        return dataclasses.replace(
            self,
            alpha=_within_clips(self.alpha, self.clip, kind),
            factors=None if self.factors is None else _within_clips(self.factors, self.clip, kind),
        )


def check_codes(alpha: np.ndarray) -> None:
    """Raises ValueError unless `alpha` is (n, M), finite, n > M, and not constant."""
    if alpha.ndim != 2:
        raise ValueError(f"codes have shape (frames, vectors); got {alpha.shape}")
    frames, vectors = alpha.shape
    if not np.isfinite(alpha).all():
        row, column = np.argwhere(~np.isfinite(alpha))[0]
        raise ValueError(
            f"the codes are not finite: coefficient {column} of frame {row} is "
            f"{alpha[row, column]}; use an earlier checkpoint"
        )
    if frames <= vectors:
        raise ValueError(
            f"{frames} frames are too few for {vectors} vectors; measure on more than that, better "
            "on twenty times as many"
        )
    if not active(alpha).any():
        raise ValueError("all coefficients are the same in every frame: there is nothing to read")


def check_factors(factors: np.ndarray, names: tuple[str, ...] = ()) -> None:
    """Raises ValueError unless `factors` is (n, K), finite, and every factor varies."""
    if factors.ndim != 2:
        raise ValueError(f"factors have shape (frames, factors); got {factors.shape}")
    names = names or tuple(f"factor {j}" for j in range(factors.shape[1]))
    if len(names) != factors.shape[1]:
        raise ValueError(f"{factors.shape[1]} factors, but {len(names)} names")
    for j, name in enumerate(names):
        if not np.isfinite(factors[:, j]).all():
            raise ValueError(f"{name} has values that are not finite")
        if np.ptp(factors[:, j]) == 0:
            raise ValueError(
                f"{name} is the same in every frame ({factors[0, j]:g}), so no code can follow it; "
                "leave it out, or measure on clips where it moves"
            )


def active(alpha: np.ndarray) -> np.ndarray:
    """(M,) bool: coefficients whose deviation is above a millionth of the largest one's."""
    deviation = alpha.std(0)
    return deviation > _SILENT * max(deviation.max(), np.finfo(float).tiny)


def extract_codes(
    stream: FrameStream,
    clips: ClipSet,
    max_clips: int = 64,
    frames_per_clip: int = 32,
    progress: bool = False,
    with_factors: bool = True,
) -> Codes:
    """The coefficients of frames spread evenly over clips that are spread over the set.

    One chunk of frames is in memory at a time.

    Args:
      stream: the model.
      clips: of the model's resolution; procedural ones bring their factors.
      max_clips, frames_per_clip: at most so many.
      with_factors: whether the factors of procedural clips come along; all have to vary then.

    Raises:
      ValueError: clips of another resolution, or codes that can't be measured.
    """
    side = stream.animator.resolution
    if clips.resolution != side:
        raise ValueError(
            f"the model reads pictures of {side} pixels and the data have {clips.resolution}; "
            f"prepare them with --resolution {side}, or name a model of {clips.resolution} pixels"
        )
    plan = distinct_frames(clips.lengths, max_clips, frames_per_clip)
    read: list[tuple[int, int]] = []
    total = sum(map(len, plan.values()))
    with (
        tqdm(total=total, unit="frame", desc="encode", disable=not progress) as bar,
        closing(stream.coefficients(_frames(clips, plan, read))) as pieces,
    ):
        found = []
        for piece in pieces:
            found.append(piece)
            bar.update(len(piece))
    clip = np.array([c for c, _ in read])
    identities = clip_identities(clips)
    number = {name: i for i, name in enumerate(dict.fromkeys(identities))}
    known = getattr(clips, "factors", None) if with_factors else None
    factors = None
    if known is not None:
        values = {clip: known(clip) for clip in plan}
        factors = np.stack([values[c][t] for c, t in read]).astype(np.float64)
    return Codes(
        alpha=np.concatenate(found).astype(np.float64),
        clip=clip,
        group=np.array([number[identities[c]] for c in clip]),
        factors=factors,
        factor_names=() if factors is None else tuple(getattr(clips, "factor_names", ())),
    )


def _frames(
    clips: ClipSet, plan: dict[int, list[int]], read: list[tuple[int, int]]
) -> Iterator[np.ndarray]:
    """The frames of a plan, one by one; `read` gets the clip and time of each."""
    for clip, times in plan.items():
        if isinstance(clips, VideoClips):
            wanted = set(times)
            # A header may promise more frames than there are: those that are there count.
            for t, frame in enumerate(clips.frames(clip)):
                if t in wanted:
                    read.append((clip, t))
                    yield frame
                if t >= times[-1]:
                    break
        else:
            for t in times:
                read.append((clip, t))
                yield clips.frame(clip, t)


def _within_clips(values: np.ndarray, clip: np.ndarray, kind: str) -> np.ndarray:
    """What changes within a clip; exactly 0 where rounding alone makes it differ from that."""
    out = np.empty_like(values)
    for number in np.unique(clip):
        rows = np.flatnonzero(clip == number)
        if len(rows) < 2:
            raise ValueError(
                f"clip {number} has a single frame, so no {kind}; take 2 or more of each clip"
            )
        reference = (
            values[rows].mean(0) if kind == "deviations" else values[np.roll(rows, len(rows) // 2)]
        )
        out[rows] = values[rows] - reference
    still = np.abs(out).max(0) <= _ROUNDING * np.abs(values).max(0)
    out[:, still] = 0
    return out
