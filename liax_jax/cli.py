"""The `liax` command. It parses arguments; the work is done by the packages it calls."""

import argparse
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from liax_jax.data import extraction
from liax_jax.data.prepare import prepare

_PREPARE_HELP = """\
Turn a folder of videos into frame records for training.

VIDEOS may hold videos (anything FFmpeg reads, in subfolders too), folders of numbered images (one
folder a clip), or split folders named train, val, validation or test with either inside.

Frames are cropped to the centre square (never squashed) and scaled to the resolution. Clips that
are unreadable, damaged or too short are named and left out.
"""
_PREPARE_EXAMPLE = """\
example:
  liax prepare my_videos my_records --resolution 128 --val alice --val bob
"""


class _Parser(argparse.ArgumentParser):
    """Reports wrong arguments as one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="liax", description="LIA-X: portrait animation.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command = commands.add_parser(
        "prepare",
        help="turn a folder of videos into frame records for training",
        description=_PREPARE_HELP,
        epilog=_PREPARE_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
    command.set_defaults(run=_prepare)
    return parser


def _prepare(args: argparse.Namespace) -> None:
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


def _terminate(signum: int, frame: object) -> NoReturn:
    sys.exit(128 + signum)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code: 0, or 2 for an error of the user's."""
    args = _parser().parse_args(argv)
    # An exception unwinds, so that what is half made is removed.
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        args.run(args)
    except (ValueError, OSError, RuntimeError) as error:
        message = " ".join(str(error).split())
        print(f"liax {args.command}: error: {message}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"liax {args.command}: interrupted", file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGTERM, previous)
    return 0


if __name__ == "__main__":
    sys.exit(main())
