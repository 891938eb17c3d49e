"""`liax rotate`: the same model in the basis whose coefficients are simplest."""

import argparse
import json
from pathlib import Path

from liax_jax.cli.parsing import Commands, add_command
from liax_jax.cli.probe_flags import add_probe_flags, check_at_least, read_codes

_DESCRIPTION = """\
Turn the motion dictionary of a model to other axes of the same space, so that its coefficients on
some frames are as simple as they get. All pictures stay as they are, to rounding: motion is
w = Q α, and any rotation R gives the same w by Q R and coefficients turned back by R. Only what the
single directions mean changes: OUT has no names of directions, but ranges measured on the frames.

CRITERION, of the coefficients on the frames of --data:

  l1       least mean |α|; with --codes frames what the training penalty of LIA-X weighs (eq. 9)
  varimax  largest variance of α²
  ica      least entropy of each: as independent as rotations make them (no whitening, which would
           change the lengths of the vectors)
  pca      principal axes: uncorrelated, and no more
  random   any basis: the control

By default coefficients count as deviations from the mean of their clip: what moves, without who it
is. OUT is a model directory or a .safetensors, which all commands read.
"""
_EXAMPLES = """\
examples:
  liax rotate runs/portraits portraits-l1 --data records
  liax rotate lia.pt lia-ica.safetensors --criterion ica --data videos
  liax rotate runs/portraits portraits-random --criterion random --seed 3 --data records
"""


def register(commands: Commands) -> None:
    """Adds the command and its flags."""
    command = add_command(
        commands,
        "rotate",
        run,
        help="turn a model's directions to the sparsest axes; the same pictures",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    command.add_argument("checkpoint", metavar="CHECKPOINT", type=Path, help="the model")
    command.add_argument("out", metavar="OUT", type=Path, help="file or directory to make")
    command.add_argument(
        "--criterion",
        default="l1",
        choices=("l1", "varimax", "ica", "pca", "random"),
        help="what to minimise (default l1)",
    )
    command.add_argument(
        "--restarts", type=int, default=4, metavar="N", help="random starts (default 4)"
    )
    command.add_argument("--overwrite", action="store_true", help="replace OUT if it is there")
    command.add_argument(
        "--json", action="store_true", help="print one JSON object, with the rotation in it"
    )
    add_probe_flags(command, kind="deviations")


def run(args: argparse.Namespace) -> None:
    """Rotates, writes, and prints what changed."""
    import numpy as np

    from liax_jax.interpretability.contrasts import CONTRASTS
    from liax_jax.interpretability.rotated_model import refuse_published_names, rotated_model
    from liax_jax.interpretability.rotation import find_rotation
    from liax_jax.interpretability.sparsity import measure_sparsity
    from liax_jax.model_files import check_output, read_model, save_model

    check_at_least(0, restarts=args.restarts)
    refuse_published_names(args.out)
    check_output(args.out, args.overwrite)
    model = read_model(args.checkpoint)
    (codes,) = read_codes(args, [args.checkpoint])
    alpha = codes.of_kind(args.codes).alpha
    found = find_rotation(alpha, args.criterion, restarts=args.restarts, seed=args.seed)
    clips = [codes.alpha[codes.clip == number] for number in np.unique(codes.clip)]
    how = args.criterion if args.criterion != "random" else f"random (seed {args.seed})"
    turned = rotated_model(model, found.matrix, how, clips)
    save_model(args.out, turned.record, turned.params, turned.extras, overwrite=args.overwrite)
    before = measure_sparsity(alpha, seed=args.seed)
    after = measure_sparsity(alpha @ found.matrix, seed=args.seed)
    if args.json:
        report = {
            "criterion": args.criterion,
            "codes": args.codes,
            "frames": len(alpha),
            "mean_abs_alpha": {"before": found.before, "after": found.after},
            "sparsity": {"before": before.to_json(), "after": after.to_json()},
            "starts": [{"name": s.name, "values": s.values} for s in found.starts],
            "matrix": found.matrix.tolist(),
            "from": model.record.fingerprint,
            "fingerprint": turned.record.fingerprint,
            "out": str(args.out),
        }
        print(json.dumps(report, indent=2))
        return
    print(f"{len(alpha)} frames, {len(clips)} clips, {alpha.shape[1]} directions ({args.codes})")
    print(f"{'':20} {'before':>9} {'after':>9} {'random':>9}")
    print(f"{'mean |α|':20} {found.before:9.4f} {found.after:9.4f}")
    for name, value in before.values.items():
        row = (value, after.values[name], before.control[name])
        print(f"{name.replace('_', ' '):20}" + "".join(f" {number:9.3f}" for number in row))
    if found.starts:
        print(f"{args.criterion}: {CONTRASTS[args.criterion].meaning}; where each start ended:")
    for start in found.starts:
        first, last = start.values[0], start.values[-1]
        print(f"  {start.name:16} {first:.6f} → {last:.6f}, {len(start.values) - 1} steps")
    print(f"written: {args.out} ({turned.record.origin})")
