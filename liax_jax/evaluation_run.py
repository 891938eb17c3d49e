"""Evaluates the newest checkpoint of a training run."""

from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from liax_jax import runtime
from liax_jax.checkpoint import abstract_state, check_same_model, restore_params
from liax_jax.data.pipeline import build_clips
from liax_jax.evaluation import make_reenactment_fns, self_reenactment
from liax_jax.log import logger
from liax_jax.training.state import build_networks, create_train_state


def evaluate_workdir(config: ConfigDict, workdir: str | Path) -> dict[str, Any]:
    """Self-reenactment (first frame as the source, whole clip as driving) of the eval split.

    Args:
      config: the run's config; its `eval` fields say how to evaluate.
      workdir: of the training run; results go to `workdir/eval`.

    Returns:
      What `workdir/eval/results.json` holds.
    """
    workdir = Path(workdir)
    if jax.default_backend() == "cpu":
        runtime.keep_freed_memory()
    check_same_model(config, workdir)
    clips = build_clips(config.data, config.model.resolution, "eval")
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    like = abstract_state(jax.eval_shape(lambda: create_train_state(config)), device)
    params, step = restore_params(workdir, like, config.eval.use_ema)
    logger.info("checkpoint of step %d; %d clips", step, len(clips))
    animator, _ = build_networks(config)
    results = self_reenactment(
        make_reenactment_fns(animator, params),
        clips,
        batch_size=config.eval.batch_size,
        max_frames=config.eval.max_frames or None,
        out_dir=workdir / "eval",
        videos=config.eval.videos,
    )
    logger.info("results, table and videos are in %s", workdir / "eval")
    return results
