"""`liax weights`: what it prints, and its exit status."""

import hashlib

import numpy as np
import pytest

from liax_jax.cli import main
from liax_jax.metrics import WeightsStore
from liax_jax.models.perceptual import load_vgg19, published_shapes
from liax_jax.weights import write_weights


@pytest.fixture
def vgg19(tmp_path):
    tensors = {name: np.zeros(shape, np.float32) for name, shape in published_shapes().items()}
    path = tmp_path / "vgg19-published.pth"
    write_weights(path, tensors | {"classifier.0.bias": np.zeros(3, np.float32)})
    return path


def test_import_then_list(vgg19, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("LIAX_CACHE", str(tmp_path))
    assert main(["weights", "import", "vgg19", str(vgg19)]) == 0
    stored = tmp_path / "weights" / "vgg19.safetensors"
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (vgg19, stored)]
    printed = capsys.readouterr().out
    assert all(digest in printed for digest in hashes)
    assert printed.index("vgg19-published.pth") < printed.index(str(stored))
    assert main(["weights", "list"]) == 0
    printed = capsys.readouterr().out
    assert all(digest in printed for digest in hashes)
    assert "vgg19: there (the perceptual term in training)" in printed
    assert "inception: MISSING (metric fid)" in printed
    assert "then     liax weights import inception FILE" in printed
    params = load_vgg19(WeightsStore().existing_path("vgg19"))
    assert params["conv5_1"]["kernel"].shape == (3, 3, 512, 512)


def test_a_damaged_file_is_listed_and_the_others_too(vgg19, tmp_path, capsys):
    folder = tmp_path / "kept"
    assert main(["weights", "import", "vgg19", str(vgg19), "--folder", str(folder)]) == 0
    (folder / "lpips_alex.safetensors").write_bytes(b"cut short")
    tensors = {"x": np.zeros(1, np.float32)}
    write_weights(folder / "inception.safetensors", tensors, '{"model": "another file of ours"}')
    capsys.readouterr()
    assert main(["weights", "list", "--folder", str(folder)]) == 0
    printed = capsys.readouterr().out
    path = folder / "lpips_alex.safetensors"
    assert f"lpips_alex: DAMAGED ({path} is not a readable safetensors file: " in printed
    path = folder / "inception.safetensors"
    assert f"inception: DAMAGED ({path} doesn't say what it was made of) (metric fid)" in printed
    assert "then     liax weights import inception FILE --overwrite\n" in printed
    assert "vgg19: there" in printed and "arcface: MISSING" in printed
    assert "then     liax weights import arcface FILE\n" in printed


def test_errors_are_one_line_and_status_2(vgg19, tmp_path, capsys):
    folder = tmp_path / "kept"
    assert main(["weights", "import", "inception", str(vgg19), "--folder", str(folder)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("liax weights: error: vgg19-published.pth: these are not the weights")
    assert error.count("\n") == 1 and not folder.exists()
    with pytest.raises(SystemExit) as stopped:
        main(["weights"])
    assert stopped.value.code == 2
