"""`liax prepare`: a folder of videos → frame records for training."""

import argparse

from liax_jax.cli.parsing import Commands, add_command
from liax_jax.data import extraction
from liax_jax.data.prepare import prepare

_DESCRIPTION = """\
Turn a folder of videos into frame records for training.

VIDEOS may hold videos (anything FFmpeg reads, in subfolders too), folders of numbered images (one
folder a clip), or split folders named train, val, validation or test with either inside.

Frames are cropped to the centre square (never squashed) and scaled to the resolution. Clips that
are unreadable, damaged or too short are named and left out.
"""
_EXAMPLES = """\
example:
  liax prepare my_videos my_records --resolution 128 --val alice --val bob
"""


def register(commands: Commands) -> None:
    """Adds the command and its flags."""
    command = add_command(
        commands,
        "prepare",
        run,
        help="turn a folder of videos into frame records for training",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    command.add_argument("videos", metavar="VIDEOS", help="folder of videos or of image folders")
    command.add_argument("out", metavar="OUT", help="folder to make")
    command.add_argument(
        "--resolution",
        type=int,
        required=True,
        help="height and width of the frames, a power of two from 32 on",
    )
    split = command.add_mutually_exclusive_group()
    split.add_argument(
        "--val",
        metavar="NAME",
        action="extend",
        nargs="+",
        default=[],
        help="clips for validation, by name; all others are for training",
    )
    split.add_argument(
        "--val-fraction",
        type=float,
        metavar="X",
        help="share of the clips for validation, chosen by a hash of the name (default 0.1)",
    )
    command.add_argument(
        "--min-frames",
        type=int,
        default=2,
        metavar="N",
        help="skip clips with fewer frames (default 2)",
    )
    command.add_argument(
        "--max-frames",
        type=int,
        metavar="N",
        help="keep at most the first N frames of a clip (default all)",
    )
    command.add_argument(
        "--stride", type=int, default=1, metavar="K", help="keep every K-th frame (default 1)"
    )
    command.add_argument(
        "--quality",
        type=int,
        metavar="Q",
        help="store JPEG of this quality, 1 to 100 (default: lossless WebP)",
    )
    command.add_argument(
        "--fps",
        type=float,
        default=25.0,
        help="frame rate of image folders (default 25); videos say their own",
    )
    command.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes that read clips (default: one per processor)",
    )
    command.add_argument(
        "--overwrite", action="store_true", help="replace OUT if it holds records already"
    )


def run(args: argparse.Namespace) -> None:
    """Prepares the records and prints what was done."""
    options = extraction.FrameOptions(
        resolution=args.resolution,
        stride=args.stride,
        min_frames=args.min_frames,
        max_frames=args.max_frames,
        quality=args.quality,
        frame_folder_fps=args.fps,
    )
    summary = prepare(
        args.videos,
        args.out,
        options,
        val_names=args.val,
        val_fraction=args.val_fraction,
        workers=args.workers,
        overwrite=args.overwrite,
    )
    print("\n".join(summary.lines()))
