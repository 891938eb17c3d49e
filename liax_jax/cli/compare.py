"""`liax compare`: two evaluations of the same clips, and what their difference is worth."""

import argparse
import json
from pathlib import Path

from liax_jax.cli.parsing import Commands, add_command

_DESCRIPTION = """\
Compare two evaluations clip by clip: the mean difference over the clips that both have, and its
confidence interval.

RUN_A and RUN_B are folders that evaluate.py has written, of one protocol and the same clips.
"""
_EXAMPLES = """\
examples:
  liax compare results/lia results/lia-x
  liax compare results/lia results/lia-x --json > difference.json
"""


def register(commands: Commands) -> None:
    """Adds the command and its flags."""
    command = add_command(
        commands,
        "compare",
        run,
        help="compare two evaluations clip by clip",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    command.add_argument("run_a", metavar="RUN_A", type=Path, help="folder of an evaluation")
    command.add_argument("run_b", metavar="RUN_B", type=Path, help="folder of another")
    command.add_argument("--json", action="store_true", help="print it all as JSON")
    command.add_argument(
        "--most", type=int, default=5, metavar="N", help="clips listed a metric (default 5)"
    )
    command.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the resampling (default 0)"
    )


def run(args: argparse.Namespace) -> None:
    """Prints the comparison."""
    from liax_jax.evaluation.bootstrap import BootstrapOptions
    from liax_jax.evaluation.compare import compare, format_comparison

    result = compare(
        args.run_a, args.run_b, options=BootstrapOptions(seed=args.seed), most=args.most
    )
    print(json.dumps(result, indent=2) if args.json else format_comparison(result))
