"""Runs of train.py that are stopped, killed and damaged, and go on as if they hadn't been."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
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
from liax_jax.data.video_io import probe
from liax_jax.directions import read_card

ROOT = Path(__file__).resolve().parents[2]
LAST_STEP = tiny.get_config().train_steps
PICTURES = (f"--config.panel_every={LAST_STEP}", f"--config.video_every={LAST_STEP}")


def saved_steps(workdir):
    names = [path.name for path in (workdir / "checkpoints").iterdir()]
    return sorted(int(name) for name in names if name.isdigit())


def messages(workdir):
    return Path(f"{workdir}.log").read_text()


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
    expected = tiny.get_config()
    expected.update(panel_every=LAST_STEP, video_every=LAST_STEP)
    assert config == json.loads(expected.to_json())
    assert saved_steps(uninterrupted) == [16, 20, 24]
    lines = [json.loads(line) for line in (uninterrupted / "metrics.jsonl").open()]
    assert [line["step"] for line in lines] == list(range(1, LAST_STEP + 1))
    assert all(line["images_per_second"] > 0 for line in lines)
    assert all(0 <= line["data_wait_share"] <= 1 for line in lines)
    assert next((uninterrupted / "tensorboard").iterdir()).stat().st_size > 1000
    low, high = read_card(uninterrupted / "directions.json").coefficient_bounds()
    np.testing.assert_array_equal(low, -high)
    # To three digits, at least a hundredth of the largest.
    assert high.shape == (4,) and np.all((high > 0.0099 * high.max()) & (high > 0) & (high < 5))
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
    # A launcher starts a run again that ends with 75 (EX_TEMPFAIL).
    for name, status in (("SIGTERM", 75), ("SIGINT", 0)):
        assert seen[name]["status"] == status
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
    command = [sys.executable, "evaluate.py", "--config", tiny.__file__, "--workdir"]
    run = subprocess.run(
        [*command, str(uninterrupted)], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    results = json.loads((uninterrupted / "eval" / "results.json").read_text())
    assert results["protocol"]["frames"] == 12 and len(results["clips"]) == 2
    assert {"l1", "psnr", "ssim"} <= set(results["mean"])
    assert set(results["floors"]) == {"copy_source", "copy_mean"}
    assert len(list((uninterrupted / "eval" / "videos").glob("*.mp4"))) == 2
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
