"""Reads and writes the weight files of `torch.save`, without torch and without executing anything.

Such a file is a zip archive: `data.pkl` describes nested dictionaries of tensors as a pickle, whose
numbers lie in the entries `data/0`, `data/1`, … A pickle can call any function there is; the reader
here knows the few names that weights need, has stand-ins of its own for them, and refuses the rest.

Before torch 1.6 such a file was no archive but a row of pickles with the numbers behind them; those
are read too, as published weights of that time still are.
"""

import collections
import math
import mmap
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import ml_dtypes
import numpy as np

Array = np.ndarray
# Ours in the archive; torch passes over entries that it doesn't know.
_METADATA_ENTRY = "liax_jax.json"
_STORAGES = {
    "FloatStorage": np.dtype(np.float32),
    "DoubleStorage": np.dtype(np.float64),
    "HalfStorage": np.dtype(np.float16),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype(np.int64),
    "IntStorage": np.dtype(np.int32),
    "ShortStorage": np.dtype(np.int16),
    "CharStorage": np.dtype(np.int8),
    "ByteStorage": np.dtype(np.uint8),
    "BoolStorage": np.dtype(np.bool_),
}
_DTYPES = {dtype: storage for storage, dtype in _STORAGES.items()}
# The description of the largest published model takes 0.2 MB.
_MAX_PICKLE_BYTES = 64 << 20
_ALIGNMENT = 64
_LOCAL_HEADER_BYTES = 30
# How torch files from before version 1.6 begin: a pickled number.
_LEGACY_START = bytes.fromhex("80028a0a6cfc9c46f9206aa85019")


class TorchFileError(ValueError):
    """A file that can't be read as torch weights, and why."""


def read_torch_file(path: Path) -> tuple[dict[str, Array], str | None]:
    """Dotted name → array, and the text that `write_torch_archive` was given beside them.

    Arrays are read-only views of the file, which is read as they are used.

    Raises:
      TorchFileError: not such a file, or one that holds something else than weights.
      OSError: it can't be opened.
    """
    try:
        with path.open("rb") as file:
            content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            legacy = content[: len(_LEGACY_START)] == _LEGACY_START
            loaded, text = (_read_legacy if legacy else _read_archive)(file, content)
        return dict(_collect("", loaded, set())), text
    except OSError:
        raise
    except Exception as error:  # a damaged archive or pickle can raise anything
        reason = str(error) or type(error).__name__
        raise TorchFileError(
            f"{path} can't be read as torch weights: {reason} (if it was downloaded: is all of it "
            "there?)"
        ) from error


def write_torch_archive(
    file: BinaryIO, tensors: Mapping[str, Array], metadata: str | None = None, key: str = ""
) -> None:
    """Writes what `torch.load` gives as a dictionary of tensors.

    Args:
      file: open for writing, at its beginning.
      tensors: written one after the other; only one is copied at a time.
      metadata: text beside the tensors that torch passes over.
      key: the dictionary becomes the value of this key of another, where given.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:

        def write(name: str, content: bytes | memoryview) -> None:
            info = zipfile.ZipInfo(f"archive/{name}")
            # An extra field moves the data to where it can be mapped into memory.
            start = file.tell() + _LOCAL_HEADER_BYTES + len(info.filename) + 4
            padding = -start % _ALIGNMENT
            info.extra = struct.pack("<HH", 0x4246, padding) + bytes(padding)
            archive.writestr(info, content)

        write("data.pkl", _describe(tensors, key))
        write("byteorder", b"little")
        if metadata is not None:
            write(_METADATA_ENTRY, metadata.encode())
        for i, value in enumerate(tensors.values()):
            write(f"data/{i}", np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)
        write("version", b"3\n")


def _read_archive(file: BinaryIO, content: memoryview) -> tuple[Any, str | None]:
    with zipfile.ZipFile(file) as archive:
        entries = {info.filename: info for info in archive.infolist()}
        found = [name for name in entries if name.split("/")[1:] == ["data.pkl"]]
        if len(found) != 1:
            raise TorchFileError("a zip archive, but not one of torch.save")
        root = found[0].removesuffix("data.pkl")
        if entries[found[0]].file_size > _MAX_PICKLE_BYTES:
            raise TorchFileError("its description of the tensors is too large")
        order = entries.get(f"{root}byteorder")
        if order and archive.read(order) != b"little":
            raise TorchFileError("written on a machine of the other byte order")

        def read(storage: _Storage) -> Array:
            info = entries.get(f"{root}data/{storage.key}")
            if info is None:
                raise TorchFileError("the numbers of a tensor are missing")
            if info.compress_type != zipfile.ZIP_STORED:
                raise TorchFileError("its numbers are compressed, which torch.save doesn't do")
            header = content[info.header_offset : info.header_offset + _LOCAL_HEADER_BYTES]
            name_length, extra_length = struct.unpack("<HH", header[26:30])
            start = info.header_offset + _LOCAL_HEADER_BYTES + name_length + extra_length
            if storage.size * storage.dtype.itemsize > info.file_size:
                raise TorchFileError("it is cut short")
            return np.frombuffer(content, storage.dtype, storage.size, start)

        loaded = _Reader(archive.open(found[0]), read).load()
        note = entries.get(root + _METADATA_ENTRY)
        return loaded, archive.read(note).decode() if note else None


def _read_legacy(file: BinaryIO, content: memoryview) -> tuple[Any, None]:
    """Pickles of magic number, version, system, tensors and storage keys; then the numbers."""
    storages: dict[str, _Storage] = {}
    starts: dict[str, int] = {}

    def remember(storage: _Storage) -> Array:
        storages[storage.key] = storage
        return np.broadcast_to(np.zeros((), storage.dtype), (storage.size,))

    def read(storage: _Storage) -> Array:
        return np.frombuffer(content, storage.dtype, storage.size, starts[storage.key])

    for _ in ("magic number", "version"):
        _Reader(file, remember).load()
    if not _Reader(file, remember).load().get("little_endian", True):
        raise TorchFileError("written on a machine of the other byte order")
    # Where the numbers are is only known after the description: it is read twice.
    description = file.tell()
    _Reader(file, remember).load()
    for key in _Reader(file, remember).load():
        if int.from_bytes(file.read(8), "little") != storages[key].size:
            raise TorchFileError("the numbers of a tensor are missing")
        starts[key] = file.tell()
        file.seek(storages[key].size * storages[key].dtype.itemsize, 1)
    file.seek(description)
    return _Reader(file, read).load(), None


class _Storage(NamedTuple):
    """The numbers of one or several tensors."""

    key: str
    dtype: np.dtype
    size: int


class _Inert:
    """Stands for settings beside the weights, whose content nobody reads."""

    def __init__(self, *args: object):
        pass

    def __setstate__(self, state: object) -> None:
        pass


class _Parameter:
    """Rebuilds `torch.nn.Parameter`: its tensor is all that counts."""

    __slots__ = ()

    def __call__(self, data: object, *rest: object) -> object:
        return data


class _Tensor:
    """Rebuilds tensors as views of their storage."""

    __slots__ = ("_read",)

    def __init__(self, read: Callable[[_Storage], Array]):
        self._read = read

    def __call__(
        self, storage: _Storage, offset: int, shape: tuple, strides: tuple, *rest: object
    ) -> Array:
        numbers = (offset, *shape, *strides)
        if len(shape) != len(strides) or not all(type(n) is int and n >= 0 for n in numbers):
            raise TorchFileError(f"a tensor of shape {shape} and strides {strides}")
        if type(storage) is not _Storage:
            raise TorchFileError("a tensor without numbers")
        base = self._read(storage)
        last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
        if 0 in shape:
            return np.zeros(shape, storage.dtype)
        if last >= base.size:
            raise TorchFileError(f"a tensor of shape {shape} reaches past the end of its numbers")
        steps = [step * base.itemsize for step in strides]
        return np.lib.stride_tricks.as_strided(base[offset:], shape, steps, writeable=False)


class _Reader(pickle.Unpickler):
    """Unpickles nested dictionaries of tensors, and nothing else."""

    def __init__(self, file: Any, read: Callable[[_Storage], Array]):
        super().__init__(file)
        # Made anew for each file, so that none can change what the next one finds.
        settings = type("Settings", (_Inert,), {})
        self._known: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("collections", "defaultdict"): collections.defaultdict,
            ("builtins", "dict"): dict,
            ("__builtin__", "dict"): dict,
            ("builtins", "set"): set,
            ("__builtin__", "set"): set,
            ("argparse", "Namespace"): settings,
            ("torch", "Size"): tuple,
            ("torch", "device"): settings,
            ("torch._utils", "_rebuild_tensor"): _Tensor(read),
            ("torch._utils", "_rebuild_tensor_v2"): _Tensor(read),
            ("torch._utils", "_rebuild_parameter"): _Parameter(),
        }

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _STORAGES:
            return name
        if (module, name) not in self._known:
            raise TorchFileError(
                f"it asks for {module}.{name}, which weights don't need and which may do harm; "
                "nothing in it was executed. Take a file that holds tensors only"
            )
        return self._known[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        kind, storage, key, _, size, *view = pid
        if kind != "storage" or storage not in _STORAGES or type(size) is not int or size < 0:
            raise TorchFileError(f"unknown kind of numbers: {storage}")
        if any(part is not None for part in view):
            raise TorchFileError("storages within storages; save it again with a newer torch")
        return _Storage(key, _STORAGES[storage], size)


def _collect(prefix: str, value: object, seen: set[int]) -> Iterator[tuple[str, Array]]:
    if isinstance(value, np.ndarray):
        yield prefix, value
    elif isinstance(value, dict) and id(value) not in seen:
        seen.add(id(value))  # a dictionary may hold itself
        for key, inner in value.items():
            yield from _collect(f"{prefix}.{key}" if prefix else str(key), inner, seen)


def _describe(tensors: Mapping[str, Array], key: str) -> bytes:
    """The pickle of {name: tensor}: written by hand, as pickle itself would import torch."""

    def integer(n: int) -> bytes:
        return pickle.BININT + struct.pack("<i", n) if n < 2**31 else pickle.dumps(n, 2)[2:-1]

    def text(words: str) -> bytes:
        encoded = words.encode()
        return pickle.BINUNICODE + struct.pack("<I", len(encoded)) + encoded

    def name(module: str, attribute: str) -> bytes:
        return pickle.GLOBAL + f"{module}\n{attribute}\n".encode()

    def sequence(*items: bytes) -> bytes:
        return pickle.MARK + b"".join(items) + pickle.TUPLE

    def tensor(i: int, value: Array) -> bytes:
        storage = name("torch", _DTYPES[value.dtype])
        pid = sequence(text("storage"), storage, text(str(i)), text("cpu"), integer(value.size))
        steps = [math.prod(value.shape[axis + 1 :]) for axis in range(value.ndim)]
        hooks = name("collections", "OrderedDict") + pickle.EMPTY_TUPLE + pickle.REDUCE
        arguments = (
            pid + pickle.BINPERSID,
            integer(0),
            sequence(*(integer(n) for n in value.shape)),
            sequence(*(integer(n) for n in steps)),
            pickle.NEWFALSE,
            hooks,
        )
        return name("torch._utils", "_rebuild_tensor_v2") + sequence(*arguments) + pickle.REDUCE

    items = [text(k) + tensor(i, v) for i, (k, v) in enumerate(tensors.items())]
    body = pickle.EMPTY_DICT + pickle.MARK + b"".join(items) + pickle.SETITEMS
    if key:
        body = pickle.EMPTY_DICT + text(key) + body + pickle.SETITEM
    return pickle.PROTO + b"\x02" + body + pickle.STOP
