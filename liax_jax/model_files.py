"""Models as files: what `load_model` reads and `save_model` writes.

A model directory holds `model.json` (what the model is), `directions.json` (its direction card, to
be edited), `params.safetensors` (our names and layouts), and for models that came from a published
checkpoint `extras.safetensors` (what it takes to go back to the same bits). A single `.safetensors`
has all of it, the first two in its header. Tensors are mapped into memory, never read as a whole.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from flax import traverse_util

from liax_jax import convert
from liax_jax.directions import CARD_NAME, RELEASED_LIA_X, DirectionCard, read_card
from liax_jax.log import logger
from liax_jax.model_record import (
    FAMILY_NAMES,
    PUBLISHED_LICENSE,
    ModelFileError,
    ModelRecord,
    Params,
    build_record,
    fingerprint,
    parse_record,
)
from liax_jax.models import ModelConfig
from liax_jax.published_names import PUBLISHED_FIELDS
from liax_jax.weights import (
    TORCH_SUFFIXES,
    explained,
    read_weights,
    refuse_existing,
    write_weights,
)

__all__ = [
    "ModelFile",
    "ModelFileError",
    "ModelRecord",
    "check_output",
    "fingerprint",
    "is_released_lia_x",
    "load_model",
    "num_parameters",
    "read_model",
    "save_model",
]

Array = np.ndarray
_RECORD_NAME, _PARAMS_NAME, _EXTRAS_NAME = "model.json", "params.safetensors", "extras.safetensors"
# Of tensors that belong to the way back to a published checkpoint, in a single file.
_EXTRAS_PREFIX = "extras/"
# Endings of weight files that nobody means as a directory's name.
_OTHER_SUFFIXES = (".bin", ".ckpt", ".h5", ".json", ".msgpack", ".npz", ".onnx", ".pkl", ".zip")


class ModelFile(NamedTuple):
    """A model as it was read.

    Attributes:
      record: what it is.
      params: nested dictionary of read-only float32 arrays, for
        `AnimatorModule(config).apply({"params": params}, …)`.
      extras: of `convert.import_published`; empty for a model that never was published.
      kind: in words, what kind of file or directory it was.
    """

    record: ModelRecord
    params: Params
    extras: dict[str, Array]
    kind: str


def load_model(path: str | os.PathLike[str]) -> tuple[ModelRecord, Params]:
    """Reads a model: `read_model` without the means to go back to the published file.

    Args:
      path: a model directory; a workdir of training (the newest checkpoint that can be read, the
        averaged parameters where there are any); a `.safetensors` with our names or published ones;
        a published `.pt` or `.pth`.

    Returns:
      What the model is, and its parameters: a nested dictionary of float32 NumPy arrays, read-only
      and read from the file as they are used.

    Raises:
      FileNotFoundError: nothing there.
      ValueError: not a model; says what is missing or wrong.
    """
    model = read_model(path)
    return model.record, model.params


def read_model(path: str | os.PathLike[str]) -> ModelFile:
    """Reads a model of any kind that `load_model` knows."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file or directory {path}")
    if path.is_file():
        return _read_file(path)
    if (path / _RECORD_NAME).exists():
        return _read_directory(path)
    if (path / "config.json").exists():
        return _read_workdir(path)
    hint = f"; perhaps you mean {path.parent.parent}" if path.parent.name == "checkpoints" else ""
    raise ModelFileError(
        f"{path} is neither a model directory (no {_RECORD_NAME}) nor a workdir of training (no "
        f"config.json){hint}"
    )


def save_model(
    path: str | os.PathLike[str],
    record: ModelRecord,
    params: Params,
    extras: Mapping[str, Array] | None = None,
    *,
    published_names: bool = False,
    overwrite: bool = False,
) -> None:
    """Writes a model; it has its name only when it is complete.

    Args:
      path: `.pt` or `.pth` (published names), `.safetensors`, or a directory to make.
      record: what it is.
      params: nested dictionary; arrays of NumPy or JAX.
      extras: of `read_model`, so that the way back to a published file gives the same bits.
      published_names: for a `.safetensors`, names and layouts of the published code.
      overwrite: replace a file or a model directory that is there.

    Raises:
      FileExistsError: there is something already.
      ValueError: the parameters don't fit the record; all that is wrong is listed.
      OSError: it can't be written.
    """
    path, extras = Path(path), extras or {}
    if path.suffix in TORCH_SUFFIXES or published_names:
        _save_published(path, record, params, extras, overwrite)
        return
    tensors: dict[str, Array] = convert.checked_parameters(record.config, params)
    if path.suffix == ".safetensors":
        tensors |= {_EXTRAS_PREFIX + name: value for name, value in extras.items()}
        text = record.to_json(directions=json.loads(record.card.to_json()))
        write_weights(path, tensors, text, overwrite=overwrite)
        return
    check_output(path, overwrite)
    with _complete_directory(path) as partial:
        (partial / _RECORD_NAME).write_text(record.to_json() + "\n")
        (partial / CARD_NAME).write_text(record.card.to_json())
        write_weights(partial / _PARAMS_NAME, tensors)
        if extras:
            write_weights(partial / _EXTRAS_NAME, extras)


def check_output(path: str | os.PathLike[str], overwrite: bool = False) -> None:
    """Looks at where `save_model` is to write, before anything slow.

    Raises:
      FileExistsError: there is something that isn't to be replaced.
      ModelFileError: an ending that models don't have.
    """
    path = Path(path)
    if path.suffix in _OTHER_SUFFIXES:
        raise ModelFileError(
            f"{path}: models are written as .safetensors, as .pt, or as a directory, whose name "
            f"does not end in {path.suffix}"
        )
    if path.suffix not in (".safetensors", *TORCH_SUFFIXES):
        if path.is_dir() and not any(path.iterdir()):
            return
        if path.exists() and not (path / _RECORD_NAME).is_file():
            raise FileExistsError(f"{path} exists and is no model directory; choose another name")
    refuse_existing(path, overwrite)


def num_parameters(params: Params) -> int:
    """How many numbers the parameters are."""
    return sum(value.size for value in traverse_util.flatten_dict(params).values())


def is_released_lia_x(config: ModelConfig) -> bool:
    """Whether a model with published names has the size of the released LIA-X."""
    return config == ModelConfig(resolution=512, width=2.0, num_blocks=4, num_vectors=40)


def _read_file(path: Path) -> ModelFile:
    tensors, text = read_weights(path)
    content = None if text is None else parse_record(text, path)
    if content is None and any(name.startswith("flow_generator/") for name in tensors):
        raise ModelFileError(
            f"{path} holds parameters by the names of this program, but its header doesn't say of "
            "which model; convert the original again"
        )
    if content is None or "signs" in content:
        return _read_published(tensors, content, path)
    extras = {
        name.removeprefix(_EXTRAS_PREFIX): tensors.pop(name)
        for name in list(tensors)
        if name.startswith(_EXTRAS_PREFIX)
    }
    return _ours(content, tensors, extras, path, "safetensors file")


def _read_directory(path: Path) -> ModelFile:
    content = parse_record((path / _RECORD_NAME).read_text(), path / _RECORD_NAME)
    if not (path / _PARAMS_NAME).exists():
        raise ModelFileError(f"{path} lacks {_PARAMS_NAME}; convert the original again")
    tensors = read_weights(path / _PARAMS_NAME).tensors
    extras_path = path / _EXTRAS_NAME
    extras = read_weights(extras_path).tensors if extras_path.exists() else {}
    if (path / CARD_NAME).exists():
        content["directions"] = json.loads(read_card(path / CARD_NAME).to_json())
    return _ours(content, tensors, extras, path, "model directory")


def _ours(
    content: dict[str, Any],
    tensors: Mapping[str, Array],
    extras: dict[str, Array],
    path: Path,
    kind: str,
) -> ModelFile:
    """A model with our names and layouts."""
    try:
        config = ModelConfig(**content["config"])
        flat = convert.checked_parameters(config, dict(tensors))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{path}: {error}") from error
    params = traverse_util.unflatten_dict(flat, sep="/")
    record = build_record(content, _card(content, config, path), params, path)
    return ModelFile(record, params, extras, kind)


def _read_workdir(path: Path) -> ModelFile:
    from liax_jax.trained_model import read_workdir

    config, params, step, averaged = read_workdir(path)
    card_path = path / CARD_NAME
    card = read_card(card_path) if card_path.exists() else DirectionCard(config.num_vectors)
    origin = f"trained in {path.absolute().name}" + (", averaged parameters" if averaged else "")
    record = ModelRecord(config, card, step, origin, "", fingerprint(config, params))
    return ModelFile(record, params, {}, "workdir of training")


def _read_published(
    tensors: Mapping[str, Array], content: dict[str, Any] | None, path: Path
) -> ModelFile:
    """A model with published names; `content` is what this program wrote beside them, if it did."""
    try:
        if content is None:
            config, params, extras = convert.import_published(tensors)
        else:
            signs = convert.SignRecord(**content["signs"])
            config = ModelConfig(**content["config"])
            config, params, extras = convert.import_published(tensors, config, signs)
            extras = extras if content["published"] else {}
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{path}: {error}") from error
    family = FAMILY_NAMES[config.family]
    kind = f"{path.suffix} file with published {family} names"
    if content is not None:
        record = build_record(content, _card(content, config, path), params, path)
        return ModelFile(record, params, extras, kind)
    generator = convert.generator_tensors(tensors)
    if others := len(tensors) - len(generator):
        logger.info("%s: %d tensors beside the generator's are left out", path, others)
    _warn_of_other_types(generator, path)
    card = RELEASED_LIA_X if is_released_lia_x(config) else DirectionCard(config.num_vectors)
    origin = f"{path.name}, published {family} names"
    identity = fingerprint(config, params)
    record = ModelRecord(config, card, None, origin, PUBLISHED_LICENSE, identity)
    return ModelFile(record, params, extras, kind)


def _card(content: Mapping[str, Any], config: ModelConfig, path: Path) -> DirectionCard:
    if "directions" not in content:
        return DirectionCard(config.num_vectors)
    return DirectionCard.from_json(json.dumps(content["directions"]), str(path))


def _warn_of_other_types(generator: Mapping[str, Array], path: Path) -> None:
    other = [name for name, value in generator.items() if value.dtype != np.float32]
    if other:
        logger.warning(
            "%s: %d tensors are not float32 (%s is %s); they become float32 here, and in all that "
            "is made of it",
            path,
            len(other),
            other[0],
            generator[other[0]].dtype,
        )


def _save_published(
    path: Path, record: ModelRecord, params: Params, extras: Mapping[str, Array], overwrite: bool
) -> None:
    if path.suffix not in (".safetensors", *TORCH_SUFFIXES):
        raise ModelFileError(
            f"{path}: published names are for .safetensors and .pt files, not for directories"
        )
    refuse_existing(path, overwrite)
    config = record.config
    for field, value in PUBLISHED_FIELDS.items():
        if getattr(config, field) != value:
            logger.warning(
                "the published code has %s = %d built in, and this model has %d; this program "
                "reads the file, that code can't",
                field,
                value,
                getattr(config, field),
            )
    signs = convert.export_signs(params, extras)
    turned = [str(i) for i, sign in enumerate(signs.coefficients) if sign < 0]
    if turned:
        logger.warning(
            "in the published code these directions point the other way, so use minus the value "
            "there (this program turns them back): %s",
            ", ".join(turned),
        )
    tensors = convert.to_torch_state_dict(config, params, extras)
    text = record.to_json(
        directions=json.loads(record.card.to_json()),
        signs=signs._asdict(),
        published=bool(extras),
    )
    key = "gen" if config.family == "lia" else ""
    write_weights(path, tensors, text, key=key, overwrite=overwrite)


@contextlib.contextmanager
def _complete_directory(path: Path) -> Iterator[Path]:
    """A directory to fill that gets its name when it is complete, and is gone where that fails."""
    path = path.absolute()
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    former = path.with_name(f".{path.name}.{os.getpid()}.former")
    with explained(path):
        try:
            partial.mkdir(parents=True)
            yield partial
            if path.exists():
                path.rename(former)
            partial.rename(path)
        except BaseException:
            if former.exists() and not path.exists():
                former.rename(path)
            raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
            shutil.rmtree(former, ignore_errors=True)
