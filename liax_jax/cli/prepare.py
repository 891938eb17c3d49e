"""`liax prepare`: videos → frame records for training."""

import argparse
from pathlib import Path

from liax_jax.cli.parsing import Commands, add_command
from liax_jax.data import engines, prepare
from liax_jax.data.crop_options import CROPS, CropOptions
from liax_jax.data.frame_options import DEFAULT_QUALITY, FrameOptions
from liax_jax.data.layouts import LAYOUTS
from liax_jax.data.source import Source

_DESCRIPTION = """\
Turn videos into frame records for training.

VIDEOS may hold videos (anything FFmpeg reads, in subfolders too), folders of numbered images (one
folder a clip), or split folders named train, val, validation or test with either inside; or a data
set in one of the layouts below, which docs/data.md describes.

The face is found and followed; a video is split where the picture is cut or the face is lost; each
stretch is cropped by one square that holds the head all through, never squashed, and scaled to the
resolution. Clips that are unreadable, damaged, too short, small, blurred or unsteady are named,
counted and left out. OUT gets the records, an index of the clips, manifest.json, dropped.jsonl and
a contact sheet to look at. A run that was stopped or killed goes on by the same command.
"""
_LAYOUTS = "layouts:\n" + "\n".join(
    f"  {name:16} {layout.help} (--crop {layout.crop})" for name, layout in LAYOUTS.items()
)
_EXAMPLES = f"""\
{_LAYOUTS}

examples:
  liax prepare my_videos my_records --resolution 256
  liax prepare my_videos my_records --resolution 128 --val alice --val bob
  liax prepare my_crops my_records --resolution 256 --crop center     # framed already
  liax prepare hdtf/videos records/hdtf --layout hdtf --annotations HDTF_dataset --resolution 512
"""


def register(commands: Commands) -> None:
    """Adds the command and its flags."""
    command = add_command(
        commands,
        "prepare",
        run,
        help="turn videos into frame records for training",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    command.add_argument("videos", metavar="VIDEOS", help="folder of the videos")
    command.add_argument("out", metavar="OUT", help="folder to make")
    command.add_argument(
        "--resolution",
        type=int,
        required=True,
        help="height and width of the frames, a power of two from 32 on",
    )
    _add_source_flags(command)
    _add_crop_flags(command)
    _add_frame_flags(command)
    _add_run_flags(command)


def _add_source_flags(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("what to read")
    group.add_argument(
        "--layout", choices=LAYOUTS, default="folder", help="see below (default folder)"
    )
    group.add_argument(
        "--annotations", metavar="PATH", help="file or folder, if not among the videos"
    )
    group.add_argument(
        "--dataset", metavar="NAME", help="its name in the index (default: the layout's)"
    )
    group.add_argument(
        "--only",
        metavar="PATTERN",
        nargs="+",
        default=[],
        help="only clips with names like this, such as '*/front/*'",
    )
    split = group.add_mutually_exclusive_group()
    split.add_argument(
        "--val",
        metavar="NAME",
        action="extend",
        nargs="+",
        default=[],
        help="clips or identities for validation, by name; all others are for training",
    )
    split.add_argument(
        "--val-fraction",
        type=float,
        metavar="X",
        help="share of the identities for validation, chosen by a hash (default 0.1)",
    )


def _add_crop_flags(command: argparse.ArgumentParser) -> None:
    default = CropOptions()
    group = command.add_argument_group("crop and filters")
    group.add_argument(
        "--crop",
        choices=CROPS,
        help="face: found and followed; center: the centre square of the whole video; box: the "
        "data set's (default: by layout; for plain folders face)",
    )

    def number(name: str, metavar: str, text: str, kind: type = float) -> None:
        value = getattr(default, name.replace("-", "_"))
        shown = "" if value is None else f" (default {value:g})"
        group.add_argument(
            f"--{name}", type=kind, metavar=metavar, default=value, help=text + shown
        )

    number("scale", "X", "side of the crop over that of the face (default 1.7), or the box (1)")
    group.add_argument("--face-model", metavar="ONNX", help="find faces with this YuNet model")
    number("detect-every", "N", "look for the face in every N-th frame", int)
    number(
        "min-size",
        "PX",
        "smallest side of the crop in the source (default: half the resolution; with --crop "
        "center 0)",
    )
    number(
        "min-sharpness",
        "X",
        "smallest variance of the Laplacian at 256 px (default 10; with --crop center 0)",
    )
    number("min-seconds", "S", "shortest stretch with a face")
    number("max-gap", "S", "split where the face is out of sight for longer")
    number("min-found", "X", "share of the looks that have to find the face")
    number("min-iou", "X", "split where the face has drifted so far from where it was")
    number("max-spread", "X", "how much larger the common square may be than each frame's own")
    number("max-outside", "X", "share of the square that may lie outside the picture")
    number("cut-threshold", "X", "smallest change of the picture at a cut, 0 to 1; 0: no cuts")


def _add_frame_flags(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("frames")
    group.add_argument(
        "--min-frames",
        type=int,
        default=2,
        metavar="N",
        help="skip clips with fewer frames (default 2)",
    )
    group.add_argument(
        "--max-frames",
        type=int,
        metavar="N",
        help="keep at most the first N frames of a clip (default all)",
    )
    group.add_argument(
        "--stride", type=int, default=1, metavar="K", help="keep every K-th frame (default 1)"
    )
    kind = group.add_mutually_exclusive_group()
    kind.add_argument(
        "--quality",
        type=int,
        default=DEFAULT_QUALITY,
        metavar="Q",
        help=f"of the JPEG frames, 1 to 100 (default {DEFAULT_QUALITY}, chroma at full resolution)",
    )
    kind.add_argument(
        "--lossless",
        action="store_true",
        help="lossless WebP instead: twice the size, read 2.5 times as slowly; for test sets",
    )
    group.add_argument(
        "--fps",
        type=float,
        default=25.0,
        help="frame rate of image folders (default 25); videos say their own",
    )


def _add_run_flags(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("how to run")
    group.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes that read clips (default: one per processor)",
    )
    group.add_argument(
        "--engine",
        choices=engines.ENGINES,
        default="local",
        help="local: this machine; ray: the cluster in RAY_ADDRESS, else this machine (needs the "
        "extra liax-jax[ray]); the records are the same",
    )
    group.add_argument(
        "--shard-mb",
        type=float,
        default=2048.0,
        metavar="MB",
        help="size of a file of records, unless a single clip is larger (default 2048)",
    )
    group.add_argument(
        "--contact-sheet",
        type=int,
        metavar="N",
        default=prepare.CONTACT_SHEET_CLIPS,
        help=f"clips on OUT/contact_sheet.jpg (default {prepare.CONTACT_SHEET_CLIPS}, 0 for none)",
    )
    group.add_argument(
        "--overwrite", action="store_true", help="replace OUT if it holds records already"
    )


def run(args: argparse.Namespace) -> None:
    """Prepares the records and prints what was done."""
    crop = CropOptions(
        mode=args.crop or LAYOUTS[args.layout].crop,
        scale=args.scale,
        face_model=args.face_model,
        detect_every=args.detect_every,
        min_size=args.min_size,
        min_sharpness=args.min_sharpness,
        min_seconds=args.min_seconds,
        max_gap=args.max_gap,
        min_found=args.min_found,
        min_iou=args.min_iou,
        max_spread=args.max_spread,
        max_outside=args.max_outside,
        cut_threshold=args.cut_threshold,
    )
    options = FrameOptions(
        resolution=args.resolution,
        stride=args.stride,
        min_frames=args.min_frames,
        max_frames=args.max_frames,
        quality=None if args.lossless else args.quality,
        frame_folder_fps=args.fps,
        crop=crop,
    )
    source = Source(
        Path(args.videos),
        layout=args.layout,
        annotations=Path(args.annotations) if args.annotations else None,
        dataset=args.dataset,
        only=tuple(args.only),
    )
    summary = prepare.prepare(
        source,
        args.out,
        options,
        val_names=args.val,
        val_fraction=args.val_fraction,
        workers=args.workers,
        engine=args.engine,
        max_file_bytes=round(args.shard_mb * 2**20),
        sheet_clips=args.contact_sheet,
        overwrite=args.overwrite,
    )
    print("\n".join(summary.lines()))
