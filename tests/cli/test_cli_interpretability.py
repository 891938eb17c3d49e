"""`liax rotate`, `liax readability` and `liax stability`, on drawn portraits."""

import json

import numpy as np
import pytest

from liax_jax.animation.animator import load
from liax_jax.animation.streaming import FrameStream
from liax_jax.cli import main
from liax_jax.directions import Direction, DirectionCard
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
            "4 frames are too few for 4 vectors",
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
