"""Figures that were aimed at before the study ran, and whether they were met."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from liax_jax.studies.document import table
from liax_jax.studies.rows import Row, Statistic


@dataclasses.dataclass(frozen=True)
class Target:
    """One aim.

    Attributes:
      aim: in words, with its figure.
      found: in words; "not run" where a row is missing.
      met: None where it can't be told.
    """

    aim: str
    found: str
    met: bool | None

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def readability_targets(sparse: Row | None, dense: Row | None) -> list[Target]:
    """The targets of the study of readability: sparse cells against dense ones."""

    def pair(name: str) -> tuple[Statistic, Statistic] | None:
        of = [row.statistics.get(name) if row else None for row in (sparse, dense)]
        return (of[0], of[1]) if of[0] and of[1] else None

    targets = []
    aims = {
        "twice": "DCI disentanglement, sparse at least 2 × dense",
        "half": "DCI disentanglement, sparse at least 0.5",
        "matched": "matched correlation over seeds, sparse at least 0.7",
        "matched_dense": "matched correlation over seeds, dense at most 0.4",
        "psnr": "PSNR of sparse within 0.5 dB of dense",
    }
    if found := pair("dci_d"):
        ratio = found[0].value / found[1].value if found[1].value else float("inf")
        words = f"{found[0].value:.3f} against {found[1].value:.3f}, {ratio:.2f} ×"
        targets += [
            Target(aims["twice"], words, ratio >= 2),
            Target(aims["half"], f"{found[0].value:.3f}", found[0].value >= 0.5),
        ]
    if found := pair("matched"):
        targets += [
            Target(aims["matched"], f"{found[0].value:.3f}", found[0].value >= 0.7),
            Target(aims["matched_dense"], f"{found[1].value:.3f}", found[1].value <= 0.4),
        ]
    if found := pair("pooled_psnr"):
        gap = found[0].value - found[1].value
        targets.append(Target(aims["psnr"], f"{gap:+.2f} dB", gap >= -0.5))
    told = {target.aim for target in targets}
    return targets + [Target(aim, "not run", None) for aim in aims.values() if aim not in told]


def targets_table(targets: Sequence[Target]) -> str:
    """Aim, found, met or missed."""
    words = {True: "met", False: "**missed**", None: "–"}
    return table(("aim", "found", ""), [(t.aim, t.found, words[t.met]) for t in targets])
