"""Self-reenactment on constructed models whose scores are known, and on a real tiny one."""

import errno
import json

import jax
import numpy as np
import pytest

from liax_jax import evaluation
from liax_jax.data import video_io
from liax_jax.evaluation import (
    EvaluationError,
    format_table,
    reenactment,
    run_folder,
    scored_clips,
)
from liax_jax.evaluation.run_folder import RunFolder, clip_stems
from liax_jax.metrics import FRAME_METRICS
from liax_jax.models.animator import AnimatorModule
from liax_jax.models.config import ModelConfig
from liax_jax.visualization import LABEL_HEIGHT
from tests.evaluation.constructed import (
    COPY_DRIVING,
    COPY_SOURCE,
    ArrayClips,
    constructed_fns,
    evaluate,
    moving_clips,
)


def scores_of(entry):
    return {metric: entry[metric] for metric in FRAME_METRICS}


def test_a_model_that_returns_the_source_scores_exactly_the_copy_source_floor(tmp_path):
    results = evaluate(COPY_SOURCE, moving_clips(), tmp_path)
    assert results["mean"] == results["floors"]["copy_source"]
    for key in ("mean_over_frames", "mean_without_first_frame"):
        assert results[key]["mean"] == results[key]["floors"]["copy_source"]
    for entry in results["clips"]:
        assert scores_of(entry) == entry["floors"]["copy_source"]
    assert results["mean"] != results["floors"]["copy_mean"]


def test_a_perfect_model_scores_the_capped_psnr(tmp_path):
    results = evaluate(COPY_DRIVING, moving_clips(), tmp_path)
    for scores in (results["mean"], *(scores_of(entry) for entry in results["clips"])):
        assert scores["l1"] == 0 and scores["ssim"] == 1
        assert scores["psnr"] == pytest.approx(100, abs=1e-4)
    assert results["floors"]["copy_source"]["psnr"] < 60


def l1_and_psnr(candidate, videos):
    """Per clip, per frame, by definition in float64; candidate(video) is one frame in 0..255."""
    per_clip = []
    for video in videos:
        difference = (candidate(video.astype(np.float64)) - video) / 255
        l1 = np.abs(difference).mean((1, 2, 3))
        error = np.square(difference).mean((1, 2, 3))
        per_clip.append((l1, -10 * np.log10(np.maximum(error, 1e-10))))
    return per_clip


def test_floors_and_the_three_means_by_definition(tmp_path):
    clips = moving_clips()
    results = evaluate(COPY_DRIVING, clips, tmp_path)
    candidates = {"copy_source": lambda video: video[:1], "copy_mean": lambda video: video.mean(0)}
    for floor, candidate in candidates.items():
        per_clip = l1_and_psnr(candidate, clips.videos)
        for index, metric in enumerate(("l1", "psnr")):
            frames = [clip[index] for clip in per_clip]
            expected = {
                "mean": np.mean([values.mean() for values in frames]),
                "mean_over_frames": np.concatenate(frames).mean(),
                "mean_without_first_frame": np.mean([values[1:].mean() for values in frames]),
            }
            found = {"mean": results["floors"][floor][metric]} | {
                key: results[key]["floors"][floor][metric] for key in list(expected)[1:]
            }
            assert found == pytest.approx(expected, rel=2e-5), (floor, metric)
            for entry, values in zip(results["clips"], frames, strict=True):
                assert entry["floors"][floor][metric] == pytest.approx(values.mean(), rel=2e-5)


def test_results_do_not_depend_on_the_batch_size(tmp_path):
    fns = constructed_fns(lambda source, driving: 0.9 * driving + 0.1 * source)
    results = [evaluate(fns, moving_clips(), tmp_path, batch_size=b) for b in (1, 3, 7, 50)]
    for other in results[1:]:
        for entry, other_entry in zip(results[0]["clips"], other["clips"], strict=True):
            assert scores_of(other_entry) == pytest.approx(scores_of(entry), rel=1e-5)
        assert other["floors"]["copy_mean"] == pytest.approx(
            results[0]["floors"]["copy_mean"], rel=1e-5
        )


def test_source_is_encoded_once_a_clip_and_one_batch_shape_is_used(tmp_path):
    seen = []
    fns = constructed_fns(lambda source, driving: driving, seen)
    evaluate(fns, moving_clips((7, 4)), tmp_path, batch_size=3)
    batch = (3, 32, 32, 3)
    assert seen == ["encode", batch, batch, batch, "encode", batch, batch]


def test_max_frames_uses_the_first_frames_only(tmp_path):
    clips = moving_clips((7, 4))
    shorter = ArrayClips([video[:5] for video in clips.videos])
    limited = evaluate(COPY_DRIVING, clips, tmp_path, max_frames=5)
    assert [entry["frames"] for entry in limited["clips"]] == [5, 4]
    assert limited["clips"] == evaluate(COPY_DRIVING, shorter, tmp_path)["clips"]
    assert limited["protocol"]["frames"] == 9 and "first 5 frames" in limited["protocol"]["driving"]


def test_files_hold_what_is_returned(tmp_path, capsys):
    out_dir = tmp_path / "a" / "eval"
    clips = moving_clips()
    clips.names = ["id1/clip", "id2 clip"]
    results = evaluate(COPY_SOURCE, clips, out_dir, progress=True)
    assert json.loads((out_dir / "results.json").read_text()) == results
    lines = (out_dir / "clips.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == results["clips"]
    table = (out_dir / "table.txt").read_text()
    assert table in capsys.readouterr().out
    assert table == format_table(results) + "\n"
    for text in ("id1/clip", "id2 clip", "mean over frames", "copy source", "PSNR↑", "L1↓"):
        assert text in table
    made = {file.name for file in out_dir.iterdir()}
    assert made == {".lock", "run.json", "clips", "results.json", "clips.jsonl", "table.txt"}
    assert set(results["mean"]) == set(results["floors"]["copy_mean"]) == {"l1", "psnr", "ssim"}
    assert results["protocol"]["name"] == "self_reenactment"
    assert results["protocol"]["metrics"].keys() == {"l1", "psnr", "ssim"}


def test_videos_show_source_driving_and_reconstruction(tmp_path):
    clips = moving_clips((4,))
    clips.names = ["id1/clip"]
    fns = constructed_fns(lambda source, driving: -driving)
    with_videos = evaluate(fns, clips, tmp_path, videos=True)
    assert with_videos == evaluate(fns, clips, tmp_path / "without")
    frames = list(video_io.read_video(tmp_path / "videos" / "id1_clip.mp4"))
    assert len(frames) == 4 and frames[0].shape == (278, 776, 3)
    enlarged = frames[3][LABEL_HEIGHT : LABEL_HEIGHT + 256].astype(np.float64)
    pixels = [enlarged[4::8, left + 4 : left + 256 : 8] for left in (0, 260, 520)]
    video = clips.videos[0].astype(np.float64)
    for found, expected in zip(pixels, (video[0], video[3], 255 - video[3]), strict=True):
        assert np.abs(found - expected).mean() < 25
        assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.97


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_output_names_clip_and_frame(tmp_path, bad):
    clips = moving_clips()
    target = clips.videos[1][2] / np.float32(127.5) - 1

    def render(source, driving):
        image = np.array(driving)
        image[np.abs(image - target).max((1, 2, 3)) < 1e-3, 5, 6, 1] = bad
        return image

    results = evaluate(constructed_fns(render), clips, tmp_path, batch_size=2)
    (failure,) = results["failed"]
    assert failure["name"] == "clip1" and "'clip1', frame 2 (from 0)" in failure["reason"]
    # The other clip's result is kept, and is what it would be alone.
    alone = evaluate(COPY_DRIVING, ArrayClips(clips.videos[:1]), tmp_path / "alone", batch_size=2)
    assert results["clips"] == alone["clips"] and results["mean"] == alone["mean"]
    assert f"failed: {failure['reason']}" in (tmp_path / "table.txt").read_text()


def test_output_is_clipped_before_it_is_scored(tmp_path):
    white = ArrayClips([np.full((3, 16, 16, 3), 255, np.uint8)])
    results = evaluate(constructed_fns(lambda source, driving: driving + 5), white, tmp_path)
    assert results["mean"]["l1"] == 0


def test_unusable_clips_are_named(tmp_path):
    clips = moving_clips()
    short = ArrayClips([clips.videos[0], clips.videos[1][:1]])
    mixed = ArrayClips([clips.videos[0], clips.videos[1][:, :16, :16]])
    for bad, message in (
        (short, "'clip1' has 1 frame;"),
        (mixed, "'clip1', frame 0: expected (32, 32, 3)"),
    ):
        results = evaluate(COPY_DRIVING, bad, tmp_path)
        (failure,) = results["failed"]
        assert message in failure["reason"] and [c["name"] for c in results["clips"]] == ["clip0"]
    with pytest.raises(EvaluationError, match="none of the 1 clips could be evaluated.*1 frame"):
        evaluate(COPY_DRIVING, ArrayClips([clips.videos[1][:1]]), tmp_path)
    assert not (tmp_path / "results.json").exists()
    with pytest.raises(EvaluationError, match="no clips"):
        evaluate(COPY_DRIVING, ArrayClips([]), tmp_path)


def test_impossible_options_are_refused(tmp_path):
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        evaluate(COPY_DRIVING, moving_clips(), tmp_path, batch_size=0)
    with pytest.raises(ValueError, match="max_frames must be at least 2"):
        evaluate(COPY_DRIVING, moving_clips(), tmp_path, max_frames=1)


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    for out_dir in (blocked, blocked / "eval"):
        with pytest.raises(EvaluationError, match=f"can't write evaluation results to {out_dir}"):
            evaluate(COPY_DRIVING, moving_clips(), out_dir)


def test_a_full_disk_is_explained_and_a_failing_clip_is_not_mistaken_for_it(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path / "full", {}, ["a"])

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(run_folder.os, "fsync", full)
        with pytest.raises(EvaluationError, match="results to .*full: No space left"):
            folder.add({"name": "a"}, {})

    def failing_writer(path, frames, fps):
        raise OSError(code, "writer failed")

    monkeypatch.setattr(scored_clips, "write_video", failing_writer)
    code = errno.ENOSPC
    with pytest.raises(EvaluationError, match=f"{tmp_path}: writer failed; choose a folder"):
        evaluate(COPY_DRIVING, moving_clips(), tmp_path, videos=True)
    code = errno.EIO
    with pytest.raises(OSError, match="writer failed") as raised:
        evaluate(COPY_DRIVING, moving_clips(), tmp_path, videos=True)
    assert not isinstance(raised.value, EvaluationError)


def test_video_names_are_safe_and_unique():
    assert clip_stems(["a/b", "a_b", "ä b.mp4", "../..", "x"]) == [
        "a_b",
        "a_b_1",
        "ä_b.mp4",
        "clip",
        "x",
    ]
    for names in (["a/b", "a_b", "a_b_1", "a b"], ["x", "x_2", ".x"]):
        assert len(set(clip_stems(names))) == len(names)


def tiny_animator():
    """A small model with random parameters; drawn here, since compiling `init` takes longer."""
    config = ModelConfig(resolution=32, width=1 / 16, num_blocks=1, num_vectors=5, groups=2)
    animator = AnimatorModule(config)
    image = np.zeros((1, 32, 32, 3), np.float32)
    shapes = jax.eval_shape(animator.init, jax.random.key(0), image, image)["params"]
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape, np.float32), shapes)
    return animator, params


def test_a_real_animator_is_run_as_in_training(tmp_path):
    clips = moving_clips((5,))
    animator, params = tiny_animator()
    fns = evaluation.make_reenactment_fns(animator, params)
    batches = list(evaluation.reenact_clip(fns, clips, 0, batch_size=3))
    assert [(batch.start, batch.count) for batch in batches] == [(0, 3), (3, 2)]
    found = np.concatenate([batch.reconstruction[: batch.count] for batch in batches])
    video = clips.videos[0].astype(np.float32) / 127.5 - 1
    source = np.broadcast_to(video[:1], video.shape)
    expected, _ = jax.jit(animator.apply)({"params": params}, source, video)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    path = tmp_path / "reenactment.mp4"
    evaluation.write_reenactment_video(fns, clips, 0, path, batch_size=3)
    assert len(list(video_io.read_video(path))) == 5

    # Other parameters of the same model reuse what has been compiled.
    compiled = reenactment._render._cache_size()
    halved = jax.tree.map(lambda leaf: leaf / 2, params)
    same_model = AnimatorModule(animator.config)
    other_fns = evaluation.make_reenactment_fns(same_model, halved)
    list(evaluation.reenact_clip(other_fns, clips, 0, batch_size=3))
    assert reenactment._render._cache_size() == compiled
