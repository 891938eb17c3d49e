"""Checkpoints: what is saved comes back; what is broken is said."""

import contextlib
import json
import logging
import resource
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import default
from liax_jax.checkpoint import (
    Checkpoints,
    WorkdirError,
    abstract_state,
    check_same_model,
    claim_workdir,
    restore_params,
)
from liax_jax.training import sharding
from liax_jax.training.state import NetworkState, TrainState, build_optimizer

# Orbax reads and writes arrays concurrently, and forgets the others when one has failed.
others_forgotten = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def make_state(step, ema=True, discriminator=True, size=64):
    """A state of a small network; arrays differ from step to step."""

    def network(seed, ema):
        rng = np.random.default_rng([seed, step])
        params = {
            "dense": {"kernel": rng.standard_normal((size, 3), dtype=np.float32)},
            "bias": rng.standard_normal(3, dtype=np.float32),
        }
        optimizer = build_optimizer(default.get_config().generator_optimizer, 100)
        opt_state = jax.tree.map(lambda x: np.asarray(x) + step, optimizer.init(params))
        average = jax.tree.map(lambda x: x * np.float32(0.9), params) if ema else None
        return NetworkState(params, opt_state, average)

    state = TrainState(
        step=jnp.int32(step),
        generator=network(1, ema),
        discriminator=network(2, ema=False) if discriminator else None,
        skipped=jnp.int32(3),
        skipped_in_row=jnp.int32(1),
    )
    return jax.tree.map(jnp.asarray, state)


def like(state):
    return abstract_state(state, jax.sharding.SingleDeviceSharding(jax.devices()[0]))


def assert_same_bits(ours, theirs):
    jax.tree.map(lambda a, b: None, ours, theirs)  # raises where the structures differ
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert a.dtype == b.dtype and np.asarray(a).tobytes() == np.asarray(b).tobytes()


def save_steps(workdir, *steps, keep=3, **fields):
    checkpoints = Checkpoints(workdir, keep)
    for step in steps:
        checkpoints.save(make_state(step, **fields))
    checkpoints.close()


def steps_in(workdir):
    return sorted(int(path.name) for path in (workdir / "checkpoints").iterdir())


def restore(workdir, **fields):
    checkpoints = Checkpoints(workdir, keep=3)
    with contextlib.closing(checkpoints):
        return checkpoints.restore_latest(like(make_state(0, **fields)))


@pytest.mark.parametrize("parts", [{}, {"ema": False}, {"discriminator": False}], ids=str)
def test_what_is_saved_comes_back_bit_for_bit(tmp_path, parts):
    save_steps(tmp_path, 7, **parts)
    assert_same_bits(restore(tmp_path, **parts), make_state(7, **parts))


def test_empty_workdir_has_no_state(tmp_path):
    assert restore(tmp_path) is None


def test_restores_onto_eight_devices(tmp_path):
    save_steps(tmp_path, 7)
    everywhere = sharding.replicated(sharding.make_mesh({"data": -1}))
    checkpoints = Checkpoints(tmp_path, keep=3)
    state = checkpoints.restore_latest(abstract_state(make_state(0), everywhere))
    checkpoints.close()
    assert_same_bits(state, make_state(7))
    assert {len(leaf.sharding.device_set) for leaf in jax.tree.leaves(state)} == {8}


def test_the_last_k_are_kept(tmp_path):
    save_steps(tmp_path, 1, 2, 5, 6, keep=2)
    assert steps_in(tmp_path) == [5, 6]
    save_steps(tmp_path, 9, keep=2)
    assert steps_in(tmp_path) == [6, 9]


def test_saving_a_step_again_changes_nothing(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=3)
    checkpoints.save(make_state(4))
    checkpoints.wait()
    other = make_state(4).replace(skipped=jnp.int32(9))
    checkpoints.save(other)
    checkpoints.close()
    assert int(restore(tmp_path).skipped) == 3


def test_saving_does_not_wait_for_the_state_to_stay(tmp_path):
    """The next step consumes (donates) the state while it is being written."""
    checkpoints = Checkpoints(tmp_path, keep=3)
    state = make_state(4, size=100_000)
    expected = jax.device_get(jax.tree.map(jnp.copy, state))
    overwrite = jax.jit(lambda s: jax.tree.map(lambda x: x * 0 - 1, s), donate_argnums=0)
    checkpoints.save(state)
    for _ in range(3):
        state = overwrite(state)
    checkpoints.close()
    assert_same_bits(restore(tmp_path, size=100_000), expected)


def break_by_truncation(checkpoint):
    for path in checkpoint.rglob("d/*"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def break_by_deletion(checkpoint):
    for path in checkpoint.rglob("ocdbt.process_0"):
        shutil.rmtree(path)
    for path in checkpoint.rglob("d/*"):
        path.unlink()


def break_by_emptying(checkpoint):
    for path in checkpoint.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def break_metadata(checkpoint):
    (checkpoint / "default" / "_METADATA").write_text("{")


BREAKAGES = [break_by_truncation, break_by_deletion, break_by_emptying, break_metadata]


@others_forgotten
@pytest.mark.parametrize("break_checkpoint", BREAKAGES)
def test_unreadable_newest_is_said_and_the_one_before_used(tmp_path, caplog, break_checkpoint):
    save_steps(tmp_path, 2, 4, 6)
    break_checkpoint(tmp_path / "checkpoints" / "6")
    with caplog.at_level(logging.ERROR, "liax_jax"):
        checkpoints = Checkpoints(tmp_path, keep=3)
        state = checkpoints.restore_latest(like(make_state(0)))
    assert_same_bits(state, make_state(4))
    (message,) = [r.getMessage() for r in caplog.records if r.name == "liax_jax"]
    assert "checkpoint of step 6 can't be read" in message
    assert str(tmp_path / "unreadable" / "6") in message and "\n" not in message
    assert (tmp_path / "unreadable" / "6").is_dir()
    # Training comes to that step again, and saves it.
    checkpoints.save(make_state(6))
    checkpoints.close()
    assert steps_in(tmp_path) == [2, 4, 6]
    assert_same_bits(restore(tmp_path), make_state(6))


@others_forgotten
def test_looking_at_a_run_moves_nothing(tmp_path, caplog):
    save_steps(tmp_path, 2, 4)
    break_by_truncation(tmp_path / "checkpoints" / "4")
    half_written = tmp_path / "checkpoints" / "6.orbax-checkpoint-tmp"
    half_written.mkdir()
    before = sorted(tmp_path.rglob("*"))
    with caplog.at_level(logging.ERROR, "liax_jax"):
        checkpoints = Checkpoints(tmp_path, read_only=True)
        state = checkpoints.restore_latest(like(make_state(0)))
        checkpoints.close()
    assert_same_bits(state, make_state(2))
    assert "checkpoint of step 4 can't be read" in caplog.text and "left as it is" in caplog.text
    assert sorted(tmp_path.rglob("*")) == before


@others_forgotten
def test_nothing_readable_is_an_error(tmp_path):
    save_steps(tmp_path, 2, 4)
    for step in ("2", "4"):
        break_by_truncation(tmp_path / "checkpoints" / step)
    with pytest.raises(WorkdirError, match="none of the checkpoints in .* could be read"):
        restore(tmp_path)
    assert sorted(path.name for path in (tmp_path / "unreadable").iterdir()) == ["2", "4"]


@contextlib.contextmanager
def largest_file(size):
    """Files can't grow beyond `size` bytes: a full disk as a process sees it, without root."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@others_forgotten
def test_checkpoint_that_cannot_be_written(tmp_path):
    save_steps(tmp_path, 2, size=100_000)
    checkpoints = Checkpoints(tmp_path, keep=3)
    with largest_file(100_000), pytest.raises(WorkdirError) as error:
        checkpoints.save(make_state(4, size=100_000))
        checkpoints.wait()
    assert f"could not be written to {tmp_path}/checkpoints" in str(error.value)
    assert ": File too large. Free space or choose another workdir" in str(error.value)
    assert "newest checkpoint there (step 2)" in str(error.value)
    assert_same_bits(restore(tmp_path, size=100_000), make_state(2, size=100_000))


def test_parameters_for_evaluation(tmp_path):
    save_steps(tmp_path, 3, 8)
    state = make_state(8)
    params, step = restore_params(tmp_path, like(state), use_ema=False)
    assert step == 8
    assert_same_bits(params, state.generator.params)
    assert_same_bits(restore_params(tmp_path, like(state), use_ema=True)[0], state.generator.ema)


def test_parameters_without_average(tmp_path):
    save_steps(tmp_path, 3, ema=False)
    state = make_state(3, ema=False)
    params, _ = restore_params(tmp_path, like(state), use_ema=True)
    assert_same_bits(params, state.generator.params)


def test_evaluating_an_untrained_workdir(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoints in .*; train first"):
        restore_params(tmp_path, like(make_state(0)), use_ema=True)
    assert not list(tmp_path.iterdir())
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(FileNotFoundError, match="no finished checkpoint"):
        restore_params(tmp_path, like(make_state(0)), use_ema=True)


def test_workdir_keeps_the_resolved_config(tmp_path):
    config = default.get_config()
    config.batch_size = 6
    claim_workdir(config, tmp_path / "deep" / "run")
    saved = json.loads((tmp_path / "deep" / "run" / "config.json").read_text())
    assert saved == json.loads(config.to_json())
    assert saved["batch_size"] == 6 and saved["model"]["family"] == "lia_x"


def test_workdir_of_another_model_is_refused_with_the_fields(tmp_path):
    config = default.get_config()
    config.model.update(width=0.5, num_vectors=40)
    claim_workdir(config, tmp_path)
    before = (tmp_path / "config.json").read_text()
    config.model.update(width=1.0, num_vectors=20)
    config.ema_decay = 0.0
    config.discriminator.width = 0.5
    config.discriminator_optimizer.clip_norm = 0.0
    with pytest.raises(WorkdirError) as error:
        claim_workdir(config, tmp_path)
    message = str(error.value)
    assert message.startswith(f"{tmp_path} was made with another model; choose another --workdir")
    assert message.splitlines()[1:] == [
        "  discriminator.width: 1.0 there, 0.5 now",
        "  discriminator_optimizer.clip_norm > 0: True there, False now",
        "  ema_decay > 0: True there, False now",
        "  model.num_vectors: 40 there, 20 now",
        "  model.width: 0.5 there, 1.0 now",
    ]
    assert (tmp_path / "config.json").read_text() == before


def test_what_may_change_when_a_run_goes_on(tmp_path):
    config = default.get_config()
    claim_workdir(config, tmp_path)
    config.model.update(dtype="bfloat16", flow_init="identity")
    config.generator_optimizer.update(learning_rate=1e-4, clip_norm=1.0)
    config.update(train_steps=10, batch_size=2, ema_decay=0.5, seed=4)
    config.loss.sparsity = 0.5
    check_same_model(config, tmp_path)


def test_masks_are_part_of_the_model_and_older_runs_have_them(tmp_path):
    config = default.get_config()
    claim_workdir(config, tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    del saved["model"]["use_mask"]
    (tmp_path / "config.json").write_text(json.dumps(saved))
    check_same_model(config, tmp_path)
    config.model.use_mask = False
    with pytest.raises(WorkdirError, match="model.use_mask: True there, False now"):
        check_same_model(config, tmp_path)


def test_leaving_out_the_discriminator_is_another_model(tmp_path):
    config = default.get_config()
    claim_workdir(config, tmp_path)
    config.loss.adversarial = 0.0
    with pytest.raises(WorkdirError, match="loss.adversarial > 0: True there, False now"):
        check_same_model(config, tmp_path)


def test_damaged_config_is_an_error(tmp_path):
    (tmp_path / "config.json").write_text('{"model": ')
    with pytest.raises(WorkdirError, match="config.json is not valid JSON"):
        claim_workdir(default.get_config(), tmp_path)


@pytest.mark.parametrize("place", ["file", "file/run", "/proc/run"])
def test_workdir_that_cannot_be_made(tmp_path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkdirError, match="can't be written to: .*Choose another"):
        claim_workdir(default.get_config(), tmp_path / place)
