"""Evaluates a model, or anybody's videos, by the protocols of the paper.

  python evaluate.py --config configs/demo.py --workdir runs/demo
  python evaluate.py --checkpoint lia-x --data records/vox --out results/lia-x
  python evaluate.py --predictions THEIR_VIDEOS --data records/vox --out results/theirs
  python evaluate.py --checkpoint lia-x --data records/hdtf --sources aahq --out results/cross \
      --protocol cross_reenactment
  liax compare results/lia-x results/theirs

The first one evaluates the newest checkpoint in the workdir on the config's evaluation split, into
WORKDIR/eval. A stopped evaluation goes on by the same command. docs/evaluation.md says more.
"""

# ruff: noqa: E402, because memory is seen to before JAX and its threads are there.
from liax_jax import runtime

runtime.keep_freed_memory_on_cpu()

from pathlib import Path

from absl import flags

from liax_jax.cli.model_flags import parse_edits
from liax_jax.evaluation.command import evaluate
from liax_jax.evaluation.options import PROTOCOLS, EvaluateOptions
from liax_jax.evaluation.pairs import DEFAULT_PER_CLIP, DEFAULT_SEED
from liax_jax.evaluation.protocols.cross_reenactment import DEFAULT_MOTION, MOTIONS
from liax_jax.evaluation.protocols.speed import DEFAULT_BATCH_SIZES
from liax_jax.evaluation.published_results import DATASETS
from liax_jax.training.command import config_and_workdir, run_program

_CHECKPOINT = flags.DEFINE_string(
    "checkpoint", None, "Model instead of the workdir's: anything that the `liax` commands take."
)
_PREDICTIONS = flags.DEFINE_string(
    "predictions", None, "Another system's mp4s or folders of frames, named as the clips."
)
_PROTOCOL = flags.DEFINE_enum("protocol", PROTOCOLS[0], PROTOCOLS, "What to evaluate.")
_DATA = flags.DEFINE_string(
    "data", None, "Clips instead of the config's: records, or a folder of videos or of frames."
)
_SPLIT = flags.DEFINE_string("split", None, "Of --data; by default its validation or test split.")
_RESOLUTION = flags.DEFINE_integer(
    "resolution", None, "With --predictions: pixels that videos of --data are scaled to."
)
_OUT = flags.DEFINE_string("out", None, "Folder for the results.")
_METRICS = flags.DEFINE_list("metrics", [], "Only these; by default all whose weights are there.")
_WEIGHTS = flags.DEFINE_string(
    "weights", None, "Folder of the metrics' weights; by default that of `liax weights`."
)
_FACE_MODEL = flags.DEFINE_string(
    "face_model", None, "YuNet model (.onnx) to align faces by landmarks for the identity distance."
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", None, "Frames at a time.")
_MAX_FRAMES = flags.DEFINE_integer("max_frames", None, "Of each clip, from the first on.")
_MAX_CLIPS = flags.DEFINE_integer("max_clips", None, "From the first on.")
_VIDEOS = flags.DEFINE_bool("videos", None, "Write a side-by-side video of every clip.")
_RESTART = flags.DEFINE_bool("restart", False, "Replace what --out holds rather than go on.")
_DATASET = flags.DEFINE_string(
    "dataset", "", f"Show the paper's figures beside: {', '.join(DATASETS)}."
)
_TITLE = flags.DEFINE_string("title", "", "What tables call this run.")
_PAIRS = flags.DEFINE_string(
    "pairs", None, "cross_reenactment: CSV with the columns source,driving instead of a draw."
)
_SOURCES = flags.DEFINE_string(
    "sources", None, "cross_reenactment: pictures or clips to move; by default --data's own."
)
_SOURCES_PER_CLIP = flags.DEFINE_integer(
    "sources_per_clip", None, f"cross_reenactment: how many; by default {DEFAULT_PER_CLIP}."
)
_SEED = flags.DEFINE_integer(
    "seed", None, f"cross_reenactment: of the draw of sources; by default {DEFAULT_SEED}."
)
_MOTION = flags.DEFINE_enum(
    "motion", None, [*MOTIONS], f"cross_reenactment: eq. 8 or eq. 7; by default {DEFAULT_MOTION}."
)
_EDIT = flags.DEFINE_multi_string(
    "edit", [], "video_editing: NAME=VALUE or INDEX=VALUE; can be repeated."
)
_BATCH_SIZES = flags.DEFINE_list(
    "batch_sizes",
    None,
    f"speed: frames at a time; by default {','.join(map(str, DEFAULT_BATCH_SIZES))}.",
)


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _whole_numbers(flag: str, texts: list[str] | None) -> tuple[int, ...] | None:
    if texts is None:
        return None
    try:
        return tuple(map(int, texts))
    except ValueError:
        raise ValueError(f"--{flag}={','.join(texts)}: write whole numbers, as 1,4,16") from None


def main() -> None:
    config, workdir = config_and_workdir()
    options = EvaluateOptions(
        config=config,
        workdir=workdir,
        checkpoint=_path(_CHECKPOINT.value),
        predictions=_path(_PREDICTIONS.value),
        protocol=_PROTOCOL.value,
        data=_path(_DATA.value),
        split=_SPLIT.value,
        resolution=_RESOLUTION.value,
        out=_path(_OUT.value),
        metrics=tuple(_METRICS.value),
        weights=_path(_WEIGHTS.value),
        face_model=_path(_FACE_MODEL.value),
        batch_size=_BATCH_SIZE.value,
        max_frames=_MAX_FRAMES.value,
        max_clips=_MAX_CLIPS.value,
        videos=_VIDEOS.value,
        restart=_RESTART.value,
        dataset=_DATASET.value,
        title=_TITLE.value,
        pairs=_path(_PAIRS.value),
        sources=_path(_SOURCES.value),
        sources_per_clip=_SOURCES_PER_CLIP.value,
        seed=_SEED.value,
        motion=_MOTION.value,
        edits=parse_edits(_EDIT.value),
        batch_sizes=_whole_numbers("batch_sizes", _BATCH_SIZES.value),
    )
    evaluate(options)


if __name__ == "__main__":
    run_program(
        main,
        interrupted="interrupted; the same command goes on with the next clip",
        sigterm_interrupts=True,
    )
