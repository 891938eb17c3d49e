"""What an evaluation writes down at its end: means, their intervals, the table, results.json."""

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from liax_jax.data.clips import ClipSet
from liax_jax.evaluation import bootstrap
from liax_jax.evaluation.clip_loop import Failures
from liax_jax.evaluation.errors import some_of
from liax_jax.evaluation.program import MADE_WITH, scoring_version
from liax_jax.evaluation.run_folder import (
    INPUTS,
    MODEL,
    PROGRAM,
    RESULTS_NAME,
    RunFolder,
    digest,
)
from liax_jax.evaluation.scoring import FLOORS, Metrics, frame_metric_names, set_distance
from liax_jax.evaluation.text_table import format_table
from liax_jax.metrics import FrameMetric, MetricInputError, SetMetric

Scores = dict[str, float | None]
Entry = Mapping[str, Any]

_MEANS = {
    "mean": "mean over the frames of each clip, then over clips",
    "mean_over_frames": "mean over all frames of all clips",
    "mean_without_first_frame": (
        "like mean, leaving out each clip's first frame: in self-reenactment it is its own source"
    ),
}
SCORED_IMAGES = "clipped to [-1, 1], rounded to 8 bits, and mapped to [0, 1]"


@dataclasses.dataclass(frozen=True)
class Context:
    """What results say beside the scores.

    Attributes:
      model: what made the frames: fingerprint, step, origin, or the folder of predictions.
      data: where the clips are from, as far as the scores depend on it.
      left_out: metric to the reason why it isn't there.
      notes: sentences for the report, such as predictions that match no clip.
      dataset: name of the data set in the table of published results, or "".
      title: what a table calls the run.
      inputs: clip to a hash of what its results alone depend on; where it changes, that clip is
        evaluated again and the others are kept.
    """

    model: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    data: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    left_out: Mapping[str, str] = dataclasses.field(default_factory=dict)
    notes: Sequence[str] = ()
    dataset: str = ""
    title: str = "this run"
    inputs: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def with_left_out(self, reasons: Mapping[str, str]) -> "Context":
        """The same with more metrics left out."""
        return dataclasses.replace(self, left_out={**self.left_out, **reasons})

    def describe(
        self, protocol: Mapping[str, Any], metrics: Metrics, clips: ClipSet
    ) -> dict[str, Any]:
        """What the results of a clip depend on, as JSON: of a `RunFolder`."""
        described = {name: metric.describe(0) for name, metric in metrics.items()}
        # Where a model lies doesn't matter. The hash over all files is told apart by clip.
        passed_over = {"origin", "files"} if self.inputs else {"origin"}
        return {
            **({INPUTS: dict(self.inputs)} if self.inputs else {}),
            "protocol": dict(protocol),
            PROGRAM: scoring_version(protocol["name"]),
            MODEL: {key: value for key, value in self.model.items() if key not in passed_over},
            "data": {**self.data, **describe_clips(clips)},
            "metrics": {
                name: {key: about[key] for key in ("convention", "weights")}
                for name, about in described.items()
            },
        }


def describe_clips(clips: ClipSet) -> dict[str, Any]:
    """Which clips they are: their number, size, and a hash over names and lengths."""
    listing = [list(clips.names), [int(length) for length in clips.lengths]]
    return {"clips": len(clips), "resolution": clips.resolution, "listing": digest(listing)}


def average(
    entries: Sequence[Entry],
    names: Sequence[str],
    get: Callable[[Entry], Mapping[str, float | None]],
    weighted: bool = False,
) -> Scores:
    """Means over the clips that have a value, by metric; None where none has.

    Args:
      get: the scores of a clip's entry.
      weighted: by the clips' numbers of frames.
    """
    return {
        name: float(np.average(values, weights=weights)) if len(values) else None
        for name in names
        for values, weights in [clip_values(entries, name, get, weighted)]
    }


def clip_values(
    entries: Sequence[Entry],
    name: str,
    get: Callable[[Entry], Mapping[str, float | None]],
    weighted: bool = False,
) -> tuple[np.ndarray, np.ndarray | None]:
    """One metric of the clips that have a value, and their numbers of scored frames."""
    pairs = [(get(entry).get(name), frames_scored(entry, name)) for entry in entries]
    found = [(value, frames) for value, frames in pairs if value is not None]
    values = np.array([value for value, _ in found], np.float64)
    return values, np.array([frames for _, frames in found], np.float64) if weighted else None


def frames_scored(entry: Entry, name: str) -> int:
    """How many frames of a clip have a score."""
    return entry.get("frames_scored", {}).get(name, entry["frames"])


def _whole(entry: Entry) -> Mapping[str, Any]:
    return entry


def _without_first(entry: Entry) -> Mapping[str, Any]:
    return entry["without_first_frame"]


def _group(
    entries: Sequence[Entry],
    names: Sequence[str],
    floor_names: Sequence[str],
    get: Callable[[Entry], Mapping[str, Any]],
    weighted: bool = False,
) -> dict[str, Any]:
    """{"mean": …, "floors": …} of one way of averaging."""

    def of_floor(floor: str) -> Scores:
        return average(entries, floor_names, lambda entry: get(entry)["floors"][floor], weighted)

    group: dict[str, Any] = {"mean": average(entries, names, get, weighted)}
    if floor_names:
        group["floors"] = {floor: of_floor(floor) for floor in FLOORS}
    return group


def _intervals(entries: Sequence[Entry], names: Sequence[str]) -> dict[str, Any]:
    options = bootstrap.DEFAULT
    intervals: dict[str, Any] = options.describe()
    for key, weighted in (("mean", False), ("mean_over_frames", True)):
        intervals[key] = {
            name: bootstrap.mean_interval(*clip_values(entries, name, _whole, weighted))
            for name in names
        }
    return intervals


def summarise(
    entries: Sequence[Entry],
    metrics: Metrics,
    protocol: Mapping[str, Any],
    context: Context,
    sets: Mapping[str, float | None],
    failures: Failures,
) -> dict[str, Any]:
    """The content of results.json.

    Returns:
      "protocol" (name and conventions), "model", "data", "program" (version of the code that
      scores), "made_with" (versions and device; several where a run went on elsewhere), "mean"
      (over clips, of each clip's mean over frames), "floors", "intervals", "sets" (one number over
      all frames), "mean_over_frames", "mean_without_first_frame" (where it makes sense),
      "left_out", "failed", "notes" and "clips".
      A metric without a value is None.
    """
    names = frame_metric_names(metrics)
    floors = [name for name in names if name in entries[0].get("floors", {}).get(FLOORS[0], {})]
    frames = sum(entry["frames"] for entry in entries)
    about = {}
    for name, metric in metrics.items():
        scored = frames if name in sets else sum(frames_scored(entry, name) for entry in entries)
        about[name] = {**metric.describe(scored), "decimals": metric.decimals}
    groups = {
        "mean_over_frames": _group(entries, names, floors, _whole, weighted=True),
    }
    if "without_first_frame" in entries[0]:
        groups["mean_without_first_frame"] = _group(entries, names, floors, _without_first)
    return {
        "protocol": {
            **protocol,
            "metrics": about,
            **{key: words for key, words in _MEANS.items() if key in groups or key == "mean"},
            "clips": len(entries),
            "frames": frames,
        },
        "model": dict(context.model),
        "data": dict(context.data),
        PROGRAM: scoring_version(protocol["name"]),
        MADE_WITH: _distinct(entry[MADE_WITH] for entry in entries if MADE_WITH in entry),
        "title": context.title,
        "dataset": context.dataset,
        **_group(entries, names, floors, _whole),
        "sets": dict(sets),
        "intervals": _intervals(entries, names),
        **groups,
        "left_out": dict(context.left_out),
        "failed": list(failures),
        "notes": list(context.notes),
        "clips": list(entries),
    }


def _distinct(values: Iterable[Any]) -> list[Any]:
    """Each value once, in order."""
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found


def _unscored(entries: Sequence[Entry], metrics: Metrics) -> list[str]:
    """What metrics of each frame didn't score, in words: without it their means look complete."""
    notes = []
    for name in frame_metric_names(metrics):
        total = sum(entry["frames"] for entry in entries)
        # A sequence's metric leaves its first frames out in every clip, as its convention says.
        left_out = total - sum(frames_scored(entry, name) for entry in entries)
        if left_out and isinstance(metrics[name], FrameMetric):
            notes.append(
                f"{name}: {left_out} of {total} frames have no score; its means are over the other "
                f"{total - left_out}"
            )
        without = [entry["name"] for entry in entries if entry.get(name) is None]
        if without:
            notes.append(
                f"{name}: {len(without)} of {len(entries)} clips have no value: {some_of(without)}"
            )
    return notes


def finish(
    folder: RunFolder,
    metrics: Metrics,
    protocol: Mapping[str, Any],
    context: Context,
    failures: Failures,
    *,
    show: bool,
) -> dict[str, Any]:
    """Sums up the finished clips and writes results.json and table.txt.

    Args:
      show: print the table.
    """
    entries = folder.finished()
    sets: dict[str, float | None] = {}
    notes = list(context.notes)
    for name, metric in metrics.items():
        if isinstance(metric, SetMetric):
            try:
                sets[name], _ = set_distance(metric, (folder.arrays(e["name"]) for e in entries))
            except MetricInputError as error:
                sets[name] = None
                notes.append(str(error))
    notes += _unscored(entries, metrics)
    context = dataclasses.replace(context, notes=notes)
    results = summarise(entries, metrics, protocol, context, sets, failures)
    table = format_table(results)
    folder.write("table.txt", table + "\n")
    folder.write(RESULTS_NAME, json.dumps(results, indent=2) + "\n")
    if show:
        print(table)
    return results
