"""Compiles one training step for one target, in a process of its own.

  python -m liax_jax.planning.compile_step REQUEST.json RESULT.json

The toolchains for absent hardware can crash, hang and change the environment; none of that reaches
the process that planned. `liax_jax.planning.compilation` starts it and sets its environment.
"""

import hashlib
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from liax_jax.models import perceptual
from liax_jax.planning import hlo_text
from liax_jax.planning.minimum import minimum_collective_bytes
from liax_jax.planning.targets import GIB, Target, TargetError, parse_target, topology_arguments
from liax_jax.training import sharding
from liax_jax.training.flops import program_flops
from liax_jax.training.state import TrainState, create_train_state
from liax_jax.training.step import jit_train_step

# "Used 20.45G of 15.75G hbm", as the TPU compiler ends where a program doesn't fit.
_OUT_OF_MEMORY = re.compile(r"Used ([\d.]+)([MGT]) of ([\d.]+)([MGT]) hbm")
# Raise it when what is read from a compiled program changes: earlier results don't count then.
_READING = 1
_UNITS = {"M": 2**20, "G": GIB, "T": 2**40}


def devices_of(target: Target) -> list[Any]:
    """The target's devices, to compile for; they can't run anything unless they are CPUs.

    Raises:
      TargetError: the toolchain knows no such topology.
    """
    if target.chip.platform == "cpu":
        devices = jax.devices("cpu")
        if len(devices) < target.num_devices:
            raise TargetError(
                f"target {target.text}: this process has {len(devices)} CPU devices only"
            )
        return devices[: target.num_devices]
    from jax.experimental import topologies

    try:
        return list(topologies.get_topology_desc(**topology_arguments(target)).devices)
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TargetError(f"target {target.text}: its toolchain refuses it: {reason}") from error


def abstract_arguments(config: ConfigDict, mesh: Any) -> tuple[TrainState, dict[str, Any], Any]:
    """(state, batch, frozen) of a run's step as shapes, types and placement."""
    state = sharding.place(jax.eval_shape(lambda: create_train_state(config)), mesh)
    shape = (config.batch_size, config.model.resolution, config.model.resolution, 3)
    picture = jax.ShapeDtypeStruct(shape, jnp.uint8, sharding=sharding.batch_sharding(mesh))
    frozen = None
    if config.loss.perceptual:
        everywhere = sharding.replicated(mesh)
        frozen = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=everywhere),
            perceptual.abstract_vgg19(),
        )
    return state, {"source": picture, "driving": picture}, frozen


def _bytes_on_a_device(placed: Any) -> int:
    """Of arrays that say how they are placed."""

    def size(leaf: Any) -> int:
        return int(np.prod(leaf.sharding.shard_shape(leaf.shape))) * leaf.dtype.itemsize

    return sum(map(size, jax.tree.leaves(placed)))


def _breakdown(state: TrainState, batch: Any, frozen: Any) -> dict[str, int]:
    """Bytes that a device holds of what goes in, by what it is."""
    networks = [n for n in (state.generator, state.discriminator) if n is not None]
    return {
        "parameters": _bytes_on_a_device([network.params for network in networks]),
        "optimizer": _bytes_on_a_device([network.opt_state for network in networks]),
        "ema": _bytes_on_a_device([network.ema for network in networks]),
        "frozen": _bytes_on_a_device(frozen),
        "batch": _bytes_on_a_device(batch),
    }


def describe(compiled: Any) -> dict[str, Any]:
    """What a compiled program takes and moves, per device."""
    memory, text = compiled.memory_analysis(), compiled.as_text()
    module = hlo_text.parse_module(text)
    sizes = {
        "arguments": memory.argument_size_in_bytes,
        "outputs": memory.output_size_in_bytes - memory.alias_size_in_bytes,
        "temporary": memory.temp_size_in_bytes,
        "code": memory.generated_code_size_in_bytes,
    }
    cost = _cost_analysis(compiled)
    return {
        "fits_compiler": True,
        "memory": sizes,
        "hbm_bytes": sum(sizes.values()),
        "collective_bytes": hlo_text.collective_bytes(module),
        "memory_traffic_bytes": hlo_text.memory_traffic(module),
        "compiler_flops": cost.get("flops"),
    }


def _cost_analysis(compiled: Any) -> dict[str, float]:
    """The compiler's own figures; empty where it gives none, as for GPUs that aren't there."""
    try:
        return compiled.cost_analysis() or {}
    except jax.errors.JaxRuntimeError:
        return {}


def _does_not_fit(error: Exception) -> dict[str, Any] | None:
    match = _OUT_OF_MEMORY.search(str(error))
    if not match:
        return None
    used, capacity = (round(float(match[i]) * _UNITS[match[i + 1]]) for i in (1, 3))
    return {"fits_compiler": False, "hbm_bytes": used, "compiler_capacity_bytes": capacity}


def compile_step(request: dict[str, Any]) -> dict[str, Any]:
    """Traces, lowers and compiles; everything that a plan needs to know as a JSON-able dict.

    Args:
      request: "config" (a run's fields), "target" (text), "versions" (of what compiles), "known"
        (a folder of results by program, see `compilation`), "dump" (a file for the compiled text,
        or None).
    """
    config, target = ConfigDict(request["config"]), parse_target(request["target"])
    mesh = sharding.make_mesh(config.mesh, devices_of(target))
    sharding.check_batch(mesh, config.batch_size, config.accumulation_steps)
    state, batch, frozen = abstract_arguments(config, mesh)
    started = time.monotonic()
    _say("tracing")
    traced = jit_train_step(config, mesh, state).trace(state, batch, frozen)
    flops = program_flops(traced.jaxpr.jaxpr, branch=max) / mesh.size
    least = program_flops(traced.jaxpr.jaxpr) / mesh.size
    lowered = traced.lower()
    digest = hashlib.sha256(lowered.as_text().encode())
    digest.update(json.dumps([target.text, request["versions"], _READING]).encode())
    result = {
        "target": target.text,
        "mesh": {name: int(size) for name, size in mesh.shape.items()},
        "program": digest.hexdigest()[:32],
        "trace_seconds": round(time.monotonic() - started, 1),
        "flops": flops,
        "flops_without_r1": least,
        "state_bytes": _breakdown(state, batch, frozen),
        "minimum_collective_bytes": minimum_collective_bytes(config, mesh, state),
        "parameters": sum(x.size for x in jax.tree.leaves(state.generator.params)),
    }
    known = Path(request["known"]) / f"{result['program']}.json"
    if known.exists():
        return json.loads(known.read_text()) | result
    _say("compiling")
    started = time.monotonic()
    try:
        compiled = lowered.compile()
        if request.get("dump"):
            Path(request["dump"]).write_text(compiled.as_text())
        result |= describe(compiled)
    except jax.errors.JaxRuntimeError as error:
        refusal = _does_not_fit(error)
        if refusal is None:
            raise
        result |= refusal
    return result | {"compile_seconds": round(time.monotonic() - started, 1)}


def _say(phase: str) -> None:
    print(f"phase: {phase}", flush=True)


def main(request_path: str, result_path: str) -> None:
    """Writes the result, or {"error": …} for what a user can mend."""
    request = json.loads(Path(request_path).read_text())
    try:
        result = compile_step(request)
    except (TargetError, ValueError, TypeError) as error:
        result = {"error": str(error)}
    Path(result_path).write_text(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
