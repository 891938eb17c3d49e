"""Weight files, ours and other frameworks', as NumPy; nothing in them is ever executed."""

import contextlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

import ml_dtypes
import numpy as np

from liax_jax import torch_files

Array = np.ndarray
TORCH_SUFFIXES = (".pt", ".pth")
# Where our own text lies in the header of a safetensors file.
_METADATA_KEY = "liax_jax"
_SAFETENSORS_DTYPES = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype(np.int64),
    "I32": np.dtype(np.int32),
    "I16": np.dtype(np.int16),
    "I8": np.dtype(np.int8),
    "U8": np.dtype(np.uint8),
    "BOOL": np.dtype(np.bool_),
}


class WeightsFile(NamedTuple):
    """What is in a weight file.

    Attributes:
      tensors: name → read-only array, read from the file as it is used.
      metadata: the text that `liax_jax` put beside the tensors; None in other files.
    """

    tensors: dict[str, Array]
    metadata: str | None


def read_state_dict(path: str | Path) -> dict[str, Array]:
    """Name → array of a `.safetensors`, `.pt` or `.pth` file.

    Nested checkpoints (a dictionary of state dictionaries) come back with dotted names.

    Raises:
      ValueError: another ending, or a file that can't be read as what its ending says.
    """
    return read_weights(path).tensors


def read_weights(path: str | Path) -> WeightsFile:
    """As `read_state_dict`, with the metadata of files that `liax_jax` made."""
    path = Path(path)
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.suffix in TORCH_SUFFIXES:
        tensors, metadata = torch_files.read_torch_file(path)
        if not tensors:
            raise ValueError(f"{path} holds no tensors")
        return WeightsFile(tensors, metadata)
    raise ValueError(f"{path}: weights are read from .safetensors, .pt or .pth files")


def write_weights(
    path: str | Path,
    tensors: Mapping[str, Array],
    metadata: str | None = None,
    *,
    key: str = "",
    overwrite: bool = False,
) -> None:
    """Writes tensors to a `.safetensors`, `.pt` or `.pth` file, one after the other.

    Args:
      path: appears when the file is complete.
      tensors: name → array, views too; only one is copied at a time.
      metadata: text to put beside them.
      key: in a torch file, the tensors are the value of this key, where given.
      overwrite: replace a file that is there.

    Raises:
      FileExistsError: there is one already.
      OSError: it can't be written; says why, and what to do.
    """
    path = Path(path)
    with complete_file(path, overwrite) as file:
        if path.suffix in TORCH_SUFFIXES:
            torch_files.write_torch_archive(file, tensors, metadata, key)
        else:
            _write_safetensors(file, tensors, metadata)


@contextlib.contextmanager
def complete_file(path: Path, overwrite: bool) -> Iterator[BinaryIO]:
    """A file to write that gets its name when all is written, and is gone where that fails."""
    refuse_existing(path, overwrite)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Raises FileExistsError where there is something that isn't to be replaced."""
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists already; choose another name, or say --overwrite")


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Says of an OSError while writing what couldn't be written, and what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise OSError(
            f"{path} can't be written: {reason}. Free space there or choose another place"
        ) from error


def _read_safetensors(path: Path) -> WeightsFile:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy"):  # checks the header: types, shapes, offsets, length
            pass
    except SafetensorError as error:
        raise ValueError(f"{path} is not a readable safetensors file: {error}") from error
    content = np.memmap(path, np.uint8, "r")
    start = 8 + int.from_bytes(bytes(content[:8]), "little")
    header = json.loads(bytes(content[8:start]))
    metadata = header.pop("__metadata__", None) or {}
    tensors = {}
    for name, entry in header.items():
        if entry["dtype"] not in _SAFETENSORS_DTYPES:
            raise ValueError(f"{path}: {name} is of type {entry['dtype']}, which isn't supported")
        dtype, offset = _SAFETENSORS_DTYPES[entry["dtype"]], start + entry["data_offsets"][0]
        count = math.prod(entry["shape"])
        tensors[name] = np.frombuffer(content, dtype, count, offset).reshape(entry["shape"])
    return WeightsFile(tensors, metadata.get(_METADATA_KEY))


def _write_safetensors(file: BinaryIO, tensors: Mapping[str, Array], metadata: str | None) -> None:
    names = {dtype: name for name, dtype in _SAFETENSORS_DTYPES.items()}
    # Widest types first, as readers expect their alignment.
    order = sorted(tensors, key=lambda name: (-tensors[name].itemsize, name))
    notes = {"format": "np"} | ({} if metadata is None else {_METADATA_KEY: metadata})
    header: dict[str, object] = {"__metadata__": notes}
    end = 0
    for name in order:
        value = tensors[name]
        begin, end = end, end + value.nbytes
        shape = list(value.shape)
        header[name] = {"dtype": names[value.dtype], "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for name in order:
        file.write(np.ascontiguousarray(tensors[name]).reshape(-1).view(np.uint8).data)
