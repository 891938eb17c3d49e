"""From a folder of videos to records, with every kind of bad input."""

import dataclasses
import errno
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from liax_jax.data import extraction
from liax_jax.data import prepare as prepare_module
from liax_jax.data.clip_writing import center_square
from liax_jax.data.crop_options import CropOptions
from liax_jax.data.extraction import extract
from liax_jax.data.frame_options import FrameOptions
from liax_jax.data.items import Item
from liax_jax.data.prepare import prepare
from liax_jax.data.records import RecordClips
from liax_jax.data.splits import assign_splits
from liax_jax.data.video_io import read_video

CENTER = CropOptions("center")


def run(videos, out, resolution=32, workers=1, options=None, **kwargs):
    options = options or FrameOptions(resolution, quality=None, crop=CENTER)
    return prepare(videos, out, options, workers=workers, progress=False, **kwargs)


def files_below(folder):
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_videos_become_records(tmp_path, make_video):
    for number, name in enumerate(("a", "b", "sub/c")):
        (tmp_path / "videos" / "sub").mkdir(parents=True, exist_ok=True)
        make_video(tmp_path / "videos" / f"{name}.mp4", 8 + number, phase=30 * number)
    summary = run(tmp_path / "videos", tmp_path / "out", val_names=["b"])
    train, val = RecordClips(tmp_path / "out", "train"), RecordClips(tmp_path / "out", "val")
    assert (train.names, train.lengths) == (("a", "sub/c"), (8, 10))
    assert (val.names, val.lengths, val.fps) == (("b",), (9,), (25.0,))
    assert (
        train.entries[1].source,
        train.entries[1].source_height,
        train.entries[1].source_width,
    ) == ("sub/c.mp4", 48, 64)
    for t, frame in enumerate(read_video(tmp_path / "videos" / "b.mp4")):
        np.testing.assert_array_equal(val.frame(0, t), center_square(frame, 32))
    assert (summary.found, summary.written, summary.frames, summary.skipped) == (3, 3, 27, [])
    assert summary.splits == {"train": (2, 18), "val": (1, 9)}
    assert summary.cropped == 3
    assert "3 clips are not square: their centre square was kept" in summary.lines()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "videos"]


def test_square_is_cut_not_squashed():
    """A disc in a wide frame stays a disc, in the middle; both orientations."""
    y, x = np.mgrid[:48, :96]
    disc = ((x - 47.5) ** 2 + (y - 23.5) ** 2 < 15**2)[..., None] * np.full(3, 255, np.uint8)
    for frame in (disc, disc.transpose(1, 0, 2)):
        small = center_square(np.ascontiguousarray(frame), 32)
        assert small.shape == (32, 32, 3) and small.dtype == np.uint8
        inside = small[..., 0] > 127
        assert inside.any(0).sum() == inside.any(1).sum() == 20  # 30 px of 48, at 32 px
        np.testing.assert_array_equal(inside, inside[::-1])
        np.testing.assert_array_equal(inside, inside[:, ::-1])
    np.testing.assert_array_equal(center_square(disc, 48), disc[:, 24:72])


def test_scaling_is_antialiased():
    """Stripes of one pixel become grey: without a filter they would alias."""
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    small = center_square(stripes, 32).astype(float)
    assert np.abs(small[2:-2, 2:-2] - 127.5).max() < 4


def test_same_records_whatever_the_workers(tmp_path, make_video):
    (tmp_path / "videos").mkdir()
    for number in range(5):
        make_video(tmp_path / "videos" / f"{number}.mp4", 5 + number, phase=20 * number)
    (tmp_path / "videos" / "3.mp4").write_text("no video")
    first = run(tmp_path / "videos", tmp_path / "one", workers=1)
    second = run(tmp_path / "videos", tmp_path / "two", workers=2)
    assert files_below(tmp_path / "one") == files_below(tmp_path / "two")
    assert first.skipped == second.skipped and len(first.skipped) == 1


def test_bad_clips_are_named_and_skipped(tmp_path, make_video, capsys):
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in ("good1", "good2", "cut", "single"):
        make_video(videos / f"{name}.mp4", 1 if name == "single" else 40)
    content = (videos / "cut.mp4").read_bytes()
    (videos / "cut.mp4").write_bytes(content[: len(content) * 3 // 4])
    (videos / "text.mp4").write_text("these are words\n" * 100)
    (videos / "dangling.mp4").symlink_to(tmp_path / "nowhere.mp4")
    summary = run(videos, tmp_path / "out", val_names=["good2", "cut"])
    assert RecordClips(tmp_path / "out", "train").names == ("good1",)
    assert RecordClips(tmp_path / "out", "val").names == ("good2",)
    assert RecordClips(tmp_path / "out", "val").lengths == (40,)
    reasons = {name: (problem, detail) for name, problem, detail in summary.skipped}
    assert reasons["single"] == ("too short", "1 frames where 2 are needed")
    assert reasons["cut"][0] == "damaged or truncated" and "truncated after" in reasons["cut"][1]
    assert reasons["text"][0] == "unreadable" and "not a readable video" in reasons["text"][1]
    assert reasons["dangling"] == ("unreadable", "no such file")
    assert summary.lines()[0] == (
        "found 6 clips: 2 written, 4 skipped (1 damaged or truncated, 1 too short, 2 unreadable)"
    )
    errors = capsys.readouterr().err
    for name in reasons:
        assert f"{name}.mp4: " in errors


def test_source_that_the_disk_refuses_is_skipped(tmp_path, make_video, monkeypatch):
    for name in "ab":
        make_video(tmp_path / "videos" / f"{name}.mp4")
    true_fingerprint = extraction.fingerprint

    def refused(path):
        if path.stem == "a":
            raise OSError(errno.EIO, "Input/output error")
        return true_fingerprint(path)

    monkeypatch.setattr(extraction, "fingerprint", refused)
    summary = run(tmp_path / "videos", tmp_path / "out")
    assert summary.skipped == [("a", "unreadable", "Input/output error")]


def test_broken_clips_do_not_empty_a_split(tmp_path, make_video):
    """Whichever of the clips the hash would have taken for validation is the broken one."""
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in "abcd":
        make_video(videos / f"{name}.mp4")
    (val_name,) = RecordClips(_written(videos, tmp_path / "all"), "val").names
    (videos / f"{val_name}.mp4").write_text("broken")
    assert len(RecordClips(_written(videos, tmp_path / "rest"), "val")) == 1
    assert len(RecordClips(tmp_path / "rest", "train")) == 2
    for name in set("abcd") - {val_name, "a" if val_name != "a" else "b"}:
        (videos / f"{name}.mp4").unlink()
    summary = run(videos, tmp_path / "one")
    assert summary.splits == {"train": (1, 12)}
    assert "note: there is no clip for validation" in summary.lines()


def _written(videos, out):
    run(videos, out)
    return out


@pytest.mark.parametrize("kind", ["empty", "text", "single"])
def test_nothing_usable_leaves_nothing_behind(tmp_path, make_video, kind):
    videos = tmp_path / "videos"
    videos.mkdir()
    if kind == "text":
        (videos / "text.mp4").write_text("words")
    if kind == "single":
        make_video(videos / "single.mp4", 1)
    message = {
        "empty": "no videos",
        "text": "none of the 1 clips .* text: not a readable",
        "single": "none of the 1 clips .* single: 1 frames",
    }[kind]
    with pytest.raises(ValueError, match=message):
        run(videos, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [videos]


def test_split_folders_keep_their_splits(tmp_path, make_frame_folder):
    make_frame_folder(tmp_path / "faces" / "train" / "a", 4)
    make_frame_folder(tmp_path / "faces" / "train" / "b", 3)
    make_frame_folder(tmp_path / "faces" / "test" / "a", 2)
    options = FrameOptions(32, quality=None, frame_folder_fps=30, crop=CENTER)
    summary = run(tmp_path / "faces", tmp_path / "out", options=options)
    assert summary.splits == {"train": (2, 7), "test": (1, 2)}
    assert RecordClips(tmp_path / "out", "test").lengths == (2,)
    assert RecordClips(tmp_path / "out", "test").fps == (30,)
    with pytest.raises(ValueError, match=r"splits of their own \(test, train\): leave out"):
        run(tmp_path / "faces", tmp_path / "other", val_names=["a"])


def test_stride_and_limits(tmp_path, make_frame_folder, clip_frames):
    make_frame_folder(tmp_path / "faces" / "long", 11, 32, 32)
    make_frame_folder(tmp_path / "faces" / "short", 4, 32, 32)
    options = FrameOptions(32, quality=None, stride=3, min_frames=3, max_frames=3, crop=CENTER)
    summary = run(tmp_path / "faces", tmp_path / "out", options=options, val_fraction=0)
    clips = RecordClips(tmp_path / "out", "train")
    assert summary.skipped == [("short", "too short", "2 frames where 3 are needed")]
    assert (clips.lengths, clips.fps) == ((3,), (pytest.approx(25 / 3),))
    np.testing.assert_array_equal(list(clips.frames(0)), clip_frames(11, 32, 32)[0:9:3])


def test_quality_makes_smaller_lossy_records(tmp_path, make_video):
    (tmp_path / "videos").mkdir()
    make_video(tmp_path / "videos" / "a.mp4", height=128, width=128)
    run(tmp_path / "videos", tmp_path / "out", 64, val_fraction=0)
    run(
        tmp_path / "videos",
        tmp_path / "lossy",
        options=FrameOptions(64, quality=90, crop=CENTER),
        val_fraction=0,
    )
    exact = RecordClips(tmp_path / "out", "train").frame(0, 3).astype(int)
    lossy = RecordClips(tmp_path / "lossy", "train").frame(0, 3).astype(int)
    assert 0 < np.abs(exact - lossy).max() < 30


def sources(*names):
    return [
        Item(name, Path("/v") / f"{name}.mp4", f"{name}.mp4", 1, name.split("/")[0])
        for name in names
    ]


def test_split_by_hash_is_stable():
    names = [f"clip{number}" for number in range(400)]
    splits = assign_splits(sources(*names), val_fraction=0.1)
    assert 20 <= splits.count("val") <= 60
    more = [*names, *(f"new{number}" for number in range(50))]
    assert assign_splits(sources(*more), val_fraction=0.1)[:400] == splits
    assert set(assign_splits(sources("a", "b"))) == {"train", "val"}
    assert set(assign_splits(sources("a", "b"), val_fraction=0.99)) == {"train", "val"}
    assert assign_splits(sources("a")) == ["train"]
    assert assign_splits(sources("a", "b"), val_fraction=0) == ["train", "train"]


def test_one_person_stays_in_one_split():
    names = [f"id{person}/clip{clip}" for person in range(60) for clip in range(4)]
    splits = assign_splits(sources(*names), val_fraction=0.3)
    assert set(splits) == {"train", "val"}
    assert all(len(set(splits[start : start + 4])) == 1 for start in range(0, 240, 4))


def test_wrong_names_and_fractions():
    assert assign_splits(sources("x/a", "b"), val_names=["a.mp4"]) == ["val", "train"]
    for kwargs, message in (
        ({"val_names": ["c"]}, "names no clip: c; the clips are a, b"),
        ({"val_names": ["a", "b"]}, "names every clip"),
        ({"val_names": ["a"], "val_fraction": 0.5}, "not both"),
        ({"val_fraction": 1.0}, r"in \[0, 1\)"),
    ):
        with pytest.raises(ValueError, match=message):
            assign_splits(sources("a", "b"), **kwargs)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("resolution", 100),
        ("resolution", 16),
        ("resolution", 0),
        ("stride", 0),
        ("min_frames", 1),
        ("max_frames", 1),
        ("quality", 0),
        ("quality", 101),
        ("frame_folder_fps", 0),
    ],
)
def test_impossible_options(field, value):
    with pytest.raises(ValueError, match=r"must be|is below"):
        dataclasses.replace(FrameOptions(64), **{field: value})


def test_existing_output(tmp_path, make_video):
    (tmp_path / "videos").mkdir()
    make_video(tmp_path / "videos" / "a.mp4")
    out = tmp_path / "out"
    out.mkdir()
    run(tmp_path / "videos", out, val_fraction=0)  # an empty folder is no obstacle
    with pytest.raises(FileExistsError, match="holds records already.*--overwrite"):
        run(tmp_path / "videos", out, 64, val_fraction=0)
    assert RecordClips(out, "train").resolution == 32
    run(tmp_path / "videos", out, 64, val_fraction=0, overwrite=True)
    assert RecordClips(out, "train").resolution == 64
    before = files_below(tmp_path / "videos")
    with pytest.raises(FileExistsError, match="not a folder of records"):
        run(tmp_path / "videos", tmp_path / "videos", overwrite=True)
    assert files_below(tmp_path / "videos") == before


def test_failure_midway_keeps_the_old_records(tmp_path, make_video, monkeypatch):
    (tmp_path / "videos").mkdir()
    make_video(tmp_path / "videos" / "a.mp4")
    run(tmp_path / "videos", tmp_path / "out", val_fraction=0)
    before = files_below(tmp_path / "out")

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(prepare_module.records.RecordWriter, "close", full)
    with pytest.raises(OSError, match="no space left in .* run the same command again"):
        run(tmp_path / "videos", tmp_path / "out", overwrite=True, val_fraction=0)
    assert files_below(tmp_path / "out") == before
    monkeypatch.undo()
    (work,) = tmp_path.glob(".out.*.partial")  # what is done, for the same command to go on
    assert run(tmp_path / "videos", tmp_path / "out", overwrite=True, val_fraction=0).resumed == 1
    assert files_below(tmp_path / "out") == before and not work.exists()


def test_dying_worker_is_reported(tmp_path, make_video):
    (tmp_path / "videos").mkdir()
    for name in "ab":
        make_video(tmp_path / "videos" / f"{name}.mp4")
    with pytest.raises(RuntimeError, match="a worker process died.*--workers 1"):
        run(tmp_path / "videos", tmp_path / "out", workers=2, options=_DyingOptions(32))
    assert not (tmp_path / "out").exists()


class _DyingOptions(FrameOptions):
    def __reduce__(self):
        return os._exit, (1,)  # what unpickles it in a worker dies


def test_memory_does_not_grow_with_the_clip(tmp_path, make_video):
    peaks = []
    for num_frames in (10, 120):
        path = make_video(tmp_path / f"{num_frames}.mp4", num_frames, 128, 128)
        item = Item("clip", path, "clip.mp4", 1, "clip")
        options = FrameOptions(32, crop=CENTER)
        tracemalloc.start()
        result = extract(item, tmp_path / "spool", options, lambda *_: None)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert result.clips[0].num_frames == num_frames
    assert peaks[1] < peaks[0] + 2 * 128 * 128 * 3
