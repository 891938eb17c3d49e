"""`liax compare`: sign and interval of a known difference, and what it refuses."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from liax_jax.cli import main
from liax_jax.evaluation import Context, EvaluationError
from liax_jax.evaluation.compare import compare
from liax_jax.metrics import FRAME_METRICS, FrameMetric
from tests.evaluation.constructed import constructed_fns, evaluate, moving_clips


def darkened(amount):
    return constructed_fns(lambda source, driving: np.asarray(driving) - amount)


def uneven(videos, less):
    """Darkens each clip by an amount of its own, known by its first frame's mean."""

    def render(source, driving):
        mean = (float(np.asarray(source).mean()) + 1) * 127.5
        number = min(videos.items(), key=lambda item: abs(item[0] - mean))[1]
        return np.asarray(driving) - (0.04 + 0.04 * number - less)

    return constructed_fns(render)


def make(folder, amount, lengths=(5, 4, 6, 4), **options):
    clips = options.pop("clips", None) or moving_clips(lengths)
    context = Context(model={"fingerprint": str(amount)}, title=f"darkened by {amount}")
    return evaluate(darkened(amount), clips, folder, context=context, **options)


def test_sign_and_interval_of_a_known_difference(tmp_path):
    a, b = make(tmp_path / "a", 0.08), make(tmp_path / "b", 0.04)
    result = compare(tmp_path / "a", tmp_path / "b")
    found = result["metrics"]["l1"]
    # On [0, 1] the difference is half of that on [-1, 1]; to within the rounding to 8 bits.
    assert found["difference"] == pytest.approx(-0.02, abs=0.002)
    low, high = found["interval"]
    assert low <= found["difference"] <= high < 0
    assert found["verdict"] == "b is better" and found["better_in_b"] == found["clips"] == 4
    assert result["metrics"]["psnr"]["verdict"] == "b is better"
    assert found["a"] == pytest.approx(a["mean"]["l1"]) and result["clips"] == 4
    assert found["b"] == pytest.approx(b["mean"]["l1"])
    back = compare(tmp_path / "b", tmp_path / "a")["metrics"]["l1"]
    assert back["verdict"] == "a is better" and back["better_in_b"] == 0
    assert back["difference"] == pytest.approx(-found["difference"])
    biggest = found["most_different"][0]
    changes = {c["name"]: d["l1"] - c["l1"] for c, d in zip(a["clips"], b["clips"], strict=True)}
    assert abs(biggest["difference"]) == pytest.approx(max(map(abs, changes.values())))


def test_a_run_with_itself_shows_no_difference(tmp_path):
    make(tmp_path / "a", 0.08)
    found = compare(tmp_path / "a", tmp_path / "a")["metrics"]["ssim"]
    assert found["interval"] == [0, 0] and found["verdict"] == "equal"
    # Other batches add in another order, which is no difference either.
    make(tmp_path / "b", 0.08, batch_size=5)
    for found in compare(tmp_path / "a", tmp_path / "b")["metrics"].values():
        assert found["verdict"] == "equal"


def test_pairing_sees_what_the_two_intervals_do_not(tmp_path):
    # A model that is bad on some clips and good on others, and one that is a little better on all.
    clips = moving_clips((4,) * 6)
    for i, video in enumerate(clips.videos):
        video[:] = video // 4 + 80 + 20 * i
    videos = {float(video[0].mean()): i for i, video in enumerate(clips.videos)}
    a = evaluate(uneven(videos, 0), clips, tmp_path / "a", context=Context(title="a"))
    b = evaluate(uneven(videos, 0.02), clips, tmp_path / "b", context=Context(title="b"))
    (low_a, high_a), (low_b, high_b) = (r["intervals"]["mean"]["l1"] for r in (a, b))
    assert low_a < low_b < high_a < high_b or low_b < low_a < high_b < high_a
    found = compare(tmp_path / "a", tmp_path / "b")["metrics"]["l1"]
    assert found["verdict"] == "b is better" and found["better_in_b"] == 6


def test_clips_of_one_run_only_are_named(tmp_path, capsys):
    make(tmp_path / "a", 0.08, (5, 4, 6))
    fewer = moving_clips((5, 4, 6))
    fewer.videos, fewer.names = fewer.videos[1:], fewer.names[1:]
    fewer.lengths, fewer.fps = fewer.lengths[1:], fewer.fps[1:]
    make(tmp_path / "b", 0.04, clips=fewer)
    result = compare(tmp_path / "a", tmp_path / "b")
    assert result["only_in_a"] == ["clip0"] and result["only_in_b"] == [] and result["clips"] == 2
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    printed = capsys.readouterr().out
    assert "1 clip only in a: clip0" in printed and "b is better" in printed
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == result


LIT = FrameMetric(
    name="lit",
    higher_is_better=True,
    convention="brightness of frames that aren't dark",
    decimals=3,
    against="source",
    prepare_source=lambda _, source: source,
    skips_frames=True,
    apply=lambda _, images, __: jnp.where(
        images.mean((1, 2, 3)) > 0.4, images.mean((1, 2, 3)), jnp.nan
    ),
)


def test_few_clips_and_other_numbers_of_scored_frames_are_warned_of(tmp_path, capsys):
    metrics = {**FRAME_METRICS, "lit": LIT}
    for clips, few in ((20, False), (3, True)):
        made = moving_clips((3,) * clips)
        for video in made.videos:
            # 0.42 of full brightness, then 0.62: b, darker by 0.04, has no score for the former.
            video[:] = np.array([108, 158, 158], np.uint8)[:, None, None, None]
        a, b = tmp_path / f"a{clips}", tmp_path / f"b{clips}"
        make(a, 0.0, clips=made, metrics=metrics)
        make(b, 0.08, clips=made, metrics=metrics)
        result = compare(a, b)
        assert result["metrics"]["l1"]["frames"] == {"a": 3 * clips, "b": 3 * clips}
        assert result["metrics"]["lit"]["frames"] == {"a": 3 * clips, "b": 2 * clips}
        first = [f"only {clips} clips are compared; so few make intervals too narrow"]
        assert result["warnings"] == few * first + [
            f"lit has a score for {3 * clips} frames in a and for {2 * clips} in b, on the clips "
            "compared; the means are over different frames"
        ]
    assert main(["compare", str(a), str(b)]) == 0
    assert "warning: only 3 clips are compared" in capsys.readouterr().out


def test_runs_scored_by_different_programs_are_warned_of(tmp_path):
    for name in "ab":
        make(tmp_path / name, 0.08)
    path = tmp_path / "b" / "results.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"program": "older"}))
    warnings = compare(tmp_path / "a", tmp_path / "b")["warnings"]
    assert "the runs were scored by different versions of this program" in warnings
    assert len(compare(tmp_path / "a", tmp_path / "a")["warnings"]) == 1


def test_other_data_or_protocols_are_refused(tmp_path, capsys):
    make(tmp_path / "a", 0.08)
    other = moving_clips((5, 4, 6, 4))
    other.videos[2][0, 0, 0, 0] ^= 1
    make(tmp_path / "pixel", 0.08, clips=other)
    with pytest.raises(EvaluationError, match="different data: clip 'clip2' has other frames"):
        compare(tmp_path / "a", tmp_path / "pixel")
    make(tmp_path / "short", 0.08, max_frames=3)
    with pytest.raises(EvaluationError, match="different protocols.*driving"):
        compare(tmp_path / "a", tmp_path / "short")
    unlike = moving_clips()
    unlike.names = ["x", "y"]
    make(tmp_path / "names", 0.08, clips=unlike)
    with pytest.raises(EvaluationError, match="no clip in common: clip0, clip1"):
        compare(tmp_path / "a", tmp_path / "names")
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "names")]) == 2
    assert capsys.readouterr().err.startswith("liax compare: error: the runs have no clip")


def test_unfinished_and_foreign_folders_are_refused(tmp_path):
    make(tmp_path / "a", 0.08)
    (tmp_path / "a" / "results.json").unlink()
    with pytest.raises(EvaluationError, match="isn't finished; run its command again"):
        compare(tmp_path / "a", tmp_path / "a")
    with pytest.raises(EvaluationError, match=r"holds no results\.json"):
        compare(tmp_path, tmp_path)
