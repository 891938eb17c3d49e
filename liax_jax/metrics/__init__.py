"""Metrics that compare a generated frame with the true one, one file each.

Every function takes two float arrays (..., h, w, c) with values in [0, 1] and returns one number
per leading index. `liax_jax.metrics.registry` lists them by name, with the conventions they use.
"""

from liax_jax.metrics.l1 import l1_distance
from liax_jax.metrics.psnr import peak_signal_to_noise_ratio
from liax_jax.metrics.registry import FRAME_METRICS, FrameMetric, compute_frame_metrics
from liax_jax.metrics.ssim import structural_similarity

__all__ = [
    "FRAME_METRICS",
    "FrameMetric",
    "compute_frame_metrics",
    "l1_distance",
    "peak_signal_to_noise_ratio",
    "structural_similarity",
]
