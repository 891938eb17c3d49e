"""What evaluate.py does: opens the model and the data that its flags name, and runs a protocol."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from liax_jax import runtime
from liax_jax.evaluation import report
from liax_jax.evaluation.clip_data import (
    EvaluationData,
    FirstClips,
    configured_data,
    open_data,
)
from liax_jax.evaluation.errors import ClipsFailed, EvaluationError
from liax_jax.evaluation.model import EvaluatedModel, load_checkpoint, load_workdir
from liax_jax.evaluation.options import EvaluateOptions, check_options
from liax_jax.evaluation.protocol_run import ProtocolRun
from liax_jax.evaluation.protocols import self_reenactment, sparsity, speed, traversal
from liax_jax.evaluation.summary import Context
from liax_jax.log import logger
from liax_jax.metrics import METRICS, Metric, WeightsStore, build_metrics
from liax_jax.metrics.identity import IdentityMetric


def evaluate(options: EvaluateOptions) -> dict[str, Any]:
    """Runs the protocol, resuming where it was stopped, and writes results and report.

    Returns:
      What results.json holds.

    Raises:
      ClipsFailed: all is written, but some clips couldn't be evaluated.
      ValueError, OSError: a mistake in the options, the model, the data or the output folder.
    """
    check_options(options)
    if options.config is None and options.checkpoint is None and options.predictions is None:
        raise EvaluationError(
            "say what to evaluate: --config and --workdir, --checkpoint, or --predictions"
        )
    if jax.default_backend() == "cpu":
        runtime.keep_freed_memory()
    out, is_default = _output_folder(options)
    if options.protocol != speed.NAME:
        report.announce_missing_plots()
    model = _open_model(options)
    context = Context(title=options.title or _title(options))
    if options.protocol == speed.NAME:
        assert model is not None
        context = dataclasses.replace(context, model=model.description)
        results = speed.speed(
            model.fns,
            model.config.resolution,
            out_dir=out,
            context=context,
            batch_sizes=(
                speed.DEFAULT_BATCH_SIZES if options.batch_sizes is None else options.batch_sizes
            ),
            progress=options.progress,
        )
        logger.info("results are in %s", out)
        return results
    data = _open_clips(options, model.config.resolution if model else options.resolution)
    logger.info("%s; %d clips", _who(model), len(data.clips))
    metrics, left_out = _open_metrics(options, data.clips.resolution)
    context = dataclasses.replace(
        context,
        model=model.description if model else {},
        data=data.description,
        left_out=left_out,
        dataset=options.dataset or data.dataset,
    )
    run = ProtocolRun(options, out, is_default, model, data, metrics, context)
    results = run()
    report.write_report(out)
    logger.info("results, report, tables and pictures are in %s", out)
    if results["failed"]:
        raise ClipsFailed(
            f"{len(results['failed'])} of {len(results['failed']) + len(results['clips'])} clips "
            f"could not be evaluated (see above); the others' results are in {out}"
        )
    return results


def _output_folder(options: EvaluateOptions) -> tuple[Path, bool]:
    """Where results go, and whether that is the workdir's own place, which starts anew freely."""
    if options.out is not None:
        return options.out, False
    if options.workdir is None:
        raise EvaluationError("--out has to be given: a folder for the results")
    own = options.checkpoint is None and options.predictions is None and options.data is None
    if not own:
        raise EvaluationError(
            "--out has to be given with --checkpoint, --predictions or --data: a folder for the "
            "results"
        )
    name = "eval" if options.protocol == self_reenactment.NAME else f"eval_{options.protocol}"
    return options.workdir / name, True


def _open_model(options: EvaluateOptions) -> EvaluatedModel | None:
    if options.predictions is not None:
        return None
    if options.checkpoint is not None:
        model = load_checkpoint(options.checkpoint)
    else:
        assert options.config is not None and options.workdir is not None
        model = load_workdir(options.config, options.workdir)
    return model


def _who(model: EvaluatedModel | None) -> str:
    if model is None:
        return "another system's frames"
    step = model.description["step"]
    return model.description["origin"] if step is None else f"checkpoint of step {step}"


def _open_clips(options: EvaluateOptions, resolution: int | None) -> EvaluationData:
    if options.data is not None:
        data = open_data(options.data, options.split, resolution)
    else:
        assert options.config is not None
        side = resolution or options.config.model.resolution
        data = configured_data(options.config.data, side)
    if options.max_clips is not None and options.max_clips < len(data.clips):
        data = dataclasses.replace(data, clips=FirstClips(data.clips, options.max_clips))
    return data


def _open_metrics(
    options: EvaluateOptions, resolution: int
) -> tuple[dict[str, Metric], dict[str, str]]:
    if options.protocol in (sparsity.NAME, traversal.NAME):
        return {}, {}
    if options.weights is not None and not options.weights.is_dir():
        raise EvaluationError(
            f"--weights {options.weights}: there is no such folder; `liax weights import` makes one"
        )
    store = WeightsStore(options.weights)
    metrics, left_out = build_metrics(options.metrics or METRICS, store, resolution)
    if options.face_model is not None:
        identity = metrics.get("identity")
        if not isinstance(identity, IdentityMetric):
            reason = left_out.get("identity", "--metrics doesn't name it")
            raise EvaluationError(
                "--face_model is for the identity distance, which isn't computed "
                f"({reason}); leave --face_model out, or see to that"
            )
        metrics["identity"] = identity.with_face_model(options.face_model)
    if left_out:
        logger.info("metrics left out: %s; the reasons follow the table", ", ".join(left_out))
    return metrics, left_out


def _title(options: EvaluateOptions) -> str:
    named = options.predictions or options.checkpoint or options.workdir
    return named.absolute().name if named is not None else "this run"


def evaluate_workdir(config: ConfigDict, workdir: str | Path) -> dict[str, Any]:
    """Self-reenactment of the eval split by the newest checkpoint of a training run.

    Args:
      config: the run's config; its `eval` fields say how to evaluate.
      workdir: of the training run; results go to `workdir/eval`.

    Returns:
      What `workdir/eval/results.json` holds.
    """
    return evaluate(EvaluateOptions(config=config, workdir=Path(workdir)))
