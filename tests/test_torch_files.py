"""Torch's weight files, read and written without torch, and never executed."""

import collections
import pickle
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from liax_jax import torch_files
from liax_jax.torch_files import TorchFileError, read_torch_file, write_torch_archive

FIXTURES = Path(__file__).parent / "fixtures"
SAVED_BY_TORCH = [FIXTURES / "saved_by_torch.pt", FIXTURES / "saved_by_torch_before_1_6.pt"]


def write(path, tensors, **fields):
    with path.open("wb") as file:
        write_torch_archive(file, tensors, **fields)
    return path


def with_pickle(path, description: bytes):
    """A file as torch's, with two numbers and this description of them."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", description)
        archive.writestr("archive/data/0", np.array([1, 2], np.float32).tobytes())
    return path


def tensor(shape: str, offset="K\x00", strides="K\x01\x85", size="K\x02", entry="0") -> bytes:
    """The opcodes of {"a": a tensor of float32} with these numbers."""
    storage = f"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0{entry}X\x03\0\0\0cpu{size}tQ"
    call = f"ctorch._utils\n_rebuild_tensor_v2\n({storage}{offset}{shape}{strides}tR"
    return b"\x80\x02}X\x01\0\0\0a" + call.encode("latin1") + b"s."


@pytest.mark.parametrize("path", SAVED_BY_TORCH, ids=lambda path: path.name)
def test_what_torch_saved_is_read_as_it_was(path):
    tensors, note = read_torch_file(path)
    assert note is None
    np.testing.assert_array_equal(tensors["gen.0.weight"], [[0, 1], [2, 3], [4, 5]])
    np.testing.assert_array_equal(tensors["gen.1.running_var"], [50, 51, 52])
    np.testing.assert_array_equal(tensors["transposed"], np.arange(12).reshape(3, 4).T)
    np.testing.assert_array_equal(tensors["every_other"], [1, 3, 5, 7])
    np.testing.assert_array_equal(tensors["half"].astype(np.float32), [0.5, -2])
    np.testing.assert_array_equal(tensors["parameter"], [1.5])
    assert tensors["scalar"].shape == () and tensors["scalar"] == 7
    assert tensors["half"].dtype == ml_dtypes.bfloat16
    # The optimiser's settings, the namespace and the number have no tensors.
    assert len(tensors) == 12


def test_what_is_written_comes_back_and_is_aligned(tmp_path):
    rng = np.random.default_rng(0)
    tensors = {
        "a.weight": rng.standard_normal((2, 3, 4), dtype=np.float32).transpose(2, 0, 1),
        "a.scalar": np.full((), 3, np.int64),
        "a.empty": np.zeros((0, 3), np.float32),
        "a.half": np.arange(5).astype(ml_dtypes.bfloat16),
        "ümlaut": np.array([True, False]),
    }
    path = write(tmp_path / "a.pt", tensors, metadata="a note", key="gen")
    back, note = read_torch_file(path)
    assert note == "a note" and list(back) == [f"gen.{name}" for name in tensors]
    for name, value in tensors.items():
        read = back[f"gen.{name}"]
        assert read.dtype == value.dtype and read.shape == value.shape
        assert read.tobytes() == value.tobytes()
        assert not read.size or not read.flags.writeable and read.ctypes.data % 64 == 0
    assert read_torch_file(write(tmp_path / "b.pt", tensors))[0].keys() == tensors.keys()


class Bomb:
    """Runs a command when it is unpickled as usual."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("wrap", [lambda bomb: bomb, lambda bomb: {"gen": [bomb]}])
def test_a_pickle_bomb_is_refused_and_not_executed(tmp_path, protocol, wrap):
    fuse = tmp_path / "fuse"
    for bomb in (
        Bomb(__import__("os").system, f"touch {fuse}"),
        Bomb(eval, f"open({str(fuse)!r}, 'w')"),
        Bomb(open, str(fuse), "w"),
        Bomb(getattr, "", "join"),
        Bomb(np.memmap, str(fuse), np.uint8, "w+", 0, 1),
    ):
        content = pickle.dumps(wrap(bomb), protocol)
        path = with_pickle(tmp_path / "bomb.pt", content)
        with pytest.raises(TorchFileError, match=r"bomb.pt can't .* it asks for .*not.*executed"):
            read_torch_file(path)
        # And without the archive around it, or as the tensors of an old file.
        before = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001) + pickle.dumps({})
        for start, message in ((b"", "can't be read as torch weights"), (before, "it asks for")):
            path.write_bytes(start + content)
            with pytest.raises(TorchFileError, match=message):
                read_torch_file(path)
        assert not fuse.exists()


@pytest.mark.parametrize(
    "attack",
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n}X\x05\0\0\0_reads}\x86b",  # sets an attribute
        b"ctorch._utils\n_rebuild_tensor_v2\n)R",  # too few arguments
        b"ctorch._utils\n_rebuild_tensor_v2\n(X\x01\0\0\0xK\x00))tR",  # text for a storage
        b"(X\x04\0\0\0filectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x02tQ",
        b"ccollections\nOrderedDict.__class__\n",
        b"ctorch.serialization\nload\n",
    ],
)
def test_crafted_descriptions_are_refused(tmp_path, attack):
    known = dict(vars(torch_files))
    with pytest.raises(TorchFileError):
        read_torch_file(with_pickle(tmp_path / "a.pt", b"\x80\x02" + attack + b"."))
    assert dict(vars(torch_files)) == known


def test_dictionaries_that_hold_themselves_or_are_deep_come_to_an_end(tmp_path):
    knot: dict = {}
    knot["again"] = knot
    assert read_torch_file(with_pickle(tmp_path / "a.pt", pickle.dumps(knot, 2))) == ({}, None)
    wide: dict = {}
    for _ in range(100):
        wide = {"left": wide, "right": wide}
    assert read_torch_file(with_pickle(tmp_path / "a.pt", pickle.dumps(wide, 2))) == ({}, None)
    deep = b"\x80\x02" + b"}X\x01\0\0\0a" * 100_000 + b"}" + b"s" * 100_000 + b"."
    with pytest.raises(TorchFileError, match="recursion"):
        read_torch_file(with_pickle(tmp_path / "a.pt", deep))


def test_tensors_stay_within_their_numbers(tmp_path):
    def read(**fields):
        return read_torch_file(with_pickle(tmp_path / "a.pt", tensor(**fields)))[0]["a"]

    np.testing.assert_array_equal(read(shape="K\x02\x85"), [1, 2])
    for wrong in (
        {"shape": "K\x03\x85"},
        {"shape": "K\x02\x85", "offset": "K\x01"},
        {"shape": "K\x02\x85", "strides": "K\x02\x85"},
        {"shape": "K\x02\x85", "strides": "J\xff\xff\xff\xff\x85"},
        {"shape": "K\x02\x85", "offset": "J\xff\xff\xff\xff"},
        {"shape": "K\x02K\x01\x86"},
        {"shape": "K\x02\x85", "size": "K\x03"},
        {"shape": "K\x02\x85", "size": "J\xff\xff\xff\xff"},
        {"shape": "K\x02\x85", "entry": "1"},
        {"shape": "X\x01\0\0\x002\x85"},
    ):
        with pytest.raises(TorchFileError, match="a.pt can't be read as torch weights"):
            read(**wrong)


@pytest.mark.parametrize("saved", SAVED_BY_TORCH, ids=lambda path: path.name)
@pytest.mark.parametrize("kept", [0, 10, 20, 0.5, 0.98])
def test_truncated_files_are_refused(tmp_path, saved, kept):
    content = saved.read_bytes()
    path = tmp_path / "cut.pt"
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(TorchFileError, match="cut.pt can't be read as torch weights"):
        read_torch_file(path)


def test_other_archives_are_refused(tmp_path):
    path = tmp_path / "a.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("words.txt", "words")
    with pytest.raises(TorchFileError, match="not one of torch.save"):
        read_torch_file(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", tensor("K\x02\x85"))
        archive.writestr("archive/data/0", bytes(8))
    with pytest.raises(TorchFileError, match="compressed"):
        read_torch_file(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", tensor("K\x02\x85"))
        archive.writestr("archive/byteorder", "big")
    with pytest.raises(TorchFileError, match="byte order"):
        read_torch_file(path)


def test_the_description_is_a_plain_pickle(tmp_path):
    """Any unpickler understands it: here one whose tensors are their shapes and strides."""

    class Shapes(pickle.Unpickler):
        def persistent_load(self, pid):
            return pid

        def find_class(self, module, name):
            return {
                "_rebuild_tensor_v2": lambda storage, offset, shape, strides, grad, hooks: (
                    *storage[1:],
                    offset,
                    shape,
                    strides,
                    grad,
                ),
                "FloatStorage": "float32",
                "OrderedDict": collections.OrderedDict,
            }[name]

    path = write(tmp_path / "a.pt", {"w": np.zeros((2, 3, 4), np.float32).transpose(1, 0, 2)})
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        loaded = Shapes(archive.open("archive/data.pkl")).load()
    assert loaded == {"w": ("float32", "0", "cpu", 24, 0, (3, 2, 4), (8, 4, 1), False)}
