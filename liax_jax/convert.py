"""Published LIA-X and LIA weights ↔ our parameters, strict and bit for bit.

Nothing is skipped in silence: names that are missing, unexpected or misshapen are all listed in
one error. What a published checkpoint holds and the model doesn't use travels along as `extras`,
so that the way back gives the same bits.

Arrays are NumPy views of those given wherever the layout allows it: converting holds no second
copy of a model in memory.
"""

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from liax_jax.models import AnimatorModule, ModelConfig
from liax_jax.published_names import PUBLISHED_FIELDS, lia_x_levels, name_table

Array = np.ndarray
Params = dict[str, Any]
# In `extras`: the factors ±1 between the columns of our dictionary and of the published one.
# Published names all have a dot in them.
COLUMN_SIGNS = "dictionary_signs"
_DICTIONARY = "dictionary/weight"
_MOTION_HEAD = ("encoder/motion/kernel", "encoder/motion/bias")


class SignRecord(NamedTuple):
    """How the signs of an exported dictionary differ from ours; see `to_torch_state_dict`.

    Attributes:
      columns: (M,) factors ±1 of the columns of W.
      coefficients: (M,) factors ±1 of the coefficients α, and with them of the motion vectors.
    """

    columns: tuple[int, ...]
    coefficients: tuple[int, ...]


def from_torch_state_dict(state: Mapping[str, Array]) -> tuple[ModelConfig, Params]:
    """Converts a published generator.

    Family, resolution, width, blocks and vectors are read off names and shapes. The dictionary is
    stored so that our sign convention (positive diagonal of R) yields the published model's own
    motion vectors: edit directions keep their signs.

    Args:
      state: tensor names → arrays of LIA-X's flat state dict, or of LIA's (with or without the
        `gen.` prefix of its training checkpoints).

    Returns:
      The configuration, and parameters for `AnimatorModule(config).apply({"params": params}, …)`.

    Raises:
      ValueError: not a published generator; lists missing, unexpected and misshapen names.
    """
    config, params, _ = import_published(state)
    return config, params


def import_published(
    state: Mapping[str, Array],
    config: ModelConfig | None = None,
    signs: SignRecord | None = None,
) -> tuple[ModelConfig, Params, dict[str, Array]]:
    """`from_torch_state_dict`, and what it takes to come back to the same bits.

    Args:
      state: as `from_torch_state_dict` takes it.
      config: of a model whose configuration is known; read off names and shapes otherwise.
      signs: of a file that `to_torch_state_dict` made, as `export_signs` gave them.

    Returns:
      The configuration, float32 parameters, and `extras`: tensors under their published names that
      the model doesn't use, and `COLUMN_SIGNS` (M,) int8.

    Raises:
      ValueError: as `from_torch_state_dict`.
    """
    tensors = {k: np.asarray(v) for k, v in generator_tensors(state).items()}
    config = config or infer_config(tensors)
    # Buffers hold the constant [1, 3, 3, 1] filter.
    buffers = {k for k, v in tensors.items() if k.endswith(".kernel") and v.shape == (4, 4)}
    wanted = parameter_shapes(config)
    problems, flat, extras = [], {}, {k: tensors[k] for k in sorted(buffers)}
    entries = list(name_table(config))
    for entry in entries:
        if entry.name not in tensors:
            if not entry.optional:
                problems.append(f"missing: {entry.name}")
            continue
        value = tensors[entry.name]
        if entry.path is None:
            extras[entry.name] = value
            continue
        try:
            ours = entry.layout.to_ours(value)
            fits = entry.layout.to_published(ours).shape == value.shape
        except (ValueError, IndexError):
            ours, fits = value, False
        if not fits or ours.shape != wanted[entry.path]:
            problems.append(
                f"misshapen: {entry.name} {value.shape} does not give "
                f"{entry.path} {wanted[entry.path]}"
            )
        flat[entry.path] = ours
    unexpected = tensors.keys() - {entry.name for entry in entries} - buffers
    problems += [f"unexpected: {name}" for name in sorted(unexpected)]
    if problems:
        raise ValueError(
            f"this is not a complete {config.family} generator:\n  " + "\n  ".join(problems)
        )
    flat = {path: np.asarray(value, np.float32) for path, value in flat.items()}
    if signs is None:
        columns = _householder_signs(flat[_DICTIONARY])
    else:
        columns = np.array(signs.columns, np.float32)
        _scale_coefficients(flat, np.array(signs.coefficients, np.float32))
    flat[_DICTIONARY] = flat[_DICTIONARY] * columns
    extras[COLUMN_SIGNS] = columns.astype(np.int8)
    return config, traverse_util.unflatten_dict(flat, sep="/"), extras


def to_torch_state_dict(
    config: ModelConfig, params: Params, extras: Mapping[str, Array] | None = None
) -> dict[str, Array]:
    """The published names and layouts of a model: the way back of `from_torch_state_dict`.

    The published code takes its motion vectors from LAPACK's QR, whose signs depend on the first
    rows of W and can't be chosen. Where they differ from ours the coefficients are turned round in
    the motion head: the same pictures, with that direction pointing the other way. A model that
    came from a published checkpoint has none such, and comes back bit for bit.

    Args:
      config: of the model.
      params: as `AnimatorModule(config).apply({"params": params}, …)` takes them.
      extras: of `import_published`, for a model that came from a published checkpoint. Without,
        unused tensors are zero and the blur buffers are written anew.

    Returns:
      Tensor names → float32 arrays; LIA's without the `gen` that its files have around them.

    Raises:
      ValueError: the parameters are not this model's; lists all that is wrong.
    """
    flat = checked_parameters(config, params)
    signs = export_signs(params, extras)
    flat[_DICTIONARY] = flat[_DICTIONARY] * np.array(signs.columns, np.float32)
    _scale_coefficients(flat, np.array(signs.coefficients, np.float32))
    published = {}
    for entry in name_table(config):
        if entry.path is not None:
            published[entry.name] = entry.layout.to_published(flat[entry.path])
        elif extras:
            if entry.name in extras:
                published[entry.name] = extras[entry.name]
        elif entry.default is not None:
            published[entry.name] = entry.default
    others = (extras or {}).keys() - published.keys() - {COLUMN_SIGNS}
    return published | {name: (extras or {})[name] for name in sorted(others)}


def export_signs(params: Params, extras: Mapping[str, Array] | None = None) -> SignRecord:
    """What `to_torch_state_dict` does to the signs of this model."""
    weight = np.asarray(params["dictionary"]["weight"], np.float32)
    ones = np.ones(weight.shape[1], np.int8)
    columns = np.asarray((extras or {}).get(COLUMN_SIGNS, ones))
    coefficients = _householder_signs(weight)
    return SignRecord(tuple(map(int, columns)), tuple(map(int, coefficients)))


def infer_config(tensors: Mapping[str, Array]) -> ModelConfig:
    """Reads the hyperparameters off names and shapes. Raises ValueError where it can't."""
    if "enc.enc_2r.block1.0.weight" in tensors:
        family, first, motion_head = "lia_x", "enc.enc_2r.block1.0.weight", "enc.enc_r2t.0.weight"
        names = lia_x_levels(tensors)
        levels = len(names)
        finest_blocks = rf"dec\.{names[-1] if names else 'conv2'}_2\.(\d+)\.gamma"
        num_blocks = _count(tensors, finest_blocks)
    elif "enc.net_app.convs.0.0.weight" in tensors:
        family, first = "lia", "enc.net_app.convs.0.0.weight"
        levels = _count(tensors, r"dec\.to_flows\.(\d+)\.bias")
        motion_head = "enc.fc.4.weight"
        num_blocks = 0
    else:
        raise ValueError(
            "neither a LIA-X nor a LIA generator: there is no tensor enc.enc_2r.block1.0.weight or "
            "enc.net_app.convs.0.0.weight. First names found: " + ", ".join(sorted(tensors)[:5])
        )
    if motion_head not in tensors or levels == 0:
        raise ValueError(f"not a complete {family} generator: missing {motion_head} or all levels")
    if tensors[motion_head].ndim != 2:
        raise ValueError(f"misshapen: {motion_head} {tensors[motion_head].shape} is not a matrix")
    num_vectors, style_dim = tensors[motion_head].shape
    resolution, width = 4 * 2**levels, style_dim / PUBLISHED_FIELDS["max_channels"]
    finest = tensors[first].shape[0]
    base = finest / width if family == "lia_x" else finest / width * resolution / 256
    return ModelConfig(
        family=family,
        resolution=resolution,
        width=width,
        num_blocks=num_blocks,
        num_vectors=num_vectors,
        base_channels=64 if base > 64 or family == "lia" else int(base),
        max_channels=PUBLISHED_FIELDS["max_channels"],
    )


def generator_tensors(state: Mapping[str, Array]) -> dict[str, Array]:
    """The generator of a checkpoint that may hold other networks too, without its prefix."""
    generator = {k.removeprefix("gen."): v for k, v in state.items() if k.startswith("gen.")}
    return generator or dict(state)


@functools.lru_cache(maxsize=8)
def parameter_shapes(config: ModelConfig) -> Mapping[str, tuple[int, ...]]:
    """Our parameters of a model: path with "/" between the levels → shape."""
    picture = jax.ShapeDtypeStruct((1, config.resolution, config.resolution, 3), jnp.float32)
    variables = jax.eval_shape(AnimatorModule(config).init, jax.random.key(0), picture, picture)
    flat = traverse_util.flatten_dict(variables["params"], sep="/")
    return {path: leaf.shape for path, leaf in flat.items()}


def checked_parameters(config: ModelConfig, params: Params) -> dict[str, Array]:
    """Parameters by path, as float32 NumPy.

    Raises:
      ValueError: lists what is missing, unexpected and misshapen.
    """
    flat = {
        path: np.asarray(value, np.float32)
        for path, value in traverse_util.flatten_dict(params, sep="/").items()
    }
    wanted = parameter_shapes(config)
    problems = [f"missing: {path}" for path in sorted(wanted.keys() - flat.keys())]
    problems += [f"unexpected: {path}" for path in sorted(flat.keys() - wanted.keys())]
    problems += [
        f"misshapen: {path} {flat[path].shape} should be {wanted[path]}"
        for path in sorted(flat.keys() & wanted.keys())
        if flat[path].shape != wanted[path]
    ]
    if problems:
        raise ValueError("these are not the model's parameters:\n  " + "\n  ".join(problems))
    return flat


def _count(tensors: Iterable[str], pattern: str) -> int:
    return sum(bool(re.fullmatch(pattern, name)) for name in tensors)


def _scale_coefficients(flat: dict[str, Array], factors: Array) -> None:
    """Multiplies the coefficients α that the motion head gives by (M,) factors."""
    for path in _MOTION_HEAD:
        flat[path] = flat[path] * factors


def _householder_signs(weight: Array) -> Array:
    """Signs (M,) of diag(R) in LAPACK's QR of W, which the published models take Q from.

    The Q of LAPACK's Householder QR stays the same where a column of W is flipped; only that R_ii
    changes its sign. So flipping the columns with R_ii < 0 makes the Q with positive diag(R), which
    is ours, equal to LAPACK's.
    """
    _, r = np.linalg.qr(np.asarray(weight, np.float32) + np.float32(1e-8))
    return np.where(np.diagonal(r) < 0, np.float32(-1), np.float32(1))
