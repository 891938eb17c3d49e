"""Speed: frames a second of encoding, decoding and both, over batch sizes.

Absolute rates are of one machine. So a plain 3×3 convolution is timed in the same run, in turn with
the model, and each rate stands beside the share of the convolution's arithmetic rate it reaches.
"""

import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from liax_jax.evaluation.errors import EvaluationError, unwritable
from liax_jax.evaluation.program import device_name, package_version
from liax_jax.evaluation.reenactment import ReenactmentFns
from liax_jax.evaluation.run_folder import RESULTS_NAME, RUN_NAME, write_whole
from liax_jax.evaluation.summary import Context
from liax_jax.evaluation.timing import convolution_flops, median_seconds, plain_convolution

NAME = "speed"
PARTS = ("encode", "decode", "whole")
DEFAULT_BATCH_SIZES = (1, 4, 16)
_TABLE_NAME = "table.txt"


def speed(
    fns: ReenactmentFns,
    resolution: int,
    *,
    out_dir: str | os.PathLike[str],
    context: Context,
    batch_sizes: Sequence[int] = DEFAULT_BATCH_SIZES,
    repeats: int = 5,
    progress: bool = True,
) -> dict[str, Any]:
    """Times the model on frames in memory, on one device; the source is encoded once before.

    Args:
      resolution: of the model.
      out_dir: gets results.json and table.txt.
      batch_sizes: driving frames per call.
      repeats: of each measurement; the median counts.

    Returns:
      What results.json holds: "parameters" and for each batch size and part ("encode" driving
      frames to coefficients, "decode" coefficients to frames, "whole" both) frames a second and
      share of the plain convolution's rate.

    Raises:
      ValueError: a batch size below 1.
      EvaluationError: the folder can't be written to, or holds an evaluation of clips, or results
        that no measurement of speed has made.
    """
    out_dir = pathlib.Path(out_dir)
    _refuse_foreign(out_dir)
    if not batch_sizes or min(batch_sizes) < 1:
        raise ValueError(f"batch sizes must be at least 1, got {list(batch_sizes)}")
    convolution, flops = plain_convolution()
    source = jnp.zeros((1, resolution, resolution, 3))
    z_s2r, features = fns.encode(source)
    figures, baseline = {}, []
    for batch_size in batch_sizes:
        driving = jnp.zeros((batch_size, resolution, resolution, 3))
        alpha = fns.coefficients(driving)

        def whole(driving: jax.Array = driving) -> jax.Array:
            return fns.render(z_s2r, features, fns.coefficients(driving))

        runs = {
            "encode": lambda driving=driving: fns.coefficients(driving),
            "decode": lambda alpha=alpha: fns.render(z_s2r, features, alpha),
            "whole": whole,
        }
        seconds = median_seconds({**runs, "convolution": convolution}, repeats)
        rate = flops / seconds["convolution"]
        baseline.append(rate)
        figures[str(batch_size)] = {
            part: {
                "frames_per_second": batch_size / seconds[part],
                "share_of_convolution_rate": convolution_flops(run) / seconds[part] / rate,
            }
            for part, run in runs.items()
        }
    device = jax.devices()[0]
    results = {
        "protocol": {
            "name": NAME,
            "resolution": resolution,
            "repeats": repeats,
            "frames": "in memory, float32, one device; medians",
            "share_of_convolution_rate": (
                "multiplications and additions of the part's convolutions and matrix products a "
                "second, over those of a 3x3 convolution of 256 channels at 64 px in the same run"
            ),
        },
        "model": dict(context.model),
        "title": context.title,
        "device": f"{device_name(device)}, {os.cpu_count()} CPU cores",
        "jax": jax.__version__,
        "liax_jax": package_version(),
        "convolution_gflops_per_second": float(np.median(baseline)) / 1e9,
        "parameters": context.model.get("parameters"),
        "batch_sizes": figures,
    }
    table = format_speed(results)
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(out_dir, error) from error
    # First what says whose they are.
    write_whole(out_dir / RESULTS_NAME, json.dumps(results, indent=2) + "\n")
    write_whole(out_dir / _TABLE_NAME, table + "\n")
    if progress:
        print(table)
    return results


def _refuse_foreign(out_dir: pathlib.Path) -> None:
    """What this would replace has to be an earlier measurement of speed."""
    if (out_dir / RUN_NAME).exists():
        raise EvaluationError(
            f"{out_dir} holds an evaluation of clips, whose results this would replace; choose "
            "another --out"
        )
    there = [name for name in (RESULTS_NAME, _TABLE_NAME) if (out_dir / name).exists()]
    if there and not _is_own(out_dir / RESULTS_NAME):
        raise EvaluationError(
            f"{out_dir} holds no measurement of speed, but a file {there[0]!r}, which this would "
            "replace; choose another --out"
        )


def _is_own(path: pathlib.Path) -> bool:
    try:
        return json.loads(path.read_text())["protocol"]["name"] == NAME
    except (OSError, ValueError, LookupError, TypeError):
        return False


def format_speed(results: dict[str, Any]) -> str:
    """A text table of the figures."""
    count = results["parameters"]
    lines = [
        f"speed: {results['protocol']['resolution']} px, {results['device']}, "
        f"{'unknown' if count is None else format(count, ',')} parameters",
        "frames a second, and share of a plain convolution's rate",
        " ".join(["batch", *(f"{part:>16}" for part in PARTS)]),
    ]
    for batch_size, parts in results["batch_sizes"].items():
        cells = [
            f"{parts[part]['frames_per_second']:9.2f} "
            f"({parts[part]['share_of_convolution_rate']:4.2f})"
            for part in PARTS
        ]
        lines.append(" ".join([f"{batch_size:>5}", *(f"{cell:>16}" for cell in cells)]))
    return "\n".join(lines)
