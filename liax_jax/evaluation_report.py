"""What an evaluation writes down: sums of scores, means, the table, and the files they go to."""

import contextlib
import errno
import json
import os
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

import numpy as np

from liax_jax.metrics import FRAME_METRICS

MODEL = "model"
FLOORS = ("copy_source", "copy_mean")

Scores = dict[str, float]


class EvaluationError(ValueError):
    """Something about the clips, the model's output or the output folder stops an evaluation."""


class ClipScores:
    """Running sums of one clip's frame scores, for the model and for both floors."""

    def __init__(self, name: str):
        self.name = name
        self.frames = 0
        self._sums = {row: dict.fromkeys(FRAME_METRICS, 0.0) for row in (MODEL, *FLOORS)}
        self._first: dict[str, Scores] = {}

    def add(self, scores: Mapping[str, Mapping[str, np.ndarray]]) -> None:
        """Adds consecutive frames: scores[row][metric] is (n,), in the order of the clip."""
        rows = {
            row: {metric: np.asarray(values, np.float64) for metric, values in by_metric.items()}
            for row, by_metric in scores.items()
        }
        if not self._first:
            self._first = {
                row: {metric: float(values[0]) for metric, values in by_metric.items()}
                for row, by_metric in rows.items()
            }
        for row, by_metric in rows.items():
            for metric, values in by_metric.items():
                self._sums[row][metric] += float(values.sum())
        self.frames += len(rows[MODEL]["l1"])

    def mean(self, row: str) -> Scores:
        """Mean over the clip's frames, the first included."""
        return {metric: total / self.frames for metric, total in self._sums[row].items()}

    def mean_without_first(self, row: str) -> Scores:
        """Mean over the clip's frames but the first, which is its own source."""
        return {
            metric: (total - self._first[row][metric]) / (self.frames - 1)
            for metric, total in self._sums[row].items()
        }

    def entry(self) -> dict[str, Any]:
        """The clip's entry in results.json and its line in clips.jsonl."""
        floors = {floor: self.mean(floor) for floor in FLOORS}
        return {"name": self.name, "frames": self.frames, **self.mean(MODEL), "floors": floors}


def _with_floors(means: Mapping[str, Scores]) -> dict[str, Any]:
    return {"mean": means[MODEL], "floors": {floor: means[floor] for floor in FLOORS}}


def summarise(
    clips: Sequence[ClipScores], resolution: int, max_frames: int | None
) -> dict[str, Any]:
    """The content of results.json for self-reenactment, the conventions of its numbers included."""
    rows = (MODEL, *FLOORS)
    frames = [clip.frames for clip in clips]

    def average(per_clip: Sequence[Scores], weights: Sequence[int] | None = None) -> Scores:
        return {
            metric: float(np.average([scores[metric] for scores in per_clip], weights=weights))
            for metric in FRAME_METRICS
        }

    over_clips = {row: average([clip.mean(row) for clip in clips]) for row in rows}
    over_frames = {row: average([clip.mean(row) for clip in clips], frames) for row in rows}
    later = {row: average([clip.mean_without_first(row) for clip in clips]) for row in rows}
    used = "every frame" if max_frames is None else f"the first {max_frames} frames at most"
    protocol = {
        "name": "self-reenactment",
        "source": "the first frame of the clip",
        "driving": f"{used}, the first included",
        "resolution": resolution,
        "images": "model output clipped to [-1, 1] and mapped to [0, 1], not rounded to 8 bits",
        "metrics": {name: metric.convention for name, metric in FRAME_METRICS.items()},
        "mean": "mean over the frames of each clip, then over clips",
        "mean_over_frames": "mean over all frames of all clips",
        "mean_without_first_frame": (
            "like mean, leaving out each clip's first frame, which copy_source matches perfectly"
        ),
        "copy_source": "the first frame against every frame",
        "copy_mean": "the mean of the clip's frames, not rounded, against every frame",
        "clips": len(clips),
        "frames": sum(frames),
    }
    return {
        "protocol": protocol,
        **_with_floors(over_clips),
        "mean_over_frames": _with_floors(over_frames),
        "mean_without_first_frame": _with_floors(later),
        "clips": [clip.entry() for clip in clips],
    }


def format_table(results: Mapping[str, Any]) -> str:
    """A text table of `summarise`'s result: a line per clip, then the three means."""
    protocol = results["protocol"]
    lines = [(entry["name"], str(entry["frames"]), entry) for entry in results["clips"]]
    means = [("mean over clips", {**results["mean"], "floors": results["floors"]})]
    for key in ("mean_over_frames", "mean_without_first_frame"):
        means.append((key.replace("_", " "), {**results[key]["mean"], **results[key]}))
    label_width = max(len(label) for label in [line[0] for line in lines] + [m[0] for m in means])

    def cells(scores: Mapping[str, float]) -> str:
        return " ".join(f"{scores[k]:7.{metric.decimals}f}" for k, metric in FRAME_METRICS.items())

    def line(label: str, frames: str, entry: Mapping[str, Any]) -> str:
        blocks = [cells(entry), *(cells(entry["floors"][floor]) for floor in FLOORS)]
        return " | ".join([f"{label:<{label_width}} {frames:>6}", *blocks])

    group_width = 8 * len(FRAME_METRICS) - 1
    groups = ["reconstruction", *(floor.replace("_", " ") for floor in FLOORS)]
    names = " ".join(
        f"{name.upper() + ('↑' if metric.higher_is_better else '↓'):>7}"
        for name, metric in FRAME_METRICS.items()
    )
    title = " | ".join([" " * (label_width + 7), *(f"{group:^{group_width}}" for group in groups)])
    head = " | ".join([f"{'clip':<{label_width}} {'frames':>6}", *([names] * len(groups))])
    rule = "-" * len(head)
    return "\n".join(
        [
            f"{protocol['name']}: {protocol['clips']} clips, {protocol['frames']} frames, "
            f"{protocol['resolution']} px",
            title,
            head,
            rule,
            *(line(*row) for row in lines),
            rule,
            *(line(label, "", entry) for label, entry in means),
        ]
    )


def video_stems(names: Sequence[str]) -> list[str]:
    """File names (without suffix) for clip names, which may hold slashes and the like; unique."""
    stems: list[str] = []
    for index, name in enumerate(names):
        stem = re.sub(r"[^\w.-]+", "_", name).strip("._") or "clip"
        while stem in stems:
            stem = f"{stem}_{index}"
        stems.append(stem)
    return stems


@contextlib.contextmanager
def open_clip_lines(out_dir: pathlib.Path) -> Iterator[TextIO]:
    """Makes the output folder and opens an empty clips.jsonl in it.

    Results of an earlier evaluation are removed first: were this one interrupted, they would stand
    beside clips that they don't describe.

    Raises:
      EvaluationError: the folder can't be made or written to.
    """
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        for earlier in ("results.json", "table.txt"):
            (out_dir / earlier).unlink(missing_ok=True)
        (out_dir / "clips.jsonl").write_text("")
    except OSError as error:
        raise _unwritable(out_dir, error) from error
    with open(out_dir / "clips.jsonl", "a", encoding="utf-8") as file:
        yield file


@contextlib.contextmanager
def explain_full_disk(out_dir: pathlib.Path) -> Iterator[None]:
    """Turns a full or read-only disk, met while a video is written, into an EvaluationError.

    Other system errors pass: clips are read while their video is written, and may fail too.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise _unwritable(out_dir, error) from error
        raise


def append_clip_line(file: TextIO, scores: ClipScores) -> None:
    """Writes the scores of a finished clip as a line, at once.

    Raises:
      EvaluationError: it can't be written.
    """
    try:
        file.write(json.dumps(scores.entry()) + "\n")
        file.flush()
    except OSError as error:
        raise _unwritable(pathlib.Path(file.name).parent, error) from error


def write_results(out_dir: pathlib.Path, results: Mapping[str, Any], table: str) -> None:
    """Writes table.txt and results.json; each appears complete or not at all.

    Raises:
      EvaluationError: they can't be written.
    """
    contents = {"table.txt": table + "\n", "results.json": json.dumps(results, indent=2) + "\n"}
    for name, text in contents.items():
        partial = out_dir / f".{name}.{os.getpid()}.partial"
        try:
            partial.write_text(text, encoding="utf-8")
            os.replace(partial, out_dir / name)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise _unwritable(out_dir, error) from error


def _unwritable(out_dir: pathlib.Path, error: OSError) -> EvaluationError:
    return EvaluationError(
        f"can't write evaluation results to {out_dir}: {error.strerror or error}; choose a folder "
        "that you can write to, on a disk with room"
    )
