"""Means over the seeds of a setting, with their intervals."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from scipy import stats


@dataclasses.dataclass(frozen=True)
class Statistic:
    """One measure of a row.

    Attributes:
      value: mean over seeds.
      interval: 95 %, by Student's t over seeds; of a single seed, over people where its result has
        one; else None.
      over: "seeds", "pairs" of seeds, or "people": what the interval is over.
      control: mean over seeds of the measure's own control, or None.
      values: of each seed, or of each pair of seeds.
      controls: likewise of the control, or none.
    """

    value: float
    interval: tuple[float, float] | None
    over: str
    control: float | None
    values: tuple[float, ...]
    controls: tuple[float, ...] = ()


def over_seeds(
    values: Sequence[float],
    controls: Sequence[float] = (),
    of_one: Sequence[float] | None = None,
) -> Statistic:
    """A mean over seeds.

    Args:
      values: one per seed.
      controls: likewise, or none.
      of_one: interval of the only seed, over people.
    """
    mean = float(np.mean(values))
    interval, over = None, "seeds"
    if len(values) > 1:
        interval = _t_interval(values)
    elif of_one is not None:
        interval, over = (float(of_one[0]), float(of_one[1])), "people"
    control = float(np.mean(controls)) if len(controls) else None
    return Statistic(
        mean, interval, over, control, tuple(map(float, values)), tuple(map(float, controls))
    )


def differences(
    a: Mapping[int, float],
    b: Mapping[int, float],
    factor: float = 1.0,
    without: Collection[int] = (),
) -> Statistic | None:
    """a − factor · b of the seeds that both have, some left out; None without any."""
    common = [seed for seed in a if seed in b and seed not in without]
    return over_seeds([a[seed] - factor * b[seed] for seed in common]) if common else None


def _t_interval(values: Sequence[float]) -> tuple[float, float]:
    mean, error = np.mean(values), stats.sem(values)
    reach = stats.t.ppf(0.975, len(values) - 1) * error
    return float(mean - reach), float(mean + reach)


def over_pairs(
    pairs: Sequence[tuple[tuple[int, int], float, float | None]], seeds: int
) -> Statistic:
    """A mean over pairs of seeds, which share seeds: the interval is a jackknife over seeds.

    Args:
      pairs: ((one seed's number, the other's), value, control or None).
      seeds: how many there are; without three of them there is no interval.
    """
    values = [value for _, value, _ in pairs]
    mean = float(np.mean(values))
    interval = None
    if seeds > 2:
        without = [
            np.mean([value for runs, value, _ in pairs if left_out not in runs])
            for left_out in range(seeds)
        ]
        error = np.sqrt((seeds - 1) / seeds * np.square(without - np.mean(without)).sum())
        reach = float(stats.t.ppf(0.975, seeds - 1) * error)
        interval = (mean - reach, mean + reach)
    controls = tuple(control for _, _, control in pairs if control is not None)
    control = float(np.mean(controls)) if controls else None
    return Statistic(mean, interval, "pairs", control, tuple(values), controls)
