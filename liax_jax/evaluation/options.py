"""The options of an evaluation, and which of them contradict each other."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from ml_collections import ConfigDict

from liax_jax.evaluation.errors import EvaluationError
from liax_jax.evaluation.protocols import (
    cross_reenactment,
    self_reenactment,
    sparsity,
    speed,
    traversal,
    video_editing,
)
from liax_jax.evaluation.published_results import DATASETS, normalised

PROTOCOLS = (
    self_reenactment.NAME,
    cross_reenactment.NAME,
    sparsity.NAME,
    traversal.NAME,
    video_editing.NAME,
    speed.NAME,
)
# Of these, the ones that other systems' frames can be scored by.
_FOR_PREDICTIONS = (self_reenactment.NAME, cross_reenactment.NAME)
_PATHS = (
    "workdir",
    "checkpoint",
    "predictions",
    "data",
    "out",
    "weights",
    "face_model",
    "pairs",
    "sources",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """What to evaluate, and how. See `evaluate.py --help`; None and "" are "not given".

    Paths may be given as text.
    """

    config: ConfigDict | None = None
    workdir: Path | None = None
    checkpoint: Path | None = None
    predictions: Path | None = None
    data: Path | None = None
    split: str | None = None
    resolution: int | None = None
    protocol: str = self_reenactment.NAME
    out: Path | None = None
    metrics: Sequence[str] = ()
    weights: Path | None = None
    face_model: Path | None = None
    batch_size: int | None = None
    max_frames: int | None = None
    max_clips: int | None = None
    videos: bool | None = None
    restart: bool = False
    dataset: str = ""
    title: str = ""
    pairs: Path | None = None
    sources: Path | None = None
    sources_per_clip: int = 2
    seed: int = 0
    motion: str = "relative"
    edits: dict[str, float] = dataclasses.field(default_factory=dict)
    batch_sizes: Sequence[int] = speed.DEFAULT_BATCH_SIZES
    progress: bool = True

    def __post_init__(self) -> None:
        for name in _PATHS:
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else Path(value))


def check_options(options: EvaluateOptions) -> None:
    """Refuses flags that contradict each other, before anything slow."""
    if options.predictions is not None:
        if options.checkpoint is not None:
            raise EvaluationError("--predictions and --checkpoint are both given; give one")
        if options.protocol not in _FOR_PREDICTIONS:
            raise EvaluationError(
                f"--protocol {options.protocol} needs a model; predictions can be scored by "
                f"{' and '.join(_FOR_PREDICTIONS)}"
            )
        if options.data is None and options.config is None:
            raise EvaluationError("--predictions needs --data, the clips they stand for")
    elif options.resolution is not None:
        raise EvaluationError("--resolution is for --predictions; a model has its own")
    elif options.checkpoint is not None:
        if options.data is None and options.config is None and options.protocol != speed.NAME:
            raise EvaluationError("--data has to be given, or a --config that names data")
    elif options.config is not None and options.workdir is None:
        raise EvaluationError("--workdir has to be given, or --checkpoint")
    least_values = {"batch_size": 1, "max_clips": 1, "max_frames": 2, "resolution": 16}
    for name, least in least_values.items():
        value = getattr(options, name)
        if value is not None and value < least:
            raise EvaluationError(f"--{name} has to be at least {least}, got {value}")
    if options.dataset and normalised(options.dataset) not in DATASETS:
        raise EvaluationError(
            f"--dataset {options.dataset}: there are published figures for {', '.join(DATASETS)}"
        )
    if options.edits and options.protocol != video_editing.NAME:
        raise EvaluationError(f"--edit is for --protocol {video_editing.NAME}")
    if options.protocol == video_editing.NAME and not options.edits:
        raise EvaluationError("--protocol video_editing needs --edit NAME=VALUE or INDEX=VALUE")
    if options.protocol != cross_reenactment.NAME:
        for name in ("pairs", "sources"):
            if getattr(options, name) is not None:
                raise EvaluationError(f"--{name} is for --protocol {cross_reenactment.NAME}")
