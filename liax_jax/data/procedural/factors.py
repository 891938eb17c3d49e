"""The factors that move a procedural portrait: names, ranges, and how they move over time.

Left and right are the viewer's. A factor's value is normalised: [-1, 1], or [0, 1] where its rest
is at one end (`ONE_SIDED`); the extreme that a value of 1 stands for is its `REACH`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from liax_jax.data.procedural import numerics

# name: (what +1 is, unit of the reach, reach at +1, seconds over which it changes)
_TABLE: dict[str, tuple[str, str, float, float]] = {
    "yaw": ("the head turns to the right", "degrees", 38.0, 0.60),
    "pitch": ("the head looks up", "degrees", 20.0, 0.60),
    "roll": ("the head leans to the right", "degrees", 20.0, 0.70),
    "shift_x": ("the head is to the right", "fraction of the width", 0.08, 0.80),
    "shift_y": ("the head is lower", "fraction of the height", 0.08, 0.80),
    "scale": ("the head is larger", "fraction", 0.12, 0.90),
    "jaw": ("0 closed, 1 wide open", "face half-heights", 0.30, 0.22),
    "lip_width": ("the mouth is wide, its corners up", "fraction", 0.30, 0.30),
    "pout": ("the lips are full and forward; -1 pressed thin", "fraction", 0.75, 0.30),
    "lid_left": ("0 open, 1 closed", "fraction", 1.0, 0.22),
    "lid_right": ("0 open, 1 closed", "fraction", 1.0, 0.22),
    "brows": ("the brows are raised", "face half-heights", 0.13, 0.40),
    "gaze_x": ("the eyes look to the right", "eye half-widths", 0.56, 0.30),
    "gaze_y": ("the eyes look down", "eye half-heights", 0.45, 0.30),
}

FACTORS: tuple[str, ...] = tuple(_TABLE)
ONE_SIDED: frozenset[str] = frozenset({"jaw", "lid_left", "lid_right"})
DESCRIPTION: dict[str, str] = {name: row[0] for name, row in _TABLE.items()}
UNIT: dict[str, str] = {name: row[1] for name, row in _TABLE.items()}
REACH: dict[str, float] = {name: row[2] for name, row in _TABLE.items()}
_SECONDS: dict[str, float] = {name: row[3] for name, row in _TABLE.items()}

DISTRIBUTIONS: tuple[str, ...] = ("natural", "resting", "laplacian", "gaussian", "uniform")
GAUSSIAN_SIGMA = 0.36  # cut at 1 (2.8 sigma), so that no value piles up at the ends
LAPLACIAN_SCALE = 0.20  # cut at 1 (5 scales)
RESTING_SHARE = 0.7  # of the time exactly at rest, else evenly spread over the range


def resolve_distributions(distribution: str | Mapping[str, str]) -> dict[str, str]:
    """One distribution per factor, from one name for all or from a mapping factor -> name.

    Factors that a mapping leaves out are "natural". Raises ValueError on an unknown name.
    """
    if isinstance(distribution, str):
        chosen = dict.fromkeys(FACTORS, distribution)
    else:
        unknown = sorted(set(distribution) - set(FACTORS))
        if unknown:
            raise ValueError(
                f"unknown factor {', '.join(unknown)}; choose from {', '.join(FACTORS)}"
            )
        chosen = {name: distribution.get(name, "natural") for name in FACTORS}
    for name, value in chosen.items():
        if value not in DISTRIBUTIONS:
            raise ValueError(
                f"unknown distribution {value!r} for {name}; choose from {', '.join(DISTRIBUTIONS)}"
            )
    return chosen


def resolve_moving(moving: Sequence[str]) -> tuple[str, ...]:
    """The factors that move, in the order of `FACTORS`; none named means all.

    Raises ValueError on an unknown name.
    """
    unknown = sorted(set(moving) - set(FACTORS))
    if unknown:
        raise ValueError(f"unknown factor {', '.join(unknown)}; choose from {', '.join(FACTORS)}")
    return tuple(name for name in FACTORS if name in moving) or FACTORS


def factor_range(name: str) -> tuple[float, float]:
    """Lowest and highest normalised value of a factor."""
    return (0.0, 1.0) if name in ONE_SIDED else (-1.0, 1.0)


def smooth_normal(rng: np.random.Generator, frames: int, width: float) -> np.ndarray:
    """Stationary standard-normal process (t,), correlated over about `width` frames."""
    reach = max(int(width * 1.5 + 0.5), 1)
    noise = np.zeros(frames + 2 * reach)
    for draw in rng.random((12, frames + 2 * reach)):  # twelve uniforms: variance 1, near normal
        noise += draw
    noise -= 6.0
    out, energy = np.zeros(frames), 0.0
    for step in range(-reach, reach + 1):
        bump = 1.0 - (step / (reach + 1)) * (step / (reach + 1))
        weight = bump * bump * bump
        out += weight * noise[reach + step : reach + step + frames]
        energy += weight * weight
    return out / np.sqrt(energy)


def quantile(distribution: str, probability: np.ndarray) -> np.ndarray:
    """Quantile function on [-1, 1] of a named marginal, at probabilities in (0, 1).

    The normal has sigma `GAUSSIAN_SIGMA` and the Laplacian scale `LAPLACIAN_SCALE`, both cut at
    -1 and 1; "resting" is 0 with probability `RESTING_SHARE`.
    """
    if distribution == "resting":
        side = np.maximum(np.abs(2 * probability - 1) - RESTING_SHARE, 0) / (1 - RESTING_SHARE)
        return np.where(probability < 0.5, -side, side)
    if distribution == "uniform":
        return 2 * probability - 1
    if distribution == "laplacian":
        mass = 1 - float(numerics.exp(np.asarray(-1 / LAPLACIAN_SCALE)))
        side = np.abs(2 * probability - 1) * mass
        size = -LAPLACIAN_SCALE * numerics.log(1 - side)
        return np.where(probability < 0.5, -size, size)
    raise ValueError(f"no quantile function for {distribution!r}")


def _marginal(
    rng: np.random.Generator, name: str, kind: str, frames: int, fps: float
) -> np.ndarray:
    process = smooth_normal(rng, frames, _SECONDS[name] * fps)
    if kind == "gaussian":
        value = GAUSSIAN_SIGMA * process
        # Values past the cut (fewer than 1 in 100) are folded back inside: no pile-up at the ends.
        value = np.where(np.abs(value) > 1, np.where(value > 0, 2, -2) - value, value)
    else:
        value = quantile(kind, numerics.normal_cdf(process))
    value = np.minimum(np.maximum(value, -1.0), 1.0)
    if name not in ONE_SIDED:
        return value
    # What rests does so at the end of its range; the others are as far from both ends.
    return np.abs(value) if kind == "resting" else 0.5 + 0.5 * value


def _excursions(
    rng: np.random.Generator, frames: int, fps: float, rest: float, reach: float, rate: float
) -> np.ndarray:
    """A wandering rest position plus smooth moves away from it and back (per-second `rate`)."""
    value = rest * smooth_normal(rng, frames, 0.55 * fps)
    time = np.arange(frames) / fps
    start = -2.0
    while True:
        start += (0.4 + 1.2 * rng.random()) / rate
        rise, hold, size = 0.25 + 0.4 * rng.random(), 0.2 + 0.9 * rng.random(), rng.random()
        sign = 1.0 if rng.random() < 0.5 else -1.0
        if start > frames / fps:
            return value
        up = numerics.smoothstep((time - start) / rise)
        down = numerics.smoothstep((time - start - rise - hold) / rise)
        value = value + sign * reach * (0.35 + 0.65 * size) * (up - down)


def _saccades(rng: np.random.Generator, frames: int, fps: float, spread: float) -> np.ndarray:
    """Held targets with jumps of about 60 ms, and a little drift."""
    value = 0.03 * smooth_normal(rng, frames, 0.2 * fps)
    time = np.arange(frames) / fps
    start, here = -1.0, 0.0
    while start < frames / fps:
        target = spread * (2 * rng.random() - 1) if rng.random() < 0.7 else 0.0
        value = value + (target - here) * numerics.smoothstep((time - start) / 0.07)
        here, start = target, start + 0.25 + 1.1 * rng.random()
    return value


def _natural_lids(
    rng: np.random.Generator, frames: int, fps: float
) -> tuple[np.ndarray, np.ndarray]:
    """Rare blinks of both lids, a few winks of one, and slow, mostly shared narrowing."""
    time = np.arange(frames) / fps
    shared = 0.10 + 0.07 * smooth_normal(rng, frames, 0.8 * fps)
    lids = [shared + 0.04 * smooth_normal(rng, frames, 0.6 * fps) for _ in range(2)]
    start = -3.0 * rng.random()
    while True:
        start += 1.1 + 3.2 * rng.random()
        kind, length = rng.random(), 0.22 + 0.12 * rng.random()
        if start > frames / fps:
            break
        winks = 0.22
        if kind < winks:
            length += 0.15
        middle = start + length / 2
        closing = numerics.smoothstep(1.45 - np.abs(time - middle) * (2.6 / length))
        for side in range(2):
            if kind >= winks or (kind < winks / 2) == (side == 0):
                lids[side] = lids[side] + (1 - lids[side]) * closing
    return lids[0], lids[1]


def _natural_jaw(rng: np.random.Generator, frames: int, fps: float) -> np.ndarray:
    """Syllables of 120 to 300 ms inside phrases, pauses between."""
    time = np.arange(frames) / fps
    value = np.full(frames, 0.02)
    start, phrase_end = -1.5 * rng.random(), 0.0
    while start < frames / fps:
        if start > phrase_end:
            start += 0.2 + 0.6 * rng.random()
            phrase_end = start + 0.8 + 2.0 * rng.random()
        length, size = 0.14 + 0.16 * rng.random(), rng.random()
        opening = numerics.smoothstep(1 - np.abs(time - start - length) / length)
        value = np.maximum(value, (0.15 + 0.75 * size * (0.4 + 0.6 * size)) * opening)
        start += 1.25 * length
    return value


def trajectories(
    key: tuple[int, ...], frames: int, fps: float, distributions: Mapping[str, str]
) -> np.ndarray:
    """Normalised factor values over time, float32 (t, F) in the order of `FACTORS`.

    Every factor has its own random stream, so under all but "natural" the factors are independent
    of one another. "natural" is as in talking-head clips: the head near
    rest with excursions, the mouth busy, gaze in jumps, blinks rare and mostly of both lids.
    """
    columns: dict[str, np.ndarray] = {}
    for index, name in enumerate(FACTORS):
        rng = numerics.stream(*key, index)
        if distributions[name] != "natural":
            columns[name] = _marginal(rng, name, distributions[name], frames, fps)
        elif name in ("yaw", "pitch", "roll"):
            rate = {"yaw": 0.55, "pitch": 0.40, "roll": 0.35}[name]
            columns[name] = _excursions(rng, frames, fps, 0.16, 0.85, rate)
        elif name in ("shift_x", "shift_y", "scale"):
            columns[name] = 0.30 * smooth_normal(rng, frames, 0.8 * fps)
        elif name == "jaw":
            columns[name] = _natural_jaw(rng, frames, fps)
        elif name in ("lip_width", "pout"):
            columns[name] = 0.36 * smooth_normal(rng, frames, 0.25 * fps)
        elif name == "brows":
            columns[name] = _excursions(rng, frames, fps, 0.15, 0.80, 0.50)
        elif name in ("gaze_x", "gaze_y"):
            columns[name] = _saccades(rng, frames, fps, 0.95)
        else:  # one stream for both lids: a blink closes both
            shared = numerics.stream(*key, FACTORS.index("lid_left"))
            left, right = _natural_lids(shared, frames, fps)
            columns[name] = left if name == "lid_left" else right
    for name, value in columns.items():
        low, high = factor_range(name)
        columns[name] = np.minimum(np.maximum(value, low), high)
    return np.stack([columns[name] for name in FACTORS], axis=1).astype(np.float32)
