"""Reads weight files of other frameworks into NumPy, without executing anything in them."""

from pathlib import Path

import numpy as np


def read_state_dict(path: str | Path) -> dict[str, np.ndarray]:
    """Name → array of a `.safetensors`, `.pt` or `.pth` file.

    Nested checkpoints (a dictionary of state dictionaries) come back with dotted names.

    Raises:
      ImportError: a torch file without torch installed; says how to install it.
      ValueError: another ending, or a file that can't be read as what its ending says.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            return load_file(path)
        except SafetensorError as error:
            raise ValueError(f"{path} is not a readable safetensors file: {error}") from error
    if path.suffix in (".pt", ".pth"):
        return _read_torch(path)
    raise ValueError(f"{path}: weights are read from .safetensors, .pt or .pth files")


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"reading {path.name} needs torch: pip install 'liax-jax[torch]', or convert the file "
            "to .safetensors"
        ) from error
    try:
        # mmap: tensors are read from the file as they are used; weights_only: no code is run.
        loaded = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except Exception as error:  # torch raises a dozen kinds for a broken or unsafe file
        raise ValueError(f"{path} can't be read as a torch weights file: {error}") from error
    arrays: dict[str, np.ndarray] = {}

    def collect(prefix: str, value) -> None:
        if isinstance(value, torch.Tensor):
            arrays[prefix] = value.detach().numpy()
        elif isinstance(value, dict):
            for key, inner in value.items():
                collect(f"{prefix}.{key}" if prefix else str(key), inner)

    collect("", loaded)
    if not arrays:
        raise ValueError(f"{path} holds no tensors")
    return arrays
