"""Weight files: safetensors of ours and of others, headers that lie, and failing writes."""

import json
import resource
import signal

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from liax_jax.weights import read_state_dict, read_weights, write_weights


@pytest.fixture
def tensors():
    rng = np.random.default_rng(1)
    return {
        "b/kernel": rng.standard_normal((3, 4), dtype=np.float32).T,
        "a": np.arange(5),
        "half": np.ones((2,), ml_dtypes.bfloat16),
        "nothing": np.zeros((2, 0), np.float32),
    }


@pytest.mark.parametrize("name", ["a.safetensors", "a.pt", "a.pth"])
def test_tensors_and_metadata_come_back(tmp_path, tensors, name):
    write_weights(tmp_path / "new" / name, tensors, "words")
    back = read_weights(tmp_path / "new" / name)
    assert back.metadata == "words" and back.tensors.keys() == tensors.keys()
    for key, value in tensors.items():
        read = back.tensors[key]
        assert read.dtype == value.dtype and read.shape == value.shape
        assert read.tobytes() == value.tobytes()


def test_other_programs_read_our_safetensors_and_we_theirs(tmp_path, tensors):
    del tensors["half"]
    path = tmp_path / "ours.safetensors"
    write_weights(path, tensors, "words")
    for key, value in load_file(path).items():
        np.testing.assert_array_equal(value, tensors[key])
    save_file({"x": np.eye(3)}, tmp_path / "theirs.safetensors", {"format": "pt"})
    back = read_weights(tmp_path / "theirs.safetensors")
    assert back.metadata is None
    np.testing.assert_array_equal(back.tensors["x"], np.eye(3))


def header(content, length=None) -> bytes:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x05",
        header({"a": ENTRY}),  # no numbers
        header({"a": ENTRY}) + bytes(9),  # too many
        header({"a": ENTRY}, length=1 << 62) + bytes(8),
        header({"a": ENTRY}, length=1000) + bytes(8),
        header(b"{not json}") + bytes(8),
        header({"a": ENTRY | {"shape": [3]}}) + bytes(8),
        header({"a": ENTRY | {"dtype": "F33"}}) + bytes(8),
        header({"a": ENTRY | {"data_offsets": [4, 12]}}) + bytes(12),  # a hole
        header({"a": ENTRY, "b": ENTRY}) + bytes(8),  # two in one place
        header({"a": ENTRY | {"shape": [-2]}}) + bytes(8),
        b"PK\x03\x04 a torch file by another name",
    ],
)
def test_a_wrong_header_is_refused(tmp_path, content):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="a.safetensors is not a readable safetensors file"):
        read_state_dict(path)


def test_types_that_numpy_lacks_are_named(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(header({"a": ENTRY | {"dtype": "F8_E4M3", "shape": [8]}}) + bytes(8))
    with pytest.raises(ValueError, match="a is of type F8_E4M3, which isn't supported"):
        read_state_dict(path)


def test_what_is_there_stays_unless_told(tmp_path, tensors):
    path = tmp_path / "a.safetensors"
    write_weights(path, tensors, "first")
    with pytest.raises(FileExistsError, match="exists already.*--overwrite"):
        write_weights(path, tensors, "second")
    assert read_weights(path).metadata == "first"
    write_weights(path, tensors, "second", overwrite=True)
    assert read_weights(path).metadata == "second"


@pytest.mark.parametrize("name", ["a.safetensors", "a.pt"])
def test_a_failing_write_leaves_what_was_there(tmp_path, name):
    path = tmp_path / name
    write_weights(path, {"a": np.arange(3)}, "first")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))  # as a full disk
    try:
        with pytest.raises(OSError, match=f"{name} can't be written: .*Free space there"):
            write_weights(path, {"a": np.zeros(1 << 16)}, overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert read_weights(path).metadata == "first"


def test_files_without_tensors_and_other_endings(tmp_path):
    write_weights(tmp_path / "a.pt", {})
    with pytest.raises(ValueError, match="a.pt holds no tensors"):
        read_state_dict(tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"read from \.safetensors, \.pt or \.pth"):
        read_state_dict(tmp_path / "a.npz")
