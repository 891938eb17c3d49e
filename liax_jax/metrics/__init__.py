"""Metrics of generated frames, one file each.

Images are float arrays in [0, 1]. `base` has the kinds (of a frame, a sequence, a set), `registry`
all of them by name with the conventions they use, `weights_store` the weights of their networks.
"""

from liax_jax.metrics.base import (
    FrameMetric,
    Metric,
    MetricInputError,
    SequenceMetric,
    SetMetric,
    StoredWeights,
    check_frames,
)
from liax_jax.metrics.feature_statistics import FeatureStatistics
from liax_jax.metrics.l1 import l1_distance
from liax_jax.metrics.psnr import peak_signal_to_noise_ratio
from liax_jax.metrics.registry import (
    FRAME_METRICS,
    METRICS,
    build_metrics,
    compute_frame_metrics,
)
from liax_jax.metrics.ssim import structural_similarity
from liax_jax.metrics.weights_store import MissingWeightsError, WeightsStore

__all__ = [
    "FRAME_METRICS",
    "METRICS",
    "FeatureStatistics",
    "FrameMetric",
    "Metric",
    "MetricInputError",
    "MissingWeightsError",
    "SequenceMetric",
    "SetMetric",
    "StoredWeights",
    "WeightsStore",
    "build_metrics",
    "check_frames",
    "compute_frame_metrics",
    "l1_distance",
    "peak_signal_to_noise_ratio",
    "structural_similarity",
]
