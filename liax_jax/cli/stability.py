"""`liax stability`: whether training again finds the same coefficients."""

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from liax_jax.cli.parsing import Commands, add_command
from liax_jax.cli.probe_flags import add_probe_flags, check_at_least, read_codes

if TYPE_CHECKING:
    from liax_jax.interpretability.stability import Stability

_DESCRIPTION = """\
Compare the coefficients that several models give the same frames: whether runs that differ in their
seed alone find the same directions, in any order and with any sign. Motion vectors themselves are
never compared, since every run has a latent space of its own.

Each figure stands beside its control, the same codes in random bases. docs/readability.md explains
them. The lasso of UDR needs scikit-learn: pip install 'liax-jax[interpret]'
"""
_EXAMPLES = """\
examples:
  liax stability runs/seed0 runs/seed1 runs/seed2 --data procedural
  liax stability runs/seed0 runs/seed1 --data records --similarity correlation --json
"""
_SHOWN = 10


def register(commands: Commands) -> None:
    """Adds the command and its flags."""
    command = add_command(
        commands,
        "stability",
        run,
        help="compare the directions of several runs by their coefficients",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    command.add_argument("runs", metavar="RUN", nargs="+", type=Path, help="two or more models")
    command.add_argument(
        "--similarity",
        choices=("correlation", "lasso", "both"),
        default="both",
        help="of coefficients, for UDR (default both)",
    )
    command.add_argument(
        "--rotations", type=int, default=10, metavar="N", help="random bases (default 10)"
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    add_probe_flags(command, kind="deviations")


def run(args: argparse.Namespace) -> None:
    """Compares and prints."""
    from liax_jax.interpretability.predictors import require_sklearn
    from liax_jax.interpretability.stability import SIMILARITIES, measure_stability

    if len(args.runs) < 2:
        raise ValueError("name two or more runs: stability compares them")
    check_at_least(1, rotations=args.rotations)
    if args.similarity != "correlation":
        require_sklearn()
    kinds = SIMILARITIES if args.similarity == "both" else (args.similarity,)
    codes = [found.of_kind(args.codes) for found in read_codes(args, args.runs)]
    found = measure_stability(
        [one.alpha for one in codes],
        codes[0].group,
        similarities=kinds,
        rotations=args.rotations,
        seed=args.seed,
    )
    if args.json:
        named = {"runs": [str(path) for path in args.runs], "codes": args.codes}
        print(json.dumps(named | {"frames": len(codes[0].alpha)} | found.to_json(), indent=2))
    else:
        print("\n".join(_report(args, len(codes[0].alpha), found)))


def _report(args: argparse.Namespace, frames: int, found: "Stability") -> list[str]:
    from liax_jax.interpretability.predictors import LEAST_GROUPS

    lines = [f"{frames} frames ({args.codes}); in brackets the same codes in random bases"]
    for number, path in enumerate(args.runs):
        udr = ", ".join(f"UDR ({kind}) {values[number]:.3f}" for kind, values in found.udr.items())
        lines.append(f"run {number}: {path}, {found.used[number]} vectors used, {udr}")
    for pair in found.pairs:
        udr = "".join(
            f", UDR ({kind}) {value:.3f} ({pair.udr_control[kind]:.3f})"
            for kind, value in pair.udr.items()
        )
        linear = "–" if math.isnan(pair.linear_r2) else f"{pair.linear_r2:.3f}"
        lines.append(
            f"{pair.runs[0]} and {pair.runs[1]}: matched |correlation| {pair.matched:.3f} "
            f"({pair.matched_control:.3f}){udr}, linear R² {linear}"
        )
        best = (f"{i}~{j} {value:+.2f}" for i, j, value in pair.matches[:_SHOWN])
        lines.append("  best pairs: " + ", ".join(best))
    if any(math.isnan(pair.linear_r2) for pair in found.pairs):
        lines.append(
            f"linear R² is measured on people kept apart: it takes {LEAST_GROUPS} people or clips"
        )
    if len(found.pairs) > 1:
        lines.append(f"mean over pairs: {found.matched:.3f} ({found.matched_control:.3f})")
    return lines
