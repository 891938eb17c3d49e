"""A plan as text for people."""

from liax_jax.planning.plan import Plan, settings
from liax_jax.planning.targets import GIB

_PARTS = {
    "parameters": "parameters, both networks",
    "optimizer": "optimiser",
    "ema": "moving average",
    "frozen": "perceptual network",
    "batch": "batch of pictures",
}


def report(plan: Plan, images: int | None = None) -> list[str]:
    """The lines that `liax plan` prints."""
    target, result = plan.target, plan.result
    mesh = " × ".join(f"{name} {size}" for name, size in result["mesh"].items())
    lines = [
        f"{target.text}: {target.num_devices} × {target.chip.name}, mesh {mesh}",
        "  ".join(f"{name}={value}" for name, value in settings(plan.config).items()),
        "",
        "per device",
    ]
    for name, label in _PARTS.items():
        lines.append(_row(label, _gib(result["state_bytes"][name])))
    if "memory" in result:
        lines.append(_row("activations and other temporaries", _gib(result["memory"]["temporary"])))
        lines.append(_row("program", _gib(result["memory"]["code"])))
    lines += [_row("peak memory", _gib(result["hbm_bytes"])), _verdict(plan)]
    lines.append(_row("operations per step", f"{result['flops'] / 1e12:.3f} TFLOP"))
    lines += _communication(plan)
    lines += _time(plan, images)
    for name, attempt in plan.remedies.items():
        needs = f"{_gib(attempt.result['hbm_bytes'])}: {'fits' if attempt.fits else 'does not fit'}"
        lines.append(f"with {name}: {needs}")
    if plan.remedies and not any(attempt.fits for attempt in plan.remedies.values()):
        lines.append("none of it is enough: take more devices, or larger ones")
    return lines


def _row(label: str, value: str) -> str:
    return f"  {label:34}{value}"


def _gib(size: float) -> str:
    return f"{size / GIB:.2f} GiB" if size >= GIB / 10 else f"{size / 2**20:.1f} MiB"


def _verdict(plan: Plan) -> str:
    if not plan.capacity:
        return _row("fits", "no bound is known for this target")
    free = plan.capacity - plan.result["hbm_bytes"]
    text = f"of {_gib(plan.capacity)}: {_gib(abs(free))} {'to spare' if free >= 0 else 'too much'}"
    return _row("fits" if plan.fits else "DOES NOT FIT", text)


def _communication(plan: Plan) -> list[str]:
    moved = plan.result.get("collective_bytes")
    if moved is None:
        return []
    least = sum(plan.result["minimum_collective_bytes"].values())
    lines = [_row(kind, f"{size / 1e6:,.1f} MB") for kind, size in moved.items() if size]
    total = sum(moved.values())
    if least:
        ratio = f", {total / least:.2f} × the least for this sharding"
        lines.append(_row("sent in all", f"{total / 1e6:,.1f} MB{ratio}"))
    return lines


def _time(plan: Plan, images: int | None) -> list[str]:
    time, rate = plan.step_time, plan.images_per_day
    if time is None or rate is None:
        return []
    share = f"{plan.utilisation:.0%} of {plan.peak_flops / 1e12:g} TFLOP/s"
    lines = [
        "",
        f"roofline, assuming {share} and communication hidden behind it",
        _row("arithmetic", f"{time.arithmetic * 1e3:,.1f} ms"),
        _row("memory, at most", f"{time.memory * 1e3:,.1f} ms"),
        _row("network", f"{time.network * 1e3:,.1f} ms"),
        _row("step", f"{time.seconds * 1e3:,.1f} ms, bound by {time.bound_by}"),
        _row("images a day, all devices", f"{rate:,.0f}"),
    ]
    if images is not None:
        lines.append(_row(f"days for {images:,} images", f"{images / rate:,.2f}"))
    return lines
