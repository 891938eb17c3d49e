"""`liax weights`: published weights of the networks that metrics need."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liax_jax.cli.parsing import Commands, Parser, add_command

if TYPE_CHECKING:
    from liax_jax.metrics.weights_store import Network, WeightsStore

_DESCRIPTION = """\
Keep the weights of the networks that metrics need (LPIPS, FID, …) in a folder of this machine.

They are published by their authors; get the files there ('liax weights list' says where) and
import them once. They are checked name by name and kept as safetensors, with the SHA-256 of the
published files, which every result states. Nothing in the files is executed.
"""
_EXAMPLES = """\
examples:
  liax weights list
  liax weights import lpips alexnet-owt-7be5be79.pth alex.pth
  liax weights import inception pt_inception-2015-12-05-6726825d.pth
"""


def register(commands: Commands) -> None:
    """Adds the command and its own commands."""
    command = add_command(
        commands,
        "weights",
        run_list,
        help="import the weights of the metrics' networks, and list them",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    actions = command.add_subparsers(
        dest="action", required=True, metavar="ACTION", parser_class=Parser
    )
    take = actions.add_parser("import", help="check published files and keep what is needed")
    take.add_argument("network", metavar="NAME", help="as 'liax weights list' names it")
    take.add_argument("files", metavar="FILE", type=Path, nargs="+", help="published files")
    take.add_argument("--overwrite", action="store_true", help="replace weights that are there")
    take.set_defaults(run=run_import)
    show = actions.add_parser("list", help="which weights are there, and where to get the others")
    show.set_defaults(run=run_list)
    for action in (take, show):
        action.add_argument(
            "--folder",
            type=Path,
            help="where they are kept (default: $LIAX_CACHE/weights or ~/.cache/liax_jax/weights)",
        )


def run_import(args: argparse.Namespace) -> None:
    """Imports, and prints what was read and written, with hashes."""
    store = _store(args)
    name, provenance = store.import_files(args.network, args.files, overwrite=args.overwrite)
    for source, digest in provenance["sources"].items():
        print(f"read     {source}\n         SHA-256 {digest}")
    print(f"written  {store.path(name)}\n         SHA-256 {provenance['sha256']}")


def run_list(args: argparse.Namespace) -> None:
    """Prints each network, what it is for, and its files or where they are published."""
    from liax_jax.metrics.registry import METRICS
    from liax_jax.metrics.weights_store import NETWORKS

    store = _store(args)
    print(f"weights in {store.folder}")
    for network in NETWORKS:
        users = [name for name, metric in METRICS.items() if network.name in metric.networks]
        purpose = f"metric {', '.join(users)}" if users else network.purpose
        provenance, damage = _provenance(store, network.name)
        if damage:
            print(f"\n{network.name}: DAMAGED ({damage}) ({purpose})")
            _print_how_to_get(network, overwrite=True)
            continue
        print(f"\n{network.name}: {'there' if provenance else 'MISSING'} ({purpose})")
        if provenance:
            print(f"  {store.path(network.name).name}  SHA-256 {provenance['sha256']}")
            for source, digest in provenance["sources"].items():
                print(f"  from {source}  SHA-256 {digest}")
        else:
            _print_how_to_get(network)


def _provenance(store: "WeightsStore", name: str) -> tuple[Mapping[str, Any] | None, str]:
    """Of a network's weights, None where they aren't there; and why the file can't be used."""
    try:
        return store.provenance(name), ""
    except (ValueError, OSError) as error:
        return None, " ".join(str(error).split())
    except (LookupError, TypeError):
        return None, f"{store.path(name)} doesn't say what it was made of"


def _print_how_to_get(network: "Network", overwrite: bool = False) -> None:
    print(f"  get      {' and '.join(network.files)}")
    print(f"  from     {network.home}")
    print(f"  then     {network.import_command}{' --overwrite' if overwrite else ''}")


def _store(args: argparse.Namespace) -> "WeightsStore":
    from liax_jax.metrics.weights_store import WeightsStore

    return WeightsStore(args.folder)
