"""`liax plan`: whether a run fits hardware that isn't there, and what it would take."""

import argparse
import ast
import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liax_jax.cli.model_flags import default_cache
from liax_jax.cli.parsing import Commands, add_command

if TYPE_CHECKING:
    from ml_collections import ConfigDict

_DESCRIPTION = """\
Compile a run's real training step for hardware that isn't there, and say per device what it needs:
memory against what there is, operations, communication, and the time that follows from published
rates. Where it doesn't fit, remedies are compiled too.

TARGET is KIND:TOPOLOGY: TPUs v4, v5e, v5p, v6e (v5e:16x16; v5e:16x16*2 for two slices), GPUs
a100-80gb, h100, h200 as nodes x GPUs (h100:1x8), or cpu:N. TPUs need the extra plan-tpu, GPUs
plan-gpu. Compiling takes minutes to an hour; results are kept and found again.
"""
_EXAMPLES = """\
examples:
  liax plan --config configs/lia_x_base.py --target v5e:4x4 --set batch_size=16
  liax plan --config configs/lia_x_large.py --target v5e:16x16 --set model.dtype=bfloat16 \\
      --set model.scan_blocks=True --set mesh.fsdp=16 --set batch_size=256 \\
      --set accumulation_steps=1 --images 94000000
"""


def register(commands: Commands) -> None:
    """Adds the command and its flags."""
    command = add_command(
        commands,
        "plan",
        run,
        help="say whether a run fits a TPU slice or GPUs, without them",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    command.add_argument("--config", required=True, type=Path, metavar="FILE", help="of the run")
    command.add_argument("--target", required=True, metavar="TARGET", help="e.g. v5e:16x16")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="another value for a field of the config, e.g. model.remat=blocks; can be repeated",
    )
    command.add_argument("--images", type=int, metavar="N", help="say how many days N images take")
    command.add_argument(
        "--utilisation",
        type=float,
        metavar="SHARE",
        help="assumed share of the peak rate, above 0 and up to 1 (default 0.4)",
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.add_argument(
        "--no-remedies", action="store_true", help="where it doesn't fit, only say by how much"
    )
    command.add_argument(
        "--full-optimisation",
        action="store_true",
        help="compile as a run would (TPU: takes about three times as long)",
    )
    command.add_argument(
        "--timeout",
        type=float,
        default=240.0,
        metavar="MINUTES",
        help="for one compilation (default 240)",
    )
    command.add_argument(
        "--cache",
        type=Path,
        default=default_plan_cache(),
        metavar="DIR",
        help=f"results are kept here and found again (default {default_plan_cache()})",
    )
    command.add_argument("--no-cache", action="store_true", help="compile anew, and keep nothing")
    command.add_argument(
        "--dump", type=Path, metavar="FILE", help="write the compiled program's text there"
    )


def default_plan_cache() -> Path:
    """Below the user's cache folder."""
    return default_cache().with_name("plans")


def run(args: argparse.Namespace) -> None:
    """Plans and prints."""
    from liax_jax.planning.plan import DEFAULT_UTILISATION, changed, make_plan
    from liax_jax.planning.report import report
    from liax_jax.planning.targets import parse_target

    if args.images is not None and args.images < 1:
        raise ValueError(f"--images {args.images}: must be 1 or more")
    target = parse_target(args.target)
    config = changed(read_config(args.config), dict(map(parse_field, args.set)))
    plan = make_plan(
        config,
        target,
        None if args.no_cache else args.cache,
        utilisation=DEFAULT_UTILISATION if args.utilisation is None else args.utilisation,
        remedies=not args.no_remedies,
        quick=not args.full_optimisation,
        timeout_minutes=args.timeout,
        dump=args.dump,
    )
    if args.json:
        print(json.dumps(plan.to_json(args.images), indent=2))
    else:
        print("\n".join(report(plan, args.images)))


def read_config(path: Path) -> "ConfigDict":
    """The config of a file with `get_config()`, as train.py takes them.

    Raises:
      ValueError: there is no such file, or it isn't a config.
    """
    if not path.is_file():
        raise ValueError(f"there is no config file {path}")
    # Configs are deltas on one another: `from configs import default`, as train.py sees it.
    for folder in (str(Path.cwd()), str(path.resolve().parent.parent)):
        if folder not in sys.path:
            sys.path.append(folder)
    spec = importlib.util.spec_from_file_location(f"liax_plan_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "get_config"):
        raise ValueError(f"{path} has no get_config(); give a file like those of configs/")
    return module.get_config()


def parse_field(text: str) -> tuple[str, Any]:
    """ "model.remat=blocks" → its name and its value, as Python reads it where it can."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError(f"--set {text}: write FIELD=VALUE, e.g. model.remat=blocks")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value
