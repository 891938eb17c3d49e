"""`liax convert` and `liax info`."""

import json
import os
import pickle
import zipfile

import jax
import numpy as np
import pytest

from liax_jax.cli import main
from liax_jax.convert import to_torch_state_dict
from liax_jax.directions import Direction, DirectionCard
from liax_jax.model_files import ModelRecord, fingerprint, load_model, save_model
from liax_jax.models import ModelConfig
from liax_jax.weights import read_weights, write_weights

CARD = DirectionCard(4, (Direction(2, "nod", "pose", -1, -0.3, 0.6, "down to up"),))


@pytest.fixture
def published(tmp_path, make_params):
    """A file with published names that this program didn't write."""
    config = ModelConfig(resolution=32, width=1 / 16, num_blocks=0, num_vectors=4)
    exported = to_torch_state_dict(config, make_params(config))
    state = {key: np.ascontiguousarray(value) for key, value in exported.items()}
    write_weights(tmp_path / "lia-x.pt", state)
    return tmp_path / "lia-x.pt", state


@pytest.fixture
def own(tmp_path, tiny_config, tiny_params):
    """A model directory of a model trained here."""
    identity = fingerprint(tiny_config, tiny_params)
    record = ModelRecord(tiny_config, CARD, 12345, "trained in run", "", identity)
    save_model(tmp_path / "own", record, tiny_params)
    return tmp_path / "own"


def test_there_and_back(published, tmp_path, capsys):
    source, state = published
    count = sum(value.size for key, value in state.items() if not key.endswith(".kernel"))
    steps = ["lia-x", "ours.safetensors", "theirs.safetensors", "back.pt"]
    for name in steps:
        flags = ["--published-names"] if name.startswith("theirs") else []
        out = tmp_path / name
        assert main(["convert", str(source), str(out), *flags]) == 0
        printed = capsys.readouterr().out
        assert f"LIA-X, {count:,} parameters, width 0.0625, 0 blocks a level" in printed
        assert "4, none named" in printed and "CC BY-NC 4.0" in printed
        assert f"written: {out}\n" in printed
        source = out
    back = read_weights(source).tensors
    assert back.keys() == state.keys()
    for key, value in state.items():
        assert back[key].tobytes() == value.tobytes(), key


def test_what_is_there_is_replaced_only_when_told(published, tmp_path, capsys):
    command = ["convert", str(published[0]), str(tmp_path / "m")]
    assert main(command) == 0
    assert main(command) == 2
    assert "exists already; choose another name, or say --overwrite" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0


def test_a_direction_card_can_be_put_in_or_left_out(published, tmp_path, capsys):
    (tmp_path / "card.json").write_text(CARD.to_json())
    out = str(tmp_path / "m")
    assert (
        main(["convert", str(published[0]), out, "--directions", str(tmp_path / "card.json")]) == 0
    )
    assert load_model(out)[0].card == CARD
    assert main(["convert", out, out + ".safetensors", "--directions", "none"]) == 0
    assert load_model(out + ".safetensors")[0].card == DirectionCard(4)
    (tmp_path / "card.json").write_text(DirectionCard(9).to_json())
    command = ["convert", out, out + "2", "--directions", str(tmp_path / "card.json")]
    assert main(command) == 2
    assert "card is of a model with 9 directions; this one has 4" in capsys.readouterr().err


def test_info(own, tiny_params, capsys):
    count = sum(value.size for value in jax.tree.leaves(tiny_params))
    assert main(["info", str(own)]) == 0
    lines = capsys.readouterr().out.splitlines()
    found = dict(line.split(":", 1) for line in lines[:8])
    assert {key: value.strip() for key, value in found.items()} == {
        "model": f"LIA-X, {count:,} parameters, width 0.0625, 1 block a level",
        "pictures": "32 × 32 pixels",
        "directions": "4, 1 named",
        "step": "12,345",
        "origin": "trained in run",
        "license": "none stated (a model of your own)",
        "read from": "model directory",
        "fingerprint": load_model(own)[0].fingerprint,
    }
    assert lines[8:] == [
        "",
        "index  name  group  useful range  meaning",
        "2      nod   pose   -0.3 … 0.6    down to up (sign turned)",
    ]


def test_info_as_json(own, tiny_config, tiny_params, capsys):
    assert main(["info", str(own), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert ModelConfig(**content["config"]) == tiny_config
    assert content["step"] == 12345
    assert content["parameters"] == sum(value.size for value in jax.tree.leaves(tiny_params))
    assert DirectionCard.from_json(json.dumps(content["directions"])) == CARD


class Bomb:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("command", [["info"], ["convert", "OUT"]])
def test_bad_files_end_in_one_line_and_leave_nothing(tmp_path, capsys, command):
    fuse, out = tmp_path / "fuse", tmp_path / "out"
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Bomb(f"touch {fuse}")))
    (tmp_path / "words.safetensors").write_bytes(b"\xff" * 40)
    write_weights(tmp_path / "vgg.pt", {"features.0.weight": np.zeros(2)})
    for name, message in {
        "bomb.pt": "system, which weights don't need and which may do harm; nothing in it was",
        "words.safetensors": "is not a readable safetensors file",
        "vgg.pt": "neither a LIA-X nor a LIA generator",
        "none.pt": "there is no file or directory",
    }.items():
        rest = [str(out)] if len(command) > 1 else []
        assert main([command[0], str(tmp_path / name), *rest]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"liax {command[0]}: error: ") and message in error
        assert error.count("\n") == 1
    assert not fuse.exists() and not out.exists()
