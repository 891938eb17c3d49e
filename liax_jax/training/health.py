"""How all hosts of a run are doing: one gathering at each log step, one line."""

import resource
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from liax_jax.accelerators import find_accelerator
from liax_jax.data.clips import ClipSet

_GIB = 2.0**30
# What each process contributes, in this order.
_FIELDS = (
    "time/step",
    "time/compute",
    "time/data",
    "memory/device_gib",
    "memory/host_gib",
    "data/substituted",
)


def memory() -> dict[str, float]:
    """GiB in use and at most so far, of the fullest local device where its backend tells.

    `memory/host_gib` is the most that this process had resident.
    """
    values = {"memory/host_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}
    stats = [device.memory_stats() or {} for device in jax.local_devices()]
    for name, key in (("device_gib", "bytes_in_use"), ("device_peak_gib", "peak_bytes_in_use")):
        found = [entry[key] / _GIB for entry in stats if key in entry]
        if found:
            values[f"memory/{name}"] = max(found)
    return values


def compute_rate(flops: float, seconds: float, dtype: str) -> dict[str, float]:
    """TFLOP/s per device and, where the device's peak is known, the share of it (MFU).

    Args:
      flops: of a step, over all devices; 0 where they weren't counted.
      seconds: of a step, waiting and saving included.
      dtype: of the model's arithmetic, which says which peak.
    """
    if not flops:
        return {}
    rate = flops / seconds / jax.device_count()
    values = {"rate/tflops_per_device": rate / 1e12}
    accelerator = find_accelerator(jax.devices()[0].device_kind)
    if accelerator is not None:
        values["rate/mfu"] = rate / accelerator.peak_flops(dtype)
    return values


def _gather(values: np.ndarray) -> np.ndarray:
    """One row per process."""
    if jax.process_count() == 1:
        return values[None]
    return np.asarray(multihost_utils.process_allgather(values))


def across_hosts(
    values: Mapping[str, float], gather: Callable[[np.ndarray], np.ndarray] = _gather
) -> dict[str, float]:
    """The extremes over all processes; every process has to call it at the same step."""
    own = np.array([values.get(name, np.nan) for name in _FIELDS], np.float32)
    table = dict(zip(_FIELDS, np.asarray(gather(own), np.float64).T, strict=True))
    summary = {
        "hosts/count": float(len(table["time/step"])),
        "hosts/step_seconds_min": table["time/step"].min(),
        "hosts/step_seconds_max": table["time/step"].max(),
        "hosts/compute_seconds_max": table["time/compute"].max(),
        "hosts/data_seconds_max": table["time/data"].max(),
        "hosts/host_gib_max": table["memory/host_gib"].max(),
    }
    if np.isfinite(table["memory/device_gib"]).all():
        summary["hosts/device_gib_max"] = table["memory/device_gib"].max()
    substituted = np.nansum(table["data/substituted"])
    if substituted:
        summary["data/substituted"] = substituted
    return {name: float(value) for name, value in summary.items()}


def check_same_clips(clips: ClipSet, gather: Callable[[np.ndarray], np.ndarray] = _gather) -> None:
    """Raises ValueError where processes found other clips, as damaged or old copies of records.

    Every process has to call it.
    """
    digest = zlib.crc32(repr([*zip(clips.names, clips.lengths, strict=True)]).encode())
    digests = np.asarray(gather(np.array([digest], np.uint32)))[:, 0]
    other = [int(process) for process in np.flatnonzero(digests != digests[0])]
    if other:
        raise ValueError(
            f"processes {other} of {len(digests)} found other clips than process 0, here "
            f"{len(clips)}: all hosts must read the same records, with the same files left out"
        )


def status_line(step: int, values: Mapping[str, Any]) -> str:
    """All of a run's health in one line."""
    hosts = int(values["hosts/count"])
    parts = [
        f"step {step}: {values['images_per_second']:.1f} images/s",
        f"{values['hosts/step_seconds_min']:.3f}–{values['hosts/step_seconds_max']:.3f} s a step on"
        f" {hosts} hosts"
        if hosts > 1
        else f"{values['time/step']:.3f} s a step",
        f"{values['data_wait_share']:.1%} waiting for data",
    ]
    if hosts > 1:
        parts[-1] += f" (at most {values['hosts/data_seconds_max']:.3f} s a step)"
    if "rate/tflops_per_device" in values:
        mfu = f" ({values['rate/mfu']:.1%} MFU)" if "rate/mfu" in values else ""
        parts.append(f"{values['rate/tflops_per_device']:.3g} TFLOP/s a device{mfu}")
    if "hosts/device_gib_max" in values:
        parts.append(f"{values['hosts/device_gib_max']:.1f} GiB of a device in use")
    parts.append(f"{values['hosts/host_gib_max']:.1f} GiB of a host")
    shares = {n.removeprefix("data/share/"): x for n, x in values.items() if "data/share/" in n}
    if shares:
        parts.append("data " + ", ".join(f"{name} {share:.1%}" for name, share in shares.items()))
    if values.get("data/substituted"):
        parts.append(f"{int(values['data/substituted'])} damaged pairs replaced")
    return "; ".join(parts)
