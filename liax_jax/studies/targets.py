"""Figures that were aimed at before the study ran, and whether they were met."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from liax_jax.studies.axes_afterwards import MATCHED, WAY
from liax_jax.studies.document import shown, table
from liax_jax.studies.rows import Row, paired
from liax_jax.studies.seed_statistics import Statistic

# Axes found afterwards that settings are compared in, and the heads of their columns.
_TURNED = {
    "l1 of frames": "turned: ℓ1 of frames",
    "l1 of deviations": "ℓ1 of deviations",
    "ica of deviations": "ICA of deviations",
    "pca of deviations": "principal axes of deviations",
}
# DCI-D and matched correlation at least, dB lost at most.
READABLE_DCI, STABLE_MATCH, LOSS_DB = 0.5, 0.7, 0.5


@dataclasses.dataclass(frozen=True)
class Target:
    """One aim.

    Attributes:
      aim: in words, with its figure.
      found: in words; "not run" where a row is missing.
      met: by the mean over seeds; None where it can't be told.
      sure: whether the whole interval lies on that side; None without an interval.
      by_chance: whether the control alone meets it; None without a control.
    """

    aim: str
    found: str
    met: bool | None
    sure: bool | None = None
    by_chance: bool | None = None

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def readability_targets(sparse: Row | None, dense: Row | None) -> list[Target]:
    """The targets of the study of readability: sparse cells against dense ones, seed by seed."""

    def of(row: Row | None, name: str) -> Statistic | None:
        return row.statistics.get(name) if row is not None else None

    def difference(name: str, factor: float = 1.0) -> Statistic | None:
        return paired(sparse, dense, name, factor) if sparse and dense else None

    scores = [of(row, "dci_d") for row in (sparse, dense)]
    words = ""
    if scores[0] and scores[1]:
        ratio = scores[0].value / scores[1].value if scores[1].value else float("inf")
        words = f"{shown(scores[0])} against {shown(scores[1])}, {ratio:.2f} ×"
    matched = "matched correlation over seeds"
    return [
        _target("DCI disentanglement, sparse at least 2 × dense", difference("dci_d", 2), 0, words),
        _target("DCI disentanglement, sparse at least 0.5", scores[0], READABLE_DCI),
        _target(f"{matched}, sparse at least 0.7", of(sparse, "matched"), STABLE_MATCH),
        _target(f"{matched}, dense at most 0.4", of(dense, "matched"), 0.4, most=True),
        _target("PSNR of sparse within 0.5 dB of dense", difference("pooled_psnr"), -LOSS_DB),
    ]


def _target(
    aim: str, found: Statistic | None, bound: float, words: str = "", most: bool = False
) -> Target:
    """`bound` is the least that meets it, or with `most` the most."""
    if found is None:
        return Target(aim, "not run", None)

    def meets(value: float) -> bool:
        return value <= bound if most else value >= bound

    met, ends = meets(found.value), found.interval
    sure = all(meets(end) == met for end in ends) if ends and found.over != "people" else None
    by_chance = None if found.control is None else meets(found.control)
    return Target(aim, words or shown(found), met, sure, by_chance)


def targets_table(targets: Sequence[Target]) -> str:
    """Aim, found, and met or missed, with what makes that doubtful."""
    words = {True: "met", False: "**missed**", None: "–"}
    lines = []
    for target in targets:
        answer = words[target.met]
        if target.met and target.by_chance:
            answer += ", but by its control too"
        elif target.sure is False:
            answer += ", but the interval crosses it"
        lines.append((target.aim, target.found, answer))
    return table(("aim", "found", ""), lines)


def remedies_table(
    dense: Sequence[Row], rows: Sequence[Row], axes: Mapping[str, Mapping[str, Statistic]]
) -> str:
    """Every setting against what was aimed at: as trained, and in axes found afterwards.

    A score of at least 0.5 is in bold, if all factors are found and no more than 0.5 dB are lost.

    Args:
      dense: what PSNR is compared to, seed by seed: the one that was trained for as many steps, of
        people that move alike.
      rows: as trained; those without such a dense one are left out.
      axes: of each row's codes, by form (`axes_afterwards`).
    """
    header = (
        "cells",
        "seeds",
        "PSNR − dense, as long",
        "factors found",
        "R² of factors, mean",
        "way to the least ℓ1",
        "DCI-D as trained",
        *_TURNED.values(),
        "matched correlation as trained (control)",
        "turned, ℓ1 of deviations (control)",
    )
    lines = []
    baselines = {(row.settings["steps"], row.motion): row for row in dense}
    for row in rows:
        baseline = baselines.get((row.settings["steps"], row.motion))
        if baseline is None or row.name not in axes:
            continue
        lost, found = paired(row, baseline, "pooled_psnr"), row.statistics["found"]
        cheap = lost is not None and lost.value >= -LOSS_DB and found.value == len(row.factors)
        scores = [
            row.statistics["dci_d"],
            *(axes[row.name][name] for name in _TURNED),
        ]
        texts = [shown(score, 2, control=False) for score in scores]
        bold = [
            f"**{text}**" if cheap and score.value >= READABLE_DCI else text
            for text, score in zip(texts, scores, strict=True)
        ]
        about = [
            shown(lost, 2),
            f"{found.value:.1f}",
            f"{row.statistics['dci_i'].value:.2f}",
            shown(axes[row.name][WAY], 2),
        ]
        matched = [
            shown(statistic, 2)
            for statistic in (row.statistics.get("matched"), axes[row.name].get(MATCHED))
        ]
        lines.append([row.name, str(len(row.seeds)), *about, *bold, *matched])
    return table(header, lines)
