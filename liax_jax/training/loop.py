"""The training run, top to bottom."""

from contextlib import closing
from pathlib import Path
from typing import Any

import jax
import numpy as np
from clu import parameter_overview
from ml_collections import ConfigDict

from liax_jax import losses, runtime
from liax_jax.checkpoint import Checkpoints, claim_workdir
from liax_jax.data.clips import ClipSet
from liax_jax.data.pipeline import build_clips, make_train_iterator
from liax_jax.log import logger
from liax_jax.metrics.weights_store import WeightsStore
from liax_jax.models import perceptual
from liax_jax.training import distributed, health, sharding
from liax_jax.training.clock import StepClock
from liax_jax.training.pictures import Pictures, write_ranges
from liax_jax.training.profiling import Profiler, parse_profile_steps
from liax_jax.training.reporting import (
    Reporter,
    check_wandb,
    describe_mixture,
    progress_bar,
    source_shares,
)
from liax_jax.training.state import TrainState, create_train_state, model_config
from liax_jax.training.step import jit_train_step, model_flops

MAX_OVERVIEW_LINES = 200


class TrainingDiverged(RuntimeError):
    """Too many updates in a row had gradients that were not finite."""


def check_config(config: ConfigDict) -> None:
    """Raises ValueError, naming the field, for a config that can't be trained."""
    model_config(config)
    parse_profile_steps(config.profile_steps)
    check_wandb(config.wandb)
    for field in ("log_every", "panel_every", "video_every", "checkpoint_every"):
        if config[field] < 0:
            raise ValueError(f"{field} = {config[field]}: must be 0 (never) or a number of steps")
    for field in ("train_steps", "batch_size", "keep_checkpoints", "max_nonfinite_steps"):
        if config[field] < 1:
            raise ValueError(f"{field} = {config[field]}: must be 1 or more")
    if config.checkpoint_every < 1:
        raise ValueError("checkpoint_every = 0: a run has to save its work; give a number of steps")
    if not 1 <= config.loss.l1_scales <= config.model.resolution.bit_length():
        raise ValueError(
            f"loss.l1_scales = {config.loss.l1_scales}: must lie between 1 and "
            f"{config.model.resolution.bit_length()} at {config.model.resolution} pixels"
        )
    if config.loss.sparsity_penalty not in losses.SPARSITY_PENALTIES:
        raise ValueError(
            f"loss.sparsity_penalty = {config.loss.sparsity_penalty!r}: choose one of "
            f"{', '.join(losses.SPARSITY_PENALTIES)}"
        )
    if config.loss.get("code_noise", 0.0) < 0:
        raise ValueError(f"loss.code_noise = {config.loss.code_noise}: must be 0 (none) or more")
    if config.loss.get("sparsity_ramp_steps", 0) < 0:
        raise ValueError(
            f"loss.sparsity_ramp_steps = {config.loss.sparsity_ramp_steps}: must be 0 (none) or "
            "a number of steps"
        )
    release = tuple(config.loss.get("sparsity_release", ()))
    if release and not (len(release) == 2 and 0 <= release[0] < release[1]):
        raise ValueError(
            f"loss.sparsity_release = {release}: give the step where λ₂ begins to fall and the one "
            "where it is 0, such as (3000, 4000), or () for never"
        )
    vectors, top_k = config.model.num_vectors, config.loss.sparsity_top_k
    if config.loss.sparsity_penalty == "topk" and not 1 <= top_k < vectors:
        raise ValueError(
            f"loss.sparsity_top_k = {top_k}: must lie between 1 and {vectors - 1} with "
            f"{vectors} vectors"
        )
    if config.loss.sparsity_penalty == "hoyer" and vectors < 2:
        raise ValueError("loss.sparsity_penalty = 'hoyer' needs model.num_vectors of 2 or more")
    if config.loss.perceptual:
        perceptual.check_scales(config.model.resolution, config.perceptual.scales)
        if not config.perceptual.weights:
            raise ValueError(
                "perceptual.weights is empty: give the path of torchvision's vgg19-*.pth (or the "
                'same as .safetensors), say "imported" (liax weights) or "random", or set '
                "loss.perceptual = 0"
            )


def train_and_evaluate(config: ConfigDict, workdir: str | Path) -> TrainState:
    """Trains an animator, or goes on training where `workdir` left off.

    Args:
      config: every field of `configs/default.py`.
      workdir: gets config.json, checkpoints/, metrics.jsonl, tensorboard/, panels/ and videos/.

    Returns:
      The last state, saved.

    Raises:
      ValueError: config, data or workdir can't be used; says what to do.
      TrainingDiverged: too many steps in a row with gradients that aren't finite.
      Preempted: ended by SIGTERM, saved; to be started again.
      ConnectionError: the other processes of the run weren't found.
    """
    check_config(config)
    distributed.initialize(config.distributed)
    workdir = Path(workdir)
    first_process = jax.process_index() == 0
    if jax.default_backend() == "cpu":
        runtime.keep_freed_memory()
    mesh = sharding.make_mesh(config.mesh)
    sharding.check_batch(mesh, config.batch_size, config.accumulation_steps)
    train_clips = build_clips(config.data, config.model.resolution, "train")
    eval_clips = build_clips(config.data, config.model.resolution, "eval")
    health.check_same_clips(train_clips)
    frozen = None
    if config.loss.perceptual:
        weights = config.perceptual.weights
        if weights == "imported":
            weights = WeightsStore().existing_path("vgg19")
        frozen = perceptual.perceptual_params(str(weights), config.seed)
    claim_workdir(config, workdir, write=first_process)
    distributed.barrier("workdir")

    like = sharding.place(jax.eval_shape(lambda: create_train_state(config)), mesh)
    # Runs once: compiling it with optimisation takes far longer than running it without.
    create = jax.jit(
        lambda: create_train_state(config),
        out_shardings=jax.tree.map(lambda x: x.sharding, like),
        compiler_options={"xla_backend_optimization_level": 0},
    )
    checkpoints = Checkpoints(workdir, config.keep_checkpoints)
    state = checkpoints.restore_latest(like) or create()
    first_step = int(state.step)
    _describe(config, state, train_clips, eval_clips, mesh, first_step)

    frozen = jax.device_put(frozen, sharding.replicated(mesh))
    train_step = jit_train_step(config, mesh, like)
    rows = sharding.process_rows(mesh, config.batch_size)
    batches = make_train_iterator(
        train_clips,
        batch_size=config.batch_size,
        seed=config.data.seed,
        start_step=first_step,
        num_workers=config.data.num_workers,
        rows=rows,
        clip_sampling=config.data.clip_sampling,
        balance_identities=config.data.balance_identities,
        skip_damaged=config.data.skip_damaged,
    )
    describe_mixture(batches, train_clips)
    pictures = Pictures(config, workdir, train_clips, eval_clips, mesh)
    reporter = Reporter(workdir, first_step, enabled=first_process, config=config)
    profiler = Profiler(config.profile_steps, workdir, enabled=first_process)
    bar = progress_bar(config.train_steps, first_step, config.batch_size, first_process)
    flops, clock = 0.0, StepClock(config.batch_size, first_step, config.max_minutes)
    reason, stopped_by = "finished", None
    with (
        distributed.stop_requests() as stop_requested,
        closing(reporter),
        closing(checkpoints),
        closing(clock),
        closing(profiler),
        bar,
        distributed.end_if_others_are_lost(),
    ):
        previous: dict[str, jax.Array] | None = None
        for step in range(first_step + 1, config.train_steps + 1):
            with clock.doing("data"):
                batch = sharding.shard_batch(next(batches), mesh, rows)
            if step == first_step + 1:
                traced = train_step.trace(state, batch, frozen)
                flops = model_flops(config, traced.jaxpr.jaxpr, (state, batch, frozen))
                train_step = traced.lower().compile()
                distributed.barrier("the step is compiled")
                clock.lap(first_step)  # compiling is none of the steps' time
            profiler.before(step, previous)
            with clock.step(step):
                state, metrics = train_step(state, batch, frozen)
            clock.dispatched(metrics)
            # The step before is finished by now: looking at it doesn't make the device wait.
            _stop_if_diverged(previous, step - 1, config)
            previous = metrics
            profiler.after(step, metrics)
            bar.update(config.batch_size)
            if _due(step, config.log_every, config.train_steps):
                values = {name: float(value) for name, value in metrics.items()}
                values |= clock.lap(step) | health.memory()
                values |= health.compute_rate(flops, values["time/step"], config.model.dtype)
                values |= source_shares(batches, step, config.log_every)
                values |= health.across_hosts(values)
                reporter.metrics(step, values)
                reporter.status(health.status_line(step, values))
                shown = {"psnr": f"{values['psnr']:.2f}", "loss": f"{values['loss/total']:.4f}"}
                bar.set_postfix(shown, refresh=False)  # with the next update
            if _due(step, config.panel_every, config.train_steps):
                with clock.doing("pictures"):
                    params = pictures.params(state)
                    if first_process:
                        reporter.picture("panel", step, pictures.panel(params, step))
            if _due(step, config.video_every, config.train_steps):
                with clock.doing("pictures"):
                    params = pictures.params(state)
                    if first_process:
                        pictures.video(params, step)
            stopped_by = stop_requested(step)
            if stopped_by or _out_of_time(clock, step, config):
                reason = f"stopped by {stopped_by}" if stopped_by else "time is up"
                break
            if _due(step, config.checkpoint_every, config.train_steps):
                with clock.doing("save"):
                    checkpoints.save(state)
        _stop_if_diverged(previous, int(state.step), config)
        checkpoints.save(state)
        # Whoever ends a run by SIGTERM doesn't wait for long.
        if int(state.step) > first_step and stopped_by != "SIGTERM":
            params = pictures.params(state)
            if first_process:
                write_ranges(config, workdir, params, train_clips)
    batches.close()
    logger.info("%s at step %d of %d; saved in %s", reason, state.step, config.train_steps, workdir)
    if stopped_by == "SIGTERM" and int(state.step) < config.train_steps:
        raise distributed.Preempted(f"stopped by SIGTERM at step {int(state.step)}, saved")
    return state


def _out_of_time(clock: StepClock, step: int, config: ConfigDict) -> bool:
    """Of several processes, the first one's clock counts, and all ask it at the same steps."""
    if not config.max_minutes:
        return False
    if jax.process_count() == 1:
        return clock.out_of_time()
    due = _due(step, config.log_every or config.checkpoint_every, config.train_steps)
    return due and distributed.agreed(clock.out_of_time())


def _due(step: int, interval: int, last: int) -> bool:
    return bool(interval) and (step % interval == 0 or step == last)


def _stop_if_diverged(metrics: dict[str, Any] | None, step: int, config: ConfigDict) -> None:
    """Raises TrainingDiverged, naming the terms, after too many skipped updates in a row."""
    if metrics is None or metrics["skipped_in_row"] < config.max_nonfinite_steps:
        return
    values = {name: float(value) for name, value in metrics.items()}
    terms = [name for name, value in values.items() if not np.isfinite(value)]
    # The terms themselves, if one of them is to blame; else only their gradients overflowed.
    blamed = [n for n in terms if n.startswith("loss/") and n != "loss/total"] or terms
    raise TrainingDiverged(
        f"gradients were not finite for {int(values['skipped_in_row'])} steps in a row, up to step "
        f"{step}: {', '.join(blamed)}. Those updates were skipped, and the last checkpoint is "
        "sound. Lower the learning rate or the weight of that term, set clip_norm, or look at the "
        "data, and start again"
    )


def _describe(
    config: ConfigDict,
    state: TrainState,
    train_clips: ClipSet,
    eval_clips: ClipSet,
    mesh: jax.sharding.Mesh,
    first_step: int,
) -> None:
    """Logs what is about to run."""
    table = parameter_overview.get_parameter_overview(
        state.generator.params, include_stats=False, max_lines=MAX_OVERVIEW_LINES
    )
    logger.info("animator:\n%s", table)
    if state.discriminator is not None:
        count = parameter_overview.count_parameters(state.discriminator.params)
        logger.info("discriminator: %s parameters", f"{count:,}")
    logger.info(
        "%d clips (%d frames) to train on, %d (%d) to evaluate; %d %s device(s)",
        len(train_clips),
        sum(train_clips.lengths),
        len(eval_clips),
        sum(eval_clips.lengths),
        mesh.size,
        jax.default_backend(),
    )
    if first_step:
        logger.info("going on from step %d of %d", first_step, config.train_steps)
