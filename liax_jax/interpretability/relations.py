"""Which directions do the same, and which are each other's mirror image."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from liax_jax.interpretability.regions import mirror

# |cosine| of two directions' flows from which on they are called redundant, or partners.
REDUNDANT = 0.9
PARTNER = 0.7
# By so much more partners have to be mirror images than copies. A turn or a smile is its own mirror
# image, so that redundant ones mirror each other too.
PARTNER_MARGIN = 0.2


@dataclasses.dataclass(frozen=True)
class Relations:
    """How the flows of M directions relate.

    Attributes:
      alike: (M, M) cosine between flows.
      mirrored: (M, M) cosine between a flow and another one's mirror image. Its diagonal is 1 for
        a direction that moves both sides alike (a smile) and −1 for one that its own reversal
        mirrors (a turn).
    """

    alike: np.ndarray
    mirrored: np.ndarray

    def redundant(self, counted: Sequence[int]) -> list[tuple[int, int, float]]:
        """Pairs (i, j, cosine) of `counted` that do nearly the same, the closest first."""
        pairs = [
            (i, j, float(self.alike[i, j]))
            for at, i in enumerate(counted)
            for j in counted[at + 1 :]
            if abs(self.alike[i, j]) >= REDUNDANT
        ]
        return sorted(pairs, key=lambda pair: -abs(pair[2]))

    def partners(self, counted: Sequence[int]) -> list[tuple[int, int, float]]:
        """Pairs (i, j, cosine) of `counted` that do the same on the two sides of the face.

        Each is the other's best mirror image, of those that are clearly more that than a copy.
        """
        if len(counted) < 2:
            return []
        rows = np.array(counted)
        strength = np.abs(self.mirrored[np.ix_(rows, rows)])
        copies = np.abs(self.alike[np.ix_(rows, rows)])
        strength[strength < copies + PARTNER_MARGIN] = -1.0
        best = strength.argmax(1)
        pairs = []
        for a, b in enumerate(best):
            i, j = int(rows[a]), int(rows[b])
            if best[b] == a and a < b and strength[a, b] >= PARTNER:
                pairs.append((i, j, float(self.mirrored[i, j])))
        return sorted(pairs, key=lambda pair: -abs(pair[2]))


def relate(flows: np.ndarray) -> Relations:
    """Relations of canonical flows (M, SIDE, SIDE, 2); a flow of zeros relates to nothing."""
    flat = _directions(flows)
    turned = _directions(np.stack([mirror(flow) for flow in flows]))
    return Relations(flat @ flat.T, flat @ turned.T)


def _directions(flows: np.ndarray) -> np.ndarray:
    flat = flows.reshape(len(flows), -1).astype(np.float64)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
