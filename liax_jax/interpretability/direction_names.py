"""From findings to the direction card: unique names, signs, ranges, confidence."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from liax_jax.directions import CARD_NAME, Direction, DirectionCard, default_name, read_card
from liax_jax.interpretability.factor_truth import FactorChange, confusion, is_right
from liax_jax.interpretability.lab import Finding, LabError, write_text
from liax_jax.interpretability.motion_templates import BY_NAME
from liax_jax.interpretability.naming import UNNAMED, Name, meaning, numbered
from liax_jax.motion_ranges import rounded


def by_use(findings: Sequence[Finding]) -> list[Finding]:
    """The findings, the most used direction first."""
    return sorted(findings, key=lambda finding: -finding.use)


def unique_names(findings: Sequence[Finding]) -> dict[int, str]:
    """{index: name}; repeated names are numbered by use, a direction without effect is unnamed."""
    ordered = by_use(findings)
    plain = [f.name.name if f.has_effect else UNNAMED for f in ordered]
    return {f.index: name for f, name in zip(ordered, numbered(plain), strict=True)}


def direction_card(findings: Sequence[Finding]) -> DirectionCard:
    """The card that `liax animate --edit NAME=VALUE` reads. Unnamed ones keep a measured range."""
    names = unique_names(findings)
    directions = []
    for finding in findings:
        reach = rounded(finding.reach)
        index, name = finding.index, names[finding.index]
        if name == UNNAMED:
            directions.append(Direction(index, default_name(index), low=-reach, high=reach))
            continue
        motion = BY_NAME[finding.name.name]
        directions.append(
            Direction(
                index=index,
                name=name,
                group=motion.group,
                sign=finding.name.sign,
                low=-reach,
                high=reach,
                meaning=meaning(motion.name),
                confidence=round(finding.name.confidence, 3),
            )
        )
    return DirectionCard(len(findings), tuple(directions))


def check_card_place(checkpoint: Path, overwrite: bool) -> Path:
    """Where a checkpoint's card belongs.

    Raises:
      FileNotFoundError: there is no such checkpoint.
      LabError: the checkpoint is a single file, or its folder's card has names already and
        `overwrite` isn't given.
    """
    if not checkpoint.exists():
        raise FileNotFoundError(f"there is no file or directory {checkpoint}")
    if not checkpoint.is_dir():
        raise LabError(
            f"{checkpoint} is one file, and its card would be inside: write the report without "
            f"--write-card, then liax convert {checkpoint} NEW --directions OUT/{CARD_NAME}"
        )
    path = checkpoint / CARD_NAME
    if path.exists() and not overwrite:
        named = [direction.name for direction in read_card(path).named]
        if named:
            raise LabError(
                f"{path} has names already ({', '.join(named[:5])}{', …' * (len(named) > 5)}); "
                "add --overwrite to replace them"
            )
    if not os.access(checkpoint, os.W_OK):
        raise LabError(f"{checkpoint} can't be written to, so its card can't be replaced")
    return path


def write_card(path: Path, card: DirectionCard) -> None:
    """Writes a direction card; it is there completely or not at all."""
    write_text(path, card.to_json())


@dataclasses.dataclass(frozen=True)
class NamingAccuracy:
    """How many names are right, and how pure what they name is, on drawn portraits.

    A name is right if its motion is the factor that changes by the largest share of its range, in
    the same sense. A truth is clear if no other factor changes by three quarters of that.

    Attributes:
      with_effect: directions whose effect can be seen, and that change some factor.
      no_factor: directions whose effect can be seen, but that change none noticeably.
      right: of those with an effect, names that are right.
      clear, clear_right: likewise, of those whose truth is clear.
      confusion: {factor that changes most: {name given: how often}}; a name in the wrong sense has
        a minus.
      purity: of those with an effect, which share of a direction's change is one factor's: mean,
        weighted by use; None without any.
    """

    with_effect: int
    no_factor: int
    right: int
    clear: int
    clear_right: int
    confusion: dict[str, dict[str, int]]
    purity: float | None


def naming_accuracy(findings: Sequence[Finding]) -> NamingAccuracy | None:
    """Names against what the directions do to drawn portraits; None without the truth."""
    visible = [finding for finding in findings if finding.has_effect]
    judged = with_a_factor(findings)
    if all(finding.truth is None for finding in visible):
        return None
    right = [is_right(f.name.name, truth, f.name.sign) for f, truth in judged]
    clear = [truth.is_clear for _, truth in judged]
    return NamingAccuracy(
        with_effect=len(judged),
        no_factor=len(visible) - len(judged),
        right=sum(right),
        clear=sum(clear),
        clear_right=sum(r and c for r, c in zip(right, clear, strict=True)),
        confusion=confusion(
            [next(iter(truth.counted)) for _, truth in judged],
            [_name_in_sense(f.name, truth) for f, truth in judged],
        ),
        purity=_mean_purity(judged),
    )


def with_a_factor(findings: Sequence[Finding]) -> list[tuple[Finding, FactorChange]]:
    """Those whose effect can be seen and that change some factor, and what they change."""
    return [
        (finding, finding.truth)
        for finding in findings
        if finding.has_effect and finding.truth is not None and finding.truth.counted
    ]


def _mean_purity(judged: Sequence[tuple[Finding, FactorChange]]) -> float | None:
    use = sum(finding.use for finding, _ in judged)
    return sum(finding.use * truth.purity for finding, truth in judged) / use if use else None


def _name_in_sense(given: Name, truth: FactorChange) -> str:
    """The name, with a minus where its sense isn't that of the factor that changes most."""
    turned = given.sign * next(iter(truth.counted.values())) < 0
    return f"-{given.name}" if turned and given.name != UNNAMED else given.name
