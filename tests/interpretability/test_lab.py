"""Interventions, truth on drawn portraits, relations, cards, and the report from end to end."""

import dataclasses
import json
import re

import jax.numpy as jnp
import numpy as np
import pytest

from liax_jax.animation.animator import Animator
from liax_jax.animation.streaming import FrameStream
from liax_jax.cli import main
from liax_jax.data.procedural import FACTORS, ProceduralClips
from liax_jax.directions import Direction, DirectionCard, read_card
from liax_jax.faces.detection import open_detector
from liax_jax.interpretability import lab as lab_module
from liax_jax.interpretability.canonical import STATED_FRAME
from liax_jax.interpretability.direction_names import (
    direction_card,
    naming_accuracy,
    unique_names,
)
from liax_jax.interpretability.effect_summary import (
    EffectSummary,
    linearity,
    monotonicity,
    summarise_effects,
)
from liax_jax.interpretability.factor_truth import (
    FactorChange,
    PortraitChange,
    confusion,
    factor_change,
    is_right,
)
from liax_jax.interpretability.interventions import (
    Intervener,
    Subject,
    choose_subjects,
)
from liax_jax.interpretability.lab import (
    Finding,
    LabError,
    LabOptions,
    open_probe,
    run_lab,
)
from liax_jax.interpretability.motion_templates import FLOW_MOTIONS, template_fields
from liax_jax.interpretability.naming import UNNAMED, Name
from liax_jax.interpretability.probe_clips import VideoClips
from liax_jax.interpretability.relations import relate
from liax_jax.model_files import ModelRecord, fingerprint, save_model


@pytest.fixture(scope="module")
def animator(tiny_config, tiny_params):
    identity = fingerprint(tiny_config, tiny_params)
    record = ModelRecord(tiny_config, DirectionCard(4), None, "drawn", "", identity)
    return Animator.create(record, tiny_params)


@pytest.fixture(scope="module")
def clips():
    return ProceduralClips(32, 4, 8, seed=3)


@pytest.fixture(scope="module")
def probe(animator, clips):
    options = LabOptions(subjects=2, max_clips=4, frames_per_clip=4)
    return open_probe(FrameStream(animator, 4), clips, options, open_detector(), progress=False)


def change(clips, clip, time, **deltas):
    """A portrait before and after a change of its factors, evenly to both sides of its own."""
    ends = []
    for part in (-0.5, 0.5):
        values = clips.factors(clip)[time].copy()
        for name, delta in deltas.items():
            values[clips.factor_names.index(name)] += part * delta
        ends.append(clips.frame_at(clip, values))
    return PortraitChange(clip, time, *ends)


def test_factors_of_a_change_are_found():
    clips = ProceduralClips(64, 4, 8, seed=3)
    both = [change(clips, clip, 2, yaw=0.12, jaw=0.2) for clip in range(4)]
    found = factor_change(clips, both)
    # Yaw goes from −1 to 1, the jaw from 0 to 1.
    assert found.amounts["yaw"] == pytest.approx(0.06, abs=0.01)
    assert found.amounts["jaw"] == pytest.approx(0.2, abs=0.04)
    assert list(found.counted) == ["jaw", "yaw"] and found.is_clear
    assert found.explained > 0.85
    assert is_right("jaw", found) and is_right("jaw", found, 1)
    assert not is_right("jaw", found, -1) and not is_right("yaw", found)
    with pytest.raises(ValueError, match="nothing changed"):
        factor_change(clips, [change(clips, 0, 0)])


def test_only_factors_that_move_are_looked_for():
    clips = ProceduralClips(64, 4, 8, seed=3, moving=("jaw", "yaw", "scale"), people="plain")
    found = factor_change(clips, [change(clips, clip, 2, jaw=0.3) for clip in range(3)])
    assert set(found.amounts) == {"jaw", "yaw", "scale"} and list(found.counted) == ["jaw"]
    assert found.amounts["jaw"] == pytest.approx(0.3, abs=0.05) and is_right("jaw", found, 1)


def test_a_blink_is_both_lids():
    amounts = dict.fromkeys(FACTORS, 0.0) | {"lid_left": 0.5, "lid_right": 0.45}
    importance = dict.fromkeys(FACTORS, 0.0) | {"lid_left": 0.5, "lid_right": 0.4}
    truth = FactorChange(amounts, importance, 0.9)
    assert truth.counted == {"blink": pytest.approx(0.475)} and truth.is_clear
    assert is_right("blink", truth, 1) and not is_right("blink", truth, -1)
    assert not is_right("lid_left", truth)
    wink = FactorChange(amounts, importance | {"lid_right": 0.0}, 0.9)
    against = FactorChange(amounts | {"lid_right": -0.45}, importance, 0.9)
    uneven = FactorChange(amounts | {"lid_right": 0.2}, importance, 0.9)
    for truth in (wink, against, uneven):
        assert not is_right("blink", truth) and is_right("lid_left", truth, 1)
    table = confusion(["yaw", "roll", "yaw"], ["yaw", "yaw", "pitch"])
    assert table == {"yaw": {"yaw": 1, "pitch": 1}, "roll": {"yaw": 1}}


def test_curves():
    deltas = np.linspace(-1, 1, 9)
    assert monotonicity(deltas, 2 * deltas**3) == pytest.approx(1)
    assert monotonicity(deltas, -deltas) == pytest.approx(-1)
    assert monotonicity(deltas, deltas**2) == pytest.approx(0, abs=1e-9)
    assert linearity(deltas, 1 - 3 * deltas) == pytest.approx(1)
    assert linearity(deltas, deltas**2) == pytest.approx(0, abs=1e-9)
    assert monotonicity(deltas, 0 * deltas) == linearity(deltas, 0 * deltas) == 0


def test_interventions_change_one_coefficient(animator, clips):
    subjects = [Subject(clips.names[i], i, 1, clips.frame(i, 1), STATED_FRAME) for i in range(2)]
    effects = Intervener(animator).effects(2, 0.8, subjects)
    for effect, subject in zip(effects, subjects, strict=True):
        np.testing.assert_allclose(effect.deltas, np.linspace(-0.8, 0.8, 9), atol=1e-12)
        assert effect.seen_step <= 0.4
        assert effect.psnr[4] == 100 and effect.l1[4] == effect.progress[4] == 0
        assert effect.progress[-1] - effect.progress[0] == pytest.approx(1)
        portrait = animator.encode(subject.picture)
        alpha = np.asarray(portrait.alpha) + [0, 0, 0.8, 0]
        expected = np.asarray(animator.render(portrait, alpha, uint8=True)[0])
        difference = effect.pictures[-1].astype(int) - expected
        assert np.abs(difference).max() <= 1  # compiled apart, rounded apart
        unchanged = np.asarray(animator.render(portrait, uint8=True)[0]) / 255
        assert effect.l1[-1] == pytest.approx(np.abs(expected / 255 - unchanged).mean(), abs=1e-3)
    assert np.isnan(effects[0].identity)
    summary = summarise_effects(effects)
    assert summary.identity is None
    assert summary.reach_db == min(summary.psnr[0], summary.psnr[-1]) < 100
    assert -1 <= summary.agreement <= 1


def test_identity_drift_is_of_the_ends_from_the_unchanged_picture(animator, clips):
    class Distance:
        def prepare(self, source):
            return source

        def __call__(self, images, prepared):
            found = jnp.abs(images - prepared).mean((1, 2, 3))
            return found.at[0].set(jnp.nan)  # no face there

    subject = Subject("a", 0, 0, clips.frame(0, 0), STATED_FRAME)
    (effect,) = Intervener(animator, Distance()).effects(0, 0.5, [subject])
    assert effect.identity == pytest.approx(effect.l1[-1], rel=1e-5)
    assert summarise_effects([effect]).identity == pytest.approx(effect.identity)


def test_the_flow_shown_goes_where_the_picture_goes(animator, clips, monkeypatch):
    """A grid that samples further left moves what is seen to the right."""
    side = animator.resolution

    def shifted(self, portrait, alpha, names):
        del self
        y, x = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side), indexing="ij")
        grids = [np.stack([x - 0.1 * row[0], y], -1) for row in alpha - np.asarray(portrait.alpha)]
        return np.zeros((len(alpha), side, side, 3)), {names[0]: np.stack(grids)}

    monkeypatch.setattr(Animator, "render_with", shifted)
    subject = Subject("a", 0, 0, clips.frame(0, 0), STATED_FRAME)
    (effect,) = Intervener(animator).effects(0, 1.0, [subject])
    pixels = 2 * 0.1 * side / 2
    np.testing.assert_allclose(effect.flow[..., 0], pixels / side / STATED_FRAME.unit, rtol=1e-4)
    np.testing.assert_allclose(effect.flow[..., 1], 0, atol=1e-6)
    np.testing.assert_allclose(effect.progress, effect.deltas / 2, atol=1e-6)
    assert effect.pixels[-1] == pytest.approx(pixels / 2, rel=1e-4)


def test_subjects_are_the_most_ordinary_frames_of_different_people(clips):
    places = [(clip, time) for clip in range(4) for time in range(8)]
    alpha = np.array([[time - 5.0, clip - 1.6] for clip, time in places])

    def chosen(people, count):
        group = [people[clip] for clip, _ in places]
        return choose_subjects(clips, alpha, places, group, count, open_detector())[0]

    subjects = chosen([0, 1, 2, 3], 2)
    assert [subject.clip for subject in subjects] == [1, 2]  # the median is 1.5
    assert {subject.time for subject in subjects} <= {3, 4}  # the median is 3.5
    np.testing.assert_array_equal(subjects[1].picture, clips.frame(2, subjects[1].time))
    # The two most ordinary clips are of one person, whose second comes after everybody's first.
    people = [0, 7, 7, 3]
    assert [len({people[s.clip] for s in chosen(people, n)}) for n in (1, 2, 3, 4)] == [1, 2, 3, 3]
    assert [subject.clip for subject in chosen(people, 9)] == [0, 1, 2, 3]
    assert [subject.clip for subject in chosen([7, 7, 7, 7], 2)] == [1, 2]


def test_each_portrait_is_the_frame_whose_coefficients_were_read(animator, clips, monkeypatch):
    class Shorter(VideoClips):
        """Of the first two clips, the header promises 8 frames and there are 5."""

        def __init__(self):
            self.resolution, self.names = 32, clips.names
            self.lengths, self.fps = clips.lengths, clips.fps

        def frames(self, clip):
            there = 5 if clip < 2 else 8
            return (clips.frame(clip, time) for time in range(there))

    seen = {}

    def choose(_, alpha, places, group, *others):
        del others
        seen.update(alpha=alpha, places=places, group=group)
        return [], 0

    monkeypatch.setattr(lab_module, "choose_subjects", choose)
    options = LabOptions(max_clips=4, frames_per_clip=8)
    stream = FrameStream(animator, 4)
    probe = open_probe(stream, Shorter(), options, open_detector(), progress=False)
    assert seen["places"] == [(c, t) for c in range(4) for t in range(5 if c < 2 else 8)]
    assert probe.places == seen["places"] and seen["group"] == [c for c, _ in seen["places"]]
    read = np.concatenate(list(stream.coefficients(clips.frame(*p) for p in seen["places"])))
    np.testing.assert_allclose(seen["alpha"], read, atol=1e-5)


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


def finding(index, name, use, reach_db=20.0, sign=1, truth=None):
    effect = EffectSummary([], [], [], [], [], 1.0, 1.0, reach_db, 0.0, 0.1, 0.9)
    given = Name(name, sign, 0.2, 0.5, 0.8, 0.9, {"yaw": 0.2})
    return Finding(index, 0.7, use, 3.0, effect, given, 0.1, {}, truth)


def test_the_card_has_unique_names_by_use_signs_and_confidence(tmp_path):
    findings = [
        finding(0, "yaw", 0.1),
        finding(1, "yaw", 0.5, sign=-1),
        finding(2, "jaw", 0.3, reach_db=45.0),
        finding(3, UNNAMED, 0.9),
    ]
    assert unique_names(findings) == {1: "yaw", 0: "yaw_2", 2: UNNAMED, 3: UNNAMED}
    card = direction_card(findings)
    yaw = card.find("yaw")
    assert (yaw.index, yaw.sign, yaw.group) == (1, -1, "pose")
    assert (yaw.low, yaw.high, yaw.confidence) == (-0.7, 0.7, pytest.approx(0.4))
    assert yaw.meaning == "turned left to turned right"
    np.testing.assert_allclose(card.vector({"yaw": 0.5}), [0, -0.5, 0, 0])
    assert [direction.name for direction in card.named] == ["yaw_2", "yaw"]
    assert DirectionCard.from_json(card.to_json()) == card
    assert "null" not in card.to_json()


def test_accuracy_counts_what_has_an_effect():
    def truth(**amounts):
        values = dict.fromkeys(FACTORS, 0.0) | amounts
        return FactorChange(values, {n: float(v != 0) for n, v in values.items()}, 1.0)

    findings = [
        finding(0, "yaw", 1.0, truth=truth(yaw=0.2)),
        finding(1, "yaw", 1.0, truth=truth(yaw=-0.2)),  # the wrong sense
        finding(2, "roll", 1.0, truth=truth(yaw=0.2, roll=0.19)),  # not clear
        finding(3, "roll", 1.0, reach_db=50.0, truth=truth(roll=0.1)),  # no effect
        finding(4, "yaw", 1.0, sign=-1, truth=truth(yaw=-0.2)),
        finding(5, UNNAMED, 1.0, truth=truth(yaw=-0.2)),
        finding(6, "blink", 1.0, truth=truth(lid_left=0.3, lid_right=0.28)),
        finding(7, "yaw", 1.0, truth=truth()),  # of light, say
        finding(8, "yaw", 1.0),
    ]
    found = naming_accuracy(findings)
    assert (found.with_effect, found.right, found.clear, found.clear_right) == (6, 3, 5, 3)
    assert found.no_factor == 2
    # Two of six halve between two factors; all are used alike.
    assert found.purity == pytest.approx((4 + 2 * 0.5) / 6)
    assert found.confusion == {
        "yaw": {"yaw": 2, "-yaw": 1, "roll": 1, UNNAMED: 1},
        "blink": {"blink": 1},
    }
    assert naming_accuracy([finding(0, "yaw", 1.0)]) is None
    nothing = naming_accuracy([finding(0, "yaw", 1.0, truth=truth())])
    assert (nothing.with_effect, nothing.no_factor, nothing.confusion) == (0, 1, {})
    assert nothing.purity is None


def test_a_run_that_was_stopped_goes_on(animator, clips, probe, tmp_path, monkeypatch):
    whole = run_lab(animator, clips, probe, tmp_path / "a", progress=False)
    assert [f.index for f in whole] == [0, 1, 2, 3]
    assert all(f.truth is not None and set(f.truth.amounts) == set(FACTORS) for f in whole)
    assert [Finding.from_json(json.loads(json.dumps(f.to_json()))) for f in whole] == whole

    real, calls = Intervener.effects, []

    def fails_at_two(self, index, reach, subjects):
        calls.append(index)
        if index == 2 and len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, index, reach, subjects)

    monkeypatch.setattr(lab_module.Intervener, "effects", fails_at_two)
    with pytest.raises(KeyboardInterrupt):
        run_lab(animator, clips, probe, tmp_path / "b", progress=False)
    assert run_lab(animator, clips, probe, tmp_path / "b", progress=False) == whole
    assert calls == [0, 1, 2, 2, 3]


def test_findings_of_something_else_are_not_gone_on_with(animator, clips, probe, tmp_path):
    def check(probe, animator=animator):
        lab_module.check_same_run(tmp_path, animator, clips, probe, None)

    check(probe)
    check(probe)
    # Another chunk or device changes the last digits of coefficients.
    noise = 1e-6 * np.random.default_rng(0).normal(size=probe.codes.alpha.shape)
    codes = dataclasses.replace(probe.codes, alpha=probe.codes.alpha + noise)
    check(dataclasses.replace(probe, codes=codes, reach=probe.reach + 1e-6))
    first, second = probe.subjects
    higher = dataclasses.replace(first.frame, eyes_y=first.frame.eyes_y - 0.02)
    later = [(clip, time + 1) for clip, time in probe.places]
    record = dataclasses.replace(animator.record, fingerprint="of another model")
    for other in (
        (dataclasses.replace(probe, subjects=[first]),),
        (dataclasses.replace(probe, places=later),),
        # By another detector, and of other pictures.
        *(
            (dataclasses.replace(probe, subjects=[dataclasses.replace(first, **new), second]),)
            for new in ({"frame": higher}, {"picture": first.picture // 2})
        ),
        (probe, animator.replace(record=record)),
    ):
        with pytest.raises(LabError, match="of another model, other data or other options"):
            check(*other)


def test_a_single_portrait_agrees_with_nobody(animator, clips, probe, tmp_path):
    single = dataclasses.replace(probe, subjects=probe.subjects[:1])
    assert (probe.people, single.people) == (2, 1)
    for found in run_lab(animator, clips, single, tmp_path, progress=False):
        assert found.effect.agreement is None and found.name.agreement is None
        assert found.name.confidence == found.name.margin
        assert Finding.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_pictures_that_are_not_finite_are_an_error(animator, clips):
    broken = animator.replace(basis=animator.basis * np.float32(np.nan))
    subject = Subject("anna", 0, 0, clips.frame(0, 0), STATED_FRAME)
    with pytest.raises(ValueError, match="direction 1: the model's picture of anna isn't finite"):
        Intervener(broken).effects(1, 0.5, [subject])


def test_bad_input(animator, clips):
    stream, detector = FrameStream(animator, 4), open_detector()

    class Nothing:
        resolution, names, lengths, fps = 32, (), (), ()

        def __len__(self):
            return 0

    with pytest.raises(ValueError, match="no clips"):
        open_probe(stream, Nothing(), LabOptions(), detector, progress=False)
    with pytest.raises(ValueError, match="reads pictures of 32 pixels and the data have 64"):
        open_probe(stream, ProceduralClips(64, 2, 8), LabOptions(), detector, progress=False)
    few = LabOptions(max_clips=1, frames_per_clip=4)
    with pytest.raises(ValueError, match="4 frames are too few for 4 vectors"):
        open_probe(stream, clips, few, detector, progress=False)
    for name, flag in (("subjects", "portraits"), ("max_clips", "clips")):
        with pytest.raises(LabError, match=f"--{flag} 0: must be 1 or more"):
            LabOptions(**{name: 0})


@pytest.fixture
def model_folder(animator, tmp_path):
    save_model(tmp_path / "model", animator.record, animator.params)
    return tmp_path / "model"


def by_use_of(content):
    """(index, direction) of report.json, the most used first."""
    found = enumerate(content["directions"])
    return sorted(found, key=lambda item: -item[1]["finding"]["use"])


SMALL = ["--data", "procedural", "--clips", "3", "--frames", "3", "--portraits", "2"]


def test_the_command_writes_a_report_that_stands_alone(model_folder, tmp_path, capsys, monkeypatch):
    # Of a drawn model nothing can be seen.
    monkeypatch.setattr(lab_module, "REAL_EFFECT_DB", 99.0)
    out = tmp_path / "report"
    command = ["interpret", str(model_folder), *SMALL, "--out", str(out), "--write-card"]
    command += ["--weights", str(tmp_path)]
    assert main(command) == 0, capsys.readouterr().err
    printed = capsys.readouterr().out
    page = (out / "report.html").read_text()
    assert page.count("data:image/webp;base64,") == 4 + 4
    assert "<script" not in page and 'src="figures' not in page
    assert not re.search(r"(src|href)=.?http", page)
    content = json.loads((out / "report.json").read_text())
    assert len(content["directions"]) == 4
    lines = printed.splitlines()
    for line, (index, one) in zip(lines[1:5], by_use_of(content), strict=True):
        name, finding = one["name"], one["finding"]
        assert re.sub(r"^-", "", line.split()[1]) == name and line.split()[0] == str(index)
        assert float(line.split()[2]) == pytest.approx(one["confidence"], abs=0.006)
        assert float(line.split()[4]) == pytest.approx(finding["reach"], abs=0.006)
    found = content["naming_accuracy"]
    assert found["with_effect"] + found["no_factor"] == 4
    assert lines[5] == (
        f"names that are right: {found['right']} of {found['with_effect']}; where the truth is "
        f"clear {found['clear_right']} of {found['clear']}; with an effect that is no factor's: "
        f"{found['no_factor']}"
    )
    # Drawn weights move no factor.
    assert found["purity"] is None and "one factor" not in printed + page.lower()
    assert f"{found['no_factor']} more move no factor" in page
    assert "2 of 2 people, a face found in" in page and content["people"] == 2
    assert content["identity_drift"].startswith("left out: the weights of arcface are not in")
    card = read_card(out / "directions.json")
    assert card.num_vectors == 4 and read_card(model_folder / "directions.json") == card
    assert {d.index for d in card.directions} == {0, 1, 2, 3}
    assert {path.suffix for path in (out / "figures").iterdir()} == {".png"}
    assert not list(out.rglob("*.partial"))

    # Names that are there are kept, unless they are to be replaced.
    named = DirectionCard(4, (Direction(1, "wave"),))
    (model_folder / "directions.json").write_text(named.to_json())
    assert main(command) == 2
    assert "has names already (wave); add --overwrite" in capsys.readouterr().err
    assert read_card(model_folder / "directions.json") == named


def test_the_command_says_what_is_missing(model_folder, tmp_path, capsys, monkeypatch):
    out = ["--out", str(tmp_path / "report")]
    assert main(["interpret", str(tmp_path / "modle"), *SMALL, *out, "--write-card"]) == 2
    assert f"there is no file or directory {tmp_path / 'modle'}" in capsys.readouterr().err
    single = tmp_path / "one.safetensors"
    single.write_bytes(b"")
    assert main(["interpret", str(single), *SMALL, *out, "--write-card"]) == 2
    assert "is one file, and its card would be inside" in capsys.readouterr().err
    for place in (single, single / "report"):
        assert main(["interpret", str(model_folder), *SMALL, "--out", str(place)]) == 2
        assert f"{single} is a file; name a folder" in capsys.readouterr().err
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["interpret", str(model_folder), *SMALL, *out]) == 2
    assert "pip install 'liax-jax[interpret]'" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


def test_the_card_of_the_checkpoint_is_not_overwritten(model_folder, tmp_path, capsys):
    named = DirectionCard(4, (Direction(1, "wave"),)).to_json()
    (model_folder / "directions.json").write_text(named)
    (tmp_path / "link").symlink_to(model_folder)
    before = sorted(model_folder.rglob("*"))
    for out in (model_folder, tmp_path / "link"):
        assert main(["interpret", str(model_folder), *SMALL, "--out", str(out)]) == 2
        error = capsys.readouterr().err
        assert "its directions.json would be overwritten; name another folder" in error
    assert (model_folder / "directions.json").read_text() == named
    assert sorted(model_folder.rglob("*")) == before


def test_what_can_not_be_measured_leaves_nothing_and_takes_nothing(model_folder, tmp_path, capsys):
    out = tmp_path / "report"
    command = ["interpret", str(model_folder), *SMALL, "--portraits", "1", "--out", str(out)]
    still = ["--clips", "6", "--frames", "1"]
    assert main([*command, *still]) == 2
    assert "--frames 1: must be 2 or more" in capsys.readouterr().err
    assert not out.exists()
    assert main(command) == 0, capsys.readouterr().err
    assert "<td>–</td>" in (out / "report.html").read_text()  # nobody to agree with
    findings = sorted((out / "directions").iterdir())
    assert len(findings) == 9
    assert main([*command, *still, "--restart"]) == 2
    assert sorted((out / "directions").iterdir()) == findings

    # Pictures of an earlier report of more directions go, those of somebody else stay.
    for name in ("direction_039.png", "traversals_4.png", "mine.png"):
        (out / "figures" / name).write_bytes(b"")
    assert main(command) == 0, capsys.readouterr().err
    drawn = {path.name for path in (out / "figures").iterdir()}
    assert drawn == {
        *(f"direction_{index:03d}.png" for index in range(4)),
        *("traversals_1.png", "coefficients.png", "relations.png", "kurtosis.png", "mine.png"),
    }
