"""`liax readability`: how sparse a model's coefficients are, and how well they follow factors."""

import argparse
import json
import statistics
from pathlib import Path
from typing import TYPE_CHECKING

from liax_jax.cli.parsing import Commands, add_command
from liax_jax.cli.probe_flags import add_probe_flags, check_at_least, read_codes

if TYPE_CHECKING:
    from liax_jax.interpretability.disentanglement import Disentanglement
    from liax_jax.interpretability.sparsity import Sparsity

_DESCRIPTION = """\
Measure how readable the directions of a model are: how few of them move a picture, and, on drawn
portraits (--data procedural, or a run trained on them), how well single coefficients stand for
single factors of motion.

Each figure stands beside its control, the same codes in random bases: only what lies above it is
owed to the choice of directions. docs/readability.md explains the measures. The forest and the
lasso need scikit-learn: pip install 'liax-jax[interpret]'
"""
_EXAMPLES = """\
examples:
  liax readability runs/portraits --data procedural
  liax readability lia-x --data videos
  liax readability runs/portraits --data procedural --distribution laplacian --json
"""


def register(commands: Commands) -> None:
    """Adds the command and its flags."""
    command = add_command(
        commands,
        "readability",
        run,
        help="measure sparsity and disentanglement, with controls",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    command.add_argument("checkpoint", metavar="CHECKPOINT", type=Path, help="the model")
    command.add_argument(
        "--regressors",
        default="ridge,forest",
        metavar="LIST",
        help="of ridge, lasso and forest, for DCI (default ridge,forest)",
    )
    command.add_argument(
        "--rotations", type=int, default=10, metavar="N", help="random bases (default 10)"
    )
    command.add_argument(
        "--bootstrap",
        type=int,
        default=40,
        metavar="N",
        help="resamplings for the intervals, 0 for none (default 40)",
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    add_probe_flags(command, kind="deviations")


def run(args: argparse.Namespace) -> None:
    """Measures and prints."""
    from liax_jax.interpretability.disentanglement import excess_kurtosis, measure_disentanglement
    from liax_jax.interpretability.predictors import check_regressors, require_sklearn
    from liax_jax.interpretability.sparsity import measure_sparsity

    check_at_least(1, rotations=args.rotations)
    if args.bootstrap < 0 or args.bootstrap == 1:
        raise ValueError(f"--bootstrap {args.bootstrap}: must be 2 or more, or 0 for none")
    regressors = tuple(name.strip() for name in args.regressors.split(",") if name.strip())
    check_regressors(regressors)
    if set(regressors) - {"ridge"}:
        require_sklearn()
    (codes,) = read_codes(args, [args.checkpoint], with_factors=True)
    codes = codes.of_kind(args.codes)
    sparsity = measure_sparsity(codes.alpha, args.rotations, args.seed)
    scores = None
    if codes.factors is not None:
        scores = measure_disentanglement(
            codes,
            regressors=regressors,
            rotations=args.rotations,
            bootstrap=args.bootstrap,
            seed=args.seed,
        )
    kurtosis = excess_kurtosis(codes.alpha)
    if args.json:
        report = {
            "checkpoint": str(args.checkpoint),
            "codes": args.codes,
            "frames": len(codes.alpha),
            "sparsity": sparsity.to_json(),
            "excess_kurtosis": kurtosis.tolist(),
            "disentanglement": scores.to_json() if scores else None,
        }
        print(json.dumps(report, indent=2))
        return
    size = codes.alpha.shape[1]
    print(f"{len(codes.alpha)} frames, {size} vectors, {sparsity.num_moving} of them moving")
    print("\n".join(_sparsity_lines(sparsity)))
    print(f"excess kurtosis of coefficients: median {statistics.median(kurtosis):.2f}")
    if scores:
        print("\n".join(_score_lines(scores)))
    else:
        print("no factors are known of these clips, so nothing is said about them")


def _sparsity_lines(found: "Sparsity") -> list[str]:
    lines = ["", f"{'sparsity of a frame':34} {'value':>7} {'':15} {'control':>7}"]
    for name, value in found.values.items():
        words = name.replace("_", " ")
        lines.append(f"  {words:32} {value:7.3f} {'':15} {found.control[name]:7.3f}")
    lines.append(f"  {'vectors used by all frames':32} {found.used_vectors:7.3f}")
    return lines


def _score_lines(found: "Disentanglement") -> list[str]:
    lines = ["", f"{'scores against factors':34} {'value':>7} {'95 %':15} {'control':>7} range"]
    for name, score in found.scores.items():
        between = "" if score.interval is None else "{:.3f} … {:.3f}".format(*score.interval)
        low, high = score.control_range
        lines.append(
            f"  {name.replace('_', ' '):32} {score.value:7.3f} {between:15} {score.control:7.3f} "
            f"{low:.3f} … {high:.3f}"
        )
    kinds = list(found.predictions)
    lines += ["", f"{'factor':12} {'kurtosis':>8}" + "".join(f" {'R² ' + k:>10}" for k in kinds)]
    lines[-1] += "  most informative vector"
    for j, name in enumerate(found.factor_names):
        best = int(found.information[:, j].argmax())
        r2 = "".join(f" {found.predictions[kind].r2[j]:10.2f}" for kind in kinds)
        share = found.information[best, j]
        lines.append(f"{name:12} {found.kurtosis[j]:8.2f}{r2}  {best} ({share:.2f})")
    return lines
