"""Temporal jitter: trembling that the driving video doesn't have, or motion of its that is lost.

Needs no weights: optical flow is OpenCV's, on the host.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from liax_jax.faces.detection import single_threaded
from liax_jax.metrics.base import SequenceMetric, check_frames

# Frames that the acceleration at the one before the last is made of, less that last one.
CONTEXT = 2
MIN_SIZE = 32


def accelerations(frames: np.ndarray) -> np.ndarray:
    """How much the picture's motion changes, in the mean over its pixels.

    At every inner frame, dense optical flow says for each pixel x where its content is one frame
    later, x + f(x), and where it was one frame earlier, x + b(x). The second difference of its
    position over time is f(x) + b(x): 0 for any steady motion, and 4A where everything shakes by ±A
    from frame to frame. What is returned is the mean of its length.

    The flow is dense inverse search (Kroeger et al. 2016, "Fast Optical Flow using Dense Inverse
    Search"; OpenCV's preset "medium") on luma in 8 bits. On synthetic textures of 256 pixels it
    makes 0.04 pixels/frame² of steady motions, and 4A of a shake within 3 % from A = 0.25 on; still
    pictures give exactly 0. Noise that changes from frame to frame counts where there is no texture
    to hold on to, and so does content that is covered or uncovered, in both videos.

    Args:
      frames: (n, h, w, 3) RGB in [0, 1], consecutive; n at least 3.

    Returns:
      (n - 2,) float32, pixels/frame² at the resolution given.
    """
    import cv2

    gray = [_luma_8_bits(frame) for frame in frames]
    with single_threaded():  # the search depends a little on how the picture is shared out
        flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        levels = []
        for earlier, here, later in zip(gray, gray[1:], gray[2:], strict=False):
            blank: Any = None
            second = flow.calc(here, later, blank) + flow.calc(here, earlier, blank)
            levels.append(np.hypot(second[..., 0], second[..., 1]).mean(dtype=np.float64))
    return np.array(levels, np.float32)


def _luma_8_bits(frame: np.ndarray) -> np.ndarray:
    luma = np.asarray(frame, np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.rint(255 * np.clip(luma, 0, 1)).astype(np.uint8)


def jitter_difference(frames: np.ndarray, driving: np.ndarray) -> np.ndarray:
    """|acceleration of the generated frames − that of the driving frames|, see `accelerations`.

    The means over the picture are compared, not pixel by pixel, so that the person may be another
    one; but the framing has to be about the same.

    Args:
      frames: (n, h, w, 3) in [0, 1], generated.
      driving: the same shape.

    Returns:
      (n - 2,) float32, pixels/frame²: of every frame from the third on, about the one before it.
    """
    return np.abs(accelerations(frames) - accelerations(driving))


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class JitterMetric(SequenceMetric):
    """A metric of sequences that is computed on the host, where OpenCV is."""

    def score(self, images: jax.Array, references: jax.Array) -> jax.Array:
        """Scores (b,) of (2 + b, h, w, 3) frames in [0, 1].

        Raises:
          MetricInputError: frames that aren't finite, or of another range.
        """
        check_frames(f"{self.name}: generated frame", images)
        check_frames(f"{self.name}: driving frame", references)
        return self.apply(self.params, images, references)


def _apply(_: Any, images: jax.Array, references: jax.Array) -> jax.Array:
    return jnp.asarray(jitter_difference(np.asarray(images), np.asarray(references)))


JITTER = JitterMetric(
    name="jitter",
    context=CONTEXT,
    apply=_apply,
    higher_is_better=False,
    convention=(
        "pixels/frame^2 at the evaluated resolution: mean over pixels of |second difference over "
        "time of the position| by dense inverse search optical flow (medium) on 8-bit luma, "
        "absolute difference between generated and driving frame, from the third frame on"
    ),
    decimals=4,
    min_size=MIN_SIZE,
)
