"""Two evaluations of the same clips, compared clip by clip.

Clips differ far more from each other than two models do on the same clip. So the difference is
taken on each clip that both have, and the interval is that of its mean over clips.
"""

import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from liax_jax.evaluation.bootstrap import DEFAULT, FEW_CLIPS, BootstrapOptions, mean_interval
from liax_jax.evaluation.differences import differences
from liax_jax.evaluation.errors import EvaluationError, counted, some_of
from liax_jax.evaluation.run_folder import PROGRAM, RESULTS_NAME, RUN_NAME
from liax_jax.evaluation.summary import frames_scored
from liax_jax.evaluation.text_table import number

# Of a protocol, what may differ between runs whose clips can be compared all the same: clips are
# matched one by one, and other systems don't say how they move a source.
_MAY_DIFFER = ("metrics", "clips", "frames", "pairs", "sources", "motion")
# Relative differences that come of the order of additions, with another batch size or device.
_ROUNDING = 1e-5
_FRAME_DIGESTS = ("driving_sha256", "source_sha256")


def read_results(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """What an evaluation's folder holds.

    Raises:
      EvaluationError: it isn't one, or isn't finished.
    """
    folder = pathlib.Path(folder)
    path = folder / RESULTS_NAME if folder.is_dir() else folder
    if not path.exists():
        if (folder / RUN_NAME).exists():
            raise EvaluationError(
                f"{folder}: this evaluation isn't finished; run its command again to go on"
            )
        raise EvaluationError(f"{folder}: holds no {RESULTS_NAME}, so it is no evaluation")
    try:
        results = json.loads(path.read_text())
        results["protocol"]["name"], results["clips"], results["mean"]
    except (ValueError, KeyError, TypeError) as error:
        raise EvaluationError(f"{path}: holds no clips to compare ({error})") from error
    return results


def compare(
    run_a: str | os.PathLike[str],
    run_b: str | os.PathLike[str],
    *,
    options: BootstrapOptions = DEFAULT,
    most: int = 5,
) -> dict[str, Any]:
    """Compares two runs over the clips that both have.

    Args:
      run_a, run_b: folders of finished evaluations.
      most: how many of the clips that differ most are listed for each metric.

    Returns:
      JSON: "runs", "protocol", "clips" (how many are compared), "only_in_a", "only_in_b",
      "interval" (how it is made), "metrics": name to "a", "b", "difference" (b − a, means over
      clips), "interval", "verdict" ("equal" to rounding), "clips", "frames" (scored in each run),
      "better_in_b" (clips) and "most_different"; "sets"; "not_compared": metric to the reason; and
      "warnings".

    Raises:
      EvaluationError: other protocols, sizes or frames, or no clip in common.
    """
    a, b = read_results(run_a), read_results(run_b)
    _check_protocols(a["protocol"], b["protocol"])
    clips_a = {entry["name"]: entry for entry in a["clips"]}
    clips_b = {entry["name"]: entry for entry in b["clips"]}
    common = [name for name in clips_a if name in clips_b]
    if not common:
        raise EvaluationError(
            f"the runs have no clip in common: {some_of(list(clips_a))} in the one, "
            f"{some_of(list(clips_b))} in the other"
        )
    _check_frames(common, clips_a, clips_b)
    not_compared = _differing_metrics(a["protocol"]["metrics"], b["protocol"]["metrics"])
    about = a["protocol"]["metrics"]
    metrics = {}
    for name in a["mean"]:
        if name in not_compared:
            continue
        found = _paired(name, common, clips_a, clips_b, about[name], options, most)
        if found is None:
            not_compared[name] = "no clip has a value in both runs"
        else:
            metrics[name] = found
    return {
        "runs": {"a": a["title"], "b": b["title"]},
        "protocol": a["protocol"]["name"],
        "clips": len(common),
        "only_in_a": [name for name in clips_a if name not in clips_b],
        "only_in_b": [name for name in clips_b if name not in clips_a],
        "interval": options.describe() | {"of": "the mean over clips of b - a on each clip"},
        "metrics": metrics,
        "sets": _sets(a, b, not_compared),
        "not_compared": not_compared,
        "warnings": _warnings(a, b, len(common), metrics),
    }


def _warnings(
    a: Mapping[str, Any], b: Mapping[str, Any], common: int, metrics: Mapping[str, Any]
) -> list[str]:
    """What makes the comparison worth less than it looks."""
    lines = []
    if common == 1:
        lines.append("only 1 clip is compared, too few for an interval")
    elif common < FEW_CLIPS:
        lines.append(f"only {common} clips are compared; so few make intervals too narrow")
    for name, found in metrics.items():
        in_a, in_b = found["frames"]["a"], found["frames"]["b"]
        if in_a != in_b:
            lines.append(
                f"{name} has a score for {in_a} frames in a and for {in_b} in b, on the clips "
                "compared; the means are over different frames"
            )
    if a.get(PROGRAM) != b.get(PROGRAM):
        lines.append("the runs were scored by different versions of this program")
    return lines


def _check_protocols(a: Mapping[str, Any], b: Mapping[str, Any]) -> None:
    kept_a, kept_b = (
        {key: value for key, value in protocol.items() if key not in _MAY_DIFFER}
        for protocol in (a, b)
    )
    if kept_a != kept_b:
        raise EvaluationError(
            f'the runs are of different protocols ({differences(kept_a, kept_b)}), where "there" '
            'is the first run and "now" the second; only like is compared with like'
        )


def _check_frames(
    common: Sequence[str], clips_a: Mapping[str, Any], clips_b: Mapping[str, Any]
) -> None:
    for name in common:
        a, b = clips_a[name], clips_b[name]
        if any(a.get(key) != b.get(key) for key in _FRAME_DIGESTS) or a["frames"] != b["frames"]:
            raise EvaluationError(
                f"the runs are of different data: clip {name!r} has other frames in the second "
                f"run than in the first ({a['frames']} and {b['frames']} frames); evaluate both on "
                "the same clips"
            )


def _differing_metrics(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, str]:
    """Metrics that can't be compared, and why."""
    reasons = {}
    for name in dict.fromkeys([*a, *b]):
        if name not in a or name not in b:
            reasons[name] = f"only in the {'first' if name in a else 'second'} run"
        elif a[name]["weights"] != b[name]["weights"]:
            reasons[name] = "the runs used different weights for it"
        elif a[name]["convention"] != b[name]["convention"]:
            reasons[name] = "the runs used different conventions for it"
    return reasons


def _paired(
    name: str,
    common: Sequence[str],
    clips_a: Mapping[str, Any],
    clips_b: Mapping[str, Any],
    about: Mapping[str, Any],
    options: BootstrapOptions,
    most: int,
) -> dict[str, Any] | None:
    pairs = [(clip, clips_a[clip].get(name), clips_b[clip].get(name)) for clip in common]
    both = [(clip, a, b) for clip, a, b in pairs if a is not None and b is not None]
    if not both:
        return None
    frames = {
        run: sum(frames_scored(clips[clip], name) for clip in common)
        for run, clips in (("a", clips_a), ("b", clips_b))
    }
    changes = [b - a for _, a, b in both]
    interval = mean_interval(changes, options=options)
    higher = about["higher_is_better"]
    mean_a, mean_b = (
        sum(values) / len(both) for values in zip(*[row[1:] for row in both], strict=True)
    )
    rounding = _ROUNDING * max(abs(mean_a), abs(mean_b))
    ranked = sorted(both, key=lambda row: abs(row[2] - row[1]), reverse=True)[:most]
    return {
        "a": mean_a,
        "b": mean_b,
        "difference": sum(changes) / len(both),
        "interval": interval,
        "verdict": "equal" if max(map(abs, changes)) <= rounding else _verdict(interval, higher),
        "clips": len(both),
        "frames": frames,
        "better_in_b": None if higher is None else sum((c > 0) == higher for c in changes if c),
        "decimals": about["decimals"],
        "most_different": [
            {"name": clip, "a": a, "b": b, "difference": b - a} for clip, a, b in ranked
        ],
    }


def _verdict(interval: Sequence[float] | None, higher_is_better: bool | None) -> str:
    """What the interval says: which run is better, or that it holds 0."""
    if interval is None:
        return "too few clips"
    low, high = interval
    if low <= 0 <= high:
        return "no difference shown"
    if higher_is_better is None:
        return "b is higher" if low > 0 else "b is lower"
    return "b is better" if (low > 0) == higher_is_better else "a is better"


def _sets(
    a: Mapping[str, Any], b: Mapping[str, Any], not_compared: dict[str, str]
) -> dict[str, Any]:
    """Set metrics side by side; they have no value per clip, and so no interval."""
    same = [e["name"] for e in a["clips"]] == [e["name"] for e in b["clips"]]
    sets = {}
    for name in a["sets"]:
        values = a["sets"][name], b["sets"].get(name)
        if name in not_compared:
            continue
        if not same:
            not_compared[name] = "is of all clips, and the runs have different ones"
        elif None in values:
            not_compared[name] = "has no value in both runs"
        else:
            decimals = a["protocol"]["metrics"][name]["decimals"]
            difference = values[1] - values[0]
            sets[name] = {"a": values[0], "b": values[1], "difference": difference}
            sets[name]["decimals"] = decimals
    return sets


def format_comparison(result: Mapping[str, Any]) -> str:
    """The comparison as text."""
    share = f"{100 * result['interval']['confidence']:g} %"
    clips = counted(result["clips"], "clip")
    lines = [
        f"{result['protocol'].replace('_', '-')} over {clips} that both runs have",
        f"a: {result['runs']['a']}",
        f"b: {result['runs']['b']}",
        "",
        f"{'metric':<16} {'a':>10} {'b':>10} {'b - a':>10}  {share + ' interval':<24} verdict",
    ]
    for name, found in result["metrics"].items():
        digits = found["decimals"] + 1
        low_high = found["interval"]
        shown = (
            "–" if low_high is None else f"[{low_high[0]:+.{digits}f}, {low_high[1]:+.{digits}f}]"
        )
        wins = found["better_in_b"]
        count = "" if wins is None else f" (b better on {wins} of {found['clips']} clips)"
        lines.append(
            f"{name:<16} {number(found['a'], digits):>10} {number(found['b'], digits):>10} "
            f"{found['difference']:>+10.{digits}f}  {shown:<24} {found['verdict']}{count}"
        )
    for name, found in result["sets"].items():
        digits = found["decimals"]
        lines.append(
            f"{name:<16} {number(found['a'], digits):>10} {number(found['b'], digits):>10} "
            f"{found['difference']:>+10.{digits}f}  {'one number over all frames':<24}"
        )
    for name, found in result["metrics"].items():
        lines += ["", f"clips that differ most by {name}:"]
        digits = found["decimals"] + 1
        lines += [
            f"  {row['name']}: {row['a']:.{digits}f} → {row['b']:.{digits}f} "
            f"({row['difference']:+.{digits}f})"
            for row in found["most_different"]
        ]
    remarks = [f"not compared: {name} ({why})" for name, why in result["not_compared"].items()]
    for run in ("a", "b"):
        if missing := result[f"only_in_{run}"]:
            remarks.append(f"{counted(len(missing), 'clip')} only in {run}: {some_of(missing)}")
    remarks += [f"warning: {text}" for text in result["warnings"]]
    return "\n".join(lines + ([""] + remarks if remarks else []))
