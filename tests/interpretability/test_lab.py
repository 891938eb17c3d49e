"""A model's directions one by one: frames read, runs gone on with, bad input."""

import dataclasses
import json

import numpy as np
import pytest

from liax_jax.animation.streaming import FrameStream
from liax_jax.data.procedural import FACTORS, ProceduralClips
from liax_jax.faces.detection import open_detector
from liax_jax.interpretability import lab as lab_module
from liax_jax.interpretability.interventions import Intervener
from liax_jax.interpretability.lab import Finding, LabError, LabOptions, open_probe, run_lab
from liax_jax.interpretability.probe_clips import VideoClips


@pytest.fixture(scope="module")
def probe(animator, clips):
    options = LabOptions(subjects=2, max_clips=4, frames_per_clip=4)
    return open_probe(FrameStream(animator, 4), clips, options, open_detector(), progress=False)


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
