"""Hardware that a run can be planned for: published figures, and how its compiler is asked.

A target is written KIND:TOPOLOGY or KIND:TOPOLOGY*SLICES, e.g. "v5e:16x16", "v5p:4x4x8*2",
"a100-80gb:1x8" (nodes × GPUs), "cpu:8".
"""

import dataclasses
import math
import re
from typing import Any

from liax_jax.accelerators import Accelerator, find_accelerator

GIB = 2**30


class TargetError(ValueError):
    """A target that doesn't exist, with those that do."""


@dataclasses.dataclass(frozen=True)
class Chip:
    """One device, and how a run gets at it.

    Attributes:
      platform: "tpu", "cuda" or "cpu".
      rates: its published rates; None where none are known (CPU).
      hbm_bytes: memory that a program can have; 0 where there is no bound to speak of.
      outside_bandwidth: bytes per second and direction to other slices or nodes, per device.
      dimensions: of its topology.
      shapes: the topologies that can be had; empty where any can be asked for.
      gpu: what the GPU compiler has to know; None for others.
    """

    platform: str
    rates: Accelerator | None
    hbm_bytes: int
    outside_bandwidth: float
    dimensions: int
    shapes: tuple[str, ...] = ()
    gpu: "GpuFacts | None" = None

    @property
    def name(self) -> str:
        return self.rates.name if self.rates else "this computer"


@dataclasses.dataclass(frozen=True)
class GpuFacts:
    """What decides how the GPU compiler tiles and fuses; read off such a device."""

    capability: tuple[int, int]
    cores: int
    units_per_core: int
    shared_memory_per_core: int
    shared_memory_per_block: int
    l2_bytes: int
    clock_ghz: float
    memory_bytes: int
    features: str


_SQUARE = ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
# TPU memory: published capacity less what its compiler keeps for itself: 15.75 of 16 GiB on v5e,
# as it says where a program doesn't fit. The others are taken to keep as much.
_KEPT = GIB // 4
# GPU memory: what a device shows, less 0.6 GiB for the CUDA context and its libraries. A program
# gets it with XLA_PYTHON_CLIENT_MEM_FRACTION=0.99 only; JAX takes 75 % by default.
_CONTEXT = round(0.6 * GIB)
_AMPERE = GpuFacts((8, 0), 108, 64, 167936, 166912, 40 << 20, 1.41, 85100068864, "NONE")
_HOPPER = GpuFacts(
    (9, 0), 132, 128, 233472, 232448, 50 << 20, 1.98, 84942979072, "ACCELERATED_FEATURES"
)
_HOPPER_141 = dataclasses.replace(_HOPPER, memory_bytes=151397597184)


def _tpu(kind: str, hosts_bandwidth: float, dimensions: int, shapes: tuple[str, ...] = ()) -> Chip:
    rates = find_accelerator(f"TPU {kind}")
    assert rates is not None
    return Chip("tpu", rates, int(rates.hbm_bytes) - _KEPT, hosts_bandwidth, dimensions, shapes)


def _gpu(name: str, facts: GpuFacts, adapter_bandwidth: float) -> Chip:
    rates = find_accelerator(name)
    return Chip("cuda", rates, facts.memory_bytes - _CONTEXT, adapter_bandwidth, 2, gpu=facts)


# Between slices: the network adapters of a host, shared by its chips. Between nodes: one adapter of
# 200 Gbit/s (A100) or 400 Gbit/s (H100, H200) per GPU, as in NVIDIA's DGX systems.
CHIPS = {
    "v4": _tpu("v4", 6.25e9, 3),
    "v5e": _tpu("v5e", 3.125e9, 2, _SQUARE),
    "v5p": _tpu("v5p", 6.25e9, 3),
    "v6e": _tpu("v6e", 6.25e9, 2, _SQUARE),
    "a100-80gb": _gpu("A100 80GB", _AMPERE, 25e9),
    "h100": _gpu("H100", _HOPPER, 50e9),
    "h200": _gpu("H200", _HOPPER_141, 50e9),
    "cpu": Chip("cpu", None, 0, 0, 1),
}


@dataclasses.dataclass(frozen=True)
class Target:
    """Devices to plan for.

    Attributes:
      text: as the user wrote it, normalised.
      chip: the figures of one device.
      kind: the chip's name in `CHIPS`.
      shape: TPU topology, or (nodes, GPUs a node), or (devices,) for CPU.
      slices: of that shape each.
    """

    kind: str
    shape: tuple[int, ...]
    slices: int = 1

    @property
    def chip(self) -> Chip:
        return CHIPS[self.kind]

    @property
    def text(self) -> str:
        shape = "x".join(map(str, self.shape))
        return f"{self.kind}:{shape}" + (f"*{self.slices}" if self.slices > 1 else "")

    @property
    def num_devices(self) -> int:
        return math.prod(self.shape) * self.slices

    @property
    def devices_linked(self) -> int:
        """How many devices reach one another at `link_bandwidth`: those of a slice or a node."""
        return self.shape[-1] if self.chip.platform == "cuda" else math.prod(self.shape)


def parse_target(text: str) -> Target:
    """Reads "v5e:16x16", "v5e:16x16*2", "a100-80gb:1x8" or "cpu:8".

    Raises:
      TargetError: another text; says what there is.
    """
    match = re.fullmatch(r"([a-z0-9-]+):(\d+(?:x\d+)*)(?:\*(\d+))?", text.strip().lower())
    if not match or match[1] not in CHIPS:
        raise TargetError(
            f"unknown target {text!r}: write KIND:TOPOLOGY, e.g. v5e:16x16, v5p:4x4x8, "
            f"v5e:16x16*2 (two slices), a100-80gb:1x8 (nodes x GPUs), cpu:8; kinds: "
            f"{', '.join(CHIPS)}"
        )
    kind, slices = match[1], int(match[3] or 1)
    shape = tuple(int(size) for size in match[2].split("x"))
    chip = CHIPS[kind]
    if len(shape) != chip.dimensions or min(shape) < 1 or slices < 1:
        example = {1: "8", 2: "16x16" if chip.platform == "tpu" else "1x8", 3: "4x4x8"}
        raise TargetError(
            f"target {text!r}: {chip.name} has topologies of {chip.dimensions} dimensions, "
            f"e.g. {kind}:{example[chip.dimensions]}"
        )
    if chip.shapes and match[2] not in chip.shapes:
        raise TargetError(
            f"target {text!r}: there is no such topology; {chip.name} comes as "
            f"{', '.join(chip.shapes)}, and as several slices of one of them, e.g. "
            f"{kind}:{chip.shapes[-1]}*2"
        )
    if slices > 1 and chip.platform != "tpu":
        raise TargetError(f"target {text!r}: only TPUs come in slices; give more nodes instead")
    return Target(kind, shape, slices)


def topology_arguments(target: Target) -> dict[str, Any]:
    """What `jax.experimental.topologies.get_topology_desc` wants for a TPU or GPU target."""
    shape = "x".join(map(str, target.shape))
    if target.chip.platform == "cuda":
        return {
            "platform": "cuda",
            "topology_name": "",
            "topology": f"1x{shape}",
            "target_config": gpu_target_config(target.chip),
        }
    arguments: dict[str, Any] = {
        "platform": "tpu",
        "topology_name": f"{target.kind}:{shape}",
    }
    if target.kind == "v4":
        arguments["chip_config_name"] = "megacore"
    if math.prod(target.shape) == 1:
        arguments["chips_per_host_bounds"] = (1, 1, 1)
    if target.slices > 1:
        arguments["num_slices"] = target.slices
    return arguments


def gpu_target_config(chip: Chip) -> str:
    """The text of XLA's GpuTargetConfigProto for a GPU."""
    gpu, rates = chip.gpu, chip.rates
    assert gpu is not None and rates is not None
    device = {
        "threads_per_block_limit": 1024,
        "threads_per_warp": 32,
        "shared_memory_per_block": 49152,
        "shared_memory_per_core": gpu.shared_memory_per_core,
        "shared_memory_per_block_optin": gpu.shared_memory_per_block,
        "threads_per_core_limit": 2048,
        "core_count": gpu.cores,
        "fpus_per_core": gpu.units_per_core,
        "block_dim_limit_x": 2**31 - 1,
        "block_dim_limit_y": 65535,
        "block_dim_limit_z": 65535,
        "thread_dim_limit_x": 1024,
        "thread_dim_limit_y": 1024,
        "thread_dim_limit_z": 64,
        "memory_bandwidth": int(rates.hbm_bytes_per_second),
        "l2_cache_size": gpu.l2_bytes,
        "clock_rate_ghz": gpu.clock_ghz,
        "device_memory_size": gpu.memory_bytes,
        "registers_per_core_limit": 65536,
        "registers_per_block_limit": 65536,
    }
    fields = "".join(f"  {name}: {value}\n" for name, value in device.items())
    major, minor = gpu.capability
    return (
        f"gpu_device_info {{\n{fields}  cuda_compute_capability {{ major: {major} minor: {minor} "
        f'feature_extension: {gpu.features} }}\n}}\nplatform_name: "CUDA"\n'
        "dnn_version_info { major: 9 minor: 10 patch: 0 }\n"
        f'device_description_str: "{chip.name}"\n'
    )
