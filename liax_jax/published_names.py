"""Names and layouts of the published LIA-X and LIA generators: one table, read in both directions.

The table says, for every tensor of a published checkpoint, where it belongs in our parameter tree
and how its layout changes, or, where the model has no use for it, what it holds.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from liax_jax.models import ModelConfig

Array = np.ndarray
# What is built into the published code: D = 512·s, 32 groups in a GroupNorm, 64·s channels at the
# finest level.
PUBLISHED_FIELDS = {"max_channels": 512, "groups": 32, "base_channels": 64}
# From this resolution on, decoder and encoder have a level that is named after it.
_NAMED_RESOLUTION = 512


class Layout(NamedTuple):
    """How the axes of one kind of tensor change, either way."""

    to_ours: Callable[[Array], Array]
    to_published: Callable[[Array], Array]


class Entry(NamedTuple):
    """One tensor of a published checkpoint.

    Attributes:
      name: the published name.
      path: ours, with "/" between the levels; None where the model has no use for the tensor.
      layout: how the axes change.
      default: what a checkpoint holds that was not published, where `path` is None.
      optional: whether a published checkpoint may lack it.
    """

    name: str
    path: str | None
    layout: Layout
    default: Array | None = None
    optional: bool = False


_SAME = Layout(np.asarray, np.asarray)
_CONV = Layout(  # (o, i, k, k) ↔ (k, k, i, o)
    lambda w: w.transpose(2, 3, 1, 0), lambda w: w.transpose(3, 2, 0, 1)
)
_MODULATED = Layout(  # (1, o, i, k, k) ↔ (k, k, i, o)
    lambda w: w[0].transpose(2, 3, 1, 0), lambda w: w.transpose(3, 2, 0, 1)[None]
)
_DENSE = Layout(lambda w: w.T, lambda w: w.T)
_CHANNELS = Layout(  # (1, c, 1, 1) ↔ (c,)
    lambda w: w[0, :, 0, 0], lambda w: w[None, :, None, None]
)
_CONSTANT = Layout(  # (1, c, 4, 4) ↔ (4, 4, c)
    lambda w: w[0].transpose(1, 2, 0), lambda w: w.transpose(2, 0, 1)[None]
)

_BLUR = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32) / 64


def name_table(config: ModelConfig) -> Iterator[Entry]:
    """Every tensor of the published generator of this configuration."""
    # LIA's activations hold their bias as (1, c, 1, 1), LIA-X's as (c,).
    bias = _SAME if config.family == "lia_x" else _CHANNELS
    yield Entry("dec.direction.weight", "dictionary/weight", _SAME)
    yield Entry("dec.input.input", "flow_generator/constant", _CONSTANT)
    yield from _styled("dec.conv1", "flow_generator/styled_4", bias)
    table = _lia_x_table if config.family == "lia_x" else _lia_table
    yield from table(config, bias)


def lia_x_levels(tensors: Mapping[str, Array]) -> list[str]:
    """Decoder level names in a LIA-X checkpoint, coarse to fine: conv_512, conv2, conv3, …"""
    numbers = sorted(
        int(match[1])
        for match in (re.fullmatch(r"dec\.conv(\d+)_1\.conv\.weight", name) for name in tensors)
        if match
    )
    extra = ["conv_512"] if "dec.conv_512_1.conv.weight" in tensors else []
    return extra + [f"conv{n}" for n in numbers]


def _lia_x_table(config: ModelConfig, bias: Layout) -> Iterator[Entry]:
    encoder, levels = "enc.enc_2r", config.levels
    # Levels are numbered from the coarsest of the decoder and from the finest of the encoder; at
    # 512 pixels the level that is too many is the coarsest in both, and has a name of its own.
    extra = config.resolution >= _NAMED_RESOLUTION
    numbered = range(2, len(levels) + 2 - extra)
    level_names = ["conv_512"] * extra + [f"conv{n}" for n in numbered]
    halvings = [f"block{n}.0" for n in numbered] + ["block_512"] * extra
    yield from _conv_act(f"{encoder}.block1", "encoder/from_rgb", bias)
    for i, name in enumerate(halvings):
        ours = f"encoder/block_{config.resolution >> i}"
        yield from _down_block(f"{encoder}.{name}", ours, bias)
    yield Entry(f"{encoder}.block8.weight", "encoder/to_code/kernel", _CONV)
    yield from _dense("enc.enc_r2t.0", "encoder/motion")
    for r, name in zip(levels, level_names, strict=True):
        suffix = name.removeprefix("conv")
        yield from _styled(f"dec.{name}_1", f"flow_generator/up_{r}", bias)
        yield _blur(f"dec.{name}_1.conv.blur.kernel", gain=4)
        for i in range(config.num_blocks):
            block, ours = f"dec.{name}_2.{i}", f"flow_generator/block_{r}_{i}"
            yield Entry(f"{block}.gamma", f"{ours}/gamma", _CHANNELS)
            yield Entry(f"{block}.norm.weight", f"{ours}/norm/scale", _SAME)
            yield Entry(f"{block}.norm.bias", f"{ours}/norm/bias", _SAME)
            yield from _styled(f"{block}.conv1", f"{ours}/conv1", bias)
            yield from _styled(f"{block}.conv2", f"{ours}/conv2", bias)
            block, ours = f"dec.{name}_2_rgb.{i}", f"renderer/block_{r}_{i}"
            yield from _conv_act(f"{block}.conv1", f"{ours}/conv1", bias)
            yield from _conv_act(f"{block}.conv2", f"{ours}/conv2", bias)
        if r > 8:
            up, ours = f"dec.{name}_2_up", f"renderer/up_{r}/conv"
            yield _blur(f"{up}.0.kernel", gain=4)
            yield Entry(f"{up}.1.weight", f"{ours}/conv/kernel", _CONV)
            yield Entry(f"{up}.2.bias", f"{ours}/bias", bias)
        yield from _to_rgb(f"dec.rgb{suffix}", f"renderer/to_rgb_{r}", bias)
        yield _blur(f"dec.rgb{suffix}.up.kernel", gain=4)
        yield from _to_flow(f"dec.flow{suffix}", f"flow_generator/to_flow_{r}")
        yield _blur(f"dec.flow{suffix}.up.kernel", gain=4)


def _lia_table(config: ModelConfig, bias: Layout) -> Iterator[Entry]:
    encoder, levels = "enc.net_app.convs", config.levels
    yield from _conv_act(f"{encoder}.0", "encoder/from_rgb", bias)
    for i in range(len(levels)):
        ours = f"encoder/block_{config.resolution >> i}"
        yield from _down_block(f"{encoder}.{i + 1}", ours, bias)
    yield Entry(f"{encoder}.{len(levels) + 1}.weight", "encoder/to_code/kernel", _CONV)
    for i in range(4):
        yield from _dense(f"enc.fc.{i}", f"encoder/motion_hidden_{i}")
    yield from _dense("enc.fc.4", "encoder/motion")
    # In the checkpoints but never used by the model: noise strengths and the RGB layer at 4×4.
    for name in ("conv1", *(f"convs.{i}" for i in range(2 * len(levels)))):
        yield _unused(f"dec.{name}.noise.weight", (1,))
    yield _unused("dec.to_rgb1.bias", (1, 3, 1, 1))
    yield _unused("dec.to_rgb1.conv.0.weight", (3, config.channels(4), 1, 1))
    yield _unused("dec.to_rgb1.conv.1.bias", (1, 3, 1, 1))
    for i, r in enumerate(levels):
        yield from _styled(f"dec.convs.{2 * i}", f"flow_generator/up_{r}", bias)
        yield _blur(f"dec.convs.{2 * i}.conv.blur.kernel", gain=4)
        yield from _styled(f"dec.convs.{2 * i + 1}", f"flow_generator/styled_{r}", bias)
        yield from _to_rgb(f"dec.to_rgbs.{i}", f"renderer/to_rgb_{r}", bias)
        yield _blur(f"dec.to_rgbs.{i}.upsample.kernel", gain=4)
        yield from _to_flow(f"dec.to_flows.{i}", f"flow_generator/to_flow_{r}")
        yield _blur(f"dec.to_flows.{i}.upsample.kernel", gain=4)


def _blur(name: str, gain: int = 1) -> Entry:
    """A buffer with the constant [1, 3, 3, 1] filter, which is part of our code."""
    return Entry(name, None, _SAME, gain * _BLUR, optional=True)


def _unused(name: str, shape: tuple[int, ...]) -> Entry:
    return Entry(name, None, _SAME, np.zeros(shape, np.float32))


def _dense(name: str, path: str) -> Iterator[Entry]:
    yield Entry(f"{name}.weight", f"{path}/kernel", _DENSE)
    yield Entry(f"{name}.bias", f"{path}/bias", _SAME)


def _conv_act(name: str, path: str, bias: Layout) -> Iterator[Entry]:
    yield Entry(f"{name}.0.weight", f"{path}/conv/kernel", _CONV)
    yield Entry(f"{name}.1.bias", f"{path}/bias", bias)


def _down_block(name: str, path: str, bias: Layout) -> Iterator[Entry]:
    yield from _conv_act(f"{name}.conv1", f"{path}/conv1", bias)
    yield _blur(f"{name}.conv2.0.kernel")
    yield Entry(f"{name}.conv2.1.weight", f"{path}/conv2/conv/kernel", _CONV)
    yield Entry(f"{name}.conv2.2.bias", f"{path}/conv2/bias", bias)
    yield _blur(f"{name}.skip.0.kernel")
    yield Entry(f"{name}.skip.1.weight", f"{path}/skip/kernel", _CONV)


def _modulated_conv(name: str, path: str) -> Iterator[Entry]:
    yield Entry(f"{name}.weight", f"{path}/kernel", _MODULATED)
    yield from _dense(f"{name}.modulation", f"{path}/modulation")


def _styled(name: str, path: str, bias: Layout) -> Iterator[Entry]:
    yield from _modulated_conv(f"{name}.conv", f"{path}/conv")
    yield Entry(f"{name}.activate.bias", f"{path}/bias", bias)


def _to_rgb(name: str, path: str, bias: Layout) -> Iterator[Entry]:
    yield from _conv_act(f"{name}.conv", f"{path}/conv", bias)
    yield Entry(f"{name}.bias", f"{path}/bias", _CHANNELS)


def _to_flow(name: str, path: str) -> Iterator[Entry]:
    yield from _modulated_conv(f"{name}.conv", f"{path}/conv")
    yield Entry(f"{name}.bias", f"{path}/bias", _CHANNELS)
