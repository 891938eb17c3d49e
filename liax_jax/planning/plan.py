"""A plan: what a run needs on a target, whether it fits, what would make it fit, and how long."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from liax_jax.planning.compilation import compile_for
from liax_jax.planning.targets import Target

# Share of the peak rate that the arithmetic is assumed to reach. Convolutional networks of this
# kind are reported between 0.3 and 0.5; measure your own (`benchmarks/step.py`) and set it.
DEFAULT_UTILISATION = 0.4
SECONDS_PER_DAY = 86_400

Compile = Callable[[ConfigDict, Target], dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class StepTime:
    """Roofline of one step on each device, seconds; the longest of the three is the step's.

    Attributes:
      arithmetic: operations over the assumed share of the peak rate.
      memory: traffic between device memory and cores, at the published bandwidth.
      network: collectives, at the published bandwidth of the slower network that they cross.
    """

    arithmetic: float
    memory: float
    network: float

    @property
    def seconds(self) -> float:
        return max(self.arithmetic, self.memory, self.network)

    @property
    def bound_by(self) -> str:
        return max(dataclasses.asdict(self).items(), key=lambda item: item[1])[0]


@dataclasses.dataclass(frozen=True)
class Plan:
    """A training step on a target; all figures per device unless they say otherwise.

    Attributes:
      config: of the run.
      target: the devices.
      result: of `compilation.compile_for`.
      utilisation: assumed share of the peak rate.
      remedies: what was tried because it doesn't fit: overrides by name → their own plan.
    """

    config: ConfigDict
    target: Target
    result: dict[str, Any]
    utilisation: float
    remedies: Mapping[str, "Plan"] = dataclasses.field(default_factory=dict)

    @property
    def capacity(self) -> int:
        """Bytes of device memory that a program can have; the compiler's figure where it said."""
        return self.result.get("compiler_capacity_bytes") or self.target.chip.hbm_bytes

    @property
    def fits(self) -> bool:
        within = not self.capacity or self.result["hbm_bytes"] <= self.capacity
        return bool(self.result["fits_compiler"] and within)

    @property
    def average_flops(self) -> float:
        """Operations per step: the R1 penalty (where there is one) comes every n-th step only."""
        most, least = self.result["flops"], self.result["flops_without_r1"]
        return least + (most - least) / max(1, self.config.discriminator.r1_interval)

    @property
    def peak_flops(self) -> float:
        """Published rate for the arithmetic of the model; 0 where none is known."""
        rates = self.target.chip.rates
        return rates.peak_flops(self.config.model.dtype) if rates else 0.0

    @property
    def step_time(self) -> StepTime | None:
        """None where no peak rate is known (CPU), or where nothing was compiled to the end."""
        chip, rates = self.target.chip, self.target.chip.rates
        if rates is None or not self.result["fits_compiler"]:
            return None
        moved = self.result["collective_bytes"]
        # Slices and nodes are joined along the data axis, over which gradients are added up.
        outside = moved["all-reduce"] if self.target.num_devices > self.target.devices_linked else 0
        network = outside / chip.outside_bandwidth if outside else 0.0
        network += (sum(moved.values()) - outside) / rates.link_bytes_per_second
        return StepTime(
            arithmetic=self.average_flops / (self.peak_flops * self.utilisation),
            memory=self.result["memory_traffic_bytes"] / rates.hbm_bytes_per_second,
            network=network,
        )

    @property
    def images_per_day(self) -> float | None:
        """Pairs of frames, over all devices."""
        time = self.step_time
        return None if time is None else self.config.batch_size * SECONDS_PER_DAY / time.seconds

    def to_json(self, images: int | None = None) -> dict[str, Any]:
        """One object with every figure; `images` adds the days that they take."""
        time, rate = self.step_time, self.images_per_day
        shown = ("mesh", "state_bytes", "memory", "memory_traffic_bytes", "compiler_flops")
        seen = ("compile_seconds", "trace_seconds", "versions", "minimum_collective_bytes")
        content = {
            "target": self.target.text,
            "devices": self.target.num_devices,
            "fits": self.fits,
            "hbm_bytes": self.result["hbm_bytes"],
            "hbm_capacity_bytes": self.capacity,
            "flops": self.result["flops"],
            "average_flops": self.average_flops,
            "collective_bytes": self.result.get("collective_bytes"),
            **{name: self.result.get(name) for name in (*shown, *seen)},
            "settings": settings(self.config),
            "assumed_utilisation": self.utilisation,
            "step_seconds": time and time.seconds,
            "bound_by": time and time.bound_by,
            "roofline_seconds": time and dataclasses.asdict(time),
            "images_per_day": rate,
        }
        if images is not None:
            content["days"] = rate and images / rate
        if self.remedies:
            content["remedies"] = {name: plan.to_json() for name, plan in self.remedies.items()}
        return content


def settings(config: ConfigDict) -> dict[str, Any]:
    """The fields that decide whether a step fits."""
    model = config.model
    return {
        "resolution": model.resolution,
        "dtype": model.dtype,
        "scan_blocks": model.scan_blocks,
        "remat": model.remat,
        "batch_size": config.batch_size,
        "accumulation_steps": config.accumulation_steps,
    }


def make_plan(
    config: ConfigDict,
    target: Target,
    cache: Path | None,
    *,
    utilisation: float = DEFAULT_UTILISATION,
    remedies: bool = True,
    **compiling: Any,
) -> Plan:
    """Compiles the step of a config for a target; where it doesn't fit, what might make it fit.

    Args:
      config: of a run.
      target: the devices.
      cache: see `compile_for`, which also takes `compiling`.
      utilisation: assumed share of the peak rate, in (0, 1].
      remedies: whether to compile remedies for what doesn't fit.

    Raises:
      ValueError: config and target don't go together.
      PlanError: the toolchain is missing or failed.
    """
    if not 0 < utilisation <= 1:
        raise ValueError(f"utilisation {utilisation:g}: must lie above 0 and up to 1")

    def plan(config: ConfigDict) -> Plan:
        return Plan(config, target, compile_for(config, target, cache, **compiling), utilisation)

    first = plan(config)
    if first.fits or not remedies:
        return first
    tried: dict[str, Plan] = {}
    changes = possible_remedies(config, target.num_devices)
    for name, fields in changes.items():
        tried[name] = plan(changed(config, fields))
    if len(changes) > 1 and not any(attempt.fits for attempt in tried.values()):
        together: dict[str, Any] = {}
        for fields in changes.values():
            together |= fields
        tried[describe_fields(together)] = plan(changed(config, together))
    return dataclasses.replace(first, remedies=tried)


def possible_remedies(config: ConfigDict, devices: int) -> dict[str, dict[str, Any]]:
    """Each means of needing less memory at its strongest, where it isn't in use already.

    Fields to set, by what a person would write. None changes what is trained.
    """
    found: list[dict[str, Any]] = []
    if config.model.remat != "levels":
        found.append({"model.remat": "levels"})
    if config.mesh.fsdp not in (devices, -1):
        found.append({"mesh.data": 1, "mesh.fsdp": devices})
    examples = config.batch_size // devices
    if examples > config.accumulation_steps:
        found.append({"accumulation_steps": examples})
    return {describe_fields(fields): fields for fields in found}


def describe_fields(fields: Mapping[str, Any]) -> str:
    """ "model.remat=levels accumulation_steps=4"."""
    return " ".join(f"{name}={value}" for name, value in fields.items())


def changed(config: ConfigDict, fields: Mapping[str, Any]) -> ConfigDict:
    """A copy of the config with other values.

    Raises:
      ValueError: there is no such field, or it takes values of another type; names it.
    """
    copy = config.copy_and_resolve_references().lock()
    for name, value in fields.items():
        try:
            copy.update_from_flattened_dict({name: value})
        except (KeyError, AttributeError, TypeError) as error:
            reason = " ".join(str(error.args[0] if error.args else error).split())
            raise ValueError(f"{name} = {value!r}: {reason}") from error
    return copy
