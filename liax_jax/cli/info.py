"""`liax info`: what a checkpoint is."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from liax_jax.cli.parsing import Commands, add_command

if TYPE_CHECKING:
    from liax_jax.directions import DirectionCard
    from liax_jax.model_files import ModelFile

_DESCRIPTION = """\
Say what a model is: family, size, resolution, training step, license, and its directions.

CHECKPOINT is a model directory, a .safetensors, a published .pt, or the workdir of a training run.
"""
_EXAMPLES = """\
example:
  liax info lia-x
"""


def register(commands: Commands) -> None:
    """Adds the command and its flags."""
    command = add_command(
        commands,
        "info",
        run,
        help="say what a checkpoint is, and name its directions",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    command.add_argument("checkpoint", metavar="CHECKPOINT", type=Path, help="the model")
    command.add_argument("--json", action="store_true", help="print it all as JSON")


def run(args: argparse.Namespace) -> None:
    """Prints the description."""
    from liax_jax.model_files import num_parameters, read_model

    model = read_model(args.checkpoint)
    if args.json:
        card = json.loads(model.record.card.to_json())
        text = model.record.to_json(parameters=num_parameters(model.params), directions=card)
        print(text)
        return
    print("\n".join([*summary(model), *_direction_lines(model.record.card)]))


def summary(model: "ModelFile") -> list[str]:
    """A line for each property of a model."""
    from liax_jax.directions import RELEASED_LIA_X
    from liax_jax.model_files import num_parameters
    from liax_jax.model_record import FAMILY_NAMES

    record, config = model.record, model.record.config
    size = f"width {config.width:g}"
    if config.family == "lia_x":
        size += f", {config.num_blocks} block{'s' * (config.num_blocks != 1)} a level"
    named = len(record.card.named)
    names = f"{named} named" if named else "none named"
    if record.card == RELEASED_LIA_X:
        names += " as the released LIA-X's, which has the size of this model"
    lines = {
        "model": f"{FAMILY_NAMES[config.family]}, {num_parameters(model.params):,} parameters, "
        + size,
        "pictures": f"{config.resolution} × {config.resolution} pixels",
        "directions": f"{config.num_vectors}, {names}",
        "step": "not known" if record.step is None else f"{record.step:,}",
        "origin": record.origin,
        "license": record.license or "none stated (a model of your own)",
        "read from": model.kind,
        "fingerprint": record.fingerprint,
    }
    return [f"{name + ':':13}{value}" for name, value in lines.items()]


def _direction_lines(card: "DirectionCard") -> list[str]:
    """The directions with a name or a measured range, as a table."""
    if not card.directions:
        return []
    rows = [("index", "name", "group", "useful range", "meaning")]
    for d in sorted(card.directions, key=lambda d: d.index):
        turned = " (sign turned)" if d.sign < 0 else ""
        sure = "" if d.confidence is None else f" (confidence {d.confidence:.2f})"
        meaning = d.meaning + turned + sure
        rows.append((str(d.index), d.name, d.group, f"{d.low:g} … {d.high:g}", meaning))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    return ["", *(line.rstrip() for line in lines)]
