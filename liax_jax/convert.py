"""Published LIA-X and LIA weights → our parameters, by strict name tables.

The tables say, for every tensor of a published checkpoint, where it belongs in our parameter tree
and how its layout changes. Nothing is skipped in silence: names that are missing, unexpected or
misshapen are all listed in one error.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from liax_jax.models import Animator, ModelConfig

Array = np.ndarray
# The published families have D = 512·s and 32 groups in their GroupNorms.
_PUBLISHED_MAX_CHANNELS = 512


class Entry(NamedTuple):
    """One tensor: its published name, our path (None: unused), and the change of layout."""

    name: str
    path: str | None
    to_ours: Callable[[Array], Array]


def _conv(w: Array) -> Array:  # (o, i, k, k) → (k, k, i, o)
    return w.transpose(2, 3, 1, 0)


def _modulated(w: Array) -> Array:  # (1, o, i, k, k) → (k, k, i, o)
    return _conv(w[0])


def _dense(w: Array) -> Array:
    return w.T


def _vector(w: Array) -> Array:
    return w.reshape(-1)


def _constant(w: Array) -> Array:  # (1, c, 4, 4) → (4, 4, c)
    return w[0].transpose(1, 2, 0)


def from_torch_state_dict(state: Mapping[str, Array]) -> tuple[ModelConfig, dict[str, Any]]:
    """Converts a published generator.

    Family, resolution, width, blocks and vectors are read off names and shapes. The dictionary is
    stored so that our sign convention (positive diagonal of R) yields the published model's own
    motion vectors: edit directions keep their signs.

    Args:
      state: tensor names → arrays of LIA-X's flat state dict, or of LIA's (with or without the
        `gen.` prefix of its training checkpoints).

    Returns:
      The configuration, and parameters for `Animator(config).apply({"params": params}, …)`.

    Raises:
      ValueError: not a published generator; lists missing, unexpected and misshapen names.
    """
    generator = {k.removeprefix("gen."): v for k, v in state.items() if k.startswith("gen.")}
    tensors = {k: np.asarray(v) for k, v in (generator or state).items()}
    config = infer_config(tensors)
    # The blur buffers hold the constant [1, 3, 3, 1] filter, which is part of our code.
    buffers = {k for k, v in tensors.items() if k.endswith(".kernel") and v.shape == (4, 4)}
    wanted = {path: leaf.shape for path, leaf in _parameter_shapes(config).items()}
    problems, flat = [], {}
    entries = list(name_table(config, tensors))
    for entry in entries:
        if entry.name not in tensors:
            problems.append(f"missing: {entry.name}")
        elif entry.path is not None:
            try:
                value = entry.to_ours(tensors[entry.name])
            except (ValueError, IndexError):
                value = tensors[entry.name]
            if value.shape != wanted[entry.path]:
                problems.append(
                    f"misshapen: {entry.name} {tensors[entry.name].shape} does not give "
                    f"{entry.path} {wanted[entry.path]}"
                )
            flat[entry.path] = value
    unexpected = tensors.keys() - {entry.name for entry in entries} - buffers
    problems += [f"unexpected: {name}" for name in sorted(unexpected)]
    if problems:
        raise ValueError(
            f"this is not a complete {config.family} generator:\n  " + "\n  ".join(problems)
        )
    path = "dictionary/weight"
    flat[path] = _with_published_signs(flat[path])
    params = {k: jnp.asarray(v, jnp.float32) for k, v in flat.items()}
    return config, traverse_util.unflatten_dict(params, sep="/")


def infer_config(tensors: Mapping[str, Array]) -> ModelConfig:
    """Reads the hyperparameters off names and shapes. Raises ValueError where it can't."""
    if "enc.enc_2r.block1.0.weight" in tensors:
        family, first, motion_head = "lia_x", "enc.enc_2r.block1.0.weight", "enc.enc_r2t.0.weight"
        levels = len(_lia_x_levels(tensors))
        pattern = re.compile(r"dec\.conv2_2\.(\d+)\.gamma")
        num_blocks = sum(bool(pattern.fullmatch(name)) for name in tensors)
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
    resolution, width = 4 * 2**levels, style_dim / _PUBLISHED_MAX_CHANNELS
    finest = tensors[first].shape[0]
    base = finest / width if family == "lia_x" else finest / width * resolution / 256
    return ModelConfig(
        family=family,
        resolution=resolution,
        width=width,
        num_blocks=num_blocks,
        num_vectors=num_vectors,
        base_channels=64 if base > 64 or family == "lia" else int(base),
        max_channels=_PUBLISHED_MAX_CHANNELS,
    )


def name_table(config: ModelConfig, tensors: Mapping[str, Array]) -> Iterator[Entry]:
    """Every tensor of the published generator of this configuration."""
    yield Entry("dec.direction.weight", "dictionary/weight", np.asarray)
    yield Entry("dec.input.input", "flow_generator/constant", _constant)
    yield from _styled("dec.conv1", "flow_generator/styled_4")
    yield from _lia_x_table(config, tensors) if config.family == "lia_x" else _lia_table(config)


def _lia_x_table(config: ModelConfig, tensors: Mapping[str, Array]) -> Iterator[Entry]:
    encoder = "enc.enc_2r"
    yield from _conv_act(f"{encoder}.block1", "encoder/from_rgb")
    level_names = _lia_x_levels(tensors)
    # Halvings are numbered from the finest; at 512 pixels one named `block_512` is the last.
    extra = level_names[0] == "conv_512"
    halvings = [f"block{i}.0" for i in range(2, len(level_names) + 2 - extra)]
    halvings += ["block_512"] if extra else []
    for i, name in enumerate(halvings):
        yield from _down_block(f"{encoder}.{name}", f"encoder/block_{config.resolution >> i}")
    yield Entry(f"{encoder}.block8.weight", "encoder/to_code/kernel", _conv)
    yield from _dense_layer("enc.enc_r2t.0", "encoder/motion")
    for r, name in zip(config.levels, level_names, strict=True):
        suffix = name.removeprefix("conv")
        yield from _styled(f"dec.{name}_1", f"flow_generator/up_{r}")
        for i in range(config.num_blocks):
            block, ours = f"dec.{name}_2.{i}", f"flow_generator/block_{r}_{i}"
            yield Entry(f"{block}.gamma", f"{ours}/gamma", _vector)
            yield Entry(f"{block}.norm.weight", f"{ours}/norm/scale", _vector)
            yield Entry(f"{block}.norm.bias", f"{ours}/norm/bias", _vector)
            yield from _styled(f"{block}.conv1", f"{ours}/conv1")
            yield from _styled(f"{block}.conv2", f"{ours}/conv2")
            block, ours = f"dec.{name}_2_rgb.{i}", f"renderer/block_{r}_{i}"
            yield from _conv_act(f"{block}.conv1", f"{ours}/conv1")
            yield from _conv_act(f"{block}.conv2", f"{ours}/conv2")
        if r > 8:
            up, ours = f"dec.{name}_2_up", f"renderer/up_{r}/conv"
            yield Entry(f"{up}.1.weight", f"{ours}/conv/kernel", _conv)
            yield Entry(f"{up}.2.bias", f"{ours}/bias", _vector)
        yield from _to_rgb(f"dec.rgb{suffix}", f"renderer/to_rgb_{r}")
        yield from _to_flow(f"dec.flow{suffix}", f"flow_generator/to_flow_{r}")


def _lia_table(config: ModelConfig) -> Iterator[Entry]:
    encoder, levels = "enc.net_app.convs", config.levels
    yield from _conv_act(f"{encoder}.0", "encoder/from_rgb")
    for i in range(len(levels)):
        yield from _down_block(f"{encoder}.{i + 1}", f"encoder/block_{config.resolution >> i}")
    yield Entry(f"{encoder}.{len(levels) + 1}.weight", "encoder/to_code/kernel", _conv)
    for i in range(4):
        yield from _dense_layer(f"enc.fc.{i}", f"encoder/motion_hidden_{i}")
    yield from _dense_layer("enc.fc.4", "encoder/motion")
    # In the checkpoints but never used by the model: noise strengths and the RGB layer at 4×4.
    noisy = ["conv1", *(f"convs.{i}" for i in range(2 * len(levels)))]
    unused = [f"{name}.noise.weight" for name in noisy]
    unused += ["to_rgb1.bias", "to_rgb1.conv.0.weight", "to_rgb1.conv.1.bias"]
    for name in unused:
        yield Entry(f"dec.{name}", None, np.asarray)
    for i, r in enumerate(levels):
        yield from _styled(f"dec.convs.{2 * i}", f"flow_generator/up_{r}")
        yield from _styled(f"dec.convs.{2 * i + 1}", f"flow_generator/styled_{r}")
        yield from _to_rgb(f"dec.to_rgbs.{i}", f"renderer/to_rgb_{r}")
        yield from _to_flow(f"dec.to_flows.{i}", f"flow_generator/to_flow_{r}")


def _dense_layer(name: str, path: str) -> Iterator[Entry]:
    yield Entry(f"{name}.weight", f"{path}/kernel", _dense)
    yield Entry(f"{name}.bias", f"{path}/bias", _vector)


def _conv_act(name: str, path: str) -> Iterator[Entry]:
    yield Entry(f"{name}.0.weight", f"{path}/conv/kernel", _conv)
    yield Entry(f"{name}.1.bias", f"{path}/bias", _vector)


def _down_block(name: str, path: str) -> Iterator[Entry]:
    yield from _conv_act(f"{name}.conv1", f"{path}/conv1")
    yield Entry(f"{name}.conv2.1.weight", f"{path}/conv2/conv/kernel", _conv)
    yield Entry(f"{name}.conv2.2.bias", f"{path}/conv2/bias", _vector)
    yield Entry(f"{name}.skip.1.weight", f"{path}/skip/kernel", _conv)


def _modulated_conv(name: str, path: str) -> Iterator[Entry]:
    yield Entry(f"{name}.weight", f"{path}/kernel", _modulated)
    yield from _dense_layer(f"{name}.modulation", f"{path}/modulation")


def _styled(name: str, path: str) -> Iterator[Entry]:
    yield from _modulated_conv(f"{name}.conv", f"{path}/conv")
    yield Entry(f"{name}.activate.bias", f"{path}/bias", _vector)


def _to_rgb(name: str, path: str) -> Iterator[Entry]:
    yield from _conv_act(f"{name}.conv", f"{path}/conv")
    yield Entry(f"{name}.bias", f"{path}/bias", _vector)


def _to_flow(name: str, path: str) -> Iterator[Entry]:
    yield from _modulated_conv(f"{name}.conv", f"{path}/conv")
    yield Entry(f"{name}.bias", f"{path}/bias", _vector)


def _lia_x_levels(tensors: Mapping[str, Array]) -> list[str]:
    """Decoder level names, coarse to fine: conv_512 (only at 512 pixels), conv2, conv3, …"""
    numbers = sorted(
        int(match[1])
        for match in (re.fullmatch(r"dec\.conv(\d+)_1\.conv\.weight", name) for name in tensors)
        if match
    )
    extra = ["conv_512"] if "dec.conv_512_1.conv.weight" in tensors else []
    return extra + [f"conv{n}" for n in numbers]


def _count(tensors: Mapping[str, Array], pattern: str) -> int:
    return sum(bool(re.fullmatch(pattern, name)) for name in tensors)


def _parameter_shapes(config: ModelConfig) -> dict[str, jax.ShapeDtypeStruct]:
    picture = jax.ShapeDtypeStruct((1, config.resolution, config.resolution, 3), jnp.float32)
    variables = jax.eval_shape(Animator(config).init, jax.random.key(0), picture, picture)
    return traverse_util.flatten_dict(variables["params"], sep="/")


def _with_published_signs(weight: Array) -> Array:
    """Flips columns of W so that a QR with positive diag(R) gives LAPACK's Q of the original.

    The published models take Q from LAPACK's Householder QR, whose R has a diagonal of either
    sign. Where R_ii < 0, flipping column i of W flips R_ii and leaves that Q as it is.
    """
    _, r = np.linalg.qr(np.asarray(weight, np.float32) + np.float32(1e-8))
    return weight * np.where(np.diagonal(r) < 0, -1, 1).astype(weight.dtype)
