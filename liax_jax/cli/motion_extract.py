"""`liax motion extract`: the motion of a video, as a file."""

import argparse
from pathlib import Path

from liax_jax.cli.model_flags import (
    add_framing_flags,
    add_model_flags,
    framing_of,
    open_stream,
)
from liax_jax.cli.parsing import Commands, add_command


def add_extract(subcommands: Commands) -> None:
    """Adds the subcommand and its flags."""
    command = add_command(
        subcommands,
        "extract",
        run,
        help="write the motion of a video to a file",
        description="Encode every frame of a video and write its motion coefficients. The file "
        "belongs to the model of --checkpoint.",
        examples="example:\n  liax motion extract talk.mp4 --checkpoint lia-x --out talk.npz\n",
    )
    command.add_argument("video", type=Path, metavar="VID", help="the driving video")
    command.add_argument("--out", required=True, type=Path, metavar="NPZ", help="file to write")
    add_framing_flags(command, "video")
    add_model_flags(command)


def run(args: argparse.Namespace) -> None:
    """Extracts and says how much."""
    from liax_jax.animation.driving import extract_motion
    from liax_jax.animation.motion import save_motion

    motion = extract_motion(open_stream(args), args.video, framing_of(args))
    save_motion(args.out, motion)
    print(f"{args.out}: {motion.num_frames} frames, {motion.num_vectors} directions")
