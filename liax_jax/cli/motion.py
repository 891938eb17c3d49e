"""`liax motion`: motion files, shown and edited."""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from liax_jax.animation import motion_editing
from liax_jax.animation.motion import Motion, MotionError, load_motion, save_motion
from liax_jax.cli.motion_extract import add_extract
from liax_jax.cli.parsing import Commands, add_command
from liax_jax.directions import DirectionCard, read_card

_DESCRIPTION = """\
Motion as a file: the motion coefficients of a driving video (.npz), shown and edited.

A motion file belongs to the model that it was extracted with, and `liax animate --driving` takes
it in place of the video. Motions of different models can't be mixed.
"""
_EXAMPLES = """\
examples:
  liax motion extract talk.mp4 --checkpoint lia-x --out talk.npz
  liax motion info talk.npz
  liax motion cut talk.npz --start 1.5 --end 4 --out part.npz
  liax motion smooth part.npz --sigma 1.5 --out calm.npz
  liax motion loop calm.npz --times 10 --crossfade 0.4 --out long.npz
  liax animate --checkpoint lia-x --source me.jpg --driving long.npz --out me.mp4
"""
_MAX_SHOWN = 10


def register(commands: Commands) -> None:
    """Adds the command and its subcommands."""
    command = commands.add_parser(
        "motion",
        help="extract, show, cut, blend, join, loop, smooth and resample motion files",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subcommands = command.add_subparsers(dest="motion_command", required=True, metavar="SUBCOMMAND")
    add_extract(subcommands)
    _add_info(subcommands)
    _add_cut(subcommands)
    _add_blend(subcommands)
    _add_join(subcommands)
    _add_loop(subcommands)
    _add_smooth(subcommands)
    _add_resample(subcommands)


def _add_info(subcommands: Commands) -> None:
    command = add_command(
        subcommands,
        "info",
        _show,
        help="length, frame rate, model and the directions that move most",
        description="Show the length, frame rate, model and strongest directions of motion files.",
        examples="example:\n  liax motion info talk.npz --card model/directions.json",
    )
    command.add_argument("motions", metavar="MOTION", nargs="+", help="motion files (.npz)")
    _add_card(command, "show the directions by name")


def _add_cut(subcommands: Commands) -> None:
    command = _add_edit(
        subcommands,
        "cut",
        _cut,
        help="keep a part",
        description="Keep the frames from --start on and before --end, in seconds, or --frames.",
        examples=(
            "examples:\n  liax motion cut talk.npz --start 1.5 --end 4 --out part.npz\n"
            "  liax motion cut talk.npz --frames 0:100 --out part.npz"
        ),
    )
    command.add_argument("--start", type=float, metavar="SECONDS", help="default: the beginning")
    command.add_argument("--end", type=float, metavar="SECONDS", help="default: the end")
    command.add_argument(
        "--frames",
        type=_frame_range,
        metavar="FIRST:END",
        help="frames FIRST to END - 1, counted from 0, in place of seconds",
    )


def _add_blend(subcommands: Commands) -> None:
    command = _add_edit(
        subcommands,
        "blend",
        _blend,
        count=2,
        help="mix two motions, frame by frame",
        description="""\
Mix two motions frame by frame: (1 - W) of the first and W of the second, for all directions or
--only some: the head of one person with the mouth of another. For one after the other with a soft
change between them, see `liax motion join --crossfade`.""",
        examples=(
            "examples:\n  liax motion blend calm.npz lively.npz --weight 0.3 --out mixed.npz\n"
            "  liax motion blend head.npz speech.npz --weight 1 --only mouth --rebase \\\n"
            "      --card model/directions.json --out both.npz"
        ),
    )
    command.add_argument(
        "--weight", type=float, default=0.5, metavar="W", help="share of the second (default 0.5)"
    )
    command.add_argument(
        "--weight-end",
        type=float,
        metavar="W",
        help="share of the second in the last frame; it changes evenly from --weight to this",
    )
    _add_only(command)
    _add_rebase(command)


def _add_join(subcommands: Commands) -> None:
    command = _add_edit(
        subcommands,
        "join",
        _join,
        count="+",
        help="one motion after the other",
        description="Put motions one after the other.",
        examples="example:\n  liax motion join a.npz b.npz c.npz --crossfade 0.3 --out abc.npz",
    )
    _add_crossfade(command, "overlap and blend neighbours for so long (default 0)")
    _add_rebase(command)


def _add_loop(subcommands: Commands) -> None:
    command = _add_edit(
        subcommands,
        "loop",
        _loop,
        help="repeat, with a seam that doesn't show",
        description="""\
Repeat a motion. With a crossfade its end flows into its beginning, also from the last frame of the
result to its first, and every round is shorter by the crossfade.""",
        examples="example:\n  liax motion loop talk.npz --times 10 --crossfade 0.4 --out long.npz",
    )
    command.add_argument("--times", type=int, required=True, metavar="N", help="rounds")
    _add_crossfade(command, "blend the end into the beginning for so long (default 0)")


def _add_smooth(subcommands: Commands) -> None:
    command = _add_edit(
        subcommands,
        "smooth",
        _smooth,
        help="take out jitter, without delay",
        description="""\
Smooth a motion over time with a Gaussian, without delay. A sigma of 1 or 2 frames takes out jitter;
more also takes out blinks, unless --only chooses other directions.""",
        examples="example:\n  liax motion smooth talk.npz --sigma 1.5 --out calm.npz",
    )
    command.add_argument(
        "--sigma", type=float, required=True, metavar="FRAMES", help="width of the Gaussian"
    )
    _add_only(command)


def _add_resample(subcommands: Commands) -> None:
    command = _add_edit(
        subcommands,
        "resample",
        _resample,
        help="change the frame rate, or make it steady",
        description="Change the frame rate, or make a varying one steady; the length stays.",
        examples="example:\n  liax motion resample phone.npz --fps 30 --out steady.npz",
    )
    command.add_argument("--fps", type=float, required=True, help="frames per second")


def _add_edit(
    subcommands: Commands,
    name: str,
    edit: Callable[[argparse.Namespace, list[Motion]], Motion],
    *,
    count: int | str = 1,
    help: str,
    description: str,
    examples: str,
) -> argparse.ArgumentParser:
    """A subcommand that reads motions, edits them and writes one."""

    def run(args: argparse.Namespace) -> None:
        if Path(args.out).suffix.lower() != ".npz":
            raise MotionError(f"--out {args.out}: a motion file's name ends in .npz")
        result = edit(args, [load_motion(path) for path in args.motions])
        save_motion(args.out, result)
        print(f"{args.out}: {_length(result)}")

    command = add_command(
        subcommands, name, run, help=help, description=description, examples=examples
    )
    command.add_argument("motions", metavar="MOTION", nargs=count, help="motion file (.npz)")
    command.add_argument("--out", required=True, metavar="FILE", help="motion file to write")
    return command


def _add_crossfade(command: argparse.ArgumentParser, help: str) -> None:
    command.add_argument("--crossfade", type=float, default=0.0, metavar="SECONDS", help=help)


def _add_rebase(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--rebase",
        action="store_true",
        help="let every motion begin where the first begins: for motions of different people, "
        "whose coefficients at rest differ",
    )


def _add_only(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--only",
        metavar="DIRECTIONS",
        help="only these directions, by index (37,39), or by name or group with --card",
    )
    _add_card(command, "for names in --only")


def _add_card(command: argparse.ArgumentParser, what: str) -> None:
    command.add_argument(
        "--card", metavar="FILE", help=f"direction card of the model (directions.json): {what}"
    )


def _frame_range(text: str) -> tuple[int | None, int | None]:
    first, colon, end = text.partition(":")
    try:
        if not colon:
            raise ValueError
        return (int(first) if first else None), (int(end) if end else None)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} isn't FIRST:END, such as 0:100") from None


def _card(args: argparse.Namespace, motion: Motion) -> DirectionCard:
    if args.card is None:
        return DirectionCard(motion.num_vectors)
    card = read_card(args.card)
    if card.num_vectors != motion.num_vectors:
        raise MotionError(
            f"{args.card} is for {card.num_vectors} directions; the motion has {motion.num_vectors}"
        )
    return card


def _rebased(args: argparse.Namespace, motions: list[Motion]) -> list[Motion]:
    if not args.rebase:
        return motions
    start = motions[0].alpha[0]
    if any(motion.num_vectors != len(start) for motion in motions):
        return motions  # refused by what comes next, with its reason
    return [motion_editing.rebase(motion, start) for motion in motions]


def _cut(args: argparse.Namespace, motions: list[Motion]) -> Motion:
    if args.frames is None:
        return motion_editing.cut(motions[0], args.start, args.end)
    if args.start is not None or args.end is not None:
        raise MotionError("give either --frames or --start and --end")
    first, end = args.frames
    count = motions[0].num_frames
    return motion_editing.cut_frames(
        motions[0], 0 if first is None else first, count if end is None else end
    )


def _blend(args: argparse.Namespace, motions: list[Motion]) -> Motion:
    a, b = _rebased(args, motions)
    end = args.weight if args.weight_end is None else args.weight_end
    weight = np.linspace(args.weight, end, min(a.num_frames, b.num_frames))[:, None]
    if args.only is not None:
        weight = weight * _card(args, a).mask(args.only)
    return motion_editing.blend(a, b, weight)


def _join(args: argparse.Namespace, motions: list[Motion]) -> Motion:
    return motion_editing.join(_rebased(args, motions), args.crossfade)


def _loop(args: argparse.Namespace, motions: list[Motion]) -> Motion:
    return motion_editing.loop(motions[0], args.times, args.crossfade)


def _smooth(args: argparse.Namespace, motions: list[Motion]) -> Motion:
    only = None if args.only is None else _card(args, motions[0]).select(args.only)
    return motion_editing.smooth(motions[0], args.sigma, only)


def _resample(args: argparse.Namespace, motions: list[Motion]) -> Motion:
    return motion_editing.resample(motions[0], args.fps)


def _length(motion: Motion) -> str:
    rate = "varying, on average " if motion.times is not None else ""
    frames = f"{motion.num_frames} frame{'s' if motion.num_frames != 1 else ''}"
    return f"{frames}, {motion.duration:.2f} s ({rate}{motion.fps:.6g} frames/s)"


def _show(args: argparse.Namespace) -> None:
    for path in args.motions:
        motion = load_motion(path)
        card = _card(args, motion)
        print(f"{path}: {_length(motion)}")
        print(f"  from     {motion.source or 'not said'}")
        print(f"  model    {motion.fingerprint or 'not said'}, {motion.num_vectors} directions")
        low, high = motion.alpha.min(0), motion.alpha.max(0)
        spread = motion.alpha.std(0)
        strongest = [i for i in np.argsort(-spread, kind="stable")[:_MAX_SHOWN] if spread[i] > 0]
        if strongest:
            print(f"  {'moves most':24} {'first':>8} {'lowest':>8} {'highest':>8} {'spread':>8}")
        for i in strongest:
            direction = card.find(int(i))
            known = direction in card.named
            name = f"{i} {direction.name}" if known else str(i)
            values = (motion.alpha[0, i], low[i], high[i], spread[i])
            print(f"  {name:24}" + "".join(f" {value:8.3f}" for value in values))
