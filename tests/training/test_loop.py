"""The training run: what it leaves, how it stops, and that it goes on as if it hadn't."""

import importlib
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny
from PIL import Image

from benchmarks.kill_and_resume import (
    SaveWatch,
    differing_arrays,
    last_logged_step,
    load_final_state,
    logged_metrics,
    signal_when,
    start_training,
)
from liax_jax.checkpoint import Checkpoints, WorkdirError, abstract_state
from liax_jax.data.video_io import probe
from liax_jax.training import loop, runtime
from liax_jax.training.loop import TrainingDiverged, check_config, train_and_evaluate
from liax_jax.training.state import NetworkState, TrainState

LAST_STEP = tiny.get_config().train_steps
PICTURES = (f"--config.panel_every={LAST_STEP}", f"--config.video_every={LAST_STEP}")


# --- Runs of train.py, in processes of their own ---


@pytest.fixture(scope="module")
def environment():
    """One device, as a user has it, and quick compilation."""
    return os.environ | {
        "XLA_FLAGS": "--xla_backend_optimization_level=0",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.02",
    }


@pytest.fixture(scope="module")
def start(environment):
    def start(workdir, *flags):
        return start_training(tiny.__file__, workdir, [*PICTURES, *flags], environment)

    return start


@pytest.fixture(scope="module")
def uninterrupted(start, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "uninterrupted"
    assert start(workdir).wait() == 0, messages(workdir)
    return workdir


def messages(workdir):
    return Path(f"{workdir}.log").read_text()


def saved_steps(workdir):
    names = [path.name for path in (workdir / "checkpoints").iterdir()]
    return sorted(int(name) for name in names if name.isdigit())


@pytest.fixture(scope="module")
def interrupted(uninterrupted, start):
    """A run that is stopped four times, in four ways, and loses its newest checkpoint once.

    What each stop left, by name, and the workdir in the end.
    """
    workdir = uninterrupted.with_name("interrupted")
    seen: dict[str, Any] = {}

    def stop(name, number, step, during_save=False):
        watch = SaveWatch(workdir)

        def reached():
            saving = watch.is_saving()
            return last_logged_step(workdir) >= step and (saving or not during_save)

        status = signal_when(start(workdir), number, reached)
        steps, half_written = saved_steps(workdir), watch.is_saving()
        seen[name] = {"status": status, "saved": steps, "half_written": half_written}
        seen[name]["logged"] = last_logged_step(workdir)

    stop("SIGTERM", signal.SIGTERM, 3)
    stop("SIGINT", signal.SIGINT, seen["SIGTERM"]["logged"] + 2)
    stop("SIGKILL", signal.SIGKILL, seen["SIGINT"]["logged"] + 3)
    stop("SIGKILL while saving", signal.SIGKILL, seen["SIGKILL"]["logged"] + 1, during_save=True)
    newest = workdir / "checkpoints" / str(saved_steps(workdir)[-1])
    for path in newest.rglob("d/*"):
        path.write_bytes(path.read_bytes()[:100])
    seen["broken"] = int(newest.name)
    assert start(workdir).wait() == 0, messages(workdir)
    return workdir, seen


def test_a_run_leaves_its_artefacts(uninterrupted):
    config = json.loads((uninterrupted / "config.json").read_text())
    assert config == json.loads(tiny_config(panel_every=LAST_STEP, video_every=LAST_STEP).to_json())
    assert saved_steps(uninterrupted) == [16, 20, 24]
    lines = [json.loads(line) for line in (uninterrupted / "metrics.jsonl").open()]
    assert [line["step"] for line in lines] == list(range(1, LAST_STEP + 1))
    assert all(line["images_per_second"] > 0 for line in lines)
    assert all(0 <= line["data_wait_share"] <= 1 for line in lines)
    assert next((uninterrupted / "tensorboard").iterdir()).stat().st_size > 1000
    with Image.open(uninterrupted / "panels" / "00000024.png") as panel:
        # Eight rows, four of clips trained on and four of unseen ones; six columns.
        assert panel.height > 8 * 128 and panel.width > 6 * 128
    assert probe(uninterrupted / "videos" / "00000024.mp4").num_frames == 6
    said = messages(uninterrupted)
    assert "6 clips (36 frames) to train on, 2 (12) to evaluate; 1 cpu device(s)" in said
    assert "dictionary/weight" in said and "discriminator: " in said
    assert "192/192" in said and "image/s" in said
    assert f"finished at step 24 of 24; saved in {uninterrupted}" in said


def test_signals_save_and_end_in_peace(interrupted):
    workdir, seen = interrupted
    for name in ("SIGTERM", "SIGINT"):
        assert seen[name]["status"] == 0
        assert seen[name]["saved"][-1] == seen[name]["logged"] < LAST_STEP
        assert f"stopped by {name} at step {seen[name]['logged']} of 24" in messages(workdir)
    assert "Traceback" not in messages(workdir)


def test_kills_hit_between_and_during_saves(interrupted):
    _, seen = interrupted
    assert seen["SIGKILL"]["status"] == seen["SIGKILL while saving"]["status"] == -signal.SIGKILL
    assert seen["SIGKILL while saving"]["half_written"]
    assert seen["SIGKILL while saving"]["saved"][-1] < seen["SIGKILL while saving"]["logged"] + 1


def test_unreadable_newest_checkpoint_is_replaced(interrupted):
    workdir, seen = interrupted
    said = messages(workdir)
    assert f"ERROR: checkpoint of step {seen['broken']} can't be read" in said
    assert (workdir / "unreadable" / str(seen["broken"])).is_dir()
    before = [step for step in seen["SIGKILL while saving"]["saved"] if step < seen["broken"]]
    assert f"going on from step {before[-1]} of 24" in said


def test_interrupted_run_equals_the_uninterrupted_one(uninterrupted, interrupted):
    workdir, _ = interrupted
    ours, theirs = (load_final_state(tiny.get_config(), x) for x in (workdir, uninterrupted))
    assert int(ours.step) == LAST_STEP
    assert len(jax.tree.leaves(ours)) > 300
    assert differing_arrays(ours, theirs) == []
    assert logged_metrics(workdir) == logged_metrics(uninterrupted)
    names = ["panels/00000024.png", "videos/00000024.mp4"]
    assert all((workdir / x).read_bytes() == (uninterrupted / x).read_bytes() for x in names)


def test_nothing_half_written_is_left(interrupted):
    workdir, _ = interrupted
    assert not SaveWatch(workdir).is_saving()
    assert not list(workdir.glob("**/*.partial"))


def test_comparison_notices_a_single_bit(uninterrupted):
    state = load_final_state(tiny.get_config(), uninterrupted)
    bias = state.generator.params["encoder"]["from_rgb"]["bias"]
    changed = jax.tree.map(np.copy, state)
    changed.generator.params["encoder"]["from_rgb"]["bias"] = np.nextafter(
        bias, np.full_like(bias, np.inf)
    )
    (name,) = differing_arrays(state, changed)
    assert "generator" in name and "from_rgb" in name


def test_evaluation_of_the_run(uninterrupted, environment):
    root = Path(loop.__file__).parents[2]
    command = [sys.executable, "evaluate.py", "--config", tiny.__file__, "--workdir"]
    run = subprocess.run(
        [*command, str(uninterrupted)], cwd=root, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    results = json.loads((uninterrupted / "eval" / "results.json").read_text())
    assert results["protocol"]["frames"] == 12 and len(results["clips"]) == 2
    assert set(results["mean"]) == {"l1", "psnr", "ssim"}
    assert set(results["floors"]) == {"copy_source", "copy_mean"}
    assert len(list((uninterrupted / "eval").glob("*.mp4"))) == 2
    assert "checkpoint of step 24; 2 clips" in run.stdout + run.stderr


def test_absurd_learning_rate_ends_the_run_with_the_term(start, tmp_path):
    workdir = tmp_path / "run"
    flags = (
        "generator_optimizer.learning_rate=1e30",
        "loss.adversarial=0",
        "max_nonfinite_steps=3",
    )
    process = start(workdir, *[f"--config.{flag}" for flag in flags])
    assert process.wait() == 3
    said = messages(workdir)
    assert "train.py: error: gradients were not finite for 3 steps in a row" in said
    assert "loss/l1" in said.partition("train.py: error:")[2]
    assert "Traceback" not in said


# --- The loop itself, around a step that costs nothing ---


def tiny_config(**changes):
    config = tiny.get_config()
    config.update(changes)
    return config


@pytest.fixture
def cheap(monkeypatch):
    """Replaces the networks; `cheap["bad"]` says at which steps the L1 term isn't finite."""
    options: dict[str, Any] = {"bad": lambda step: step < 0, "size": 1000}

    def create(config):
        params = {"w": jax.random.normal(jax.random.key(0), (options["size"],))}
        network = NetworkState(params, optax.EmptyState(), None)
        zero = jnp.zeros((), jnp.int32)
        return TrainState(zero, network, None, zero, zero)

    def make(config):
        def step(state, batch, frozen):
            done = state.step + 1
            bad = options["bad"](done)
            l1 = jnp.where(bad, jnp.nan, batch["driving"].astype(jnp.float32).mean() / 255)
            w = state.generator.params["w"] + jnp.where(bad, 0, l1)
            in_row = jnp.where(bad, state.skipped_in_row + 1, 0)
            skipped = state.skipped + bad.astype(jnp.int32)
            generator = NetworkState({"w": w}, optax.EmptyState(), None)
            state = TrainState(done, generator, None, skipped, in_row)
            metrics = {"loss/total": l1, "loss/l1": l1, "loss/sparsity": jnp.ones(()), "psnr": l1}
            metrics |= {"skipped": skipped, "skipped_in_row": in_row}
            return state, {name: x.astype(jnp.float32) for name, x in metrics.items()}

        return step

    monkeypatch.setattr(loop, "create_train_state", create)
    monkeypatch.setattr(loop, "make_train_step", make)
    # Its settings last as long as the process.
    monkeypatch.setattr(runtime, "keep_freed_memory", lambda: True)
    return options


def newest_state(workdir, size=1000):
    zero = jnp.zeros((), jnp.int32)
    network = NetworkState({"w": jnp.zeros(size)}, optax.EmptyState(), None)
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    checkpoints = Checkpoints(workdir, read_only=True)
    state = checkpoints.restore_latest(
        abstract_state(TrainState(zero, network, None, zero, zero), device)
    )
    checkpoints.close()
    return state


def test_too_many_skipped_steps_in_a_row_end_the_run(cheap, tmp_path):
    cheap["bad"] = lambda step: step >= 9
    with pytest.raises(TrainingDiverged) as error:
        train_and_evaluate(tiny_config(max_nonfinite_steps=5), tmp_path)
    message = str(error.value)
    assert "not finite for 5 steps in a row, up to step 13: loss/l1." in message
    assert "loss/total" not in message and "loss/sparsity" not in message
    state = newest_state(tmp_path)
    assert int(state.step) == 12 and int(state.skipped) == 4
    assert np.isfinite(np.asarray(state.generator.params["w"])).all()
    # JSON has no NaN.
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").open()]
    assert lines[8]["loss/l1"] is None and lines[7]["loss/l1"] > 0


def test_the_last_step_may_be_the_one_too_many(cheap, tmp_path):
    cheap["bad"] = lambda step: step >= 22
    with pytest.raises(TrainingDiverged, match="3 steps in a row, up to step 24"):
        train_and_evaluate(tiny_config(max_nonfinite_steps=3), tmp_path)


def test_a_good_step_ends_the_streak(cheap, tmp_path):
    cheap["bad"] = lambda step: step % 3 != 0
    state = train_and_evaluate(tiny_config(max_nonfinite_steps=3), tmp_path)
    assert int(state.step) == 24 and int(state.skipped) == 16


def test_a_finished_run_is_only_read(cheap, tmp_path):
    first = train_and_evaluate(tiny_config(), tmp_path)
    lines = (tmp_path / "metrics.jsonl").read_text()
    again = train_and_evaluate(tiny_config(), tmp_path)
    assert differing_arrays(first, again) == []
    assert (tmp_path / "metrics.jsonl").read_text() == lines
    longer = train_and_evaluate(tiny_config(train_steps=26), tmp_path)
    assert int(longer.step) == 26 and saved_steps(tmp_path) == [20, 24, 26]


def test_time_limit_saves_and_the_next_run_goes_on(cheap, tmp_path):
    state = train_and_evaluate(tiny_config(max_minutes=1e-9), tmp_path)
    assert int(state.step) == 1 and saved_steps(tmp_path) == [1]
    state = train_and_evaluate(tiny_config(max_minutes=0.0), tmp_path)
    assert int(state.step) == 24
    assert [line["step"] for line in logged_metrics(tmp_path)] == list(range(1, 25))


def test_logging_at_intervals_and_at_the_end(cheap, tmp_path):
    train_and_evaluate(tiny_config(log_every=10, train_steps=22), tmp_path)
    assert [line["step"] for line in logged_metrics(tmp_path)] == [10, 20, 22]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_nothing_readable_is_an_error(cheap, tmp_path):
    train_and_evaluate(tiny_config(train_steps=8), tmp_path)
    for path in (tmp_path / "checkpoints").rglob("d/*"):
        path.write_bytes(b"")
    with pytest.raises(WorkdirError, match="none of the checkpoints"):
        train_and_evaluate(tiny_config(), tmp_path)


def test_another_model_is_refused(cheap, tmp_path):
    train_and_evaluate(tiny_config(train_steps=4), tmp_path)
    before = (tmp_path / "config.json").read_bytes()
    config = tiny_config()
    config.model.num_vectors = 3
    with pytest.raises(WorkdirError, match=r"model.num_vectors: 4 there, 3 now"):
        train_and_evaluate(config, tmp_path)
    assert (tmp_path / "config.json").read_bytes() == before
    assert saved_steps(tmp_path) == [4]


def test_workdir_that_is_a_file(cheap, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkdirError, match="can't be written to: File exists"):
        train_and_evaluate(tiny_config(), tmp_path / "file")
    assert (tmp_path / "file").read_text() == ""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_full_disk_ends_the_run_and_leaves_the_checkpoint_before(cheap, tmp_path):
    """As far as a process without root can have one: no file may grow beyond 50,000 bytes."""
    cheap["size"] = 200_000
    train_and_evaluate(tiny_config(train_steps=4), tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(
            WorkdirError, match="could not be written to .*: File too large.*step 4"
        ):
            train_and_evaluate(tiny_config(), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert int(newest_state(tmp_path, size=200_000).step) == 4
    assert int(train_and_evaluate(tiny_config(), tmp_path).step) == 24


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("train_steps", 0, "train_steps = 0: must be 1 or more"),
        ("batch_size", 0, "batch_size = 0: must be 1 or more"),
        ("batch_size", 12, "batch_size = 12 must be a multiple of devices"),
        ("accumulation_steps", 3, r"batch_size = 8 must be a multiple of .*8 × 3"),
        ("keep_checkpoints", 0, "keep_checkpoints = 0"),
        ("max_nonfinite_steps", 0, "max_nonfinite_steps = 0"),
        ("log_every", -1, "log_every = -1: must be 0"),
        ("checkpoint_every", 0, "checkpoint_every = 0: a run has to save its work"),
        ("model.resolution", 48, "model.resolution = 48: must be a power of two"),
        ("model.groups", 3, "model.groups = 3"),
        ("model.family", "lia_y", "model.family = 'lia_y': choose one of lia_x, lia"),
        ("loss.l1_scales", 0, "loss.l1_scales = 0"),
        ("loss.perceptual", 1.0, "perceptual.scales"),
        ("data.kind", "videos", "data.kind must be 'procedural' or 'records', got 'videos'"),
        ("data.procedural.num_clips", 0, "num_clips must be at least 1"),
    ],
)
def test_config_that_cannot_be_trained(tmp_path, field, value, message):
    config = tiny_config()
    config.update_from_flattened_dict({field: value})
    with pytest.raises(ValueError, match=message):
        train_and_evaluate(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("weights", ["", "/no/vgg19.pth"])
def test_perceptual_weights_have_to_exist(tmp_path, weights):
    config = tiny_config()
    config.loss.perceptual = 1.0
    config.perceptual.update(weights=weights, scales=(1, 2))
    with pytest.raises((ValueError, FileNotFoundError), match="torchvision's vgg19"):
        train_and_evaluate(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "name", ["default", "demo", "lia", "lia_recipe", "lia_x_base", "lia_x_middle", "lia_x_large"]
)
def test_presets_pass_the_check(name):
    config = importlib.import_module(f"configs.{name}").get_config()
    config.perceptual.weights = "random"
    check_config(config)
