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
_OF_CLIPS = tuple(name for name in PROTOCOLS if name != speed.NAME)
_WITH_METRICS = (self_reenactment.NAME, cross_reenactment.NAME, video_editing.NAME)
# Field to the protocols that heed it. Those that all heed aren't listed.
_HEEDED_BY = {
    **dict.fromkeys(("data", "split", "dataset", "batch_size", "max_clips"), _OF_CLIPS),
    **dict.fromkeys(("metrics", "weights", "face_model", "videos"), _WITH_METRICS),
    **dict.fromkeys(
        ("pairs", "sources", "sources_per_clip", "seed", "motion"), (cross_reenactment.NAME,)
    ),
    "max_frames": tuple(name for name in _OF_CLIPS if name != traversal.NAME),
    "edits": (video_editing.NAME,),
    "batch_sizes": (speed.NAME,),
}
_FLAGS = {"edits": "edit"}
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

    What isn't given is as the config's `eval` says, or as the flag's help does. Paths may be given
    as text.
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
    sources_per_clip: int | None = None
    seed: int | None = None
    motion: str | None = None
    edits: dict[str, float] = dataclasses.field(default_factory=dict)
    batch_sizes: Sequence[int] | None = None
    progress: bool = True

    def __post_init__(self) -> None:
        for name in _PATHS:
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else Path(value))


def check_options(options: EvaluateOptions) -> None:
    """Refuses flags that contradict each other or that nothing heeds, before anything slow."""
    _check_heeded(options)
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
    if options.protocol == video_editing.NAME and not options.edits:
        raise EvaluationError("--protocol video_editing needs --edit NAME=VALUE or INDEX=VALUE")


def _check_heeded(options: EvaluateOptions) -> None:
    """A flag that would be ignored is a mistake."""
    for name, protocols in _HEEDED_BY.items():
        if options.protocol not in protocols and _is_given(options, name):
            raise EvaluationError(
                f"--{_FLAGS.get(name, name)} is for --protocol {' or '.join(protocols)}; "
                f"{options.protocol} makes no use of it: leave it out"
            )
    if options.split is not None and options.data is None:
        raise EvaluationError(
            "--split is of --data, which isn't given; the split of a config's data is "
            "--config.data.eval_split"
        )
    for name in ("seed", "sources_per_clip"):
        if options.pairs is not None and _is_given(options, name):
            raise EvaluationError(
                f"--{name} is of a draw of pairs, and --pairs names them; give one of the two"
            )
    if options.motion is not None and options.predictions is not None:
        raise EvaluationError(
            "--motion says how a model moves its sources; leave it out with --predictions"
        )


def _is_given(options: EvaluateOptions, name: str) -> bool:
    """Whether something is asked for; `--novideos` is heeded where there are no videos anyway."""
    value = getattr(options, name)
    return value is not None and value is not False and value not in ("", (), [], {})
