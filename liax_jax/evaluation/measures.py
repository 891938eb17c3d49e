"""Numbers about a clip that are no scores: neither direction is better."""

import dataclasses
from typing import Any

from liax_jax.metrics import Metric


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Measure(Metric):
    """What a protocol measures beside scores; tables show it without a direction."""

    higher_is_better: bool = False

    def describe(self, frames: int) -> dict[str, Any]:
        """As of a metric, with a direction of None."""
        return {**super().describe(frames), "higher_is_better": None}
