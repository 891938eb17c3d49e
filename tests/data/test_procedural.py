"""Procedural portraits: the same pixels everywhere, known factors, and a head that moves as one."""

import pickle
import threading
import zlib

import numpy as np
import pytest

from liax_jax.data.procedural import (
    DISTRIBUTIONS,
    FACTORS,
    ONE_SIDED,
    REACH,
    UNIT,
    ProceduralClips,
    factor_range,
    numerics,
    sample_identity,
)
from liax_jax.data.procedural.surfaces import View

FACE = ("lid_left", "lid_right", "brows", "gaze_x", "gaze_y", "jaw", "lip_width", "pout")


@pytest.fixture(scope="module")
def clips():
    return ProceduralClips(64, 12, frames_per_clip=40, seed=3)


def pose(**values):
    out = np.zeros(len(FACTORS), np.float32)
    for name, value in values.items():
        out[FACTORS.index(name)] = value
    return out


def change(clips, clip, **values):
    """Sum over channels of |posed - rest|, float (h w)."""
    rest = clips.frame_at(clip, pose()).astype(np.float64)
    return np.abs(clips.frame_at(clip, pose(**values)) - rest).sum(-1)


def centre_of(weight):
    """(x, y) of the mass of an image, pixels."""
    rows, columns = np.mgrid[: weight.shape[0], : weight.shape[1]]
    return (columns * weight).sum() / weight.sum(), (rows * weight).sum() / weight.sum()


def sampled(distribution, name_or_all=None, clips=150):
    """Factor values (n, F) at frames so far apart that they count as independent draws."""
    made = ProceduralClips(16, clips, frames_per_clip=61, seed=11, distribution=distribution)
    return np.concatenate([made.factors(i)[::30] for i in range(clips)])


# --- the same pixels everywhere

PINNED = {
    (0, 0): 3582618051,
    (1, 17): 4115858343,
    (5, 39): 3315405153,
    (11, 8): 1380458239,
}


@pytest.mark.parametrize(("clip", "t"), PINNED)
def test_pixels_are_pinned(clips, clip, t):
    assert zlib.crc32(clips.frame(clip, t).tobytes()) == PINNED[clip, t]


def test_pixels_at_another_resolution_and_distribution_are_pinned():
    made = ProceduralClips(96, 2, seed=1, distribution="laplacian")
    assert zlib.crc32(made.frame(1, 30).tobytes()) == 2292405773


def test_order_of_access_pickling_cache_and_threads_change_nothing(clips):
    wanted = [(2, 7), (0, 3), (2, 6), (1, 0), (0, 39)]
    forward = {key: clips.frame(*key) for key in wanted}
    small = ProceduralClips(64, 12, frames_per_clip=40, seed=3, cached_clips=1)
    copied = pickle.loads(pickle.dumps(clips))
    for key in reversed(wanted):
        np.testing.assert_array_equal(small.frame(*key), forward[key])
        np.testing.assert_array_equal(copied.frame(*key), forward[key])
    seen = {}
    threads = [
        threading.Thread(target=lambda k=key: seen.update({k: small.frame(*k)})) for key in wanted
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for key in wanted:
        np.testing.assert_array_equal(seen[key], forward[key])


def test_pickle_leaves_the_cache_behind(clips):
    clips.frame(0, 0)
    assert len(pickle.dumps(clips)) < 20_000


def test_numbers_without_libm_are_accurate():
    x = np.linspace(-12, 3, 301)
    np.testing.assert_allclose(numerics.exp(x), np.exp(x), rtol=1e-6)
    y = np.geomspace(1e-9, 50, 301)
    np.testing.assert_allclose(numerics.log(y), np.log(y), atol=1e-8)
    angles = np.linspace(-3, 3, 61)
    ours = np.array([numerics.sin_cos(float(a)) for a in angles])
    np.testing.assert_allclose(ours, np.stack([np.sin(angles), np.cos(angles)], 1), atol=1e-8)
    np.testing.assert_allclose(
        numerics.normal_cdf(np.array([-1.959964, 0.0, 1.0, 3.0])),
        [0.025, 0.5, 0.841345, 0.998650],
        atol=2e-6,
    )


# --- the clip set


def test_interface(clips):
    assert len(clips) == len(clips.names) == len(clips.lengths) == len(clips.fps) == 12
    assert len(set(clips.names)) == 12 and set(clips.lengths) == {40} and set(clips.fps) == {25.0}
    frames = list(clips.frames(4))
    assert len(frames) == 40
    assert frames[0].shape == (64, 64, 3) and frames[0].dtype == np.uint8
    for t in (0, 13, 39):
        np.testing.assert_array_equal(frames[t], clips.frame(4, t))
    values = clips.factors(4)
    assert values.shape == (40, len(FACTORS)) and values.dtype == np.float32
    np.testing.assert_array_equal(clips.frame_at(4, values[13]), frames[13])


@pytest.mark.parametrize("resolution", [32, 100])
def test_any_resolution_shows_the_same_portrait(clips, resolution):
    other = ProceduralClips(resolution, 12, frames_per_clip=40, seed=3)
    small, large = other.frame(2, 5).astype(float), clips.frame(2, 5).astype(float)
    assert small.shape == (resolution, resolution, 3)
    np.testing.assert_array_equal(other.factors(2), clips.factors(2))
    # Colours of a coarse 4x4 division agree.
    coarse = [
        np.array([[c.mean((0, 1)) for c in np.array_split(r, 4, 1)] for r in np.array_split(f, 4)])
        for f in (small, large)
    ]
    assert np.abs(coarse[0] - coarse[1]).mean() < 6.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_clips": 0}, "num_clips"),
        ({"frames_per_clip": 1}, "frames_per_clip"),
        ({"seed": -1}, "seed"),
        ({"fps": 0.0}, "fps"),
        ({"resolution": 8}, "resolution"),
        ({"distribution": "cauchy"}, "cauchy"),
        ({"distribution": {"jow": "uniform"}}, "jow"),
        ({"moving": ("yaw", "jow")}, "jow"),
        ({"distribution": {"jaw": "cauchy"}}, "cauchy"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ProceduralClips(**{"resolution": 32, "num_clips": 2, **arguments})


def test_frames_and_clips_outside_are_errors(clips):
    for clip, t in ((12, 0), (-1, 0), (0, 40), (0, -1)):
        with pytest.raises(IndexError):
            clips.frame(clip, t)


# --- factors over time


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_factors_stay_in_their_ranges_and_move_smoothly(distribution):
    assert len(FACTORS) >= 13 and set(REACH) == set(UNIT) == set(FACTORS)
    made = ProceduralClips(16, 30, seed=5, distribution=distribution)
    for clip in range(30):
        values = made.factors(clip)
        for k, name in enumerate(FACTORS):
            low, high = factor_range(name)
            assert (low == 0.0) == (name in ONE_SIDED)
            assert values[:, k].min() >= low and values[:, k].max() <= high
        head = values[:, [FACTORS.index(n) for n in ("yaw", "pitch", "roll", "shift_x", "scale")]]
        assert np.abs(np.diff(head, axis=0)).max() < 0.6
        assert np.abs(np.diff(head, axis=0)).mean() < 0.1


def test_marginals_have_their_shapes():
    def kurtosis(values):
        centred = values - values.mean(0)
        return float(((centred**4).mean(0) / (centred**2).mean(0) ** 2).mean())

    tails = {name: kurtosis(sampled(name)) for name in ("laplacian", "gaussian", "uniform")}
    assert 3.7 < tails["laplacian"] < 6.0  # 6 before the cut at five scales
    assert 2.5 < tails["gaussian"] < 3.1  # 3 before the cut at 2.8 sigma
    assert 1.7 < tails["uniform"] < 1.9  # 1.8
    uniform = sampled("uniform")[:, FACTORS.index("yaw")]
    shares = np.histogram(uniform, bins=4, range=(-1, 1))[0] / uniform.size
    np.testing.assert_allclose(shares, 0.25, atol=0.08)


@pytest.mark.parametrize("distribution", ["resting", "laplacian", "gaussian", "uniform"])
def test_named_distributions_are_independent_between_factors(distribution):
    correlation = np.corrcoef(sampled(distribution).T) - np.eye(len(FACTORS))
    assert np.abs(correlation).max() < 0.2  # 450 draws: 0.05 expected, 0.16 the largest of 91
    assert np.abs(correlation).mean() < 0.06


def test_a_mapping_sets_single_factors():
    base = ProceduralClips(16, 3, seed=2)
    mixed = ProceduralClips(16, 3, seed=2, distribution={"yaw": "uniform"})
    yaw = FACTORS.index("yaw")
    other = [k for k in range(len(FACTORS)) if k != yaw]
    np.testing.assert_array_equal(mixed.factors(1)[:, other], base.factors(1)[:, other])
    assert np.abs(mixed.factors(1)[:, yaw] - base.factors(1)[:, yaw]).max() > 0.05


def test_resting_factors_are_at_zero_most_of_the_time():
    values = sampled("resting")
    assert np.mean(values == 0) == pytest.approx(0.7, abs=0.03)
    moving = values[:, FACTORS.index("yaw")]
    moving = moving[moving != 0]
    assert np.abs(moving).max() > 0.9 and np.median(np.abs(moving)) == pytest.approx(0.5, abs=0.12)
    assert values[:, FACTORS.index("jaw")].min() == 0  # one-sided: rests at its end


def test_factors_that_do_not_move_are_at_rest():
    every = ProceduralClips(16, 3, seed=2, distribution="laplacian")
    two = ProceduralClips(16, 3, seed=2, distribution="laplacian", moving=("jaw", "yaw"))
    assert two.factor_names == ("yaw", "jaw")
    columns = [FACTORS.index(name) for name in two.factor_names]
    np.testing.assert_array_equal(two.factors(1), every.factors(1)[:, columns])
    rest = np.zeros(len(FACTORS), np.float32)
    rest[columns] = two.factors(1)[5]
    np.testing.assert_array_equal(two.frame(1, 5), every.frame_at(1, rest))
    np.testing.assert_array_equal(two.frame(1, 5), two.frame_at(1, two.factors(1)[5]))


def test_natural_motion_is_as_in_life():
    made = ProceduralClips(16, 60, frames_per_clip=100, seed=4)
    values = np.stack([made.factors(i) for i in range(60)])  # (n t F)
    left, right, jaw, yaw, gaze = (
        values[..., FACTORS.index(n)] for n in ("lid_left", "lid_right", "jaw", "yaw", "gaze_x")
    )
    closed = (left > 0.8) & (right > 0.8)
    blinks = (np.diff(closed.astype(int), axis=1) == 1).sum() / (60 * 4.0)
    assert 0.1 < blinks < 0.6  # per second
    assert closed.mean() < 0.1
    assert ((left > 0.8) ^ (right > 0.8)).any()  # winks
    assert np.median(np.abs(yaw)) < 0.4 and np.abs(yaw).max() > 0.85  # near rest, with excursions
    assert (np.abs(np.diff(jaw, axis=1)) > 0.05).mean() > 0.2  # the mouth is busy
    steps = np.abs(np.diff(gaze, axis=1))
    assert np.median(steps) < 0.03 and np.quantile(steps, 0.99) > 0.3  # gaze in jumps


# --- identities


def test_identities_differ_and_seeds_share_none():
    train, other = ProceduralClips(32, 24, seed=0), ProceduralClips(32, 24, seed=1)
    rest = [c.frame_at(i, pose()).astype(float) for c in (train, other) for i in range(24)]
    distance = [np.abs(a - b).mean() for k, a in enumerate(rest) for b in rest[:k]]
    assert min(distance) > 8.0 and np.mean(distance) > 40.0
    assert len({repr(sample_identity(s, i)) for s in (0, 1) for i in range(24)}) == 48


def test_first_identity_shifts_the_clips():
    long, late = ProceduralClips(32, 5, seed=6), ProceduralClips(32, 2, seed=6, first_identity=3)
    np.testing.assert_array_equal(long.frame(4, 9), late.frame(1, 9))
    assert late.names == long.names[3:]


# --- what each factor does to the picture


@pytest.mark.parametrize("name", FACTORS)
def test_every_factor_changes_every_portrait(clips, name):
    for clip in range(4):
        ends = [clips.frame_at(clip, pose(**{name: v})).astype(float) for v in factor_range(name)]
        changed = np.abs(ends[0] - ends[1]).sum(-1)
        assert (changed > 30).sum() >= (8 if name in FACE else 300), (clip, changed.max())


def test_room_stays_still(clips):
    frames = np.stack(list(clips.frames(1)))
    corners = frames[:, :5, [0, 1, 2, 61, 62, 63]]
    assert (corners == corners[:1]).all()


def test_features_change_where_they_are(clips):
    for clip in range(6):
        who = clips.identity(clip)
        eye_y = 32 * (1 + who.position[1])
        eyes = {s: 32 * (1 + who.position[0] + s * who.size * who.eye_x) for s in (-1, 1)}
        mouth_y = 32 * (1 + who.position[1] + who.size * who.mouth_y)
        rows, columns = np.mgrid[:64, :64]
        for side, name in ((-1, "lid_left"), (1, "lid_right")):
            changed = change(clips, clip, **{name: 1.0})
            x, y = centre_of(changed)
            assert abs(x - eyes[side]) < 2.5 and abs(y - eye_y) < 3.0
            near = (np.abs(columns - eyes[side]) < 8) & (np.abs(rows - eye_y) < 7)
            assert changed[~near].max() == 0
        gaze = change(clips, clip, gaze_x=1.0)
        assert gaze[np.abs(rows - eye_y) > 7].max() == 0
        brows = change(clips, clip, brows=1.0)
        assert centre_of(brows)[1] < eye_y - 2
        assert brows[rows > eye_y + 6].max() == 0
        for name in ("jaw", "lip_width", "pout"):
            changed = change(clips, clip, **{name: 1.0})
            # An open jaw draws the outline of the cheeks a little, nothing else above.
            assert changed[rows < eye_y + 3].sum() < 0.02 * changed.sum()
            assert centre_of(changed)[1] > mouth_y - 4


def patch_shift(clips, clip, name, value):
    """Best whole-pixel shift (dx, dy) of the middle of the face between rest and a pose."""
    who = clips.identity(clip)
    rest = clips.frame_at(clip, pose()).astype(float)
    moved = clips.frame_at(clip, pose(**{name: value})).astype(float)
    x, y = (
        round(32 * (1 + p + d)) for p, d in zip(who.position, (0.0, 0.25 * who.size), strict=True)
    )
    patch = rest[y - 7 : y + 8, x - 6 : x + 7]
    scores = []
    for dy in range(-9, 10):
        for dx in range(-12, 13):
            window = moved[y + dy - 7 : y + dy + 8, x + dx - 6 : x + dx + 7]
            score = np.abs(window - patch).mean()
            scores.append((score, dx, dy))
    return min(scores)[1:]


@pytest.mark.parametrize(
    ("name", "axis", "sign"),
    [("yaw", 0, 1), ("shift_x", 0, 1), ("shift_y", 1, 1), ("pitch", 1, -1)],
)
def test_head_moves_the_way_its_factor_says(clips, name, axis, sign):
    for clip in range(3):
        for value in (0.6, -0.6):
            shift = patch_shift(clips, clip, name, value)
            assert np.sign(shift[axis]) == sign * np.sign(value), (clip, shift)


def test_turning_moves_near_parts_further_and_uncovers_the_ear():
    for yaw in (0.5, -0.5):
        view, rest = (View(64, (0.0, 0.0), 0.6, angle, 0.0, 0.0) for angle in (yaw, 0.0))
        points = {"nose": (0.0, 0.4, 0.95), "eye": (0.33, 0.0, 0.7), "ear": (0.75, 0.1, -0.1)}
        moved = {k: view.project(p)[0] - rest.project(p)[0] for k, p in points.items()}
        assert moved["nose"] * yaw > 0
        assert abs(moved["nose"]) > abs(moved["eye"]) > abs(moved["ear"])
    # A pixel's ray through a projected point meets that point.
    view = View(64, (0.1, -0.05), 0.6, 0.4, -0.2, 0.3)
    point = (0.2, 0.3, 0.8)
    x, y = view.project(point)
    start = np.array([r[0] * x + r[1] * y + r[2] for r in view.start])
    toward = np.array(view.toward)
    offset = np.array(point) - start
    np.testing.assert_allclose(offset, toward * (offset @ toward), atol=1e-8)


def test_left_and_right_turns_mirror_each_other_in_extent(clips):
    for clip in range(4):
        left, right = (change(clips, clip, yaw=v).sum() for v in (-1.0, 1.0))
        assert 0.5 < left / right < 2.0


def test_scale_enlarges_and_closed_lids_hide_the_gaze(clips):
    large = change(clips, 0, scale=1.0)
    assert (large > 30).sum() > 300
    shut = [
        clips.frame_at(0, pose(lid_left=1.0, lid_right=1.0, gaze_x=g)).astype(float)
        for g in (-1.0, 1.0)
    ]
    wide = [clips.frame_at(0, pose(gaze_x=g)).astype(float) for g in (-1.0, 1.0)]
    assert np.abs(shut[0] - shut[1]).sum() < 0.1 * np.abs(wide[0] - wide[1]).sum()


def test_another_frame_of_the_clip_is_a_floor_like_that_of_real_clips():
    made, rng = ProceduralClips(32, 24, seed=8), np.random.default_rng(0)
    scores = []
    for clip in range(24):
        for _ in range(4):
            first, second = rng.choice(64, 2, replace=False)
            error = made.frame(clip, first).astype(float) - made.frame(clip, second)
            scores.append(10 * np.log10(255**2 / max((error**2).mean(), 0.1)))
    assert 17.0 < np.mean(scores) < 22.0


# --- plain people


def test_plain_people_share_face_and_place_and_differ_in_colour():
    plain = ProceduralClips(64, 12, 8, seed=3, people="plain")
    varied = ProceduralClips(64, 12, 8, seed=3)
    people = [plain.identity(i) for i in range(12)]
    for name in ("size", "position", "face_width", "eye_x", "mouth_y", "light", "glasses", "beard"):
        assert len({getattr(who, name) for who in people}) == 1, name
    assert len({who.skin for who in people}) == len({who.backdrop_first for who in people}) == 12
    assert np.hypot(*people[0].light[:2]) ** 2 + people[0].light[2] ** 2 == pytest.approx(1.0)
    # The same motion as that of the varied people of the same seeds.
    np.testing.assert_array_equal(plain.factors(4), varied.factors(4))

    # A factor changes the same pixels of everybody's picture, by the colours' differences.
    def overlap(clips):
        masks = np.stack([change(clips, i, yaw=0.8) > 40 for i in range(12)])
        return (masks.all(0).sum() + 1) / masks.any(0).sum()

    assert overlap(plain) > 4 * overlap(varied)
    with pytest.raises(ValueError, match="unknown people 'simple'; choose from varied, plain"):
        ProceduralClips(64, 2, people="simple")
