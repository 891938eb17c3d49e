"""What training costs on TPU slices and GPUs: docs/scale.md and docs/scale.json.

  python -m benchmarks.scale [--only=large] [--minutes=120] [--timeout=240] [--tables_only]

Compiles the training step of each row ahead of time (extras plan-tpu and plan-gpu), writes both
files after every one, and goes on where it was stopped: what is compiled is kept (see `liax plan`).
A row lists settings in the order to try them; the first that fits is its result, and those that
don't are shown too. Rows that aren't compiled yet say so.
"""

import dataclasses
import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from absl import app, flags

from configs import lia_x_base, lia_x_large
from liax_jax.cli.plan import default_plan_cache
from liax_jax.log import show_messages
from liax_jax.planning.compilation import PlanError
from liax_jax.planning.plan import changed, describe_fields, make_plan
from liax_jax.planning.targets import GIB, parse_target

_ONLY = flags.DEFINE_string("only", "", "Compile only rows whose name holds this.")
_MINUTES = flags.DEFINE_float("minutes", 0.0, "Start no compilation after so long; 0 = no limit.")
_TIMEOUT = flags.DEFINE_float("timeout", 240.0, "Minutes for one compilation.")
_TABLES = flags.DEFINE_bool("tables_only", False, "Compile nothing; write what there is.")
_CACHE = flags.DEFINE_string("cache", str(default_plan_cache()), "Where compilations are kept.")

_DOCS = Path(__file__).parents[1] / "docs"
_CONFIGS: dict[str, Callable] = {
    "base": lia_x_base.get_config,
    "large": lia_x_large.get_config,
}
# 800,000 steps of 64 pairs, LIA's published training.
IMAGES = 51_200_000
_COMMON = {"model.dtype": "bfloat16", "model.scan_blocks": True, "perceptual.weights": "random"}


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of a table: `attempts` are settings in the order to try them."""

    size: str
    resolution: int
    target: str
    attempts: tuple[dict[str, Any], ...]
    table: str = "fits"

    @property
    def name(self) -> str:
        return f"{self.size}-{self.resolution}-{self.target}"


def _settings(
    batch_size: int, fsdp: int, remat: str = "none", accumulation: int = 1
) -> dict[str, Any]:
    return {
        "batch_size": batch_size,
        "mesh.fsdp": fsdp,
        "model.remat": remat,
        "accumulation_steps": accumulation,
    }


def rows() -> list[Row]:
    """All rows, the most wanted first."""
    large_v5e = (_settings(256, 16, "blocks"), _settings(256, 16, "levels"))
    large_gpu = (_settings(64, 8, "none", 4), _settings(64, 8, "blocks", 4))
    found = [
        Row("large", 512, "v5e:16x16", large_v5e),
        Row("large", 512, "a100-80gb:1x8", large_gpu),
        Row("large", 512, "v5p:4x4x8", (_settings(256, 16),)),
    ]
    # Parameters split along one side of the slice. Over both sides of a 4x4 slice, which is no
    # torus, the compiler makes all-reduces of reduce-scatters: 1.51 times the least.
    for devices, target, side in (
        (16, "4x4", 4),
        (256, "16x16", 16),
        (1024, "16x16*4", 16),
        (64, "8x8", 8),
        (1, "1x1", 1),
    ):
        settings = _settings(2 * devices, side)
        found.append(Row("base", 256, f"v5e:{target}", (settings,), "growth"))
    found += [
        Row("large", 512, "h100:1x8", large_gpu),
        Row("base", 512, "v5e:16x16", (_settings(256, 16), _settings(256, 16, "blocks"))),
        Row("large", 256, "v5e:16x16", (_settings(256, 16), _settings(256, 16, "blocks"))),
        Row("base", 256, "a100-80gb:1x8", (_settings(64, 8),)),
        Row("base", 512, "a100-80gb:1x8", (_settings(64, 8), _settings(64, 8, "none", 2))),
        Row("large", 256, "a100-80gb:1x8", (_settings(64, 8), _settings(64, 8, "none", 2))),
        Row("base", 256, "h100:1x8", (_settings(64, 8),)),
        Row("base", 512, "h100:1x8", (_settings(64, 8), _settings(64, 8, "none", 2))),
        Row("large", 256, "h100:1x8", (_settings(64, 8), _settings(64, 8, "none", 2))),
        Row("base", 256, "v5p:4x4x8", (_settings(512, 16),)),
        Row("base", 512, "v5p:4x4x8", (_settings(256, 16),)),
        Row("large", 256, "v5p:4x4x8", (_settings(256, 16),)),
    ]
    return found


def compile_row(row: Row) -> list[dict[str, Any]]:
    """Plans of the row's attempts up to the first that fits; {"error": …} where one failed."""
    plans = []
    for settings in row.attempts:
        config = _CONFIGS[row.size]()
        config = changed(config, _COMMON | {"model.resolution": row.resolution} | settings)
        try:
            plan = make_plan(
                config,
                parse_target(row.target),
                Path(_CACHE.value),
                remedies=False,
                timeout_minutes=_TIMEOUT.value,
            ).to_json(IMAGES)
        except (PlanError, ValueError) as error:
            plan = {"error": str(error), "fits": False}
        plans.append(plan | {"asked": describe_fields(settings)})
        if plan["fits"]:
            break
    return plans


def main(_: list[str]) -> None:
    show_messages()
    # As an exception, so that the compiler that is running is stopped as well.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    path, started = _DOCS / "scale.json", time.monotonic()
    done: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    for row in rows():
        late = _MINUTES.value and time.monotonic() - started > _MINUTES.value * 60
        if not _TABLES.value and not late and _ONLY.value in row.name:
            done[row.name] = compile_row(row)
            path.write_text(json.dumps(done, indent=1) + "\n")
        write_tables(done)
    missing = [row.name for row in rows() if not _finished(done.get(row.name))]
    print(f"written to docs/scale.md; not compiled: {', '.join(missing) or 'none'}")


def _finished(plans: list[dict[str, Any]] | None) -> bool:
    return bool(plans) and not any("error" in plan for plan in plans)


def write_tables(done: dict[str, Any]) -> None:
    """Renews the tables in docs/scale.md, between their marks; the text around them is by hand."""
    path = _DOCS / "scale.md"
    text = path.read_text()
    for table in ("fits", "growth"):
        begin, end = f"<!-- {table} -->\n", f"<!-- end of {table} -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        chosen = [row for row in rows() if row.table == table]
        order = {"base": 0, "large": 1}
        chosen.sort(
            key=lambda row: (
                (parse_target(row.target).num_devices,)
                if table == "growth"
                else (order[row.size], row.resolution, row.target)
            )
        )
        lines = _HEADS[table] + [line for row in chosen for line in _lines(row, done, table)]
        text = before + begin + "\n".join(lines) + "\n" + end + after
    path.write_text(text)


_HEADS = {
    "fits": [
        "| model, px | target | settings | memory per device, GiB | fits | TFLOP per device | "
        "sent per device, MB (× least) | step, ms (bound by) | images a day | days |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ],
    "growth": [
        "| devices | target | images per step | memory per device, GiB | TFLOP per device | "
        "sent per device, MB (× least) | step, ms (bound by) | images a day |",
        "|---|---|---|---|---|---|---|---|",
    ],
}


def _lines(row: Row, done: dict[str, Any], table: str) -> list[str]:
    target = parse_target(row.target)
    start = f"{row.size}, {row.resolution} | {row.target}"
    if table == "growth":
        start = f"{target.num_devices} | {row.target}"
    if row.name not in done:
        return [f"| {start} | not compiled yet |" + " |" * (5 if table == "growth" else 7)]
    lines = []
    for plan in done[row.name]:
        if "error" in plan:
            lines.append(f"| {start} | {plan['asked']} | not compiled: {plan['error'][:80]} |")
            continue
        shown = _figures(plan)
        if table == "growth":
            cells = [str(plan["settings"]["batch_size"]), shown["memory"], *shown["cost"]]
        else:
            fits = "yes" if plan["fits"] else "no"
            days = f"{plan['days']:.2f}" if plan.get("days") else "–"
            cells = [plan["asked"], shown["memory"], fits, *shown["cost"], days]
        lines.append(f"| {start} | " + " | ".join(cells) + " |")
    return lines


def _figures(plan: dict[str, Any]) -> dict[str, Any]:
    memory = f"{plan['hbm_bytes'] / GIB:.2f} of {plan['hbm_capacity_bytes'] / GIB:.2f}"
    moved, least = plan["collective_bytes"], sum(plan["minimum_collective_bytes"].values())
    if moved is None:
        return {"memory": memory, "cost": [f"{plan['flops'] / 1e12:.3f}", "–", "–", "–"]}
    total = sum(moved.values())
    ratio = f" ({total / least:.2f})" if least else ""
    return {
        "memory": memory,
        "cost": [
            f"{plan['flops'] / 1e12:.3f}",
            f"{total / 1e6:,.0f}{ratio}",
            f"{plan['step_seconds'] * 1e3:,.0f} ({plan['bound_by']})",
            f"{plan['images_per_day']:,.0f}",
        ],
    }


if __name__ == "__main__":
    app.run(main)
