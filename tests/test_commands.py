"""train.py and evaluate.py: a mistake ends as one message on stderr and status 2."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from liax_jax.checkpoint import claim_workdir

ROOT = Path(__file__).resolve().parent.parent
TINY = str(ROOT / "tests" / "training" / "tiny.py")
PERCEPTUAL = ("--config.loss.perceptual=1", "--config.perceptual.scales=(1,2)")


def run(program, *arguments, cwd=ROOT):
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    return subprocess.run(
        [sys.executable, str(ROOT / program), *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def assert_one_message(finished, *parts):
    assert finished.returncode == 2, finished.stderr
    assert "Traceback" not in finished.stderr and finished.stdout == ""
    assert finished.stderr.count("error:") == 1 and finished.stderr.count("\n") <= 5
    for part in parts:
        assert part in finished.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config.modle.width=1"], 'Did you mean "model" instead of "modle"?'),
        (["--config.model.widht=1"], 'Did you mean "width" instead of "widht"?'),
        (["--config.batch_size=1.5"], "--config.batch_size=1.5: invalid literal for int()"),
        (["--config.model.resolution=48"], "model.resolution = 48: must be a power of two"),
        (["--config.data.kind=records"], "data.path is empty; make records with `liax prepare"),
        (["--config.data.kind=records", "--config.data.path=/no/records"], "/no/records: no such"),
        (PERCEPTUAL, "perceptual.weights is empty"),
        ([*PERCEPTUAL, "--config.perceptual.weights=/no/vgg19.pth"], "no file /no/vgg19.pth"),
        (["--nonsense=3"], "Unknown command line flag 'nonsense'"),
    ],
    ids=lambda x: x if isinstance(x, str) else " ",
)
def test_training_with_a_mistake(tmp_path, arguments, message):
    workdir = tmp_path / "run"
    finished = run("train.py", "--config", TINY, "--workdir", workdir, *arguments)
    assert_one_message(finished, "train.py: error: ", message)
    assert not workdir.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", TINY, "--workdir="], "--workdir has to be given"),
        (["--workdir", "run"], "--config has to be given"),
        (["--config", "none.py", "--workdir", "run"], "none.py"),
    ],
    ids=["no workdir", "no config", "no such config"],
)
def test_training_without_what_it_needs(tmp_path, arguments, message):
    assert_one_message(run("train.py", *arguments, cwd=tmp_path), "train.py: error: ", message)
    assert not list(tmp_path.iterdir())


def test_workdir_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    finished = run("train.py", "--config", TINY, "--workdir", tmp_path / "file" / "run")
    assert_one_message(finished, f"the workdir {tmp_path}/file/run can't be written to: ")


def test_evaluating_what_was_never_trained(tmp_path):
    finished = run("evaluate.py", "--config", TINY, "--workdir", tmp_path / "run")
    assert_one_message(finished, "evaluate.py: error: there are no checkpoints in ", "train first")
    assert not (tmp_path / "run").exists()


def test_evaluating_another_model(tmp_path):
    claim_workdir(runpy.run_path(TINY)["get_config"](), tmp_path)
    field = "--config.model.num_vectors=3"
    finished = run("evaluate.py", "--config", TINY, "--workdir", tmp_path, field)
    assert_one_message(finished, "made with another model", "model.num_vectors: 4 there, 3 now")


def test_help_shows_an_example():
    finished = run("train.py", "--help")
    assert "python train.py --config configs/demo.py --workdir runs/demo" in finished.stdout
