"""What the report of the lab says, beside its pictures."""

import dataclasses
from typing import Any

from liax_jax.interpretability.direction_names import NamingAccuracy, by_use
from liax_jax.interpretability.lab import Finding
from liax_jax.interpretability.naming import UNNAMED
from liax_jax.interpretability.relations import Relations
from liax_jax.interpretability.sparsity import Sparsity


@dataclasses.dataclass(frozen=True)
class Report:
    """What a report says, beside its pictures.

    Attributes:
      about: checkpoint and data in words, by heading.
      findings: by index.
      names: {index: unique name}.
      sparsity: of the probe's codes within clips.
      relations: between the directions' flows.
      accuracy: of names, where the truth is known.
      faces: in how many portraits a face was found, of how many.
      people: how many people the portraits are of.
      identity: how identity drift is measured, or why it isn't.
    """

    about: dict[str, str]
    findings: list[Finding]
    names: dict[int, str]
    sparsity: Sparsity
    relations: Relations
    accuracy: NamingAccuracy | None
    faces: tuple[int, int]
    people: int
    identity: str

    @property
    def order(self) -> list[int]:
        """Indices, the most used first."""
        return [finding.index for finding in by_use(self.findings)]

    @property
    def effective(self) -> list[int]:
        """Indices whose effect can be seen, the most used first."""
        return [finding.index for finding in by_use(self.findings) if finding.has_effect]

    def signed_name(self, index: int) -> str:
        """ "yaw", or "-yaw" where a positive coefficient makes the motion negative."""
        reversed_ = self.findings[index].name.sign < 0 and self.names[index] != UNNAMED
        return f"-{self.names[index]}" if reversed_ else self.names[index]

    def label(self, index: int) -> str:
        """ "7 -yaw"."""
        return f"{index} {self.signed_name(index)}"

    def to_json(self) -> dict[str, Any]:
        """All of it as plain numbers and dictionaries."""
        return {
            "about": self.about,
            "sparsity": self.sparsity.to_json(),
            "naming_accuracy": self.accuracy and dataclasses.asdict(self.accuracy),
            "faces_found": self.faces[0],
            "portraits": self.faces[1],
            "people": self.people,
            "identity_drift": self.identity,
            "partners": self.relations.partners(self.effective),
            "redundant": self.relations.redundant(self.effective),
            "alike": self.relations.alike.round(3).tolist(),
            "mirrored": self.relations.mirrored.round(3).tolist(),
            "directions": [
                {
                    "name": self.names[finding.index],
                    "confidence": finding.name.confidence,
                    "has_effect": finding.has_effect,
                    "finding": finding.to_json(),
                }
                for finding in self.findings
            ],
        }
