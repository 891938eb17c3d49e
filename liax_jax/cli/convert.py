"""`liax convert`: models between the published files and ours, both ways."""

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from liax_jax.cli.parsing import Commands, add_command

if TYPE_CHECKING:
    from liax_jax.directions import DirectionCard
    from liax_jax.model_files import ModelFile

_DESCRIPTION = """\
Turn a model from one kind of file into another.

IN is a published LIA-X or LIA file (.pt, .pth or .safetensors), a model directory, a .safetensors
of this program, or the workdir of a training run (its newest checkpoint; the averaged parameters,
where there are any). OUT, by its ending:

  .safetensors  one file, with our names or, with --published-names, the published ones
  .pt, .pth     the published names, for the published code
  otherwise     a model directory: parameters, description, and directions.json to name directions

A published model that goes to any of these and back to the published names has the same bits.
Nothing in a .pt is ever executed. Converted weights keep the license of the published ones.
"""
_EXAMPLES = """\
examples:
  liax convert lia-x.pt lia-x
  liax convert runs/portraits portraits.safetensors
  liax convert lia-x back.pt
"""


def register(commands: Commands) -> None:
    """Adds the command and its flags."""
    command = add_command(
        commands,
        "convert",
        run,
        help="turn published weights into ours, and back",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    command.add_argument("source", metavar="IN", type=Path, help="the model to read")
    command.add_argument("out", metavar="OUT", type=Path, help="file or directory to make")
    command.add_argument(
        "--published-names",
        action="store_true",
        help="for a .safetensors: names and layouts of the published code",
    )
    command.add_argument(
        "--directions",
        metavar="FILE",
        help="direction card (JSON) to put into OUT, or 'none' for no names (default: that of IN)",
    )
    command.add_argument("--overwrite", action="store_true", help="replace OUT if it is there")


def run(args: argparse.Namespace) -> None:
    """Converts, and prints what the model is."""
    from liax_jax.cli.info import summary
    from liax_jax.model_files import read_model, save_model

    model = read_model(args.source)
    if args.directions is not None:
        card = _chosen_card(args.directions, model)
        model = model._replace(record=dataclasses.replace(model.record, card=card))
    save_model(
        args.out,
        model.record,
        model.params,
        model.extras,
        published_names=args.published_names,
        overwrite=args.overwrite,
    )
    print("\n".join([*summary(model), f"written: {args.out}"]))


def _chosen_card(choice: str, model: "ModelFile") -> "DirectionCard":
    from liax_jax.directions import DirectionCard, read_card

    if choice == "none":
        return DirectionCard(model.record.config.num_vectors)
    return read_card(choice)
