"""Flags and steps of the commands that measure a model on clips."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from liax_jax.cli.model_flags import add_compile_cache_flags, use_compile_cache
from liax_jax.cli.parsing import check_exists

if TYPE_CHECKING:
    from liax_jax.animation.streaming import FrameStream
    from liax_jax.data.clips import ClipSet
    from liax_jax.interpretability.codes import Codes

KINDS = {
    "frames": "as they are",
    "deviations": "from the mean of their clip",
    "differences": "between frames of a clip",
}


def add_probe_flags(command: argparse.ArgumentParser, kind: str | None) -> None:
    """--data and what goes with it; `kind` is the default of --codes, None leaves that flag out."""
    group = command.add_argument_group("frames to measure on")
    group.add_argument(
        "--data",
        required=True,
        metavar="DATA",
        help="records of `liax prepare`, a video or a folder of videos, the workdir of a run (for "
        "its evaluation clips), or 'procedural': drawn portraits, whose factors are known",
    )
    group.add_argument(
        "--split", default="", help="of records (default: val, if any) or videos (default: all)"
    )
    group.add_argument("--clips", type=int, default=64, metavar="N", help="at most (default 64)")
    group.add_argument(
        "--frames", type=int, default=32, metavar="N", help="of each clip, at most (default 32)"
    )
    if kind is not None:
        group.add_argument(
            "--codes",
            choices=tuple(KINDS),
            default=kind,
            help="coefficients "
            + "; ".join(f"{name}: {meaning}" for name, meaning in KINDS.items())
            + f" (default {kind})",
        )
    group.add_argument(
        "--distribution",
        metavar="NAME",
        help="of the factors of 'procedural': natural, resting (mostly at rest), laplacian, "
        "gaussian, uniform (default natural); a run's own portraits move as its config says",
    )
    group.add_argument(
        "--crop",
        default="auto",
        metavar="HOW",
        help="of videos, as of `liax animate` (default auto)",
    )
    group.add_argument(
        "--seed",
        type=int,
        default=0,
        help="of rotations and resampling; drawn people are always the same (default 0)",
    )
    group.add_argument(
        "--chunk",
        type=int,
        metavar="N",
        help="frames computed at once (default 4 on CPU, 16 otherwise)",
    )
    add_compile_cache_flags(group)


def open_probe_data(args: argparse.Namespace, checkpoint: Path) -> tuple["FrameStream", "ClipSet"]:
    """A model, and the clips of --data at its resolution.

    Videos are cut by the --face-model of commands that have one.

    Raises:
      FileNotFoundError, ValueError: too few clips or frames, no such model or data.
    """
    from liax_jax.animation.animator import load
    from liax_jax.animation.framing import Framing
    from liax_jax.animation.streaming import FrameStream
    from liax_jax.interpretability.probe_clips import open_probe_clips

    check_at_least(0, seed=args.seed)
    check_at_least(1, clips=args.clips)
    check_at_least(_least_frames(args), frames=args.frames)
    use_compile_cache(args)
    stream = FrameStream(load(checkpoint), args.chunk)
    clips = open_probe_clips(
        args.data,
        stream.animator.resolution,
        split=args.split,
        num_clips=args.clips,
        distribution=args.distribution,
        framing=Framing(args.crop, face_model=getattr(args, "face_model", None)),
    )
    _check_frames(args, clips, stream.animator.config.num_vectors)
    return stream, clips


def check_at_least(least: int, **flags: int) -> None:
    """Raises ValueError for the first of these flags that is smaller."""
    for name, value in flags.items():
        if value < least:
            raise ValueError(f"--{name} {value}: must be {least} or more")


def _least_frames(args: argparse.Namespace) -> int:
    """Of a clip: all codes but "frames" are compared with others of their clip."""
    return 1 if getattr(args, "codes", None) == "frames" else 2


def _check_frames(args: argparse.Namespace, clips: "ClipSet", num_vectors: int) -> None:
    """Raises ValueError where there are too few frames, before any is read."""
    from liax_jax.probe_frames import distinct_frames

    planned = distinct_frames(clips.lengths, args.clips, args.frames)
    for clip, times in planned.items():
        if len(times) < _least_frames(args):
            raise ValueError(
                f"--data {args.data}: its clip {clips.names[clip]!r} has a single frame, and "
                "motion takes 2 or more; leave it out"
            )
    if (frames := sum(map(len, planned.values()))) <= num_vectors:
        raise ValueError(
            f"{frames} frames are too few for {num_vectors} vectors: take more with --frames and "
            "--clips, or name longer clips; better twenty times as many frames as vectors"
        )


def read_codes(
    args: argparse.Namespace, checkpoints: list[Path], with_factors: bool = False
) -> list["Codes"]:
    """The codes of models on the frames of --data, of the kind "frames".

    Args:
      with_factors: as of `extract_codes`.

    Raises:
      FileNotFoundError, ValueError: as of `open_probe_data`, or data that don't fit a model.
    """
    from liax_jax.interpretability.codes import extract_codes

    found = []
    for path in checkpoints:
        check_exists(path)
    for path in checkpoints:
        stream, clips = open_probe_data(args, path)
        limits = args.clips, args.frames
        codes = extract_codes(stream, clips, *limits, progress=True, with_factors=with_factors)
        found.append(codes)
    return found
