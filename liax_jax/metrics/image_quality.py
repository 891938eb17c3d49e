"""Image quality without a reference (Table 2 of the paper): HyperIQA's score, from 0 to 100."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from liax_jax.metrics import hyperiqa
from liax_jax.metrics.base import FrameMetric, StoredWeights

# Frames are brought to this size whatever their own, without keeping their proportions: so does the
# authors' program (torchvision takes height before width), which was trained like that.
RESIZED_HEIGHT, RESIZED_WIDTH = 512, 384
CROPS = 10
CROP_SEED = 0


def crop_offsets(count: int = CROPS, seed: int = CROP_SEED) -> np.ndarray:
    """(count, 2) int32: top and left of the random crops, the same ones for every frame."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, RESIZED_HEIGHT - hyperiqa.CROP_SIZE + 1, count)
    columns = rng.integers(0, RESIZED_WIDTH - hyperiqa.CROP_SIZE + 1, count)
    return np.stack([rows, columns], axis=1).astype(np.int32)


def image_quality(
    params: hyperiqa.HyperIQAParams, frames: jax.Array, offsets: np.ndarray | None = None
) -> jax.Array:
    """Mean score over a frame's random crops, from 0 to 100. Pure; jit it.

    Args:
      params: from `hyperiqa.from_state_dict`.
      frames: (b, h, w, 3) float32 RGB in [0, 1], of any size.
      offsets: (n, 2) top and left of crops of the frame at 512 x 384 (height x width); those of
        `crop_offsets()` where None.

    Returns:
      (b,) float32. Higher is better; nothing keeps it inside the range of the ratings.

    Raises:
      ValueError: frames of another form.
    """
    if frames.ndim != 4 or frames.shape[-1] != 3:
        raise ValueError(f"image quality takes (b, h, w, 3) frames, got {frames.shape}")
    resized = resize(frames)
    shape = (frames.shape[0], hyperiqa.CROP_SIZE, hyperiqa.CROP_SIZE, 3)
    zero = jnp.zeros((), jnp.int32)

    def score(place: jax.Array) -> jax.Array:
        crops = lax.dynamic_slice(resized, (zero, place[0], place[1], zero), shape)
        return hyperiqa.score_crops(params, crops)

    # One crop of all frames after the other: memory is that of one crop a frame, and it takes no
    # longer.
    places = jnp.asarray(crop_offsets() if offsets is None else offsets, jnp.int32)
    return lax.map(score, places).mean(axis=0)


def resize(frames: jax.Array) -> jax.Array:
    """(b, h, w, 3) → (b, 512, 384, 3) by an antialiased triangular filter, as Pillow's bilinear."""
    shape = (frames.shape[0], RESIZED_HEIGHT, RESIZED_WIDTH, frames.shape[-1])
    return jax.image.resize(
        frames, shape, "linear", antialias=True, precision=lax.Precision.HIGHEST
    )


def _apply(params: hyperiqa.HyperIQAParams, images: jax.Array, _: None) -> jax.Array:
    return image_quality(params, images)


def image_quality_metric(stored: StoredWeights) -> FrameMetric:
    """The metric with HyperIQA's weights."""
    return FrameMetric(
        name="image_quality",
        params=stored.params,
        weights={stored.name: stored.provenance},
        apply=_apply,
        against="nothing",
        higher_is_better=True,
        convention=(
            f"HyperIQA, mean of {CROPS} random {hyperiqa.CROP_SIZE} x {hyperiqa.CROP_SIZE} crops "
            f"(seed {CROP_SEED}, the same for every frame) of the frame resized to height "
            f"{RESIZED_HEIGHT} and width {RESIZED_WIDTH} (bilinear, antialiased, proportions not "
            "kept), ImageNet statistics, 0 to 100"
        ),
        decimals=2,
    )
