"""`liax edit`, `edit-video`, `reconstruct` and `traverse`."""

import argparse
import math
from pathlib import Path

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


def register(commands: Commands) -> None:
    """Adds the commands and their flags."""
    command = add_command(
        commands,
        "edit",
        _edit,
        help="edit a portrait along named directions",
        description="Edit a portrait: turn the head, open the mouth, close the eyes (eq. 11).",
        examples="examples:\n"
        "  liax edit --checkpoint lia-x --source me.png --edit yaw=0.3 --out turned.png\n"
        "  liax edit --checkpoint lia-x --source me.png --edit 25=-0.2 --edit eyes=0.2 "
        "--out b.png --compare\n",
    )
    command.add_argument("--source", required=True, type=Path, metavar="IMG", help="the portrait")
    add_output_flags(command, pictures_only=True)
    add_edit_flags(command, required=True)
    add_framing_flags(command, "source")
    add_model_flags(command)

    command = add_command(
        commands,
        "edit-video",
        _edit_video,
        help="edit every frame of a video along named directions",
        description="Edit a video. Every frame is edited with its own code and features; with "
        "--transfer the first frame is, and the video's motion is carried over to it (eq. 10).",
        examples="example:\n"
        "  liax edit-video --checkpoint lia-x --video me.mp4 --edit smile=0.3 --out smiling.mp4\n",
    )
    command.add_argument("--video", required=True, type=Path, metavar="VID", help="the video")
    add_output_flags(command)
    add_edit_flags(command, required=True)
    command.add_argument(
        "--transfer",
        action="store_true",
        help="edit the first frame only, and move it as the video moves",
    )
    add_framing_flags(command, "video")
    add_model_flags(command)

    command = add_command(
        commands,
        "reconstruct",
        _reconstruct,
        help="rebuild a video from its first frame and its motion, and say how near it comes",
        description="Self-reenactment of one video (eq. 7): the source is its first frame.",
        examples="example:\n"
        "  liax reconstruct --checkpoint lia-x --video me.mp4 --out rebuilt.mp4 --compare\n",
    )
    command.add_argument("--video", required=True, type=Path, metavar="VID", help="the video")
    add_output_flags(command)
    add_framing_flags(command, "video")
    add_model_flags(command)

    command = add_command(
        commands,
        "traverse",
        _traverse,
        help="draw what each direction does to a portrait",
        description="Draw a grid: a row for each direction, and eleven columns over its useful "
        "range (as `liax info` lists it; -0.5 to 0.5 by 0.1 where the direction card has none); "
        "and an mp4 of the same beside it.",
        examples="examples:\n"
        "  liax traverse --checkpoint lia-x --source me.png --out traversals.png\n"
        "  liax traverse --checkpoint lia-x --source me.png --directions yaw,mouth,3 --out t.png\n",
    )
    command.add_argument("--source", required=True, type=Path, metavar="IMG", help="the portrait")
    command.add_argument(
        "--out", required=True, type=Path, metavar="PNG", help="the grid; FILE.mp4 lies beside it"
    )
    command.add_argument(
        "--directions",
        default="all",
        metavar="NAMES",
        help="names, indices or groups, separated by commas (default all)",
    )
    command.add_argument(
        "--range",
        nargs=3,
        type=float,
        metavar=("FROM", "TO", "STEP"),
        help="the same values for every direction (default: each one's own range)",
    )
    add_edit_flags(command, required=False)
    add_framing_flags(command, "source")
    add_model_flags(command)


def _edit(args: argparse.Namespace) -> None:
    from liax_jax.animation.edit import edit_picture

    edits = parse_edits(args.edit)
    stream = open_stream(args)
    edit_picture(
        stream,
        args.source,
        args.out,
        edits,
        strict=args.strict,
        framing=framing_of(args),
        paste_back=args.paste_back,
        compare=args.compare,
        background=parse_color(args.background),
    )
    print(args.out)


def _edit_video(args: argparse.Namespace) -> None:
    from liax_jax.animation.edit import edit_video

    edits = parse_edits(args.edit)
    stream = open_stream(args)
    report = edit_video(
        stream,
        args.video,
        args.out,
        edits,
        transfer=args.transfer,
        strict=args.strict,
        framing=framing_of(args, follow=True),
        paste_back=args.paste_back,
        compare=args.compare,
        quality=args.quality,
    )
    print(f"{args.out}: {report.line()}")


def _reconstruct(args: argparse.Namespace) -> None:
    from liax_jax.animation.edit import reconstruct

    stream = open_stream(args)
    report, psnr = reconstruct(
        stream,
        args.video,
        args.out,
        framing=framing_of(args),
        compare=args.compare,
        quality=args.quality,
    )
    print(f"{args.out}: PSNR {psnr:.2f} dB; {report.line()}")


def _traverse(args: argparse.Namespace) -> None:
    from liax_jax.animation.edit import traverse

    values = None if args.range is None else _values_between(*args.range)
    edits = parse_edits(args.edit)
    stream = open_stream(args)
    grid, video = traverse(
        stream,
        args.source,
        args.out,
        args.directions,
        values=values,
        edits=edits,
        framing=framing_of(args),
    )
    print(f"{grid}\n{video}")


def _values_between(low: float, high: float, step: float) -> list[float]:
    if not -math.inf < low < high < math.inf or not 0 < step <= high - low:
        raise ValueError(
            f"--range {low:g} {high:g} {step:g}: give finite FROM < TO and a positive STEP"
        )
    return [round(low + step * i, 6) for i in range(int((high - low) / step + 1e-6) + 1)]
