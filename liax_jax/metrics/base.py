"""The kinds of metrics, and what every one of them states about its number.

  FrameMetric     a score per frame: against the driving frame, the source picture or nothing
  SequenceMetric  a score per frame that needs the frames before it (temporal jitter)
  SetMetric       one number for a set of frames against another (FID)

All take images (b, h, w, 3), float, in [0, 1]. The work on pictures is pure, jitted and per
example, so that the padding of a last batch can be left out by its mask, and stays on the device.
Networks are arguments of the compiled functions, never constants in them. Inputs are checked with
`check_frames` where they come in: compiled code can't raise, and scores NaN frames as NaN.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from liax_jax.metrics.feature_statistics import FeatureStatistics

# 8-bit pixels divided by 255 and back may be off by a rounding; more is another range.
_RANGE_SLACK = 1e-3


class MetricInputError(ValueError):
    """Frames that can't be scored, and why."""


@dataclasses.dataclass(frozen=True)
class StoredWeights:
    """A network's weights as they come out of the store.

    Attributes:
      name: of the network.
      params: what its `from_state_dict` made of them.
      provenance: "sha256" of the stored file, "sources": published file name → its SHA-256.
    """

    name: str
    params: Any
    provenance: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Metric:
    """What every metric states.

    Attributes:
      name: as in tables, files and flags.
      higher_is_better: the direction in which it improves.
      convention: what a reader has to know to compare the number with another paper's: protocol,
        resizing, network.
      decimals: how many digits after the point a table shows.
      params: of its networks; None where it has none.
      weights: network name to what `StoredWeights.provenance` says of it; empty without networks.
      min_size: least height and width of pictures that it can score.
    """

    name: str
    higher_is_better: bool
    convention: str
    decimals: int
    params: Any = dataclasses.field(default=None, repr=False)
    weights: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    min_size: int = 1

    def describe(self, frames: int) -> dict[str, Any]:
        """What goes beside the number in every result, as JSON."""
        return {
            "convention": self.convention,
            "higher_is_better": self.higher_is_better,
            "frames": frames,
            "weights": {name: dict(provenance) for name, provenance in self.weights.items()},
        }

    def check_size(self, height: int, width: int) -> None:
        """Raises MetricInputError where pictures are smaller than the metric can score."""
        if reason := self.too_small(height, width):
            raise MetricInputError(f"{self.name}: {reason}")

    def too_small(self, height: int, width: int) -> str:
        """Why pictures of this size can't be scored, or an empty string."""
        if min(height, width) >= self.min_size:
            return ""
        return (
            f"needs pictures of at least {self.min_size} x {self.min_size} pixels, got "
            f"{height} x {width}"
        )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FrameMetric(Metric):
    """A score of each frame.

    Attributes:
      apply: pure (params, images (..., h, w, c), prepared) to scores (...) float32. `prepared` is
        the driving frames, of the images' shape, or what `prepare` made of the source, or None.
      against: what the frames are compared with.
      prepare_source: pure (params, source (1, h, w, 3)) to what `apply` needs of the source
        picture (its embedding); once per clip. Only where `against` is "source".
      skips_frames: a frame may hold nothing that the metric could score (no face). It then scores
        NaN, is left out of means and counted. Of other metrics NaN is an error.
    """

    apply: Callable[[Any, jax.Array, Any], jax.Array]
    against: Literal["driving", "source", "nothing"] = "driving"
    prepare_source: Callable[[Any, jax.Array], Any] | None = None
    skips_frames: bool = False

    def function(self, images: jax.Array, prepared: Any = None) -> jax.Array:
        """The pure function with this metric's parameters: for use inside other jitted code.

        Parameters become constants of that code; call the metric itself where it has a network.
        """
        return self.apply(self.params, images, prepared)

    def __call__(self, images: jax.Array, prepared: Any = None) -> jax.Array:
        """Scores (b,) float32 of images (b, h, w, 3) in [0, 1], jitted.

        Args:
          images: the frames to score; any padding at the end is scored too, and to be dropped.
          prepared: by `against`: driving frames of the same shape, `prepare(source)`, or nothing.
        """
        self.check_size(*images.shape[-3:-1])
        return _apply(self.apply, self.params, images, prepared)

    def prepare(self, source: jax.Array) -> Any:
        """What the scores of a clip need of its source picture (1, h, w, 3) in [0, 1]."""
        if self.prepare_source is None:
            raise ValueError(f"{self.name} compares frames with {self.against}, not with a source")
        self.check_size(*source.shape[-3:-1])
        return _prepare(self.prepare_source, self.params, source)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SequenceMetric(Metric):
    """A score of each frame of a clip that depends on the frames before it.

    Attributes:
      context: how many earlier frames it looks at.
      apply: pure (params, images, references, earlier) to scores (b,). `images` and `references`
        are (context + b, h, w, 3), the frames before first; score i is that of frame context + i.
    """

    context: int
    apply: Callable[[Any, jax.Array, jax.Array], jax.Array]

    def init(self) -> "SequenceCarry | None":
        """The state at the beginning of a clip."""
        return None

    def update(
        self, carry: "SequenceCarry | None", images: jax.Array, references: jax.Array
    ) -> tuple["SequenceCarry", jax.Array, np.ndarray]:
        """Scores the next frames of a clip.

        Args:
          carry: of the call before, or `init()`.
          images: (b, h, w, 3) in [0, 1], the generated frames; b the same for all calls of a clip
            (pad the last one; its padding is scored too, and to be dropped).
          references: the driving frames, of the same shape.

        Returns:
          The new state, scores (b,) float32, and which of them (b,) bool count: the first
          `context` frames of a clip have no score.
        """
        self.check_size(*images.shape[-3:-1])
        if carry is None:
            start = jnp.repeat(images[:1], self.context, axis=0)
            begin = jnp.repeat(references[:1], self.context, axis=0)
            carry = SequenceCarry(start, begin, 0)
        images = jnp.concatenate([carry.images, images])
        references = jnp.concatenate([carry.references, references])
        scores = self.score(images, references)
        numbers = carry.seen + np.arange(len(scores))
        later = SequenceCarry(
            images[-self.context :], references[-self.context :], carry.seen + len(scores)
        )
        return later, scores, numbers >= self.context

    def score(self, images: jax.Array, references: jax.Array) -> jax.Array:
        """Scores (b,) of (context + b, h, w, 3) frames, jitted."""
        return _apply(self.apply, self.params, images, references)


@dataclasses.dataclass(frozen=True)
class SequenceCarry:
    """The last frames of a clip, (context, h, w, 3) each, and how many came before the next."""

    images: jax.Array
    references: jax.Array
    seen: int


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SetMetric(Metric):
    """One number for the features of a set of frames against those of another.

    Statistics are collected for each side on its own (`init`, `update`), clip by clip or all
    together, joined with `merge` in any grouping, and kept in files with
    `FeatureStatistics.to_arrays` and `from_arrays`.

    Attributes:
      apply: pure (params, images (b, h, w, 3)) to features (b, dimensions) float32.
      dimensions: of the features.
      distance: (real, generated) statistics to the number.
    """

    apply: Callable[[Any, jax.Array], jax.Array]
    dimensions: int
    distance: Callable[[FeatureStatistics, FeatureStatistics], float]

    def init(self) -> FeatureStatistics:
        """Statistics of no frames."""
        return FeatureStatistics.empty(self.dimensions)

    def update(
        self, statistics: FeatureStatistics, images: jax.Array, mask: np.ndarray | None = None
    ) -> FeatureStatistics:
        """Statistics with the frames of a batch added.

        Args:
          images: (b, h, w, 3) in [0, 1].
          mask: (b,) bool, which of them are frames; all where None.

        Raises:
          MetricInputError: a frame's features aren't finite.
        """
        self.check_size(*images.shape[-3:-1])
        features = np.asarray(_apply(self.apply, self.params, images))
        if mask is not None:
            features = features[np.asarray(mask, bool)]
        if not np.isfinite(features).all():
            raise MetricInputError(f"{self.name}: a frame has NaN or infinite pixels")
        return statistics.add(features)

    def merge(self, *statistics: FeatureStatistics) -> FeatureStatistics:
        """Statistics of all frames of several."""
        return functools.reduce(FeatureStatistics.merge, statistics, self.init())

    def compute(self, real: FeatureStatistics, generated: FeatureStatistics) -> float:
        """The number; raises MetricInputError with fewer than two frames on a side."""
        for side, statistics in (("real", real), ("generated", generated)):
            if statistics.count < 2:
                raise MetricInputError(
                    f"{self.name} needs at least 2 {side} frames, got {statistics.count}"
                )
        return self.distance(real, generated)


@functools.partial(jax.jit, static_argnums=0)
def _apply(apply: Callable, params: Any, *images: Any) -> Any:
    return apply(params, *images)


@functools.partial(jax.jit, static_argnums=0)
def _prepare(prepare: Callable, params: Any, source: jax.Array) -> Any:
    return prepare(params, source)


@jax.jit
def _faults(images: jax.Array) -> tuple[jax.Array, jax.Array]:
    finite = jnp.isfinite(images).all(axis=(1, 2, 3))
    inside = ((images >= -_RANGE_SLACK) & (images <= 1 + _RANGE_SLACK)).all(axis=(1, 2, 3))
    return finite, inside


def check_frames(
    what: str, images: jax.Array, count: int | None = None, first_frame: int = 0
) -> None:
    """Raises MetricInputError where frames can't be scored, naming the first one.

    Args:
      what: whose frames they are, for the message: "clip 'id10280': generated frame".
      images: (b, h, w, 3), to be float and in [0, 1].
      count: how many of them are frames; the rest is padding. All where None.
      first_frame: the number of the first one in its clip.
    """
    if jnp.ndim(images) != 4 or not jnp.issubdtype(jnp.result_type(images), jnp.floating):
        raise MetricInputError(
            f"{what}: expected floating-point images (b, h, w, 3) in [0, 1], got "
            f"{jnp.shape(images)} {jnp.result_type(images)}; divide 8-bit pixels by 255"
        )
    finite, inside = (np.asarray(flags)[:count] for flags in _faults(images))
    if not finite.all():
        number = first_frame + int(np.argmin(finite))
        raise MetricInputError(f"{what} {number} (from 0) has NaN or infinite pixels")
    if not inside.all():
        number = first_frame + int(np.argmin(inside))
        raise MetricInputError(
            f"{what} {number} (from 0) has values outside [0, 1]; metrics take images in [0, 1], "
            "clipped"
        )
