"""Weights of the metrics' networks: published files, checked, in a folder of this machine.

`liax weights import NAME FILE …` puts them there, `WeightsStore.load` takes them out. A network is
one declaration in `NETWORKS`. What is stored keeps the published names and layouts and only the
tensors that the network uses, as safetensors, with the names and SHA-256 of the published files in
its header.
"""

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from liax_jax import torch_files
from liax_jax.metrics import arcface, hyperiqa, inception, lpips
from liax_jax.metrics.base import StoredWeights
from liax_jax.metrics.network_layers import check_tensors, without
from liax_jax.models import perceptual
from liax_jax.weights import read_weights, write_weights

Tensors = Mapping[str, np.ndarray]


class MissingWeightsError(FileNotFoundError):
    """Weights that aren't in the store, and how they get there."""


@dataclasses.dataclass(frozen=True)
class Network:
    """A network whose weights the store can hold: all that there is to declare about one.

    Attributes:
      name: of its file in the store.
      command: what `liax weights import` calls it; several networks may share one (`lpips`).
      from_state_dict: published names to arrays → parameters. Raises ValueError that names every
        tensor that is missing, unexpected or misshapen. Its parameters hold everything it read.
      unused: regular expression of the tensors in the published files that the network has no use
        for (a classifier); they aren't stored. All others are given to `from_state_dict`.
      sign: name and shape of a tensor by which the networks that share a command are told apart;
        None where there is only one.
      files: what the published files are called, one item for each that an import needs.
      home: page of the project that publishes them.
      purpose: what needs them, where that isn't a metric.
    """

    name: str
    command: str
    from_state_dict: Callable[[Tensors], Any]
    files: tuple[str, ...]
    home: str
    unused: str = r"(?!)"
    sign: tuple[str, tuple[int, ...]] | None = None
    purpose: str = ""

    @property
    def import_command(self) -> str:
        """What to type to have them imported."""
        return f"liax weights import {self.command} {' '.join('FILE' for _ in self.files)}"


_TORCHVISION = "https://docs.pytorch.org/vision/stable/models.html"
_LPIPS = "https://github.com/richzhang/PerceptualSimilarity"


def _vgg19(tensors: Tensors) -> Any:
    check_tensors(tensors, perceptual.published_shapes(), "torchvision's VGG19 weights")
    return perceptual.vgg19_from_state_dict(tensors)


NETWORKS: tuple[Network, ...] = (
    Network(
        name="lpips_alex",
        command="lpips",
        from_state_dict=functools.partial(lpips.from_state_dict, lpips.ALEXNET),
        files=("torchvision's alexnet-*.pth", "alex.pth of LPIPS 0.1"),
        home=f"{_TORCHVISION} and {_LPIPS}",
        unused=r"classifier\.",
        sign=("lin1.model.1.weight", (1, 192, 1, 1)),
    ),
    Network(
        name="lpips_vgg",
        command="lpips",
        from_state_dict=functools.partial(lpips.from_state_dict, lpips.VGG16),
        files=("torchvision's vgg16-*.pth", "vgg.pth of LPIPS 0.1"),
        home=f"{_TORCHVISION} and {_LPIPS}",
        unused=r"classifier\.",
        sign=("lin1.model.1.weight", (1, 128, 1, 1)),
    ),
    Network(
        name="inception",
        command="inception",
        from_state_dict=inception.from_state_dict,
        files=("pytorch-fid's pt_inception-2015-12-05-*.pth",),
        home="https://github.com/mseitzer/pytorch-fid",
        unused=inception.UNUSED,
    ),
    Network(
        name="vgg19",
        command="vgg19",
        from_state_dict=_vgg19,
        files=("torchvision's vgg19-*.pth",),
        home=_TORCHVISION,
        unused=r"classifier\.|features\.(30|32|34)\.",
        purpose="the perceptual term in training",
    ),
    Network(
        name="arcface",
        command="arcface",
        from_state_dict=arcface.from_state_dict,
        files=("backbone.pth of an iresnet-50 or -100 of insightface's arcface_torch",),
        home="https://github.com/deepinsight/insightface/tree/master/recognition/arcface_torch",
        unused=arcface.UNUSED,
    ),
    Network(
        name="hyperiqa",
        command="hyperiqa",
        from_state_dict=hyperiqa.from_state_dict,
        files=("koniq_pretrained.pkl of hyperIQA",),
        home="https://github.com/SSL92/hyperIQA",
        unused=hyperiqa.UNUSED,
    ),
)


class WeightsStore:
    """A folder with one safetensors file per network."""

    def __init__(self, folder: str | os.PathLike[str] | None = None):
        """Opens a folder, which needn't exist.

        Args:
          folder: `default_folder()` where None.
        """
        self.folder = Path(folder) if folder else default_folder()

    def path(self, name: str) -> Path:
        """Where a network's file is or would be."""
        return self.folder / f"{network(name).name}.safetensors"

    def existing_path(self, name: str) -> Path:
        """Where a network's file is; raises MissingWeightsError as `load`."""
        declared, path = network(name), self.path(name)
        if not path.is_file():
            raise MissingWeightsError(
                f"the weights of {name} are not in {self.folder}. Get "
                f"{' and '.join(declared.files)} (see {declared.home}), then: "
                f"{declared.import_command}"
            )
        return path

    def load(self, name: str) -> StoredWeights:
        """A network's parameters.

        Raises:
          MissingWeightsError: they aren't there; says where to get them and what to do.
          ValueError: the file is damaged, or isn't this network's.
        """
        declared, path = network(name), self.existing_path(name)
        content = read_weights(path)
        try:
            params = declared.from_state_dict(content.tensors)
        except ValueError as error:
            raise ValueError(f"{path}: {error}; import the published files again") from error
        return StoredWeights(name, params, _provenance(path, content.metadata))

    def provenance(self, name: str) -> Mapping[str, Any] | None:
        """As `StoredWeights` has it; None where the weights aren't there.

        Raises:
          ValueError: the file is damaged.
        """
        path = self.path(name)
        return _provenance(path, read_weights(path).metadata) if path.is_file() else None

    def import_files(
        self, command: str, files: Sequence[str | os.PathLike[str]], *, overwrite: bool = False
    ) -> tuple[str, Mapping[str, Any]]:
        """Checks published files and stores what the network needs of them.

        Args:
          command: see `Network.command`.
          files: `.safetensors`, or what `torch.save` wrote, whatever its ending.

        Returns:
          The network's name and its provenance, as `StoredWeights` has it.

        Raises:
          ValueError: an unknown command, a file that can't be read, or tensors that are missing,
            unexpected, misshapen, in two files or not finite; all are named.
          OSError: a file isn't there, one is stored already, or it can't be written.
        """
        candidates = [entry for entry in NETWORKS if entry.command == command]
        if not candidates:
            known = ", ".join(dict.fromkeys(entry.command for entry in NETWORKS))
            raise ValueError(f"no network is called {command!r}; there are {known}")
        tensors: dict[str, np.ndarray] = {}
        sources: dict[str, str] = {}
        for path in map(Path, files):
            new = _read(path)
            if twice := sorted(tensors.keys() & new.keys()):
                raise ValueError(f"{path.name} has tensors of a file before it: {_listed(twice)}")
            tensors |= new
            sources[path.name] = sha256(path)
        declared = _told_apart(candidates, tensors)
        used = without(tensors, declared.unused)
        if spoilt := sorted(name for name, x in used.items() if not _finite(x)):
            raise ValueError(
                f"{', '.join(sources)}: NaN or infinite values in {_listed(spoilt)}; get the "
                "published files again"
            )
        try:
            declared.from_state_dict(used)
        except ValueError as error:
            wanted = " and ".join(declared.files)
            raise ValueError(f"{', '.join(sources)}: {error} (wanted: {wanted})") from error
        path = self.path(declared.name)
        metadata = json.dumps({"sources": sources})
        write_weights(path, used, metadata, overwrite=overwrite)
        return declared.name, _provenance(path, metadata)


def default_folder() -> Path:
    """$LIAX_CACHE/weights, or ~/.cache/liax_jax/weights (XDG_CACHE_HOME is heeded)."""
    if cache := os.environ.get("LIAX_CACHE"):
        return Path(cache) / "weights"
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "liax_jax" / "weights"


def network(name: str) -> Network:
    """The declaration of this name; raises ValueError where there is none."""
    for entry in NETWORKS:
        if entry.name == name:
            return entry
    raise ValueError(
        f"no network is called {name!r}; there are {', '.join(entry.name for entry in NETWORKS)}"
    )


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _finite(tensor: np.ndarray) -> bool:
    return not np.issubdtype(tensor.dtype, np.inexact) or bool(np.isfinite(tensor).all())


def _provenance(path: Path, metadata: str | None) -> dict[str, Any]:
    sources = json.loads(metadata)["sources"] if metadata else {}
    return {"sha256": sha256(path), "sources": sources}


def _read(path: Path) -> dict[str, np.ndarray]:
    if path.is_dir():
        raise IsADirectoryError(f"{path}: is a folder; name the published file")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no file of that name")
    if path.suffix == ".safetensors":
        return read_weights(path).tensors
    # Some are published as .pkl or .tar, and are what torch.save writes all the same.
    tensors, _ = torch_files.read_torch_file(path)
    if not tensors:
        raise ValueError(f"{path} holds no tensors")
    return tensors


def _told_apart(candidates: Sequence[Network], tensors: Tensors) -> Network:
    if len(candidates) == 1:
        return candidates[0]
    signs = [entry.sign for entry in candidates if entry.sign is not None]
    for entry, (name, shape) in zip(candidates, signs, strict=True):
        if name in tensors and tensors[name].shape == shape:
            return entry
    wanted = " or ".join(f"{name} of shape {shape}" for name, shape in signs)
    files = "; or ".join(" and ".join(entry.files) for entry in candidates)
    raise ValueError(f"no {wanted} in the given files; give {files}")


def _listed(names: Sequence[str], most: int = 8) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
