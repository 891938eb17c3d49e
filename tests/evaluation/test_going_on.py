"""What evaluate.py goes on with: the same model, data, weights and program, and nothing else."""

import dataclasses

import numpy as np
import pytest

from configs import demo
from liax_jax.data.procedural import ProceduralClips
from liax_jax.data.records import RecordWriter, encode_frame
from liax_jax.evaluation import EvaluationError, command
from liax_jax.evaluation.clip_data import configured_data, open_data
from liax_jax.evaluation.command import evaluate
from liax_jax.evaluation.model import load_checkpoint
from liax_jax.evaluation.options import EvaluateOptions
from liax_jax.log import logger
from liax_jax.weights import write_weights

QUICK = {"batch_size": 4, "progress": False, "metrics": ("l1",), "videos": False}


@pytest.fixture(scope="module")
def model(tmp_path_factory, save_tiny_model):
    path = tmp_path_factory.mktemp("model")
    save_tiny_model(path / "model")
    return path / "model"


def drawn(**changes):
    """A config whose evaluation split is two drawn clips."""
    config = demo.get_config()
    config.model.resolution = 32
    config.data.procedural.update(num_eval_clips=2, frames_per_clip=3)
    config.data.procedural.update(changes)
    return config


def recorded(folder, **paths):
    config = demo.get_config()
    config.data.update(kind="records", path=str(folder or ""))
    config.data.paths.update({name: str(path) for name, path in paths.items()})
    config.data.mixture.update(dict.fromkeys(paths, 1.0))
    return config


def write_records(folder, seed):
    """Two clips of one split, whose names and lengths don't depend on the seed."""
    clips = ProceduralClips(32, 2, frames_per_clip=3, seed=seed)
    folder.mkdir()
    writer = RecordWriter(folder, 32)
    for number in range(2):
        frames = (encode_frame(frame, t) for t, frame in enumerate(clips.frames(number)))
        about = {"source": f"{folder.name}/{number}.mp4", "source_size": (32, 32)}
        writer.add_clip(f"clip{number}", frames, fps=25.0, **about)
    writer.close(["val", "val"])
    return folder


def files_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"distribution": "uniform"}, "data.distribution natural there, uniform now"),
        ({"people": "plain"}, "data.people varied there, plain now"),
        ({"moving": ("yaw",)}, "data.moving"),
        ({"seed": 3}, "data.seed 1 there, 7 now"),
    ],
)
def test_other_drawn_portraits_are_not_passed_off_as_the_same(model, tmp_path, change, said):
    options = {"checkpoint": model, "out": tmp_path / "out", **QUICK}
    evaluate(EvaluateOptions(config=drawn(), **options))
    before = files_of(tmp_path / "out")
    with pytest.raises(EvaluationError, match=said) as raised:
        evaluate(EvaluateOptions(config=drawn(**change), **options))
    assert "--restart" in str(raised.value)
    assert files_of(tmp_path / "out") == before


def test_where_drawn_portraits_are_kept_does_not_matter(model, tmp_path):
    options = {"checkpoint": model, "out": tmp_path / "out", **QUICK}
    first = evaluate(EvaluateOptions(config=drawn(), **options))
    kept = drawn(keep_in=str(tmp_path / "kept"))
    assert evaluate(EvaluateOptions(config=kept, **options)) == first


def test_records_of_a_config_are_told_apart_as_those_of_a_flag(tmp_path):
    a, b = (write_records(tmp_path / name, seed) for seed, name in enumerate("ab"))
    of_a, of_b = (configured_data(recorded(folder).data, 32) for folder in (a, b))
    assert list(of_a.clips.names) == list(of_b.clips.names)
    assert of_a.description == open_data(a).description != of_b.description
    moved = a.rename(tmp_path / "moved")
    assert configured_data(recorded(moved).data, 32).description == of_a.description
    mixed = configured_data(recorded(None, x=moved, y=b).data, 32)
    assert mixed.description["parts"] == {"x": of_a.description, "y": of_b.description}
    other = configured_data(recorded(None, x=b, y=b).data, 32)
    assert list(other.clips.names) == list(mixed.clips.names)
    assert other.description != mixed.description


def test_in_the_workdir_a_newer_checkpoint_alone_starts_anew(model, tmp_path, monkeypatch, caplog):
    older = load_checkpoint(model)
    newer = dataclasses.replace(older, description={**older.description, "step": 8})
    monkeypatch.setattr(command, "load_workdir", lambda *_: older)
    options = {"config": drawn(), "workdir": tmp_path, **QUICK}
    assert evaluate(EvaluateOptions(**options))["model"]["step"] == 7
    before = files_of(tmp_path / "eval")
    for opened in (older, newer):
        monkeypatch.setattr(command, "load_workdir", lambda *_, opened=opened: opened)
        for change, said in (
            ({"max_frames": 2}, "protocol.driving every frame"),
            ({"metrics": ("l1", "psnr")}, "metrics.psnr none there"),
        ):
            with pytest.raises(EvaluationError, match=f"{said}.*--restart"):
                evaluate(EvaluateOptions(**options | change))
    assert files_of(tmp_path / "eval") == before
    with caplog.at_level("INFO", logger.name):
        assert evaluate(EvaluateOptions(**options))["model"]["step"] == 8
    assert "held an earlier evaluation (model.step 7 there, 8 now)" in caplog.text


@pytest.mark.parametrize("restart", [False, True])
def test_wrong_weights_end_the_command_and_leave_what_is_there(model, tmp_path, restart):
    options = {"checkpoint": model, "config": drawn(), "out": tmp_path / "out", **QUICK}
    evaluate(EvaluateOptions(**options))
    before = files_of(tmp_path / "out")
    tensors = {"of.something.else": np.zeros(3, np.float32)}
    write_weights(tmp_path / "weights" / "lpips_alex.safetensors", tensors, '{"sources": {}}')
    options |= {"metrics": ("l1", "lpips_alex"), "weights": tmp_path / "weights"}
    with pytest.raises(ValueError, match=r"lpips_alex\.safetensors: .*import the published files"):
        evaluate(EvaluateOptions(**options, restart=restart))
    assert files_of(tmp_path / "out") == before
