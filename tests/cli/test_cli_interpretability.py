"""`liax rotate`, `liax readability` and `liax stability`, on drawn portraits."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from liax_jax.animation.animator import load
from liax_jax.animation.streaming import FrameStream
from liax_jax.cli import main
from liax_jax.cli.probe_flags import add_probe_flags, open_probe_data
from liax_jax.data.procedural import ProceduralClips
from liax_jax.data.records import RecordWriter, encode_frame
from liax_jax.data.video_io import write_video
from liax_jax.directions import Direction, DirectionCard
from liax_jax.faces.detection import FaceError
from liax_jax.interpretability.codes import extract_codes
from liax_jax.interpretability.probe_clips import open_probe_clips
from liax_jax.model_files import ModelRecord, fingerprint, load_model, save_model

DATA = ["--data", "procedural", "--clips", "6", "--frames", "5", "--chunk", "8"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny_config, make_params):
    """Two models that were drawn from different seeds, the first with a named direction."""
    folder = tmp_path_factory.mktemp("runs")
    for seed in range(2):
        params = make_params(tiny_config, seed)
        card = DirectionCard(4, (Direction(2, "nod", "pose"),) if seed == 0 else ())
        record = ModelRecord(tiny_config, card, 9, "drawn", "", fingerprint(tiny_config, params))
        save_model(folder / str(seed), record, params)
    return [str(folder / str(seed)) for seed in range(2)]


def test_a_rotated_model_is_a_model_with_sparser_codes(runs, tmp_path, capsys):
    out = tmp_path / "turned.safetensors"
    assert main(["rotate", runs[0], str(out), "--json", *DATA]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["mean_abs_alpha"]["after"] < report["mean_abs_alpha"]["before"]
    assert len(report["starts"]) == 7 and report["frames"] == 30
    record, _ = load_model(out)
    before, _ = load_model(runs[0])
    assert record.fingerprint == report["fingerprint"] != before.fingerprint == report["from"]
    assert record.origin == f"l1 rotation of {before.fingerprint} (drawn)"
    assert not {"nod"} & {d.name for d in record.card.directions}
    assert len({d.high for d in record.card.directions}) == 4  # measured

    matrix = np.array(report["matrix"])
    assert main(["stability", runs[0], str(out), "--json", *DATA]) == 0
    compared = json.loads(capsys.readouterr().out)
    assert compared["pairs"][0]["linear_r2"] > 0.99
    assert matrix.shape == (4, 4) and compared["matched"] < 1

    clips = open_probe_clips("procedural", 32, num_clips=6)
    before, after = (FrameStream(load(path), 8) for path in (runs[0], out))
    old, new = (extract_codes(stream, clips, 6, 5).alpha for stream in (before, after))
    np.testing.assert_allclose(new, old @ matrix, rtol=1e-4, atol=1e-4 * np.abs(old).max())
    source, driving = clips.frame(0, 0), clips.frame(0, 9)
    pictures = [
        stream.animator.render(
            stream.animator.encode(source), stream.animator.coefficients(driving)
        )
        for stream in (before, after)
    ]
    np.testing.assert_allclose(*pictures, atol=1e-5)

    assert main(["info", str(out)]) == 0
    assert "l1 rotation of" in capsys.readouterr().out


def test_random_rotations_are_drawn_from_the_seed(runs, tmp_path, capsys):
    flags = ["--criterion", "random", *DATA]
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert main(["rotate", runs[0], str(tmp_path / name), "--seed", seed, *flags]) == 0
    printed = capsys.readouterr().out
    assert "written" in printed and "random (seed 2) rotation of" in printed
    a, b, c = (load_model(tmp_path / name)[0].fingerprint for name in "abc")
    assert a == b != c


def test_readability_with_and_without_factors(runs, capsys):
    flags = ["--regressors", "ridge", "--rotations", "2", "--bootstrap", "3"]
    assert main(["readability", runs[0], "--json", *flags, *DATA]) == 0
    report = json.loads(capsys.readouterr().out)
    scores = report["disentanglement"]["scores"]
    assert {"ridge/disentanglement", "mig", "sap", "modularity", "irs"} <= scores.keys()
    assert len(scores["mig"]["interval"]) == 2 and len(scores["mig"]["control_range"]) == 2
    assert len(report["excess_kurtosis"]) == 4
    assert report["sparsity"]["values"].keys() == report["sparsity"]["control"].keys()
    assert main(["readability", runs[0], *flags, *DATA]) == 0
    printed = capsys.readouterr().out
    assert "gini" in printed and "lid left" not in printed and "lid_left" in printed


def test_stability_in_words(runs, capsys):
    flags = ["--similarity", "correlation", "--rotations", "2"]
    assert main(["stability", *runs, *flags, *DATA]) == 0
    printed = capsys.readouterr().out
    assert "0 and 1: matched |correlation| 0." in printed and "UDR (correlation)" in printed


def test_stability_on_one_video_leaves_the_linear_share_out(runs, tmp_path, capsys):
    write_video(tmp_path / "one.mp4", ProceduralClips(32, 1, 12, seed=2).frames(0), 25)
    flags = ["--data", str(tmp_path / "one.mp4"), "--similarity", "correlation", "--chunk", "8"]
    assert main(["stability", *runs, *flags]) == 0
    printed = capsys.readouterr().out
    assert "matched |correlation| 0." in printed and "linear R² –" in printed
    assert "it takes 4 people or clips" in printed
    assert main(["stability", *runs, *flags, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pairs"][0]["linear_r2"] is None


def test_records_of_single_frames_have_codes_and_no_deviations(runs, tmp_path, capsys):
    drawn = ProceduralClips(32, 3, 9, seed=2)
    writer = RecordWriter(tmp_path, 32)
    for clip, frames in enumerate((9, 1, 1)):
        pictures = [encode_frame(drawn.frame(clip, t), t) for t in range(frames)]
        writer.add_clip(f"c{clip}", pictures, fps=25.0, source="", source_size=(32, 32))
    writer.close(["train"] * 3)
    command = ["readability", runs[0], "--data", str(tmp_path), "--chunk", "8"]
    assert main(command) == 2
    assert "its clip 'c1' has a single frame" in capsys.readouterr().err
    assert main([*command, "--codes", "frames"]) == 0
    assert "11 frames, 4 vectors" in capsys.readouterr().out


def test_faces_of_videos_are_found_with_the_model_that_is_named(runs, tmp_path):
    video = tmp_path / "wide.mp4"
    write_video(video, np.full((9, 40, 64, 3), 127, np.uint8), 25)
    command = argparse.ArgumentParser()
    add_probe_flags(command, kind=None)
    command.add_argument("--face-model", type=Path)
    args = command.parse_args(["--data", str(video), "--face-model", "yunet.onnx"])
    _, clips = open_probe_data(args, Path(runs[0]))
    with pytest.raises(FaceError, match="yunet.onnx: no such file"):
        next(clips.frames(0))


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["stability", "RUN", "--data", "procedural"], "name two or more runs"),
        (["rotate", "RUN", "OUT", "--data", "nowhere"], "no file or directory of that name"),
        (["rotate", "RUN", "OUT.pt", "--data", "procedural"], "make the .pt of it with"),
        (["rotate", "RUN", "RUN", "--data", "procedural"], "exists already"),
        (["readability", "RUN", "--data", "procedural", "--clips", "0"], "must be 1 or more"),
        (["readability", "RUN", "--regressors", "trees", "--data", "RUN"], "regressor 'trees'"),
        (
            ["readability", "RUN", "--data", "procedural", "--clips", "2", "--frames", "2"],
            "4 frames are too few for 4 vectors: take more with --frames and --clips",
        ),
        (
            ["readability", "RUN", "--data", "procedural", "--clips", "2", "--frames", "9"],
            "2 people or clips are too few",
        ),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(runs, tmp_path, capsys, command, message):
    places = {"RUN": runs[0], "OUT": str(tmp_path / "out"), "OUT.pt": str(tmp_path / "out.pt")}
    assert main([places.get(word, word) for word in command]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["readability", "RUN", *DATA, "--frames", "1"], "--frames 1: must be 2 or more"),
        (["readability", "RUN", *DATA, "--seed", "-1"], "--seed -1: must be 0 or more"),
        (["readability", "RUN", *DATA, "--rotations", "0"], "--rotations 0: must be 1 or more"),
        (["readability", "RUN", *DATA, "--bootstrap", "1"], "--bootstrap 1: must be 2 or more"),
        (["readability", "RUN", *DATA, "--bootstrap", "-2"], "must be 2 or more, or 0 for none"),
        (["stability", "RUN", "RUN", *DATA, "--rotations", "0"], "must be 1 or more"),
        (["stability", "RUN", "nowhere", *DATA], "nowhere: there is no file or directory"),
        (["rotate", "RUN", "OUT", *DATA, "--restarts", "-1"], "--restarts -1: must be 0 or more"),
        (["rotate", "RUN", "OUT.ckpt", *DATA], "whose name does not end in .ckpt"),
        (["rotate", "RUN", "WORKDIR", "--overwrite", *DATA], "is no model directory"),
    ],
)
def test_flags_are_looked_at_before_any_frame_is(
    runs, tmp_path, monkeypatch, capsys, command, message
):
    workdir = tmp_path / "workdir"
    workdir.mkdir()
    (workdir / "config.json").write_text("{}")
    monkeypatch.setattr(ProceduralClips, "frame", lambda *_: pytest.fail("a frame was drawn"))
    places = {"RUN": runs[0], "WORKDIR": str(workdir)}
    places |= {name: str(tmp_path / name) for name in ("OUT", "OUT.ckpt")}
    assert main([places.get(word, word) for word in command]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [workdir]
