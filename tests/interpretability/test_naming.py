"""Names of motions: on constructed flows, and on drawn portraits whose motion is known."""

import dataclasses

import numpy as np
import pytest

from liax_jax.data.procedural import FACTORS, ONE_SIDED, ProceduralClips
from liax_jax.faces.crops import Box
from liax_jax.faces.detection import open_detector
from liax_jax.interpretability.canonical import (
    SIDE,
    STATED_FRAME,
    FaceFrame,
    canonical_positions,
    find_face_frames,
    from_canonical,
    motion_to_canonical,
    to_canonical,
)
from liax_jax.interpretability.motion_fit import fit_flow, head_motion
from liax_jax.interpretability.motion_templates import FLOW_MOTIONS, MOTIONS, template_fields
from liax_jax.interpretability.naming import UNNAMED, agreement, name_motion, numbered
from liax_jax.interpretability.picture_motion import SeenMotion, optical_flow, seen_motion
from liax_jax.interpretability.regions import (
    REGIONS,
    mirror,
    region_motion,
    region_weights,
    symmetric_part,
)
from liax_jax.log import logger

STILL = np.zeros(2)


def seen(flow, closing=STILL, eye_change=STILL):
    return SeenMotion(flow.astype(np.float32), np.asarray(closing), np.asarray(eye_change))


@pytest.mark.parametrize("at", range(len(FLOW_MOTIONS)), ids=[m.name for m in FLOW_MOTIONS])
@pytest.mark.parametrize("amount", [0.25, -0.1])
def test_each_flow_of_the_table_gets_its_name_sign_and_amount(at, amount):
    found = name_motion([seen(amount * template_fields()[at])])
    assert (found.name, found.sign) == (FLOW_MOTIONS[at].name, np.sign(amount))
    assert found.amount == pytest.approx(abs(amount), rel=0.06)
    assert found.explained > 0.99
    assert found.confidence > 0.7


def test_a_mixture_is_taken_apart():
    names = [motion.name for motion in FLOW_MOTIONS]
    mixed = {"yaw": 0.05, "shift_x": -0.04, "jaw": 0.3, "gaze_y": -0.1}
    flow = sum(value * template_fields()[names.index(name)] for name, value in mixed.items())
    fit = dict(zip(names, fit_flow(flow).amounts, strict=True))
    for name in names:
        assert fit[name] == pytest.approx(mixed.get(name, 0.0), abs=0.03), name
    found = name_motion([seen(flow)])
    assert found.name == "jaw"
    # The gaze doesn't count: it is little of all that moves.
    assert found.margin == pytest.approx(1 - 0.05 / 0.3, abs=0.05)
    # Nor does the jaw where a head that turns makes nearly all of the motion.
    turned = name_motion([seen(flow + 0.2 * template_fields()[names.index("yaw")])])
    assert turned.name == "yaw" and turned.profile["jaw"] == 0
    head = head_motion(flow)
    only_head = fit_flow(head)
    assert dict(zip(names, only_head.amounts, strict=True))["jaw"] == pytest.approx(0, abs=0.01)


def test_lids_are_read_from_the_eyes_and_not_from_the_flow():
    flow = np.zeros((SIDE, SIDE, 2))
    assert name_motion([seen(flow, (0.4, 0.02), (1, 1))]).name == "lid_left"
    assert name_motion([seen(flow, (0.02, -0.4), (1, 1))]).sign == -1
    both = name_motion([seen(flow, (0.4, 0.3), (1, 1))])
    assert (both.name, both.amount) == ("blink", pytest.approx(0.35))
    # The same change of the eyes by a head that moves is no blink.
    assert name_motion([seen(flow, (0.4, 0.3), (0.2, 0.3))]).name == UNNAMED


@pytest.mark.parametrize("closing", [0.15, 0.29, 0.3, 0.6])
def test_eyes_that_look_up_are_not_closing(closing):
    # A lid that closes goes down. That holds where the gaze is too little of all to count as well.
    fields = dict(zip([m.name for m in FLOW_MOTIONS], template_fields(), strict=True))
    up, eyes = -0.25 * fields["gaze_y"], ((closing, closing), (1, 1))
    found = name_motion([seen(up, *eyes)])
    assert (found.name, found.sign) == ("gaze_y", -1)
    with_a_head = name_motion([seen(up + 0.04 * fields["roll"], *eyes)])
    assert with_a_head.profile.get("blink", 0.0) == 0
    assert name_motion([seen(-up, *eyes)]).name == "blink"


def test_noise_and_stillness_get_no_name():
    noise = np.random.default_rng(0).normal(0, 0.05, (SIDE, SIDE, 2))
    assert name_motion([seen(noise)]).name == UNNAMED
    still = name_motion([seen(0 * noise)])
    assert (still.name, still.confidence) == (UNNAMED, 0.0)
    with pytest.raises(ValueError, match="isn't finite"):
        name_motion([seen(np.full((SIDE, SIDE, 2), np.nan))])
    with pytest.raises(ValueError, match="no portrait"):
        name_motion([])


def test_portraits_that_disagree_lower_the_confidence():
    yaw, shift = template_fields()[0], template_fields()[4]
    alike = name_motion([seen(0.2 * yaw)] * 3)
    apart = name_motion([seen(0.2 * yaw), seen(0.2 * yaw), seen(0.3 * shift)])
    assert alike.agreement == pytest.approx(1)
    assert apart.name == "yaw" and apart.confidence < 0.7 * alike.confidence
    assert agreement(np.stack([yaw, -yaw])) == pytest.approx(-1)
    single = name_motion([seen(0.2 * yaw)])
    assert single.agreement is None and single.confidence == single.margin > 0.7
    lid = name_motion([seen(0 * yaw, (0.4, 0.0), (1, 1))])
    assert (lid.name, lid.agreement) == ("lid_left", None)


def test_repeated_names_are_numbered():
    names = ["yaw", UNNAMED, "yaw", "roll", "yaw", UNNAMED]
    assert numbered(names) == ["yaw", UNNAMED, "yaw_2", "roll", "yaw_3", UNNAMED]


def test_regions_lie_where_they_should_and_say_what_moves():
    x, y = canonical_positions()
    weights = region_weights()
    assert tuple(weights) == REGIONS
    for name, weight in weights.items():
        assert weight.min() >= 0 and 0.5 < weight.max() <= 1, name
    centers = {n: ((w * x).sum() / w.sum(), (w * y).sum() / w.sum()) for n, w in weights.items()}
    assert centers["eye_left"] == pytest.approx((-0.33, 0.0), abs=0.02)
    assert centers["jaw"][1] > centers["mouth"][1] > centers["nose"][1] > centers["brow_left"][1]

    growing = np.stack([0.1 * x, 0.1 * y], -1)
    turning = np.stack([-0.2 * y, 0.2 * x], -1)
    nose = region_motion(growing)["nose"]
    assert (nose.divergence, nose.curl, nose.shear) == pytest.approx((0.2, 0, 0), abs=1e-5)
    assert region_motion(turning)["mouth"].curl == pytest.approx(0.4, abs=1e-5)
    assert region_motion(growing)["mouth"].symmetric == pytest.approx(1, abs=1e-5)
    assert region_motion(turning)["mouth"].symmetric == pytest.approx(0, abs=1e-5)
    wide = region_motion(np.stack([0.1 * x, 0 * x], -1))["mouth"]
    assert wide.shear == pytest.approx(0.1, abs=1e-5)
    left = region_motion(np.stack([0 * x, weights["eye_left"]], -1))
    assert left["eye_left"].energy > 0.5 and left["eye_right"].energy == 0
    assert left["eye_left"].symmetric == pytest.approx(0.5, abs=0.01)


def test_the_mirror():
    flow = np.random.default_rng(1).normal(size=(SIDE, SIDE, 2))
    np.testing.assert_allclose(mirror(mirror(flow)), flow)
    same = symmetric_part(flow)
    np.testing.assert_allclose(mirror(same), same, atol=1e-12)
    np.testing.assert_allclose(mirror(flow - same), -(flow - same), atol=1e-12)


def test_canonical_coordinates_there_and_back():
    frame = FaceFrame(0.45, 0.5, 0.3)
    x, y = canonical_positions()
    side = 128
    place = (np.arange(side) + 0.5) / side
    picture = np.stack(np.meshgrid(place, place), -1)
    sampled = to_canonical(picture, frame)
    inside = (np.abs(0.45 + 0.3 * x - 0.5) < 0.49) & (np.abs(0.5 + 0.3 * y - 0.5) < 0.49)
    expected = np.stack([0.45 + 0.3 * x, 0.5 + 0.3 * y], -1)
    np.testing.assert_allclose(sampled[inside], expected[inside], atol=2e-3)
    back = from_canonical(x, frame, side)
    row = back[side // 2]
    np.testing.assert_allclose(row[10:-30], ((place - 0.45) / 0.3)[10:-30], atol=1e-2)
    assert from_canonical(x, FaceFrame(0.5, 0.5, 0.1), side, outside=7.0)[0, 0] == 7.0
    # Below the window the last row goes on: shoulders are there.
    np.testing.assert_array_equal(
        from_canonical(y, FaceFrame(0.5, 0.5, 0.2), side)[-10:, 64], np.float32(1.6)
    )
    # 3 of 128 pixels are 3 / 128 / 0.3 units.
    moved = motion_to_canonical(np.full((side, side, 2), 3.0), frame)
    np.testing.assert_allclose(moved, 3 / side / 0.3, rtol=1e-5)


def test_faces_are_found_and_slips_of_the_detector_replaced(caplog, monkeypatch):
    monkeypatch.setattr(logger, "propagate", True)
    clips = ProceduralClips(128, 6, 2, seed=8)
    pictures = [clips.frame_at(i, np.zeros(len(FACTORS))) for i in range(6)]
    frames, found = find_face_frames(pictures, open_detector())
    assert found >= 4
    for i, frame in enumerate(frames):
        who = clips.identity(i)
        true = ((who.position[0] + 1) / 2, (who.position[1] + 1) / 2, who.size / 2)
        assert (frame.eyes_x, frame.eyes_y, frame.unit) == pytest.approx(true, abs=0.06)
    empty = [np.zeros((64, 64, 3), np.uint8)] * 3
    assert not caplog.text
    assert find_face_frames(empty, open_detector()) == ([STATED_FRAME] * 3, 0)
    assert "faces alike in place and size in 0 of 3 portraits" in caplog.text
    assert "--face-model" in caplog.text


def test_faces_far_from_one_another_are_not_believed(caplog, monkeypatch):
    monkeypatch.setattr(logger, "propagate", True)
    places = iter((30, 130, 30, 130))

    def detector(picture, smallest, largest):
        return [Box(next(places), 60, 50, 50)]

    pictures = [np.zeros((200, 200, 3), np.uint8)] * 4
    assert find_face_frames(pictures, detector) == ([STATED_FRAME] * 4, 0)
    assert "in 0 of 4 portraits" in caplog.text


def test_landmarks_place_a_face_whichever_way_it_turns():
    points = ((67, 100), (133, 100), (100, 130), (80, 166), (120, 166))
    box = Box(0, 0, 10, 10, landmarks=points)
    expected = (0.5, 0.5, 0.5)
    assert dataclasses.astuple(FaceFrame.of_box(box, 200)) == pytest.approx(expected)
    turned = ((80, 100), (120, 100), *points[2:])
    box = dataclasses.replace(box, landmarks=turned)
    assert FaceFrame.of_box(box, 200).unit == pytest.approx(0.5)


def test_flow_between_pictures_is_in_pixels_to_the_right_and_down():
    noise = np.random.default_rng(2).integers(0, 256, (18, 18, 3), np.uint8)
    big = np.kron(noise, np.ones((16, 16, 1), np.uint8))
    before, after = big[8:264, 8:264], big[5:261, 4:260]  # its content moves by (4, 3)
    flow = optical_flow(before, after)[32:-32, 32:-32]
    np.testing.assert_allclose(np.median(flow, axis=(0, 1)), [4, 3], atol=0.1)


def change_of(name, step):
    """Factors before and after a change of one factor, or of both lids for "blink"."""
    before = np.zeros(len(FACTORS), np.float32)
    after = before.copy()
    for factor in ("lid_left", "lid_right") if name == "blink" else (name,):
        at = FACTORS.index(factor)
        before[at], after[at] = (0, 2 * step) if factor in ONE_SIDED else (-step, step)
    return before, after


@pytest.fixture(scope="module")
def portraits():
    clips = ProceduralClips(64, 10, 2, seed=1234)
    rest = [clips.frame_at(i, np.zeros(len(FACTORS))) for i in range(10)]
    return clips, find_face_frames(rest, open_detector())[0]


@pytest.mark.parametrize("name", [*(motion.name for motion in MOTIONS), "blink"])
def test_factors_of_drawn_portraits_get_their_name_and_sign(portraits, name):
    clips, frames = portraits
    before, after = change_of(name, 0.2)
    changes = [
        seen_motion(clips.frame_at(i, before), clips.frame_at(i, after), frame)
        for i, frame in enumerate(frames)
    ]
    forward = name_motion(changes)
    assert (forward.name, forward.sign) == (name, 1)
    assert forward.confidence > 0.1
