"""The protocols but self-reenactment, on models whose answer is known."""

import json

import numpy as np
import pytest
from PIL import Image

from liax_jax.data.video_io import read_video
from liax_jax.directions import Direction, DirectionCard
from liax_jax.evaluation import Context, EvaluationError, ReenactmentFns
from liax_jax.evaluation.clip_data import EvaluationData, first_frames, open_stills
from liax_jax.evaluation.pairs import (
    Pair,
    draw_pairs,
    names_without_endings,
    pair_names,
    read_pairs,
)
from liax_jax.evaluation.predictions import Predictions
from liax_jax.evaluation.protocols.cross_reenactment import cross_reenactment
from liax_jax.evaluation.protocols.sparsity import sparsity
from liax_jax.evaluation.protocols.speed import speed
from liax_jax.evaluation.protocols.traversal import traversal
from liax_jax.evaluation.protocols.video_editing import video_editing
from liax_jax.evaluation.run_folder import RunFolder
from liax_jax.metrics import FRAME_METRICS, FrameMetric
from tests.evaluation.constructed import moving_clips

CONTEXT = Context(model={"fingerprint": "shifts"}, title="shifts")
OPTIONS = {"batch_size": 3, "context": CONTEXT, "progress": False}
CARD = DirectionCard(3, (Direction(1, "green", "other", -1),))

# Brightness stands for motion: coefficients are the mean colour, and rendering shifts the source's
# colours to them. So every result can be said in advance.
SHIFTS = ReenactmentFns(
    encode=lambda source: (np.asarray(source).mean((1, 2)), {32: np.asarray(source)}),
    coefficients=lambda driving: np.asarray(driving).mean((1, 2)),
    render=lambda z, features, alpha: features[32] + (np.asarray(alpha) - z)[:, None, None],
)

# A score against the source and one of the frame alone, as identity and quality are.
AGAINST_SOURCE = FrameMetric(
    name="to_source",
    higher_is_better=False,
    convention="mean colour's distance to the source's",
    decimals=4,
    against="source",
    prepare_source=lambda _, source: source.mean((1, 2)),
    apply=lambda _, images, source: abs(images.mean((1, 2)) - source).sum(-1),
)
ALONE = FrameMetric(
    name="brightness",
    higher_is_better=True,
    convention="mean",
    decimals=4,
    against="nothing",
    apply=lambda _, images, __: images.mean((1, 2, 3)),
)
METRICS = {**FRAME_METRICS, "to_source": AGAINST_SOURCE, "brightness": ALONE}


def own_stills(clips):
    return first_frames(EvaluationData(clips, {}))


def brighter_clips():
    """Three clips of faint patterns, each frame brighter than the one before."""
    clips = moving_clips((5, 4, 4))
    for video in clips.videos:
        steps = 2 * np.arange(len(video))[:, None, None, None]
        video[:] = (video[:1] // 4 + 90 + steps).astype(np.uint8)
    return clips


def test_cross_reenactment_moves_the_source_by_the_change(tmp_path):
    clips = brighter_clips()
    pairs = [Pair(0, 1), Pair(2, 0)]
    arguments = (SHIFTS, clips, own_stills(clips), pairs)
    found = cross_reenactment(*arguments, out_dir=tmp_path, metrics=METRICS, videos=True, **OPTIONS)
    assert [clip["name"] for clip in found["clips"]] == ["clip0__clip1", "clip2__clip0"]
    for entry, pair in zip(found["clips"], pairs, strict=True):
        # Relative motion starts at the source: three channels, each 0, 2, 4 … of 255 brighter.
        frames = np.arange(clips.lengths[pair.driving])
        assert entry["to_source"] == pytest.approx((3 * 2 * frames / 255).mean(), abs=2e-3)
        expected = clips.videos[pair.source][0].mean() + 2 * frames.mean()
        assert entry["brightness"] == pytest.approx(expected / 255, abs=2e-3)
    assert set(found["mean"]) == {"to_source", "brightness"}
    assert set(found["left_out"]) == {"l1", "psnr", "ssim"}
    assert "mean_without_first_frame" not in found
    assert len(list(read_video(tmp_path / "videos" / "clip0__clip1.mp4"))) == 4
    absolute = cross_reenactment(
        *arguments, out_dir=tmp_path / "abs", metrics=METRICS, motion="absolute", **OPTIONS
    )
    entry = absolute["clips"][0]
    assert entry["brightness"] == pytest.approx(clips.videos[1].mean() / 255, abs=2e-3)


def test_cross_reenactment_of_predictions(tmp_path):
    clips = brighter_clips()
    pairs = [Pair(0, 1)]
    folder = tmp_path / "theirs" / "clip0__clip1"
    folder.mkdir(parents=True)
    for number in range(4):
        Image.fromarray(np.full((32, 32, 3), 51, np.uint8)).save(folder / f"{number}.png")
    predictions = Predictions(tmp_path / "theirs", ["clip0__clip1"])
    found = cross_reenactment(
        predictions,
        clips,
        own_stills(clips),
        pairs,
        out_dir=tmp_path / "out",
        metrics=METRICS,
        **OPTIONS,
    )
    assert found["mean"]["brightness"] == pytest.approx(0.2)
    source = clips.videos[0][0].mean((0, 1)) / 255
    assert found["mean"]["to_source"] == pytest.approx(np.abs(source - 0.2).sum(), abs=1e-4)


def test_drawn_pairs_are_of_the_seed_and_of_other_people():
    clips = moving_clips((4,) * 6)
    clips.names = [f"id{i // 2}/clip{i}" for i in range(6)]
    stills = own_stills(clips)
    pairs = draw_pairs(stills, clips, 2, seed=0)
    assert pairs == draw_pairs(stills, clips, 2, seed=0) != draw_pairs(stills, clips, 2, seed=1)
    assert [pair.driving for pair in pairs] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert all(pair.source // 2 != pair.driving // 2 for pair in pairs)
    assert len(set(pairs)) == len(pairs)
    with pytest.raises(EvaluationError, match="5 sources are wanted, and there are 4 of other"):
        draw_pairs(stills, clips, 5, seed=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n", "its first line has to name the columns: source,driving"),
        (
            "source,driving\nme,clip0\nyou,clip1\n",
            r"line 3: there is no source 'you'; there are me",
        ),
        ("source,driving\nme,clip9\n", r"line 2: there is no driving 'clip9'"),
        ("source,driving\nme,clip0\nme.png,clip0\n", "line 3: the pair occurs twice"),
        ("source,driving\n", "holds no pairs"),
    ],
)
def test_pairs_from_a_file(tmp_path, text, message):
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "me.png")
    stills, clips = open_stills(tmp_path, 32), moving_clips()
    (tmp_path / "good.csv").write_text("driving,source,note\nclip1,me,x\nclip0,me.png,\n")
    assert read_pairs(tmp_path / "good.csv", stills, clips) == [Pair(0, 1), Pair(0, 0)]
    assert stills.read(0).shape == (32, 32, 3)
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(EvaluationError, match=message):
        read_pairs(tmp_path / "bad.csv", stills, clips)
    with pytest.raises(FileNotFoundError, match="none.csv: no such file; --pairs"):
        read_pairs(tmp_path / "none.csv", stills, clips)


def test_a_short_name_of_two_pictures_is_refused(tmp_path):
    for name in ("me.png", "me.jpg", "you.png"):
        path = tmp_path / "stills" / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(path, format="png")
    clips = moving_clips()
    stills = open_stills(tmp_path / "stills", 32)
    assert list(stills.names) == ["me.jpg", "me.png", "you.png"]
    table = tmp_path / "pairs.csv"
    table.write_text("source,driving\nyou,clip0\nme,clip0\n")
    with pytest.raises(EvaluationError, match="line 3: source 'me' may be me.jpg or me.png; give"):
        read_pairs(table, stills, clips)
    table.write_text("source,driving\nyou,clip0\nme.png,clip0\n")
    assert read_pairs(table, stills, clips) == [Pair(2, 0), Pair(1, 0)]
    # Only a picture has an ending to leave out.
    clips.names = ["g/take.1", "g/take.2"]
    table.write_text("source,driving\ntake,g/take.1\n")
    with pytest.raises(
        EvaluationError, match="line 2: there is no source 'take'; there are g/take"
    ):
        read_pairs(table, own_stills(clips), clips)


def test_the_pairs_are_written_before_the_first_is_scored(tmp_path):
    clips = moving_clips((4,) * 4)
    clips.names = ["a, b", 'c "d"', "e/f", "g"]
    stills = own_stills(clips)
    pairs = draw_pairs(stills, clips, 2, seed=3)

    def fail(*_):
        raise RuntimeError("stopped")

    broken = ReenactmentFns(fail, fail, fail)
    with pytest.raises(RuntimeError, match="stopped"):
        cross_reenactment(
            broken, clips, stills, pairs, out_dir=tmp_path, metrics={"brightness": ALONE}, **OPTIONS
        )
    assert read_pairs(tmp_path / "pairs.csv", stills, clips) == pairs


def test_predictions_of_pairs_may_leave_out_the_ending_of_a_picture(tmp_path):
    for name in ("me.png", "you.png", "you.jpg"):
        (tmp_path / "stills").mkdir(exist_ok=True)
        Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(tmp_path / "stills" / name)
    stills, clips = open_stills(tmp_path / "stills", 32), moving_clips()
    pairs = [Pair(number, 0) for number in range(3)]
    names = pair_names(pairs, stills, clips)
    also = names_without_endings(pairs, stills, clips)
    # Of two pictures with one stem nobody could tell which is meant.
    assert also == {"me.png__clip0": ["me__clip0"]}
    for name in ("me__clip0", "you__clip0"):
        folder = tmp_path / "theirs" / name
        folder.mkdir(parents=True)
        Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(folder / "0.png")
    predictions = Predictions(tmp_path / "theirs", names, also)
    assert predictions.source("me.png__clip0").name == "me__clip0"
    assert predictions.unmatched == ["you__clip0"]


def test_sources_that_are_not_square_are_named_before_anything_is_scored(tmp_path):
    for name, size in (("me.png", (32, 32)), ("wide.png", (48, 32)), ("tall.png", (32, 64))):
        Image.new("RGB", size).save(tmp_path / name)
    (tmp_path / "broken.png").write_bytes(b"nothing")
    stills = open_stills(tmp_path, 32)
    assert stills.names == ["broken.png", "me.png", "tall.png", "wide.png"]
    stills.refuse_oblong([0, 1, 1])  # what can't be read is told pair by pair
    message = r"2 .* aren't square: tall.png \(32x64\), wide.png \(48x32\); .*--layout stills"
    with pytest.raises(EvaluationError, match=message):
        stills.refuse_oblong(range(4))
    own_stills(moving_clips()).refuse_oblong(range(2))


def test_sparsity_of_known_coefficients(tmp_path):
    one = np.array([1, 0, 0, 0], np.float32)
    fns = ReenactmentFns(
        encode=SHIFTS.encode,
        coefficients=lambda d: np.stack([one if f.mean() < 0 else one + 1 - one for f in d]),
        render=SHIFTS.render,
    )
    clips = moving_clips((4, 4))
    clips.videos[0][:], clips.videos[1][:] = 10, 240
    found = sparsity(fns, clips, out_dir=tmp_path, **OPTIONS)
    sparse, dense = found["clips"]
    assert sparse["gini"] == pytest.approx(0.75) and dense["gini"] == pytest.approx(0, abs=1e-6)
    assert sparse["hoyer"] == pytest.approx(1) and dense["hoyer"] == pytest.approx(0, abs=1e-6)
    assert sparse["effective"] == pytest.approx(1) and dense["effective"] == pytest.approx(4)
    assert sparse["active"] == 1 and dense["active"] == 4
    with np.load(tmp_path / "clips" / "clip0.npz") as file:
        np.testing.assert_array_equal(file["alpha"], np.tile(one, (4, 1)))
    picture = np.asarray(Image.open(tmp_path / "pictures" / "clip0.png"))[22:]
    assert (picture[:12] == 255).all() and (picture[12:] == 0).all()


def test_traversal_of_known_directions(tmp_path):
    clips = brighter_clips()
    found = traversal(SHIFTS, clips, card=CARD, out_dir=tmp_path, **OPTIONS)
    # Each vector shifts one of three channels by 0.5 on [-1, 1], that is 0.25 on [0, 1].
    for entry in found["clips"]:
        assert entry["mean_change"] == pytest.approx(0.25 / 3, abs=2e-3)
        assert entry["largest_change"] == pytest.approx(0.25 / 3, abs=2e-3)
        assert entry["visible_vectors"] == 3
        assert (entry["frames"], entry["pictures"]) == (1, 33)
    with np.load(tmp_path / "clips" / "clip1.npz") as file:
        expected = np.abs(np.arange(-5, 6)) / 20 / 3
        np.testing.assert_allclose(file["change"], np.tile(expected, (3, 1)), atol=2e-3)
    assert (tmp_path / "pictures" / "clip2.png").exists()


def test_no_vector_of_pictures_that_never_change_is_visible(tmp_path):
    still = ReenactmentFns(
        encode=SHIFTS.encode,
        coefficients=SHIFTS.coefficients,
        render=lambda z, features, alpha: SHIFTS.render(z, features, 0 * alpha),
    )
    found = traversal(still, brighter_clips(), card=CARD, out_dir=tmp_path, **OPTIONS)
    for entry in found["clips"]:
        assert entry["largest_change"] == 0 and entry["visible_vectors"] == 0


def test_video_editing_carries_the_edit_through(tmp_path):
    clips = brighter_clips()
    run = {"card": CARD, "out_dir": tmp_path, "metrics": METRICS, **OPTIONS}
    found = video_editing(SHIFTS, clips, edits={"green": -0.2}, **run)
    for entry in found["clips"]:
        assert entry["edit_first"] == pytest.approx(0.1 / 3, abs=1e-3)
        assert entry["edit_later"] == pytest.approx(0.1 / 3, abs=1e-3)
        assert entry["carried"] == pytest.approx(1, abs=0.05)
        assert entry["motion_change"] == pytest.approx(0, abs=1e-3)
    assert found["protocol"]["edit"] == {"green": -0.2}
    counted = {name: found["protocol"]["metrics"][name]["frames"] for name in found["mean"]}
    of_edit = {"edit_first": 3, "edit_later": 10, "carried": 10, "motion_change": 10}
    assert counted == {"to_source": 13, "brightness": 13, **of_edit}
    assert "to_source" in found["mean"] and "l1" in found["left_out"]
    assert len(list(read_video(tmp_path / "videos" / "clip1.mp4"))) == 4
    with pytest.raises(EvaluationError, match="needs an edit"):
        video_editing(SHIFTS, clips, edits={0: 0.0}, **run)


def test_an_edit_that_fades_and_flickers_is_measured(tmp_path):
    state = {"frame": 0}

    def render(z, features, alpha):
        moved = np.asarray(alpha) - z
        # Only an edit moves channel 2; it is shown in full first, by half in every second frame.
        edited = np.abs(moved[:, 2]) > 0.15
        for row in np.flatnonzero(edited):
            moved[row] *= 1.0 if state["frame"] % 2 == 0 else 0.5
            state["frame"] += 1
        return features[32] + moved[:, None, None]

    clips = moving_clips((4,))
    clips.videos[0][:] = 100
    fns = ReenactmentFns(SHIFTS.encode, SHIFTS.coefficients, render)
    run = {"card": CARD, "metrics": {}, "videos": False, **OPTIONS, "batch_size": 4}
    (entry,) = video_editing(fns, clips, edits={2: 0.3}, out_dir=tmp_path, **run)["clips"]
    full = 0.15 / 3
    assert entry["edit_first"] == pytest.approx(full, abs=1e-3)
    assert entry["edit_later"] == pytest.approx(full * (0.5 + 1 + 0.5) / 3, abs=1e-3)
    assert entry["motion_change"] == pytest.approx(full / 2, abs=1e-3)


def test_speed_reports_rates_of_every_part(tmp_path):
    fns = ReenactmentFns(
        encode=lambda source: (source, {}),
        coefficients=lambda driving: driving.mean((1, 2)),
        render=lambda z, _, alpha: z + alpha[:, None, None],
    )
    context = Context(model={"parameters": 7}, title="tiny")
    options = {"context": context, "batch_sizes": (1, 2), "repeats": 2, "progress": False}
    found = speed(fns, 32, out_dir=tmp_path / "out", **options)
    assert found == json.loads((tmp_path / "out" / "results.json").read_text())
    assert found["parameters"] == 7 and list(found["batch_sizes"]) == ["1", "2"]
    for parts in found["batch_sizes"].values():
        assert set(parts) == {"encode", "decode", "whole"}
        assert all(part["frames_per_second"] > 0 for part in parts.values())
    speed(fns, 32, out_dir=tmp_path / "out", **options)  # its own results may be replaced
    with pytest.raises(EvaluationError, match="no evaluation of clips, but a file 'results"):
        RunFolder(tmp_path / "out", {"a": 1}, ["x"], restart=True)
    for name in ("results.json", "table.txt"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text('{"protocol": {"name": "mine"}}')
        with pytest.raises(EvaluationError, match="no measurement of speed, but a file"):
            speed(fns, 32, out_dir=tmp_path / name, **options)
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "run.json").write_text("{}")
    with pytest.raises(EvaluationError, match="holds an evaluation of clips"):
        speed(fns, 32, out_dir=tmp_path / "clips", **options)
    with pytest.raises(ValueError, match="at least 1"):
        speed(fns, 32, out_dir=tmp_path / "out", context=context, batch_sizes=(0,))
