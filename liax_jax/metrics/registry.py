"""All metrics by name, each with the conventions its number depends on.

To add one: write its file with a function that makes the metric (`FrameMetric`, `SequenceMetric` or
`SetMetric`), given the weights of its networks in their order, and give it a line in `METRICS`. A
network's weights have a declaration of their own in `weights_store`.
"""

import dataclasses
from collections.abc import Callable, Iterable

import jax

from liax_jax.metrics.base import FrameMetric, Metric
from liax_jax.metrics.frechet import make_fid
from liax_jax.metrics.identity import identity_metric
from liax_jax.metrics.image_quality import image_quality_metric
from liax_jax.metrics.jitter import JITTER
from liax_jax.metrics.l1 import l1_distance
from liax_jax.metrics.lpips import make_lpips
from liax_jax.metrics.ms_ssim import (
    MIN_SIZE,
    SCALE_WEIGHTS,
    multi_scale_structural_similarity,
)
from liax_jax.metrics.psnr import MAX_PSNR_DB, MSE_FLOOR, peak_signal_to_noise_ratio
from liax_jax.metrics.ssim import K1, K2, WINDOW_SIGMA, WINDOW_SIZE, structural_similarity
from liax_jax.metrics.weights_store import MissingWeightsError, WeightsStore

FRAME_METRICS: dict[str, FrameMetric] = {
    "l1": FrameMetric(
        name="l1",
        apply=lambda _, image, reference: l1_distance(image, reference),
        higher_is_better=False,
        convention="mean absolute difference on [0, 1] (half of that on [-1, 1])",
        decimals=4,
    ),
    "psnr": FrameMetric(
        name="psnr",
        apply=lambda _, image, reference: peak_signal_to_noise_ratio(image, reference),
        higher_is_better=True,
        convention=(
            "dB, peak 1 on [0, 1], computed per frame and then averaged; mean squared error "
            f"floored at {MSE_FLOOR:g}, so at most {MAX_PSNR_DB:g} dB"
        ),
        decimals=2,
    ),
    "ssim": FrameMetric(
        name="ssim",
        apply=lambda _, image, reference: structural_similarity(image, reference),
        higher_is_better=True,
        convention=(
            f"Gaussian window {WINDOW_SIZE}, sigma {WINDOW_SIGMA}, K1 {K1}, K2 {K2}, on [0, 1], "
            "places where the whole window fits, mean over the RGB channels"
        ),
        decimals=4,
        min_size=WINDOW_SIZE,
    ),
}
"""Those that need no network and little time: what training computes at intervals."""

_MS_SSIM = FrameMetric(
    name="ms_ssim",
    apply=lambda _, image, reference: multi_scale_structural_similarity(image, reference),
    higher_is_better=True,
    convention=(
        f"{len(SCALE_WEIGHTS)} scales with the exponents of Wang et al. 2003, halved by means of "
        f"2 x 2 pixels; window, constants and border as in SSIM; mean over the RGB channels"
    ),
    decimals=4,
    min_size=MIN_SIZE,
)


@dataclasses.dataclass(frozen=True)
class Declaration:
    """How a metric is made.

    Attributes:
      make: takes a `StoredWeights` per network, in their order.
      networks: names of networks in the weights store.
    """

    make: Callable[..., Metric]
    networks: tuple[str, ...] = ()


METRICS: dict[str, Declaration] = {
    **{name: Declaration(lambda metric=metric: metric) for name, metric in FRAME_METRICS.items()},
    "ms_ssim": Declaration(lambda: _MS_SSIM),
    "lpips_alex": Declaration(make_lpips, ("lpips_alex",)),
    "lpips_vgg": Declaration(make_lpips, ("lpips_vgg",)),
    "fid": Declaration(make_fid, ("inception",)),
    "identity": Declaration(identity_metric, ("arcface",)),
    "image_quality": Declaration(image_quality_metric, ("hyperiqa",)),
    "jitter": Declaration(lambda: JITTER),
}
"""Every metric, in the order of tables."""


def build_metrics(
    names: Iterable[str], store: WeightsStore, height: int | None = None, width: int | None = None
) -> tuple[dict[str, Metric], dict[str, str]]:
    """The metrics of these names, and those that have to be left out.

    Args:
      names: of `METRICS`.
      store: where the networks' weights are.
      height, width: of the pictures, where known: metrics they are too small for are left out.

    Returns:
      Name to metric, in the order given; and name to the reason, of those whose weights are
      missing or whose pictures are too small.

    Raises:
      ValueError: an unknown name, or weights that are there and damaged.
    """
    names = list(dict.fromkeys(names))
    if unknown := [name for name in names if name not in METRICS]:
        raise ValueError(f"unknown metrics: {', '.join(unknown)}; there are {', '.join(METRICS)}")
    available: dict[str, Metric] = {}
    left_out: dict[str, str] = {}
    for name in names:
        declaration = METRICS[name]
        try:
            metric = declaration.make(*map(store.load, declaration.networks))
        except MissingWeightsError as error:
            left_out[name] = str(error)
            continue
        if height is not None and (reason := metric.too_small(height, width or height)):
            left_out[name] = reason
        else:
            available[name] = metric
    return available, left_out


def compute_frame_metrics(image: jax.Array, reference: jax.Array) -> dict[str, jax.Array]:
    """Name to (...) float32 of `FRAME_METRICS`, for two (..., h, w, c) arrays in [0, 1]."""
    return {name: metric.function(image, reference) for name, metric in FRAME_METRICS.items()}
