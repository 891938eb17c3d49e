"""The training loop around a step that costs nothing: when it saves, stops and refuses."""

import importlib
import json
import resource
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny

from benchmarks.kill_and_resume import differing_arrays, logged_metrics
from liax_jax import runtime
from liax_jax.checkpoint import Checkpoints, WorkdirError, abstract_state
from liax_jax.training import loop
from liax_jax.training import step as step_module
from liax_jax.training.loop import TrainingDiverged, check_config, train_and_evaluate
from liax_jax.training.state import NetworkState, TrainState


def saved_steps(workdir):
    names = [path.name for path in (workdir / "checkpoints").iterdir()]
    return sorted(int(name) for name in names if name.isdigit())


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

    def make(config, mesh):
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
    monkeypatch.setattr(step_module, "make_train_step", make)
    # There is no network to measure.
    monkeypatch.setattr(loop, "write_ranges", lambda *_: None)
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
        ("loss.sparsity_penalty", "l2", "loss.sparsity_penalty = 'l2': choose one of l1, hoyer"),
        ("loss.sparsity_ramp_steps", -1, "loss.sparsity_ramp_steps = -1: must be 0"),
        ("loss.sparsity_release", (4,), r"loss.sparsity_release = \(4,\): give the step where"),
        ("loss.sparsity_release", (4, 4), r"loss.sparsity_release = \(4, 4\): give the step"),
        ("loss.code_noise", -0.1, "loss.code_noise = -0.1: must be 0"),
        ("loss.perceptual", 1.0, "perceptual.scales"),
        ("data.kind", "videos", "data.kind must be 'procedural' or 'records', got 'videos'"),
        ("data.procedural.num_clips", 0, "num_clips must be at least 1"),
        ("data.procedural.moving", ("yaw", "jow"), "unknown factor jow; choose from yaw, pitch"),
    ],
)
def test_config_that_cannot_be_trained(tmp_path, field, value, message):
    config = tiny_config()
    config.update_from_flattened_dict({field: value})
    with pytest.raises(ValueError, match=message):
        train_and_evaluate(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_top_k_lets_fewer_than_all_vectors_off(tmp_path):
    config = tiny_config()
    config.loss.update(sparsity_penalty="topk", sparsity_top_k=4)
    with pytest.raises(ValueError, match="loss.sparsity_top_k = 4: must lie between 1 and 3"):
        train_and_evaluate(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("weights", ["", "/no/vgg19.pth", "imported"])
def test_perceptual_weights_have_to_exist(tmp_path, monkeypatch, weights):
    monkeypatch.setenv("LIAX_CACHE", str(tmp_path / "empty"))
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
