"""Which directions are alike, and which are each other's mirror image."""

import numpy as np
import pytest

from liax_jax.interpretability.motion_templates import FLOW_MOTIONS, template_fields
from liax_jax.interpretability.relations import relate


def test_relations():
    fields = {m.name: f for m, f in zip(FLOW_MOTIONS, template_fields(), strict=True)}
    left = fields["gaze_y"].copy()
    left[:, left.shape[1] // 2 :] = 0
    right = fields["gaze_y"] - left
    flows = np.stack([fields["yaw"], fields["jaw"], -2 * fields["jaw"], left, -right, 0 * left])
    found = relate(flows)
    assert np.diag(found.mirrored)[:2] == pytest.approx([-1, 1], abs=1e-3)
    everyone = list(range(6))
    assert [pair[:2] for pair in found.redundant(everyone)] == [(1, 2)]
    assert found.redundant(everyone)[0][2] == pytest.approx(-1)
    assert [pair[:2] for pair in found.partners([0, 1, 3, 4, 5])] == [(3, 4)]
    assert found.partners([0]) == []


def test_redundant_directions_are_no_partners():
    fields = {m.name: f for m, f in zip(FLOW_MOTIONS, template_fields(), strict=True)}
    left = fields["gaze_y"].copy()
    left[:, left.shape[1] // 2 :] = 0
    right = fields["gaze_y"] - left
    turn, smile = fields["yaw"], fields["lip_width"]
    found = relate(np.stack([turn, 1.3 * turn, smile, -2 * smile, left, right, 2 * left]))
    # Of two that are alike, the first is the partner.
    assert [pair[:2] for pair in found.partners(range(7))] == [(4, 5)]
    assert [pair[:2] for pair in found.partners([0, 1, 2, 3, 5, 6])] == [(5, 6)]
    assert {pair[:2] for pair in found.redundant(range(7))} == {(0, 1), (2, 3), (4, 6)}
