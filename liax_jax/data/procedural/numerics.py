"""Arithmetic that gives the same bits on every machine.

Pixels drawn from a seed have to be equal everywhere, so nothing here calls libm, BLAS or a
SIMD transcendental: only + - * /, sqrt, min, max, floor and casts, which IEEE 754 rounds exactly.
"""

from __future__ import annotations

import numpy as np

PI = 3.141592653589793


def stream(*key: int) -> np.random.Generator:
    """Random stream of a key of non-negative integers. Use only ``random``, ``integers``."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(list(key))))


def sin_cos(angle: float) -> tuple[float, float]:
    """(sin, cos) of an angle in radians, |angle| <= pi, to 1e-9."""
    quarter = angle / 4.0
    square = quarter * quarter
    sine = quarter * (1 - square / 6 * (1 - square / 20 * (1 - square / 42 * (1 - square / 72))))
    cosine = 1 - square / 2 * (1 - square / 12 * (1 - square / 30 * (1 - square / 56)))
    for _ in range(2):  # angle doubling, twice
        sine, cosine = 2 * sine * cosine, 1 - 2 * sine * sine
    return sine, cosine


def exp(x: np.ndarray) -> np.ndarray:
    """e**x for |x| <= 30, relative error below 1e-6: the series of x/4096, squared 12 times."""
    small = np.asarray(x, np.float64) / 4096.0
    result = 1 + small * (1 + small / 2 * (1 + small / 3 * (1 + small / 4)))
    for _ in range(12):
        result = result * result
    return result


def log(x: np.ndarray) -> np.ndarray:
    """Natural logarithm of positive finite x, error below 1e-9 (2 atanh series of the mantissa)."""
    mantissa, exponent = np.frexp(np.asarray(x, np.float64))
    ratio = (mantissa - 0.75) / (mantissa + 0.75)
    square = ratio * ratio
    series = np.full_like(square, 1 / 15.0)
    for odd in (13, 11, 9, 7, 5, 3, 1):
        series = series * square + 1.0 / odd
    return 2 * ratio * series + exponent * 0.6931471805599453 - 0.2876820724517809


def normal_cdf(x: np.ndarray) -> np.ndarray:
    """Distribution function of the standard normal, error below 1e-6 (Zelen and Severo's form)."""
    size = np.minimum(np.abs(x), 7.0)
    k = 1 / (1 + 0.2316419 * size)
    tail = k * (
        0.319381530 + k * (-0.356563782 + k * (1.781477937 + k * (-1.821255978 + k * 1.330274429)))
    )
    upper = tail * 0.3989422804014327 * exp(-size * size / 2)
    return np.where(np.asarray(x) > 0, 1 - upper, upper)


def smoothstep(x: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, a cubic between."""
    t = np.minimum(np.maximum(x, 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


def ramp(x: np.ndarray) -> np.ndarray:
    """x limited to [0, 1]."""
    return np.minimum(np.maximum(x, 0.0), 1.0)


def value_noise(
    rng: np.random.Generator, shape: tuple[int, int], cells: tuple[float, float]
) -> np.ndarray:
    """Smooth noise in [0, 1], float32 (h w), with about `cells` (rows, columns) lattice cells.

    The lattice depends on the stream and on `cells` alone, so an image has the same noise at every
    resolution.
    """
    rows, columns = int(cells[0]) + 2, int(cells[1]) + 2
    lattice = rng.random((rows, columns)).astype(np.float32)

    def axis(size: int, count: float) -> tuple[np.ndarray, np.ndarray]:
        position = (np.arange(size, dtype=np.float32) + 0.5) * np.float32(count / size)
        whole = np.floor(position)
        return whole.astype(np.intp), smoothstep(position - whole)

    row, row_weight = axis(shape[0], cells[0])
    column, column_weight = axis(shape[1], cells[1])
    across = lattice[:, column] * (1 - column_weight) + lattice[:, column + 1] * column_weight
    weight = row_weight[:, None]
    return across[row] * (1 - weight) + across[row + 1] * weight


class Texture:
    """Channels over a rectangle of a plane, read bilinearly; outside, the border continues.

    channels: float32 (c h w); `low` and `high` are the (u, v) of the first and last texel centres.
    """

    def __init__(
        self, channels: np.ndarray, low: tuple[float, float], high: tuple[float, float]
    ) -> None:
        self.count, self.height, self.width = channels.shape
        self.table = np.ascontiguousarray(channels.reshape(self.count, -1).T, np.float32)
        self.low = low
        self.gain = ((self.width - 1) / (high[0] - low[0]), (self.height - 1) / (high[1] - low[1]))

    def read(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Channels (c h w) at points of float32 (h w)."""
        column = (u - self.low[0]) * self.gain[0]
        row = (v - self.low[1]) * self.gain[1]
        column = np.minimum(np.maximum(column, 0.0), self.width - 1.001)
        row = np.minimum(np.maximum(row, 0.0), self.height - 1.001)
        whole_column = column.astype(np.int32)
        whole_row = row.astype(np.int32)
        column -= whole_column.astype(np.float32)
        row -= whole_row.astype(np.float32)
        index = (whole_row * self.width + whole_column).ravel()
        across, down = column.reshape(-1, 1), row.reshape(-1, 1)
        table = self.table
        corner = table.take(index, axis=0)
        top = corner + (table.take(index + 1, axis=0) - corner) * across
        index += self.width
        corner = table.take(index, axis=0)
        bottom = corner + (table.take(index + 1, axis=0) - corner) * across
        top += (bottom - top) * down
        return np.ascontiguousarray(top.T).reshape((self.count, *u.shape))
