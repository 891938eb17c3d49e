"""Animation: the decoder over chunk sizes, file to file, memory over length, time to first frame.

  python -m benchmarks.animate [--checkpoint MODEL] [--chunks 1,4,8] [--frames 24] [--only PART]

Without a checkpoint, the model is LIA-X with s = 0.5 at 512 pixels and drawn weights: the time does
not depend on them. Rates are shares of what a plain 3×3 convolution reaches in the same run, and of
the networks alone. `memory` always uses a small model at 64 pixels, for the length's sake.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from benchmarks.measure import (
    convolution_flops,
    median_seconds,
    plain_convolution,
    random_params,
    report,
)
from liax_jax.animation.animator import Animator, load
from liax_jax.animation.pictures import write_picture
from liax_jax.animation.produce import animate_file
from liax_jax.animation.streaming import FrameStream
from liax_jax.data.procedural import ProceduralClips
from liax_jax.data.video_io import write_video
from liax_jax.directions import DirectionCard
from liax_jax.model_files import ModelRecord, fingerprint, save_model
from liax_jax.models import ModelConfig
from liax_jax.runtime import keep_freed_memory

PARTS = ("decoder", "files", "memory", "start", "bfloat16")
_CHECKPOINT = flags.DEFINE_string("checkpoint", "", "A trained model, instead of drawn weights.")
_CHUNKS = flags.DEFINE_list("chunks", ["1", "2", "4", "8"], "Chunk sizes of the decoder.")
_FRAMES = flags.DEFINE_integer("frames", 24, "Frames of the driving video, file to file.")
_LENGTHS = flags.DEFINE_list("lengths", ["100", "1000", "10000"], "Lengths of the memory curve.")
_ONLY = flags.DEFINE_multi_enum("only", [], list(PARTS), "Measure only these.")
_CHILD = flags.DEFINE_string("child", "", "Internal: folder of one run of the memory curve.")

LARGE = ModelConfig(resolution=512, width=0.5, num_blocks=4, num_vectors=40)
SMALL = ModelConfig(resolution=64, width=0.25, num_blocks=1, num_vectors=20, groups=8)


def drawn_animator(config: ModelConfig) -> Animator:
    """An animator with random weights."""
    params = random_params(config)["params"]
    record = ModelRecord(
        config=config,
        card=DirectionCard(config.num_vectors),
        step=None,
        origin="drawn",
        license="",
        fingerprint=fingerprint(config, params),
    )
    return Animator.create(record, params)


def the_animator() -> Animator:
    return load(_CHECKPOINT.value) if _CHECKPOINT.value else drawn_animator(LARGE)


def heads(resolution: int, count: int) -> Iterator[np.ndarray]:
    """Frames of drawn portraits, at most 128 a clip."""
    clips = ProceduralClips(resolution, num_clips=-(-count // 128), frames_per_clip=128, seed=1)
    for number in range(count):
        yield clips.frame(number // 128, number % 128)


def write_inputs(folder: Path, resolution: int, count: int) -> tuple[Path, Path]:
    """A source picture and a driving video of drawn heads."""
    source, driving = folder / "source.png", folder / f"driving_{count}.mp4"
    write_picture(source, next(heads(resolution, 1)))
    # A long video repeats 128 frames: drawing is not what is measured.
    drawn = list(heads(resolution, min(count, 128)))
    write_video(driving, (drawn[i % len(drawn)] for i in range(count)), fps=25)
    return source, driving


def measure_decoder(animator: Animator) -> dict:
    """Decoder and driving encoder alone, over chunk sizes."""
    side = animator.resolution
    portrait = animator.encode(np.zeros((side, side, 3), np.uint8))
    convolution, flops = plain_convolution()
    figures = {}
    for chunk in map(int, _CHUNKS.value):
        alpha = jnp.tile(portrait.alpha, (chunk, 1))
        frames = jnp.zeros((chunk, side, side, 3), jnp.uint8)
        runs = {
            "decoder": lambda alpha=alpha: animator.render(portrait, alpha, uint8=True),
            "encoder": lambda frames=frames: animator.coefficients(frames),
            "convolution": convolution,
        }
        seconds = median_seconds(runs, repeats=5)
        rate = flops / seconds["convolution"]
        work = {
            "decoder": convolution_flops(lambda a: animator.render(portrait, a), alpha),
            "encoder": convolution_flops(animator.coefficients, frames),
        }
        figures[f"chunk_{chunk}"] = {
            f"{name}_{what}": value
            for name in ("decoder", "encoder")
            for what, value in (
                ("frames_per_second", round(chunk / seconds[name], 3)),
                ("share_of_convolution_rate", round(work[name] / seconds[name] / rate, 3)),
            )
        }
        print("chunk", chunk, figures[f"chunk_{chunk}"])
    return figures


def measure_files(animator: Animator) -> dict:
    """`animate_file`, as a share of driving encoder and decoder alone on frames in memory."""
    stream = FrameStream(animator)
    side, count = animator.resolution, _FRAMES.value
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, driving = write_inputs(folder, side, count)
        portrait = animator.encode(np.zeros((side, side, 3), np.uint8))
        stack = jnp.zeros((stream.chunk, side, side, 3), jnp.uint8)

        def alone() -> None:
            for _ in range(-(-count // stream.chunk)):
                alpha = animator.coefficients(stack)
                jax.block_until_ready(animator.render(portrait, alpha, uint8=True))

        def whole() -> None:
            animate_file(stream, source, driving, folder / "out.mp4", progress=False)

        seconds = median_seconds({"alone": alone, "whole": whole}, repeats=3)
    figures = {
        "frames": count,
        "chunk": stream.chunk,
        "end_to_end_frames_per_second": round(count / seconds["whole"], 3),
        "networks_alone_frames_per_second": round(count / seconds["alone"], 3),
        "share_of_networks_alone": round(seconds["alone"] / seconds["whole"], 3),
    }
    print("file to file", figures)
    return figures


def measure_memory() -> dict:
    """Peak resident memory of a process that animates videos of several lengths."""
    figures = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        animator = drawn_animator(SMALL)
        save_model(folder / "model", animator.record, animator.params)
        for length in map(int, _LENGTHS.value):
            write_inputs(folder, SMALL.resolution, length)
            command = [sys.executable, "-m", "benchmarks.animate", "--child", name]
            command += ["--frames", str(length)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            figures[f"{length}_frames"] = json.loads(output.splitlines()[-1])
            print(length, "frames", figures[f"{length}_frames"])
    return figures


def memory_child(folder: Path) -> None:
    """One run of the memory curve, in a process of its own."""
    stream = FrameStream(load(folder / "model"))
    count = _FRAMES.value
    driving = folder / f"driving_{count}.mp4"
    done = animate_file(stream, folder / "source.png", driving, folder / "out.mp4", progress=False)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"peak_mib": round(peak), "frames": done.frames}))


def measure_start(animator: Animator) -> dict:
    """Seconds from the command to its end for one chunk, with an empty and a filled cache."""
    figures = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, driving = write_inputs(folder, animator.resolution, 4)
        save_model(folder / "model", animator.record, animator.params)
        command = [sys.executable, "-m", "liax_jax.cli", "animate", "--source", str(source)]
        command += ["--checkpoint", str(folder / "model"), "--driving", str(driving)]
        command += ["--out", str(folder / "out.mp4"), "--compile-cache", str(folder / "cache")]
        for name in ("cold_cache", "warm_cache"):
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            figures[f"{name}_seconds"] = round(time.perf_counter() - start, 1)
    print("command to the end of one chunk", figures)
    return figures


def measure_bfloat16(animator: Animator) -> dict:
    """PSNR of bfloat16 pictures against float32 ones; meaningful for a trained model."""
    import dataclasses

    config = dataclasses.replace(animator.config, dtype="bfloat16")
    half = Animator.create(dataclasses.replace(animator.record, config=config), animator.params)
    frames = np.stack(list(heads(animator.resolution, 8)))
    pictures = []
    for each in (animator, half):
        portrait = each.encode(frames[0])
        pictures.append(
            np.asarray(each.animate(portrait, each.coefficients(frames), uint8=True), np.float64)
        )
    psnr = 10 * np.log10(255**2 / np.mean((pictures[0] - pictures[1]) ** 2))
    print("bfloat16 against float32", round(float(psnr), 2), "dB")
    return {"psnr_db": round(float(psnr), 2), "trained": bool(_CHECKPOINT.value)}


def main(_) -> None:
    keep_freed_memory()
    if _CHILD.value:
        memory_child(Path(_CHILD.value))
        return
    wanted = _ONLY.value or PARTS
    animator = the_animator()
    figures: dict = {
        "model": f"s {animator.config.width:g}, {animator.resolution} px, "
        f"{animator.config.num_blocks} blocks",
        "frame_rate": str(Fraction(25)),
    }
    if "decoder" in wanted:
        figures["decoder"] = measure_decoder(animator)
    if "files" in wanted:
        figures["files"] = measure_files(animator)
    if "memory" in wanted:
        figures["memory"] = measure_memory()
    if "start" in wanted:
        figures["start"] = measure_start(animator)
    if "bfloat16" in wanted:
        figures["bfloat16"] = measure_bfloat16(animator)
    report("animate" if not _CHECKPOINT.value else "animate-trained", figures, keep_others=True)


if __name__ == "__main__":
    app.run(main)
