"""Mean and covariance of feature vectors, collected in a stream and joined without loss."""

import dataclasses
from collections.abc import Mapping

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureStatistics:
    """Statistics of feature vectors; never changed, `add` and `merge` give new ones.

    Vectors are kept as they are until there are as many as dimensions: up to there they take less
    room than their covariance (a clip of 200 frames 1.6 MB instead of 34), and the rank stays
    known. Then they are folded into mean and scatter in float64, by the pairwise formula of Chan,
    Golub and LeVeque (1983), which doesn't subtract large sums. So memory is bounded by two
    d × d matrices whatever the number of frames.

    Attributes:
      rows: (k, d) float32 or float64, k < d: vectors not folded in yet.
      folded: how many vectors are in `mean` and `scatter`.
      mean: (d,) float64, of the folded vectors.
      scatter: (d, d) float64, Σ (x − mean)(x − mean)ᵀ over the folded vectors; None while there
        are none.
    """

    rows: np.ndarray
    folded: int
    mean: np.ndarray
    scatter: np.ndarray | None

    @classmethod
    def empty(cls, dimensions: int) -> "FeatureStatistics":
        """Statistics of no vectors."""
        return cls(np.zeros((0, dimensions), np.float32), 0, np.zeros(dimensions), None)

    @property
    def dimensions(self) -> int:
        """d."""
        return len(self.mean)

    @property
    def count(self) -> int:
        """How many vectors there are."""
        return self.folded + len(self.rows)

    def add(self, rows: np.ndarray) -> "FeatureStatistics":
        """Statistics with vectors (n, d) added."""
        if rows.ndim != 2 or rows.shape[1] != self.dimensions:
            raise ValueError(f"expected vectors (n, {self.dimensions}), got {rows.shape}")
        pending = np.concatenate([self.rows, rows])
        if len(pending) < self.dimensions:
            return dataclasses.replace(self, rows=pending)
        kept = np.zeros((0, self.dimensions), np.float32)
        folded = _fold(self.folded, self.mean, self.scatter, *_moments(pending))
        return FeatureStatistics(kept, *folded)

    def merge(self, other: "FeatureStatistics") -> "FeatureStatistics":
        """Statistics of the vectors of both."""
        merged = self
        if other.scatter is not None:
            folded = _fold(
                self.folded, self.mean, self.scatter, other.folded, other.mean, other.scatter
            )
            merged = FeatureStatistics(self.rows, *folded)
        return merged.add(other.rows)

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean (d,) and unbiased covariance (d, d), float64; of at least two vectors."""
        count, mean, scatter = self.folded, self.mean, self.scatter
        if len(self.rows):
            count, mean, scatter = _fold(count, mean, scatter, *_moments(self.rows))
        if count < 2 or scatter is None:
            raise ValueError(f"a covariance needs at least 2 vectors, got {count}")
        return mean, scatter / (count - 1)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """What `from_arrays` takes, for `numpy.savez`."""
        arrays = {"rows": self.rows}
        if self.scatter is not None:
            arrays |= {
                "folded": np.asarray(self.folded),
                "mean": self.mean,
                "scatter": self.scatter,
            }
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "FeatureStatistics":
        """The statistics that `to_arrays` gave."""
        rows = np.asarray(arrays["rows"])
        if "scatter" not in arrays:
            return cls(rows, 0, np.zeros(rows.shape[1]), None)
        mean, scatter = np.asarray(arrays["mean"]), np.asarray(arrays["scatter"])
        return cls(rows, int(arrays["folded"]), mean, scatter)


def _moments(rows: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    rows = rows.astype(np.float64)
    mean = rows.mean(axis=0)
    centred = rows - mean
    return len(rows), mean, centred.T @ centred


def _fold(
    count: int,
    mean: np.ndarray,
    scatter: np.ndarray | None,
    other_count: int,
    other_mean: np.ndarray,
    other_scatter: np.ndarray,
) -> tuple[int, np.ndarray, np.ndarray]:
    if scatter is None:
        return other_count, other_mean, other_scatter
    total = count + other_count
    step = other_mean - mean
    between = np.outer(step, step) * (count * other_count / total)
    return total, mean + step * (other_count / total), scatter + other_scatter + between
