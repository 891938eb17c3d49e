"""Flags and steps that all commands with a model share."""

import argparse
import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from liax_jax.animation.framing import Framing
    from liax_jax.animation.streaming import FrameStream

DTYPES = ("float32", "bfloat16")


def add_model_flags(command: argparse.ArgumentParser) -> None:
    """--checkpoint, --dtype, --chunk and the compilation cache."""
    group = command.add_argument_group("model")
    group.add_argument(
        "--checkpoint",
        required=True,
        type=Path,
        metavar="PATH",
        help="model directory, training workdir, .safetensors, or a published .pt",
    )
    group.add_argument(
        "--dtype",
        choices=DTYPES,
        default="float32",
        help="arithmetic of the convolutions (default float32)",
    )
    group.add_argument(
        "--chunk",
        type=int,
        metavar="N",
        help="frames computed at once (default 4 on CPU, 16 otherwise)",
    )
    add_compile_cache_flags(group)


def add_compile_cache_flags(group: "argparse._ActionsContainer") -> None:
    """--compile-cache and --no-compile-cache, for `use_compile_cache`."""
    group.add_argument(
        "--compile-cache",
        type=Path,
        default=default_cache(),
        metavar="DIR",
        help=f"compiled programs are kept here and found again (default {default_cache()})",
    )
    group.add_argument(
        "--no-compile-cache", action="store_true", help="compile anew, and keep nothing"
    )


def default_cache() -> Path:
    """Below the user's cache folder, as the XDG base directories have it."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "liax_jax" / "compiled"


def open_stream(args: argparse.Namespace) -> "FrameStream":
    """The animator of --checkpoint on all devices, with the compilation cache in place before.

    The last one is kept: the jobs of a batch load and compile a model once.
    """
    use_compile_cache(args)
    return _open_stream(args.checkpoint, args.dtype, args.chunk)


def use_compile_cache(args: argparse.Namespace) -> None:
    """What is set before anything is compiled: the compilation cache, and how memory is kept."""
    import jax

    from liax_jax import runtime

    if not args.no_compile_cache:
        args.compile_cache.mkdir(parents=True, exist_ok=True)
        jax.config.update("jax_compilation_cache_dir", str(args.compile_cache))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
    if jax.default_backend() == "cpu":
        runtime.keep_freed_memory()


@functools.lru_cache(maxsize=1)
def _open_stream(checkpoint: Path, dtype: str, chunk: int | None) -> "FrameStream":
    from liax_jax.animation.animator import load
    from liax_jax.animation.streaming import FrameStream

    return FrameStream(load(checkpoint, dtype), chunk)


def framing_of(args: argparse.Namespace, prefix: str = "", follow: bool = False) -> "Framing":
    """The flags of `add_framing_flags` as a Framing."""
    from liax_jax.animation.framing import Framing

    crop, face = getattr(args, f"{prefix}crop"), getattr(args, f"{prefix}face")
    return Framing(crop, face, args.face_model, follow)


def parse_edits(texts: list[str]) -> dict[str, float]:
    """["yaw=0.3", "25=-0.1"] → {"yaw": 0.3, "25": -0.1}; a repeated name adds up.

    Raises:
      ValueError: something that isn't NAME=VALUE.
    """
    edits: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            edits[name.strip()] = edits.get(name.strip(), 0.0) + float(value)
        except ValueError:
            raise ValueError(
                f"--edit {text!r}: write NAME=VALUE or INDEX=VALUE, for example --edit yaw=0.3"
            ) from None
    return edits


def add_edit_flags(command: argparse.ArgumentParser, required: bool) -> None:
    """--edit and --strict."""
    command.add_argument(
        "--edit",
        action="append",
        default=[],
        required=required,
        metavar="NAME=VALUE",
        help="move along a direction, by name or index; can be repeated (`liax info` lists names)",
    )
    command.add_argument(
        "--strict", action="store_true", help="refuse values outside a direction's useful range"
    )


def add_framing_flags(command: argparse.ArgumentParser, whose: str, prefix: str = "") -> None:
    """--crop, --face and their like, for the source, or with a prefix for the driving."""
    group = command.add_argument_group(f"square of the {whose}")
    group.add_argument(
        f"--{prefix}crop",
        default="auto",
        metavar="HOW",
        help="auto: square pictures whole, others by the face; face: always by the face; center: "
        "the centred square; whole: everything, margins filled up; or a box LEFT,TOP,SIDE in "
        "pixels (default auto)",
    )
    group.add_argument(
        f"--{prefix}face",
        default="largest",
        metavar="N",
        help="which face: largest, all (pictures), or a number from 1 on (default largest)",
    )
    if not prefix:
        group.add_argument(
            "--face-model",
            type=Path,
            metavar="ONNX",
            help="find faces with this YuNet model rather than OpenCV's cascades",
        )


def parse_color(text: str) -> tuple[int, int, int]:
    """ "white", "#20a0ff" or another colour name that Pillow knows → (r, g, b)."""
    from PIL import ImageColor

    red, green, blue = ImageColor.getrgb(text)[:3]
    return red, green, blue


def _output_name(text: str) -> str:
    """Refuses an unknown ending before a model is loaded."""
    from liax_jax.animation.frames_out import OutputError, holds_sound

    try:
        holds_sound(text)
    except OutputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def add_output_flags(command: argparse.ArgumentParser, pictures_only: bool = False) -> None:
    """--out, --compare, --paste-back, --background and --quality."""
    group = command.add_argument_group("output")
    group.add_argument(
        "--out",
        required=True,
        type=_output_name,
        metavar="FILE",
        help="the ending says the format: .png, .jpg, .webp"
        if pictures_only
        else "the ending says the format: .mp4, .webm, .gif, .apng, .png, .jpg, .webp; a folder "
        "(with / at its end) or a pattern such as frame_%%05d.png takes a PNG a frame",
    )
    group.add_argument(
        "--compare",
        action="store_true",
        help=f"write {'source' if pictures_only else 'source, driving'} and result side by side",
    )
    paste = group.add_mutually_exclusive_group()
    paste.add_argument(
        "--paste-back",
        action="store_true",
        default=None,
        help="put the result back into the whole picture (default where a part was cut out)",
    )
    paste.add_argument(
        "--no-paste-back",
        action="store_false",
        dest="paste_back",
        help="write the square alone",
    )
    group.add_argument(
        "--background",
        default="white",
        metavar="COLOR",
        help="under transparent parts, where the format can't hold them (default white)",
    )
    group.add_argument(
        "--quality", type=int, metavar="Q", help="of the output, 0 to 100 (default by format)"
    )
