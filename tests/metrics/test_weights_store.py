"""The weights store: what is imported, refused, found and left out."""

import hashlib
import json

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from liax_jax.metrics import MissingWeightsError, WeightsStore, build_metrics, lpips
from liax_jax.metrics.weights_store import NETWORKS, default_folder
from liax_jax.weights import read_weights, write_weights
from tests.goldens.seeded_weights import draw, pictures


def published_alexnet(folder):
    """Two files as torchvision and LPIPS publish them: the classifier is there too."""
    shapes: dict[str, tuple[int, ...]] = {}
    for conv in lpips.ALEXNET:
        shapes[f"features.{conv.number}.weight"] = (conv.outputs, conv.inputs, conv.size, conv.size)
        shapes[f"features.{conv.number}.bias"] = (conv.outputs,)
    widths = [conv.outputs for conv in lpips.ALEXNET if conv.tap]
    heads = draw({f"lin{i}.model.1.weight": (1, w, 1, 1) for i, w in enumerate(widths)})
    backbone = draw(shapes) | {"classifier.1.weight": np.zeros((2, 3), np.float32)}
    write_weights(folder / "alexnet-owt.pth", backbone)
    write_weights(folder / "alex.pth", heads)
    return folder / "alexnet-owt.pth", folder / "alex.pth"


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_imported_weights_give_a_metric_that_states_their_hashes(tmp_path):
    backbone, heads = published_alexnet(tmp_path)
    store = WeightsStore(tmp_path / "store")
    name, provenance = store.import_files("lpips", [heads, backbone])
    assert name == "lpips_alex"
    stored = store.path("lpips_alex")
    assert provenance == {
        "sha256": digest(stored),
        "sources": {"alex.pth": digest(heads), "alexnet-owt.pth": digest(backbone)},
    }
    assert "classifier.1.weight" not in read_weights(stored).tensors
    assert [p.name for p in stored.parent.iterdir()] == ["lpips_alex.safetensors"]

    available, left_out = build_metrics(["l1", "lpips_alex", "lpips_vgg"], store)
    assert (list(available), list(left_out)) == (["l1", "lpips_alex"], ["lpips_vgg"])
    assert "liax weights import lpips FILE FILE" in left_out["lpips_vgg"]
    metric = available["lpips_alex"]
    described = json.loads(json.dumps(metric.describe(frames=5)))
    assert described["weights"] == {"lpips_alex": provenance} and described["frames"] == 5
    image, reference = pictures(1, (2, 64, 72, 3)), pictures(2, (2, 64, 72, 3))
    expected = jax.jit(lpips.lpips_distance, static_argnums=0)(
        lpips.ALEXNET, metric.params, image, reference
    )
    np.testing.assert_allclose(metric(image, reference), expected, rtol=1e-6)


def test_files_that_are_not_the_network_are_refused_and_nothing_is_written(tmp_path):
    backbone, heads = published_alexnet(tmp_path)
    store = WeightsStore(tmp_path / "store")
    cases = {
        "no lin1.model.1.weight of shape .1, 192, 1, 1.* or .* of shape": ("lpips", [backbone]),
        "missing features.0.weight.*wanted: torchvision's alexnet": ("lpips", [heads]),
        "FID's Inception-v3: missing Conv2d_1a_3x3.conv.weight": ("inception", [backbone]),
        "VGG19 weights: missing features.2.weight": ("vgg19", [backbone]),
        "alex.pth has tensors of a file before it: lin0": ("lpips", [heads, backbone, heads]),
        "no network is called 'lpip'; there are lpips, inception": ("lpip", [heads]),
    }
    for message, (command, files) in cases.items():
        with pytest.raises(ValueError, match=message):
            store.import_files(command, files)
    with pytest.raises(FileNotFoundError, match="there is no file of that name"):
        store.import_files("lpips", [tmp_path / "none.pth"])
    (tmp_path / "short.pth").write_bytes(backbone.read_bytes()[:5000])
    with pytest.raises(ValueError, match="can't be read as torch weights.*is all of it there"):
        store.import_files("lpips", [tmp_path / "short.pth", heads])
    spoilt = dict(read_weights(heads).tensors)
    spoilt["lin2.model.1.weight"] = np.full_like(spoilt["lin2.model.1.weight"], np.nan)
    write_weights(tmp_path / "spoilt.safetensors", spoilt)
    with pytest.raises(ValueError, match="spoilt.safetensors: NaN or .* in lin2.model.1"):
        store.import_files("lpips", [backbone, tmp_path / "spoilt.safetensors"])
    assert not store.folder.exists()


def test_weights_that_are_there_are_kept_unless_told_otherwise(tmp_path):
    files = published_alexnet(tmp_path)
    store = WeightsStore(tmp_path / "store")
    store.import_files("lpips", files)
    with pytest.raises(FileExistsError, match="exists already"):
        store.import_files("lpips", files)
    store.import_files("lpips", files, overwrite=True)


def test_missing_and_damaged_weights(tmp_path):
    store = WeightsStore(tmp_path)
    with pytest.raises(MissingWeightsError, match="weights of inception are not in .*github.com"):
        store.load("inception")
    save_file({"x": np.zeros(3, np.float32)}, store.path("inception"))
    with pytest.raises(ValueError, match="inception.safetensors: these are not .*import the pub"):
        build_metrics(["fid"], store)
    store.path("inception").write_bytes(b"cut short")
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        build_metrics(["fid"], store)
    with pytest.raises(ValueError, match="unknown metrics: fud; there are l1, psnr"):
        build_metrics(["l1", "fud"], store)


def test_where_weights_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("LIAX_CACHE", str(tmp_path))
    assert default_folder() == tmp_path / "weights" == WeightsStore().folder
    monkeypatch.delenv("LIAX_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "liax_jax" / "weights"


def test_networks_that_share_a_command_can_be_told_apart():
    assert len({network.name for network in NETWORKS}) == len(NETWORKS)
    for network in NETWORKS:
        shared = [other for other in NETWORKS if other.command == network.command]
        assert len(shared) == 1 or network.sign is not None
