"""Other systems' frames: the figures of a model's own, and every way in which they can't be."""

import jax
import numpy as np
import pytest
from PIL import Image

from liax_jax.data.video_io import read_video, write_video
from liax_jax.evaluation import Context, EvaluationError
from liax_jax.evaluation.clip_data import open_data
from liax_jax.evaluation.predictions import PredictedClips, Predictions
from liax_jax.evaluation.reenactment import reenact_clip
from liax_jax.log import logger
from liax_jax.visualization import to_uint8
from tests.evaluation.constructed import ArrayClips, constructed_fns, evaluate, moving_clips

FNS = constructed_fns(lambda source, driving: 0.83 * driving + 0.16 * source)


def write_frames(folder, frames):
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{number:05d}.png")


def rendered(clips, clip):
    batches = reenact_clip(FNS, clips, clip, batch_size=3)
    return [
        to_uint8(frame)
        for batch in batches
        for frame in jax.device_get(batch.reconstruction)[: batch.count]
    ]


def predicted(folder, clips, out_dir, batch_size=4, **options):
    predictions = Predictions(folder, list(clips.names))
    context = Context(
        model=predictions.describe(), notes=predictions.notes(), inputs=predictions.inputs()
    )
    return evaluate(
        PredictedClips(predictions, clips, batch_size), clips, out_dir, context=context, **options
    )


def named_clips():
    clips = moving_clips((7, 4), side=64)
    clips.names = ["id1/clip", "id2"]
    return clips


def test_own_frames_saved_without_loss_score_exactly_the_same(tmp_path):
    clips = named_clips()
    own = evaluate(FNS, clips, tmp_path / "own", batch_size=3)
    for clip, name in enumerate(("id1_clip", "id2")):
        write_frames(tmp_path / "theirs" / name, rendered(clips, clip))
    # To the last bit in batches of one size; another size rounds sums over a frame otherwise.
    theirs = predicted(tmp_path / "theirs", clips, tmp_path / "out", batch_size=3)
    assert theirs["clips"] == own["clips"] and theirs["mean"] == own["mean"]
    assert theirs["failed"] == [] and theirs["notes"] == []


def test_own_frames_as_mp4_score_the_same_within_the_codecs_error(tmp_path):
    clips = named_clips()
    own = evaluate(FNS, clips, tmp_path / "own")
    errors = []
    for clip, name in enumerate(clips.names):
        path = tmp_path / "theirs" / f"{name}.mp4"
        frames = rendered(clips, clip)
        write_video(path, frames, 25, crf=10)
        decoded = np.stack(list(read_video(path))).astype(np.float64)
        errors.append(np.abs(decoded - np.stack(frames)).mean() / 255)
    theirs = predicted(tmp_path / "theirs", clips, tmp_path / "out")
    # The triangle's inequality: L1 moves by no more than what the codec has changed.
    for ours, other, error in zip(own["clips"], theirs["clips"], errors, strict=True):
        assert 0 < abs(other["l1"] - ours["l1"]) <= error < 0.02


def test_every_bad_prediction_is_one_clear_line_and_the_others_are_kept(tmp_path):
    clips = moving_clips((5,) * 9)
    names = ["good", "short", "long", "large", "unreadable", "missing", "cut", "empty", "deep"]
    clips.names = names
    folder = tmp_path / "theirs"
    frames = clips.videos[0]
    write_frames(folder / "good", frames)
    write_frames(folder / "short", frames[:3])
    write_frames(folder / "long", [*frames, frames[0], frames[0]])
    write_frames(folder / "large", [frame.repeat(2, 0).repeat(2, 1) for frame in frames])
    (folder / "unreadable.mp4").write_bytes(b"not a video" * 100)
    write_video(folder / "cut.mp4", list(frames) * 40, 25)
    whole = (folder / "cut.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    write_frames(folder / "extra", frames)
    (folder / "empty").mkdir()
    np.save(folder / "empty" / "frames.npy", np.stack(frames))
    write_frames(folder / "deep", frames)
    deep = frames[3].astype(np.uint16)[..., 0] * 257
    Image.fromarray(deep).save(sorted((folder / "deep").iterdir())[3])
    results = predicted(folder, clips, tmp_path / "out")
    reasons = {failure["name"]: failure["reason"] for failure in results["failed"]}
    assert [clip["name"] for clip in results["clips"]] == ["good"]
    assert list(reasons) == names[1:]
    for name, words in {
        "short": "the prediction has 3 frames, the clip 5",
        "long": "the prediction has 7 frames, the clip 5",
        "large": "the prediction is of 64x64 pixels, the clip of 32x32",
        "unreadable": "not a readable video",
        "missing": "no video or folder of frames of that name",
        "cut": "cut.mp4",
        "empty": f"{folder}/empty holds no images (bmp, jpeg, jpg, png, ",
        "deep": "its pixels have more than 8 bits (Pillow's mode I;16); save it with 8",
    }.items():
        assert words in reasons[name] and name in reasons[name], reasons[name]
        assert "\n" not in reasons[name]
    assert results["notes"] == ["1 prediction without a clip of that name: extra"]
    # What is mended is evaluated by the same command, and nothing else: the good one is gone, and
    # its results stay as long as its prediction is the one they were made of.
    write_frames(folder / "missing", frames)
    write_video(folder / "unreadable.mp4", list(frames), 25)
    lines = (tmp_path / "out" / "clips.jsonl").read_text()
    again = predicted(folder, clips, tmp_path / "out", start_anew=False)
    assert [clip["name"] for clip in again["clips"]] == ["good", "unreadable", "missing"]
    assert (tmp_path / "out" / "clips.jsonl").read_text().startswith(lines)
    assert again["clips"][0] == results["clips"][0]
    for path in (folder / "good").iterdir():
        path.unlink()
    (folder / "good").rmdir()
    write_frames(folder / "good", frames[:4])
    last = predicted(folder, clips, tmp_path / "out", start_anew=False)
    assert [clip["name"] for clip in last["clips"]] == ["unreadable", "missing"]
    assert "has 4 frames" in {f["name"]: f["reason"] for f in last["failed"]}["good"]


def test_two_predictions_of_a_clip_are_refused_by_name(tmp_path):
    clips = moving_clips((4, 4, 4, 4))
    clips.names = ["g/a", "b", "c", "g_a"]
    folder, frames = tmp_path / "theirs", list(clips.videos[0])
    for name in ("g/a.mp4", "g_a.mp4", "b.mp4", "c.mp4"):
        write_video(folder / name, frames, 25)
    (folder / "b.mkv").write_bytes((folder / "b.mp4").read_bytes())
    write_frames(folder / "c", frames)
    results = predicted(folder, clips, tmp_path / "out")
    # What is named as one clip in full isn't taken for another's.
    assert [clip["name"] for clip in results["clips"]] == ["g/a", "g_a"]
    reasons = {failure["name"]: failure["reason"] for failure in results["failed"]}
    assert "has 2 predictions" in reasons["b"] and "b.mkv, b.mp4" in reasons["b"]
    assert "has 2 predictions" in reasons["c"] and "c, c.mp4" in reasons["c"]
    assert results["notes"] == []


def test_videos_of_one_name_and_two_endings_stand_for_clips_of_such_names(tmp_path):
    clips = moving_clips((4, 4))
    clips.names = ["a.avi", "a.mp4"]  # as `find_clips` calls them
    for name in clips.names:
        write_frames(tmp_path / "theirs" / name, clips.videos[0])
    assert predicted(tmp_path / "theirs", clips, tmp_path / "out")["failed"] == []


def test_fewer_frames_of_the_clip_ask_for_no_more_of_the_prediction(tmp_path):
    clips = moving_clips((6,))
    write_frames(tmp_path / "theirs" / "clip0", clips.videos[0])
    results = predicted(tmp_path / "theirs", clips, tmp_path / "out", max_frames=4)
    assert results["clips"][0]["frames"] == 4 and results["mean"]["l1"] == 0


def test_one_frame_clips_and_unreadable_clips_fail_alone(tmp_path):
    data = tmp_path / "data"
    video = moving_clips((6,)).videos[0]
    write_video(data / "a.mp4", video, 25)
    write_video(data / "one.mp4", video[:1], 25)
    (data / "z.mp4").write_bytes(b"\0" * 500)
    clips = open_data(data, resolution=32).clips
    results = evaluate(FNS, clips, tmp_path / "out")
    reasons = {failure["name"]: failure["reason"] for failure in results["failed"]}
    assert "'one' has 1 frame;" in reasons["one"]
    assert "z.mp4" in reasons["z"] and "readable" in reasons["z"]
    assert [clip["name"] for clip in results["clips"]] == ["a"]


def test_data_of_videos_is_scaled_if_it_is_square(tmp_path):
    video = moving_clips((4,), side=64).videos[0]
    write_frames(tmp_path / "data" / "val" / "square", video)
    write_frames(tmp_path / "data" / "val" / "wide", video[:, :32])
    write_frames(tmp_path / "data" / "train" / "other", video)
    data = open_data(tmp_path / "data", resolution=32)
    assert data.clips.names == ("square", "wide") and data.description["split"] == "val"
    assert next(iter(data.clips.frames(0))).shape == (32, 32, 3)
    with pytest.raises(EvaluationError, match="'wide' is of 64x32 pixels.*liax prepare"):
        list(data.clips.frames(1))
    assert open_data(tmp_path / "data", "train").clips.resolution == 64
    with pytest.raises(EvaluationError, match="no split 'test'; it has train, val"):
        open_data(tmp_path / "data", "test")


def test_the_first_square_clip_that_can_be_read_decides_the_resolution(tmp_path, caplog):
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.mp4").symlink_to(tmp_path / "gone.mp4")
    (data / "b.mp4").write_bytes(b"not a video" * 100)
    video = moving_clips((4,), side=64).videos[0]
    write_frames(data / "c", video[:, :32])
    with pytest.raises(
        EvaluationError, match="none of the clips can be read and is square; .*a.mp4"
    ):
        open_data(data)
    write_frames(data / "d", video)
    write_frames(data / "e", video[:, ::2, ::2])
    with caplog.at_level("INFO", logger.name):
        clips = open_data(data).clips
    assert clips.resolution == 64 and "at 64 px, the size of clip 'd'" in caplog.text
    results = evaluate(FNS, clips, tmp_path / "out")
    assert [clip["name"] for clip in results["clips"]] == ["d", "e"]
    reasons = {failure["name"]: failure["reason"] for failure in results["failed"]}
    assert list(reasons) == ["a", "b", "c"]
    assert "no such file" in reasons["a"] and "is of 64x32 pixels" in reasons["c"]


def test_nothing_to_match_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        Predictions(tmp_path / "none", ["a"])
    write_frames(tmp_path / "theirs" / "b", moving_clips((4,)).videos[0])
    clips = ArrayClips([np.zeros((4, 32, 32, 3), np.uint8)], ["a"])
    with pytest.raises(EvaluationError, match="named as one of the 1 clips: there are b; .* are a"):
        predicted(tmp_path / "theirs", clips, tmp_path / "out")
    assert not (tmp_path / "out").exists()
