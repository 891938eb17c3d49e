"""Frames a second and core through the whole training input, beside PNG files read with Pillow.

  python -m benchmarks.data [--records RECORDS] [--step_rate=IMAGES_PER_SECOND]

The whole path: read, checksum, decode, pair, batch, move to the device, mirror half of the pairs
and convert to [-1, 1] there. Beside it, as LIA's own loader does it, the same frames as PNG files:
Pillow opens, converts to RGB and resizes; float32 in [-1, 1], channels first; batch, move.

Rates are frames per second of CPU time of the whole process, all its threads and the CPU backend
included, so that what else the machine does changes them little; all methods take turns, and the
medians of the rounds are given. Files are in the page cache: the disk is not measured.
"""

import json
import math
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import app, flags
from ml_collections import ConfigDict
from PIL import Image

from benchmarks.measure import report
from liax_jax.data.clips import ClipSet
from liax_jax.data.pipeline import make_train_iterator
from liax_jax.data.procedural import ProceduralClips
from liax_jax.data.records import RecordClips, RecordWriter, encode_frame
from liax_jax.data.visits import VisitPlan
from liax_jax.runtime import keep_freed_memory
from liax_jax.training.step import prepare_batch

_RECORDS = flags.DEFINE_string("records", None, "Take the frames from these records instead.")
_SPLIT = flags.DEFINE_string("split", "train", "Split of the records.")
_RESOLUTIONS = flags.DEFINE_list("resolutions", ["256", "512"], "Sides of drawn portraits, pixels.")
_STEP_RATE = flags.DEFINE_float("step_rate", None, "Images (pairs) a second of one accelerator.")
_STEP_RESULTS = flags.DEFINE_string("step_results", None, "A file of benchmarks.step with it.")
_ROUNDS = flags.DEFINE_integer("rounds", 7, "Times that the methods take turns.")

BATCH_SIZE = 16
JPEG_QUALITY = 95
MAX_FRAMES = 96  # on disk, of each resolution
TARGET = 4.0  # times the rate of PNG files


def sample_frames(clips: ClipSet) -> list[list[np.ndarray]]:
    """Up to MAX_FRAMES frames: eight, spread, of each of some clips."""
    chosen = np.linspace(0, len(clips) - 1, min(len(clips), MAX_FRAMES // 8)).astype(int)
    return [
        [clips.frame(int(c), int(t)) for t in np.linspace(0, clips.lengths[c] - 1, 8).astype(int)]
        for c in chosen
    ]


def write_records(folder: Path, frames: list[list[np.ndarray]], quality: int | None) -> RecordClips:
    """The frames as records of ours."""
    folder.mkdir()
    side = frames[0][0].shape[0]
    writer = RecordWriter(folder, side)
    for number, clip in enumerate(frames):
        records = (encode_frame(frame, t, quality) for t, frame in enumerate(clip))
        name = f"clip{number}"
        writer.add_clip(name, records, fps=25.0, source=name, source_size=(side, side))
    writer.close(["train"] * len(frames))
    return RecordClips(folder, "train")


def write_pngs(folder: Path, frames: list[list[np.ndarray]]) -> list[list[Path]]:
    """The frames as PNG files of Pillow's default compression."""
    folder.mkdir()
    paths = []
    for number, clip in enumerate(frames):
        paths.append([folder / f"{number}_{t}.png" for t in range(len(clip))])
        for path, frame in zip(paths[-1], clip, strict=True):
            Image.fromarray(frame).save(path)
    return paths


def read_png(path: Path, side: int) -> np.ndarray:
    """(3, h, w) float32 in [-1, 1], the way LIA's loader makes it."""
    with Image.open(path) as image:
        picture = np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BILINEAR))
    x = picture.transpose(2, 0, 1).astype(np.float32)
    x /= 255
    x -= 0.5
    x /= 0.5
    return x


class PngMethod:
    """Batches from PNG files with Pillow."""

    def __init__(self, paths: list[list[Path]], side: int):
        self._paths, self._side = paths, side
        self._plan = VisitPlan([len(clip) for clip in paths], 0, BATCH_SIZE)
        self._next = 0

    def __call__(self) -> Any:
        pairs = []
        for number in range(self._next, self._next + BATCH_SIZE):
            visit = self._plan[number]
            clip = self._paths[visit.clip]
            pairs.append([read_png(clip[t], self._side) for t in (visit.source, visit.driving)])
        self._next += BATCH_SIZE
        batch = {"source": [p[0] for p in pairs], "driving": [p[1] for p in pairs]}
        return jax.device_put({name: np.stack(frames) for name, frames in batch.items()})


class RecordMethod:
    """Batches of our own pipeline, up to one of its stages."""

    def __init__(self, clips: RecordClips, stage: str):
        self._batches = make_train_iterator(clips, batch_size=BATCH_SIZE, seed=0, num_threads=1)
        self._stage = stage
        config = ConfigDict({"data": {"flip": True}, "seed": 0})
        self._augment = jax.jit(lambda batch, step: prepare_batch(batch, config, step))
        self._step = 0

    def __call__(self) -> Any:
        batch: Any = next(self._batches)
        if self._stage == "batch":
            return batch
        batch = jax.device_put(batch)
        if self._stage == "device":
            return batch
        self._step += 1
        return self._augment(batch, self._step)

    def close(self) -> None:
        self._batches.close()


def cpu_seconds(function: Callable[[], Any], batches: int) -> float:
    """Until the threads that read ahead are at rest again, as they were at the start."""
    start = time.process_time()
    for _ in range(batches):
        jax.block_until_ready(function())
    while True:
        end = time.process_time()
        time.sleep(0.2)
        if time.process_time() - end < 1e-3:
            return end - start


def measure(frames: list[list[np.ndarray]], folder: Path) -> dict[str, Any]:
    """Rates of all methods on the same frames."""
    side = frames[0][0].shape[0]
    pngs = write_pngs(folder / "png", frames)
    lossless = write_records(folder / "lossless", frames, None)
    jpeg = write_records(folder / "jpeg", frames, JPEG_QUALITY)
    stages = ("batch", "device", "whole path")
    methods: dict[str, Any] = {"png with pillow": PngMethod(pngs, side)}
    for codec, clips in (("lossless", lossless), ("jpeg", jpeg)):
        methods |= {f"{codec}, {stage}": RecordMethod(clips, stage) for stage in stages}
    # A second or so of Pillow's work, and so for all.
    batches = max(2, 512 * 8 * 256**2 // (16 * BATCH_SIZE * side**2))
    for method in methods.values():
        cpu_seconds(method, 2)
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(_ROUNDS.value):
        for name, method in methods.items():
            seconds[name].append(cpu_seconds(method, batches))
    for method in methods.values():
        if isinstance(method, RecordMethod):
            method.close()
    per_round = {name: 2 * BATCH_SIZE * batches / np.array(s) for name, s in seconds.items()}
    rates = {name: round(float(np.median(rate))) for name, rate in per_round.items()}
    png = per_round["png with pillow"]
    size = {
        "png": sum(path.stat().st_size for clip in pngs for path in clip),
        "lossless": sum(path.stat().st_size for path in lossless.root.glob("*.arrayrecord")),
        "jpeg": sum(path.stat().st_size for path in jpeg.root.glob("*.arrayrecord")),
    }
    count = sum(map(len, frames))
    return {
        "frames": count,
        "kilobytes_per_frame": {name: round(n / count / 1024, 1) for name, n in size.items()},
        "frames_per_cpu_second": rates,
        "times_png": {
            codec: round(float(np.median(per_round[f"{codec}, whole path"] / png)), 2)
            for codec in ("lossless", "jpeg")
        },
    }


def step_rate() -> float | None:
    """Images a second of a step, as given or from a file of `benchmarks.step`."""
    if _STEP_RESULTS.value:
        content = json.loads(Path(_STEP_RESULTS.value).read_text())
        return float(content["training_step"]["images_per_second"])
    return _STEP_RATE.value


def main(_) -> None:
    keep_freed_memory()  # as training does
    if _RECORDS.value:
        records = RecordClips(_RECORDS.value, _SPLIT.value)
        sets: list[tuple[str, ClipSet]] = [(f"records_{records.resolution}", records)]
    else:
        sets = [
            (f"portraits_{side}", ProceduralClips(int(side), num_clips=12, frames_per_clip=64))
            for side in _RESOLUTIONS.value
        ]
    figures: dict[str, Any] = {"cores": len(os.sched_getaffinity(0)), "jpeg": JPEG_QUALITY}
    images_per_second = step_rate()
    for name, clips in sets:
        with tempfile.TemporaryDirectory() as folder:
            figures[name] = result = measure(sample_frames(clips), Path(folder))
        print(name, json.dumps(result, indent=1))
        for codec, times in result["times_png"].items():
            verdict = "meets" if times >= TARGET else "misses"
            print(f"{name}, {codec}: {times} times PNG with Pillow, {verdict} {TARGET:g}")
            if images_per_second:
                rate = result["frames_per_cpu_second"][f"{codec}, whole path"]
                cores = 2 * images_per_second / rate
                result.setdefault("cores_per_accelerator", {})[codec] = math.ceil(cores * 100) / 100
                print(
                    f"{name}, {codec}: {cores:.2f} cores keep an accelerator of "
                    f"{images_per_second:g} images (pairs) a second from waiting"
                )
    if images_per_second:
        figures["step_images_per_second"] = images_per_second
    report("data", figures, keep_others=True)


if __name__ == "__main__":
    app.run(main)
