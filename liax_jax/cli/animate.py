"""`liax animate`: a portrait, moved as a video, a picture or a motion file says."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from liax_jax.cli.model_flags import (
    add_edit_flags,
    add_framing_flags,
    add_model_flags,
    add_output_flags,
    framing_of,
    open_stream,
    parse_color,
    parse_edits,
)
from liax_jax.cli.parsing import Commands, add_command

if TYPE_CHECKING:
    from liax_jax.animation.produce import AnimateOptions

_DESCRIPTION = """\
Animate a portrait.

The source's motion starts from its own pose and follows the change in the driving (relative, the
default), or takes the driving's pose and expression over as they are (--absolute). The source can
be edited first: by hand with --edit, or by --align, which finds the edit that brings it to the
driving's first frame.
"""
_EXAMPLES = """\
examples:
  liax animate --checkpoint lia-x --source me.png --driving talk.mp4 --out me_talking.mp4
  liax animate --checkpoint lia-x --source me.png --driving talk.mp4 --out out.mp4 \\
      --edit yaw=0.3 --edit 25=-0.1 --absolute mouth,eyes
  liax animate --checkpoint lia-x --source me.png --driving talk.mp4 --out out.mp4 --align pose
  liax animate --checkpoint lia-x --source group.jpg --face all --driving talk.npz --out out.webm
"""


def register(commands: Commands) -> None:
    """Adds the command and its flags."""
    command = add_command(
        commands,
        "animate",
        run,
        help="animate a portrait by a video, a picture or a motion file",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    command.add_argument("--source", required=True, type=Path, metavar="IMG", help="the portrait")
    command.add_argument(
        "--driving",
        required=True,
        type=Path,
        metavar="FILE",
        help="video, picture, folder of numbered pictures, or motion file (.npz)",
    )
    add_output_flags(command)
    motion = command.add_argument_group("motion")
    motion.add_argument(
        "--absolute",
        action="append",
        default=[],
        metavar="NAMES",
        help="directions or groups taken over as they are, separated by commas, such as "
        "mouth,eyes; or all (default: all motion is relative to the first frame)",
    )
    motion.add_argument(
        "--strength", type=float, default=1.0, metavar="X", help="1 as driven, 0 none (default 1)"
    )
    motion.add_argument(
        "--smooth",
        type=float,
        default=0.0,
        metavar="FRAMES",
        help="smooth the motion over time by a Gaussian of this sigma (default 0)",
    )
    add_edit_flags(command, required=False)
    command.add_argument(
        "--align",
        metavar="WHAT",
        help="find the edit that brings the source to the driving's first frame, along: pose, "
        "expression, other groups or names, all, or the K directions that matter most",
    )
    add_framing_flags(command, "source")
    add_framing_flags(command, "driving", "driving-")
    add_model_flags(command)


def animate_options(args: argparse.Namespace) -> "AnimateOptions":
    """The flags as options. Raises ValueError where they contradict each other."""
    from liax_jax.animation.align import parse_align
    from liax_jax.animation.produce import AnimateOptions

    if args.smooth < 0:
        raise ValueError(f"--smooth {args.smooth:g}: the number of frames can't be negative")
    align, limit = parse_align(args.align) if args.align is not None else (None, None)
    return AnimateOptions(
        edits=parse_edits(args.edit),
        strict=args.strict,
        align=align,
        align_limit=limit,
        absolute=",".join(args.absolute),
        strength=args.strength,
        smooth=args.smooth,
        source_framing=framing_of(args),
        driving_framing=framing_of(args, "driving_"),
        paste_back=args.paste_back,
        compare=args.compare,
        background=parse_color(args.background),
        quality=args.quality,
    )


def run(args: argparse.Namespace) -> None:
    """Animates and says how long it took."""
    from liax_jax.animation import produce

    options = animate_options(args)
    stream = open_stream(args)
    report = produce.animate_file(stream, args.source, args.driving, args.out, options)
    for found in report.alignments:
        print(
            f"aligned: {found.flags() or 'nothing to edit'} (distance to the driving's first "
            f"frame {found.distance_before:.2f} -> {found.distance_after:.2f})"
        )
    if report.alignments:
        print(f"before and after: {produce.alignment_path(args.out)}")
    print(f"{args.out}: {report.line()}")
