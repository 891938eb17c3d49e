"""Editing motions: cut, blend, join, loop, smooth, resample. Each function makes a new one."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from liax_jax.animation.motion import Motion, MotionError
from liax_jax.animation.smoothing import smooth_rows
from liax_jax.log import logger

# Two rates are the same up to this ratio; 29.97 and 30 aren't.
_FPS_TOLERANCE = 1e-4


def cut(motion: Motion, start: float | None = None, end: float | None = None) -> Motion:
    """The frames that are shown from `start` on and before `end`, in seconds of the motion.

    Times count from the first frame; the result's begin at 0. None is the beginning or the end.

    Raises:
      MotionError: no frame is left, or the motion isn't that long.
    """
    times = motion.frame_times - motion.frame_times[0]
    start = 0.0 if start is None else start
    end = motion.duration if end is None else end
    if not 0 <= start < end:
        raise MotionError(f"can't cut from {start:g} s to {end:g} s")
    # Half a thousandth of a frame forgives the rounding of seconds that a user typed.
    slack = 5e-4 / motion.fps
    if start > times[-1] + slack or end > motion.duration + 0.5 / motion.fps:
        raise MotionError(
            f"can't cut from {start:g} s to {end:g} s: the motion has {motion.num_frames} frames, "
            f"the last at {times[-1]:.3f} s, and ends at {motion.duration:.3f} s"
        )
    kept = np.flatnonzero((times >= start - slack) & (times < end - slack))
    if not len(kept):
        raise MotionError(f"no frame is between {start:g} s and {end:g} s")
    return cut_frames(motion, int(kept[0]), int(kept[-1]) + 1)


def cut_frames(motion: Motion, first: int, end: int) -> Motion:
    """The frames `first` to `end` - 1; the result's times begin at 0.

    Raises:
      MotionError: the motion doesn't have them.
    """
    if not 0 <= first < end <= motion.num_frames:
        raise MotionError(
            f"can't cut the frames {first} to {end}: there are {motion.num_frames}, from 0"
        )
    times = motion.frame_times[first:end]
    # The frame rate keeps its value, so that what was in step with a video stays so.
    return dataclasses.replace(
        motion,
        alpha=motion.alpha[first:end],
        times=None if motion.times is None else times - times[0],
    )


def rebase(motion: Motion, start: np.ndarray) -> Motion:
    """Shifts all coefficients so that the first frame has (M,) `start`; the movement stays."""
    return dataclasses.replace(motion, alpha=motion.alpha + (start - motion.alpha[0]))


def blend(a: Motion, b: Motion, weight: np.ndarray | float = 0.5) -> Motion:
    """(1 − weight) · a + weight · b, frame by frame; as long as the shorter one, with a warning.

    Args:
      weight: one number, (M,) for a weight per direction, or (T, 1) or (T, M) for one that changes
        over time, T the frames of the shorter one.

    Raises:
      MotionError: they come from different models or have different frame rates.
    """
    _check_alike([a, b], "blended")
    count = min(a.num_frames, b.num_frames)
    if a.num_frames != b.num_frames:
        logger.warning(
            "blending %d with %d frames: the result has the first %d",
            a.num_frames,
            b.num_frames,
            count,
        )
    weight = np.asarray(weight, np.float64)
    mixed = (1 - weight) * a.alpha[:count] + weight * b.alpha[:count]
    if mixed.shape != (count, a.num_vectors):
        raise MotionError(f"a weight of {weight.shape} doesn't fit {(count, a.num_vectors)}")
    return dataclasses.replace(a, alpha=mixed, source=f"{a.source} + {b.source}")


def join(motions: Sequence[Motion], crossfade: float = 0.0) -> Motion:
    """One motion after the other.

    Args:
      crossfade: seconds for which the end of one and the beginning of the next overlap and are
        blended smoothly; the result is shorter by as much.

    Raises:
      MotionError: no motion; different models or frame rates; one is shorter than its crossfades.
    """
    _check_alike(motions, "joined")
    overlap = _crossfade_frames(motions[0], crossfade)
    alpha = motions[0].alpha.astype(np.float64)
    for number, motion in enumerate(motions):
        seams = (number > 0) + (number < len(motions) - 1)
        if overlap * seams > motion.num_frames:
            raise MotionError(
                f"motion {number + 1} has {motion.num_frames} frames, too few for "
                f"{seams} crossfades of {overlap}; shorten --crossfade"
            )
        if number:
            body = len(alpha) - overlap
            seam = _crossfaded(alpha[body:], motion.alpha[:overlap])
            alpha = np.concatenate([alpha[:body], seam, motion.alpha[overlap:]])
    source = " + ".join(dict.fromkeys(m.source for m in motions))
    return dataclasses.replace(motions[0], alpha=alpha, source=source)


def loop(motion: Motion, times: int, crossfade: float = 0.0) -> Motion:
    """The motion `times` times over, so that the end leads back to the beginning too.

    Args:
      crossfade: seconds for which the end is blended into the beginning. Every round is shorter by
        as much, and the first begins as much later, after the blend: a loop has no jump anywhere,
        and its first frame, where relative motion starts, is a frame of the motion.

    Raises:
      MotionError: times < 1, a crossfade of more than half the motion, a varying frame rate.
    """
    if times < 1:
        raise MotionError(f"a loop goes round at least once, got {times}")
    _check_alike([motion], "looped")
    overlap = _crossfade_frames(motion, crossfade)
    if 2 * overlap > motion.num_frames:
        raise MotionError(
            f"a crossfade of {overlap} frames takes more than half of the motion's "
            f"{motion.num_frames}; shorten it"
        )
    body = motion.num_frames - overlap
    seam = _crossfaded(motion.alpha[body:], motion.alpha[:overlap])
    cycle = np.concatenate([motion.alpha[overlap:body], seam])
    return dataclasses.replace(motion, alpha=np.tile(cycle, (times, 1)))


def smooth(motion: Motion, sigma: float, only: Sequence[int] | None = None) -> Motion:
    """Smooths over time without delay; see `smooth_rows`.

    Args:
      sigma: standard deviation in frames.
      only: indices of the directions to smooth; None for all.
    """
    alpha = smooth_rows(motion.alpha, sigma)
    if only is not None:
        chosen = np.isin(np.arange(motion.num_vectors), only)
        alpha = np.where(chosen, alpha, motion.alpha)
    return dataclasses.replace(motion, alpha=alpha)


def resample(motion: Motion, fps: float) -> Motion:
    """The motion at another, steady frame rate, as long as before: straight lines between frames.

    Raises:
      MotionError: fps isn't positive, or so small that no frame is left.
    """
    if not (np.isfinite(fps) and fps > 0):
        raise MotionError(f"the frame rate has to be a positive number, got {fps:g}")
    count = round(motion.duration * fps)
    if not count:
        raise MotionError(f"at {fps:g} frames/s no frame of {motion.duration:.3f} s is left")
    times = motion.frame_times - motion.frame_times[0]
    wanted = np.arange(count) / fps
    alpha = np.stack([np.interp(wanted, times, column) for column in motion.alpha.T], axis=1)
    return dataclasses.replace(motion, alpha=alpha, fps=fps, times=None)


def _check_alike(motions: Sequence[Motion], done: str) -> None:
    """Refuses motions that don't go together frame by frame."""
    if not motions:
        raise MotionError(f"there is no motion to be {done}")
    first = motions[0]
    for number, motion in enumerate(motions, 1):
        same_model = motion.fingerprint == first.fingerprint
        if not same_model or motion.num_vectors != first.num_vectors:
            raise MotionError(
                f"motions 1 and {number} belong to different models ({first.fingerprint}, "
                f"{motion.fingerprint}) and can't be {done}; extract both with the same one"
            )
        if motion.times is not None:
            raise MotionError(
                f"motion {number} has a varying frame rate and can't be {done}; give it a steady "
                "one first: liax motion resample"
            )
        if abs(motion.fps - first.fps) > _FPS_TOLERANCE * first.fps:
            raise MotionError(
                f"motions 1 and {number} have {first.fps:g} and {motion.fps:g} frames/s and can't "
                f"be {done}; change one first: liax motion resample"
            )


def _crossfade_frames(motion: Motion, seconds: float) -> int:
    if not (np.isfinite(seconds) and seconds >= 0):
        raise MotionError(f"a crossfade takes 0 seconds or more, got {seconds:g}")
    return round(seconds * motion.fps)


def _crossfaded(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """From (n, M) to (n, M) by half a cosine, which begins and ends without a jerk."""
    count = len(before)
    phase = np.arange(1, count + 1)[:, None] / (count + 1)
    weight = 0.5 - 0.5 * np.cos(np.pi * phase)
    return (1 - weight) * before + weight * after
