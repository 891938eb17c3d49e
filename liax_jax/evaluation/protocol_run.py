"""Runs the protocol that the options of an evaluation name."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from liax_jax.evaluation.clip_data import EvaluationData, first_frames, open_stills
from liax_jax.evaluation.errors import EvaluationError
from liax_jax.evaluation.model import EvaluatedModel
from liax_jax.evaluation.options import EvaluateOptions
from liax_jax.evaluation.pairs import (
    DEFAULT_PER_CLIP,
    DEFAULT_SEED,
    draw_pairs,
    names_without_endings,
    pair_names,
    read_pairs,
)
from liax_jax.evaluation.predictions import PredictedClips, Predictions
from liax_jax.evaluation.protocols import (
    cross_reenactment,
    self_reenactment,
    sparsity,
    traversal,
    video_editing,
)
from liax_jax.evaluation.summary import Context
from liax_jax.log import logger
from liax_jax.metrics import Metric

_DEFAULT_BATCH_SIZE = 16


class ProtocolRun:
    """The protocol that the options name, on opened model and data."""

    def __init__(
        self,
        options: EvaluateOptions,
        out: Path,
        start_anew: bool,
        model: EvaluatedModel | None,
        data: EvaluationData,
        metrics: dict[str, Metric],
        context: Context,
    ):
        self.options, self.model, self.data = options, model, data
        self.metrics, self.context = metrics, context
        self.batch_size = _setting(options, "batch_size", _DEFAULT_BATCH_SIZE)
        self.max_frames = _setting(options, "max_frames", 0) or None
        self.common = {
            "batch_size": self.batch_size,
            "out_dir": out,
            "start_anew": start_anew,
            "restart": options.restart,
            "progress": options.progress,
        }
        # Of protocols whose frames are scored.
        self.scored = self.common | {
            "max_frames": self.max_frames,
            "videos": bool(_setting(options, "videos", True)),
        }

    def __call__(self) -> dict[str, Any]:
        runs: dict[str, Callable[[], dict[str, Any]]] = {
            self_reenactment.NAME: self._self_reenactment,
            cross_reenactment.NAME: self._cross_reenactment,
            sparsity.NAME: self._sparsity,
            traversal.NAME: self._traversal,
            video_editing.NAME: self._video_editing,
        }
        return runs[self.options.protocol]()

    def _self_reenactment(self) -> dict[str, Any]:
        clips, context = self.data.clips, self.context
        self._require_metrics(self.metrics, context)
        predictions = self._predictions(list(clips.names))
        model: Any = self.model.fns if self.model else None
        if predictions is not None:
            model = PredictedClips(predictions, clips, self.batch_size)
            context = _with_predictions(context, predictions)
        return self_reenactment.self_reenactment(
            model,
            clips,
            metrics=self.metrics,
            context=context,
            panels=True,
            **self.scored,
        )

    def _cross_reenactment(self) -> dict[str, Any]:
        options, clips, context = self.options, self.data.clips, self.context
        without = cross_reenactment.without_true_frames(context, self.metrics)
        self._require_metrics(without[1], without[0])
        stills = (
            open_stills(options.sources, clips.resolution)
            if options.sources
            else first_frames(self.data)
        )
        pairs = (
            read_pairs(options.pairs, stills, clips)
            if options.pairs
            else draw_pairs(
                stills,
                clips,
                _or_default(options.sources_per_clip, DEFAULT_PER_CLIP),
                _or_default(options.seed, DEFAULT_SEED),
            )
        )
        stills.refuse_oblong(pair.source for pair in pairs)
        predictions = self._predictions(
            pair_names(pairs, stills, clips), names_without_endings(pairs, stills, clips)
        )
        model: Any = self.model.fns if self.model else None
        if predictions is not None:
            model, context = predictions, _with_predictions(context, predictions)
        return cross_reenactment.cross_reenactment(
            model,
            clips,
            stills,
            pairs,
            metrics=self.metrics,
            context=context,
            motion=_or_default(options.motion, cross_reenactment.DEFAULT_MOTION),
            panels=True,
            **self.scored,
        )

    def _sparsity(self) -> dict[str, Any]:
        return sparsity.sparsity(
            self._opened.fns,
            self.data.clips,
            context=dataclasses.replace(self.context, left_out={}),
            max_frames=self.max_frames,
            **self.common,
        )

    def _traversal(self) -> dict[str, Any]:
        return traversal.traversal(
            self._opened.fns,
            self.data.clips,
            card=self._opened.card,
            context=dataclasses.replace(self.context, left_out={}),
            **self.common,
        )

    def _video_editing(self) -> dict[str, Any]:
        return video_editing.video_editing(
            self._opened.fns,
            self.data.clips,
            card=self._opened.card,
            edits=self.options.edits,
            metrics=self.metrics,
            context=self.context,
            **self.scored,
        )

    @property
    def _opened(self) -> EvaluatedModel:
        assert self.model is not None
        return self.model

    def _predictions(
        self, names: list[str], also: dict[str, list[str]] | None = None
    ) -> Predictions | None:
        folder = self.options.predictions
        return None if folder is None else Predictions(folder, names, also)

    def _require_metrics(self, metrics: Mapping[str, Metric], context: Context) -> None:
        """An evaluation that would score nothing is a mistake."""
        if not metrics:
            reasons = "; ".join(f"{name}: {why}" for name, why in context.left_out.items())
            raise EvaluationError(
                f"none of the metrics can be computed by --protocol {self.options.protocol}: "
                f"{reasons}"
            )


def _with_predictions(context: Context, predictions: Predictions) -> Context:
    for note in predictions.notes():
        logger.warning("%s", note)
    return dataclasses.replace(
        context,
        model=predictions.describe(),
        notes=[*context.notes, *predictions.notes()],
        inputs=predictions.inputs(),
    )


def _or_default(value: Any, default: Any) -> Any:
    return default if value is None else value


def _setting(options: EvaluateOptions, name: str, default: Any) -> Any:
    """A flag, else the config's field in `eval`, else a default."""
    value = getattr(options, name)
    if value is not None:
        return value
    return default if options.config is None else getattr(options.config.eval, name)
