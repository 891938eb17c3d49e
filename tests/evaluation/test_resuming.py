"""A stopped evaluation goes on to the same bytes; other settings are never mixed."""

import json

import jax
import numpy as np
import pytest

from liax_jax.evaluation import Context, EvaluationError, clip_loop, summary
from liax_jax.evaluation.differences import differences
from liax_jax.evaluation.options import PROTOCOLS
from liax_jax.evaluation.program import made_with, scoring_version
from liax_jax.evaluation.run_folder import RunFolder
from liax_jax.evaluation.scoring import set_distance
from liax_jax.metrics import FRAME_METRICS, SetMetric
from tests.evaluation.constructed import ArrayClips, constructed_fns, evaluate, moving_clips

# A set metric of three features a frame, so that the tests need no network.
COLORS = SetMetric(
    name="colors",
    higher_is_better=False,
    convention="distance of the mean colours",
    decimals=4,
    dimensions=3,
    apply=lambda _, images: images.mean(axis=(1, 2)),
    distance=lambda real, made: float(np.abs(real.moments()[0] - made.moments()[0]).sum()),
)
METRICS = {**FRAME_METRICS, "colors": COLORS}
CONTEXT = Context(model={"fingerprint": "half", "origin": "here"}, title="half")
FNS = constructed_fns(lambda source, driving: 0.9 * driving + 0.1 * source)


class Stopped(BaseException):
    pass


class StoppingClips(ArrayClips):
    """Ends the program, as Ctrl-C would, when a clip is read."""

    def __init__(self, clips, at):
        super().__init__(clips.videos, clips.names)
        self.at = at

    def frames(self, clip):
        if clip == self.at:
            raise Stopped
        return super().frames(clip)


def run(clips, out_dir, **options):
    options = {"context": CONTEXT, "start_anew": False, "metrics": METRICS} | options
    return evaluate(FNS, clips, out_dir, **options)


def files_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def test_resumed_is_uninterrupted_byte_for_byte(tmp_path):
    clips = moving_clips((7, 4, 5))
    run(clips, tmp_path / "whole", panels=True, videos=True)
    for stop in (1, 2):
        with pytest.raises(Stopped):
            run(StoppingClips(clips, stop), tmp_path / "stopped", panels=True, videos=True)
        assert not (tmp_path / "stopped" / "results.json").exists()
        lines = (tmp_path / "stopped" / "clips.jsonl").read_text().splitlines()
        assert [json.loads(line)["name"] for line in lines] == clips.names[:stop]
    # A line that was being written when the program was killed.
    with open(tmp_path / "stopped" / "clips.jsonl", "a") as file:
        file.write('{"name": "clip2", "fra')
    run(clips, tmp_path / "stopped", panels=True, videos=True)
    assert files_of(tmp_path / "stopped") == files_of(tmp_path / "whole")


def test_finished_clips_are_not_read_again(tmp_path):
    clips = moving_clips()
    first = run(clips, tmp_path)
    assert run(StoppingClips(clips, 0), tmp_path) == first
    # A batch of another size changes nothing that counts.
    assert run(StoppingClips(clips, 0), tmp_path, batch_size=2) == first


def test_a_clip_without_its_arrays_is_evaluated_again(tmp_path):
    clips = moving_clips()
    before = run(clips, tmp_path)
    (tmp_path / "clips" / "clip1.npz").unlink()
    with pytest.raises(Stopped):
        run(StoppingClips(clips, 1), tmp_path)
    assert run(clips, tmp_path) == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"context": Context(model={"fingerprint": "other"})},
            "model.fingerprint half there, other",
        ),
        ({"max_frames": 3}, "protocol.driving every frame"),
        ({"metrics": FRAME_METRICS}, "metrics.colors"),
    ],
)
def test_other_settings_are_refused_or_start_anew(tmp_path, change, said):
    clips = moving_clips()
    run(clips, tmp_path)
    before = files_of(tmp_path)
    with pytest.raises(EvaluationError, match=said) as raised:
        run(clips, tmp_path, **change)
    assert "--restart" in str(raised.value)
    assert files_of(tmp_path) == before
    # A newer checkpoint may start anew. No other change removes what is there.
    if "context" in change:
        anew = run(clips, tmp_path, **change, start_anew=True)
        assert anew["clips"] != [] and files_of(tmp_path) != before
    else:
        newer = {"context": Context(model={"fingerprint": "newer"})}
        for also in ({}, newer):
            with pytest.raises(EvaluationError, match=said):
                run(clips, tmp_path, **change, **also, start_anew=True)
        assert files_of(tmp_path) == before
    run(clips, tmp_path, restart=True)
    assert files_of(tmp_path) == before


def test_a_program_that_scores_otherwise_does_not_go_on(tmp_path, monkeypatch):
    clips = moving_clips()
    with pytest.raises(Stopped):
        run(StoppingClips(clips, 1), tmp_path)
    before = files_of(tmp_path)
    there = json.loads(before["run.json"])["program"]
    monkeypatch.setattr(summary, "scoring_version", lambda protocol: f"new {protocol}")
    said = f"by a program that scores otherwise .program {there} there, new self_reenactment now"
    with pytest.raises(EvaluationError, match=f"{said}.*--restart"):
        run(clips, tmp_path)
    with pytest.raises(EvaluationError, match="of other settings .*program.*protocol.driving"):
        run(clips, tmp_path, max_frames=3)
    assert files_of(tmp_path) == before
    # In a workdir, a newer program is answered as a newer checkpoint is.
    assert run(clips, tmp_path, start_anew=True)["program"] == "new self_reenactment"
    monkeypatch.setattr(summary, "scoring_version", lambda protocol: f"newer {protocol}")
    assert run(clips, tmp_path, restart=True)["program"] == "newer self_reenactment"


def test_the_code_that_scores_has_a_version_of_its_own_for_each_protocol():
    versions = {name: scoring_version(name) for name in PROTOCOLS}
    assert len(set(versions.values())) == len(PROTOCOLS)


def test_a_run_that_went_on_elsewhere_says_so(tmp_path, monkeypatch):
    clips = moving_clips()
    with pytest.raises(Stopped):
        run(StoppingClips(clips, 1), tmp_path)
    elsewhere = {"liax_jax": "0.1.0", "jax": "9.9", "device": "gpu, of another machine"}
    monkeypatch.setattr(clip_loop, "made_with", lambda: elsewhere)
    found = run(clips, tmp_path)
    assert found["made_with"] == [made_with(), elsewhere]
    assert found["made_with"][0]["jax"] == jax.__version__


def test_a_folder_without_a_finished_clip_takes_any_settings(tmp_path):
    clips = moving_clips()
    with pytest.raises(Stopped):
        run(StoppingClips(clips, 0), tmp_path)
    found = run(clips, tmp_path, max_frames=3)
    assert [clip["frames"] for clip in found["clips"]] == [3, 3]


def test_other_clips_are_refused(tmp_path):
    run(moving_clips(), tmp_path)
    with pytest.raises(EvaluationError, match=r"data\.clips 2 there, 3 now"):
        run(moving_clips((7, 4, 4)), tmp_path)


def test_where_a_model_lies_does_not_matter(tmp_path):
    first = run(moving_clips(), tmp_path)
    moved = Context(model={"fingerprint": "half", "origin": "elsewhere"}, title="half")
    assert run(StoppingClips(moving_clips(), 0), tmp_path, context=moved)["clips"] == first["clips"]


def test_set_metrics_of_clips_are_those_of_all_frames(tmp_path):
    clips = moving_clips((7, 4))
    results = run(clips, tmp_path)
    real = np.concatenate(clips.videos) / 255
    made = np.concatenate([0.9 * video + 0.1 * video[:1] for video in clips.videos]) / 255
    expected = np.abs(real.mean((0, 1, 2)) - made.mean((0, 1, 2))).sum()
    assert results["sets"]["colors"] == pytest.approx(expected, abs=2e-3 * 1.5)
    assert results["protocol"]["metrics"]["colors"]["frames"] == 11
    with RunFolder(tmp_path, {}, ["a"], restart=True):
        pass
    assert set_distance(COLORS, [_collected(clips.videos[0]), _collected(clips.videos[1])]) == (
        0.0,
        11,
    )


def _collected(video):
    statistics = COLORS.update(COLORS.init(), (video / 255).astype(np.float32))
    return {
        f"set/colors/{side}/{key}": array
        for side in ("real", "generated")
        for key, array in statistics.to_arrays().items()
    }


def test_two_evaluations_do_not_write_to_one_folder(tmp_path):
    with (
        RunFolder(tmp_path, {"a": 1}, ["x"]),
        pytest.raises(EvaluationError, match="another evaluation is writing there"),
    ):
        RunFolder(tmp_path, {"a": 1}, ["x"])
    RunFolder(tmp_path, {"a": 1}, ["x"]).__exit__()


@pytest.mark.parametrize("restart", [True, False])
@pytest.mark.parametrize(
    "name",
    [
        "videos/mine.mp4",
        "plots/mine.png",
        "results.json",
        "table.txt",
        "report.md",
        "report.html",
        "rows.tex",
        "mean_alpha.png",
        "clips.jsonl",
    ],
)
def test_files_of_something_else_are_never_removed(tmp_path, name, restart):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("precious")
    kind, first = ("folder" if "/" in name else "file"), name.split("/")[0]
    with pytest.raises(EvaluationError, match=f"no evaluation of clips, but a {kind} '{first}'"):
        RunFolder(tmp_path, {"a": 1}, ["x"], restart=restart, start_anew=True)
    assert path.read_text() == "precious" and not (tmp_path / "run.json").exists()


def test_a_run_whose_description_is_unreadable_is_replaced_only_if_asked(tmp_path):
    before = run(moving_clips(), tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(EvaluationError, match="it doesn't say of what"):
        run(moving_clips(), tmp_path, start_anew=True)
    assert run(moving_clips(), tmp_path, restart=True) == before


def test_differences_name_the_fields():
    before, now = {"a": {"b": 1, "c": "x"}, "d": 0}, {"a": {"b": 2, "c": "x"}, "d": 0, "e": [1]}
    assert differences(before, now) == "a.b 1 there, 2 now; e none there, [1] now"
    assert differences({}, now) == "it doesn't say of what"
    other = {"protocol": {"name": "sparsity", "driving": "all"}}
    now = {"protocol": {"name": "traversal", "driving": "none"}, "data": {}}
    assert differences(other, now) == "protocol.name sparsity there, traversal now"
