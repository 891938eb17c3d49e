"""The frame metrics by name, each with the conventions its number depends on."""

import dataclasses
from collections.abc import Callable

import jax

from liax_jax.metrics.l1 import l1_distance
from liax_jax.metrics.psnr import MAX_PSNR_DB, MSE_FLOOR, peak_signal_to_noise_ratio
from liax_jax.metrics.ssim import K1, K2, WINDOW_SIGMA, WINDOW_SIZE, structural_similarity


@dataclasses.dataclass(frozen=True)
class FrameMetric:
    """A metric of one frame against the true one.

    Attributes:
      function: (image, reference), each (..., h, w, c) float in [0, 1], to (...) float32.
      higher_is_better: the direction in which it improves.
      convention: what a reader has to know to compare the number with another paper's.
      decimals: how many digits after the point a table shows.
    """

    function: Callable[[jax.Array, jax.Array], jax.Array]
    higher_is_better: bool
    convention: str
    decimals: int


FRAME_METRICS: dict[str, FrameMetric] = {
    "l1": FrameMetric(
        function=l1_distance,
        higher_is_better=False,
        convention="mean absolute difference on [0, 1] (half of that on [-1, 1])",
        decimals=4,
    ),
    "psnr": FrameMetric(
        function=peak_signal_to_noise_ratio,
        higher_is_better=True,
        convention=(
            "dB, peak 1 on [0, 1], computed per frame and then averaged; mean squared error "
            f"floored at {MSE_FLOOR:g}, so at most {MAX_PSNR_DB:g} dB"
        ),
        decimals=2,
    ),
    "ssim": FrameMetric(
        function=structural_similarity,
        higher_is_better=True,
        convention=(
            f"Gaussian window {WINDOW_SIZE}, sigma {WINDOW_SIGMA}, K1 {K1}, K2 {K2}, on [0, 1], "
            "places where the whole window fits, mean over the RGB channels"
        ),
        decimals=4,
    ),
}


def compute_frame_metrics(image: jax.Array, reference: jax.Array) -> dict[str, jax.Array]:
    """Name to (...) float32 of every frame metric, for two (..., h, w, c) arrays in [0, 1]."""
    return {name: metric.function(image, reference) for name, metric in FRAME_METRICS.items()}
