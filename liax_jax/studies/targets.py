"""Figures that were aimed at before the study ran, and whether they were met."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from liax_jax.studies.document import shown, table
from liax_jax.studies.rows import Row, paired
from liax_jax.studies.seed_statistics import Statistic

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
    """

    aim: str
    found: str
    met: bool | None
    sure: bool | None = None

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
    met, *ends = (
        (value <= bound if most else value >= bound)
        for value in (found.value, *(found.interval or ()))
    )
    sure = all(end == met for end in ends) if ends and found.over != "people" else None
    return Target(aim, words or shown(found), met, sure)


def targets_table(targets: Sequence[Target]) -> str:
    """Aim, found, and met or missed; where the interval holds the other answer too, that."""
    words = {True: "met", False: "**missed**", None: "–"}
    doubt = ", but the interval crosses it"
    return table(
        ("aim", "found", ""),
        [(t.aim, t.found, words[t.met] + doubt * (t.sure is False)) for t in targets],
    )


def remedies_table(dense: Row | None, rows: Sequence[Row]) -> str:
    """Every row against what was aimed at, those that meet both DCI-D and PSNR in bold.

    Args:
      dense: what PSNR is compared to, seed by seed.
      rows: those of other factors are left out.
    """
    header = (
        "cells",
        "seeds",
        f"DCI-D, at least {READABLE_DCI}",
        f"PSNR − dense, at least −{LOSS_DB}",
        f"matched correlation, at least {STABLE_MATCH}",
    )
    lines = []
    for row in rows:
        if dense is None or row is dense or list(row.factors) != list(dense.factors):
            continue
        lost = paired(row, dense, "pooled_psnr")
        columns = (
            (row.statistics["dci_d"], READABLE_DCI, 2),
            (lost, -LOSS_DB, 2),
            (row.statistics.get("matched"), STABLE_MATCH, 2),
        )
        met = [found is not None and found.value >= bound for found, bound, _ in columns]
        texts = [
            shown(found, digits, control=False) + " ✓" * fits
            for (found, _, digits), fits in zip(columns, met, strict=True)
        ]
        name = f"**{row.name}**" if met[0] and met[1] else row.name
        lines.append([name, str(len(row.seeds)), *texts])
    return table(header, lines)
