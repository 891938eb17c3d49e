"""From wide videos with drawn portraits, which the cascades find, to records of their faces."""

import json

import numpy as np
import pytest
from PIL import Image, ImageFilter

from liax_jax.data.clip_writing import sharpness
from liax_jax.data.crop_options import CropOptions
from liax_jax.data.frame_options import FrameOptions
from liax_jax.data.prepare import prepare
from liax_jax.data.procedural import ProceduralClips
from liax_jax.data.records import RecordClips, read_manifest
from liax_jax.data.source import Source
from liax_jax.data.video_io import read_video, write_video
from liax_jax.faces.crops import Square, cut_out

HEIGHT, WIDTH, SIDE = 160, 320, 128


@pytest.fixture(scope="module")
def portraits():
    """Two people of 128 px, 16 frames each."""
    clips = ProceduralClips(SIDE, 4, frames_per_clip=16, seed=0)
    return [[clips.frame(person, t) for t in range(16)] for person in (0, 3)]


def on_wall(picture, left, top=20, gray=90):
    frame = np.full((HEIGHT, WIDTH, 3), gray, np.uint8)
    frame[top : top + SIDE, left : left + SIDE] = picture
    return frame


def run(videos, out, layout="folder", workers=1, resolution=64, **crop):
    crop_options = CropOptions(**{"min_sharpness": 0, **crop})
    options = FrameOptions(resolution, quality=None, crop=crop_options)
    return prepare(Source(videos, layout), out, options, workers=workers, progress=False)


@pytest.fixture(scope="module")
def two_shots(portraits, tmp_path_factory):
    """A wide video: one person on the left, a cut, another on the right; and one without a face."""
    videos = tmp_path_factory.mktemp("two") / "videos"
    first, second = portraits
    frames = [on_wall(picture, 10) for picture in first]
    frames += [on_wall(picture, 180, gray=200) for picture in second]
    write_video(videos / "talk.mp4", frames, fps=25, crf=5)
    write_video(videos / "wall.mp4", [np.full((64, 64, 3), 90, np.uint8)] * 20, fps=25)
    return videos


def test_each_shot_is_a_clip_of_its_face(two_shots, tmp_path):
    summary = run(two_shots, tmp_path / "one")
    assert summary.skipped == [("wall", "no face", "no face was found in it")]
    clips = RecordClips(tmp_path / "one", "train")
    assert clips.names == ("talk#1", "talk#2") and clips.lengths == (16, 16)
    assert clips.identities == ("talk", "talk")
    spans = [(entry.start, entry.end) for entry in clips.entries]
    assert spans == [(0.0, 0.64), (0.64, 1.28)]
    frames = list(read_video(two_shots / "talk.mp4"))
    for number, center in enumerate((10 + SIDE / 2, 180 + SIDE / 2)):
        left, top, side = clips.entries[number].box
        assert left + side / 2 == pytest.approx(center, abs=12)
        assert 0.6 * SIDE < side < 1.2 * SIDE
        square = Square(left + side / 2, top + side / 2, side)
        for t in (0, 15):
            expected = cut_out(frames[16 * number + t], square, 64)
            difference = clips.frame(number, t) - expected.astype(float)
            assert np.abs(difference).mean() < 0.1  # the box in the index is rounded
    run(two_shots, tmp_path / "two", workers=2)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name
    assert {path.name for path in (tmp_path / "one").iterdir()} == {
        "contact_sheet.jpg",
        "dropped.jsonl",
        "frames-00000.arrayrecord",
        "index.json",
        "manifest.json",
    }
    assert read_manifest(tmp_path / "one")["dropped"] == {"no face": 1}
    (line,) = (tmp_path / "one" / "dropped.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "clip": "wall",
        "source": "wall.mp4",
        "reason": "no face",
        "detail": "no face was found in it",
    }
    with Image.open(tmp_path / "one" / "contact_sheet.jpg") as sheet:
        assert sheet.width > 2 * 3 * 128


def test_filters_count_their_reasons(two_shots, portraits, tmp_path):
    """Names stay what they are without the filter; nothing usable says what to do."""
    with pytest.raises(ValueError, match=r"talk#1: \d+ px where 300 px are needed"):
        run(two_shots, tmp_path / "small", min_size=300)
    blurred = [
        np.asarray(Image.fromarray(on_wall(picture, 10)).filter(ImageFilter.GaussianBlur(4)))
        for picture in portraits[0]
    ]
    videos = tmp_path / "videos"
    sharp = [on_wall(picture, 180, gray=200) for picture in portraits[1]]
    write_video(videos / "talk.mp4", [*blurred, *sharp], fps=25, crf=5)
    summary = run(videos, tmp_path / "out", min_sharpness=25)
    ((name, reason, detail),) = summary.skipped
    assert (name, reason) == ("talk#1", "blurred") and "where 25 is needed" in detail
    assert RecordClips(tmp_path / "out", "train").names == ("talk#2",)


def test_sharpness_falls_with_blur_and_enlargement(portraits):
    picture = Image.fromarray(portraits[0][0]).resize((256, 256), Image.Resampling.LANCZOS)
    values = [
        sharpness(np.asarray(picture.filter(ImageFilter.GaussianBlur(radius))))
        for radius in (0, 1, 2, 4)
    ]
    assert values == sorted(values, reverse=True) and values[3] < values[0] / 10
    assert sharpness(np.full((256, 256, 3), 7, np.uint8)) == 0


def test_face_at_the_border(portraits, tmp_path):
    """The square stays inside where it can; where too little is left of it, it is no clip."""
    videos = tmp_path / "videos"
    write_video(videos / "a.mp4", [on_wall(picture, 0, 0) for picture in portraits[0]], fps=25)
    run(videos, tmp_path / "out")
    left, top, side = RecordClips(tmp_path / "out", "train").entries[0].box
    assert left >= 0 and top >= 0 and left + side <= WIDTH and top + side <= HEIGHT
    cut = [on_wall(picture, 0, 0)[:, 36:] for picture in portraits[0]]
    write_video(videos / "a.mp4", [frame[:, :284] for frame in cut], fps=25)
    with pytest.raises(ValueError, match=r"a: \d+% of the square"):
        run(videos, tmp_path / "cut", max_outside=0.0, scale=2.6)


def test_no_face_in_any_clip_says_what_to_do(tmp_path, make_video):
    make_video(tmp_path / "videos" / "a.mp4", 12)
    with pytest.raises(ValueError, match="take --crop center; give a YuNet model"):
        run(tmp_path / "videos", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["videos"]


def test_still_faces(portraits, tmp_path):
    (tmp_path / "videos").mkdir()
    for number, person in enumerate(portraits):
        Image.fromarray(on_wall(person[0], 100)).save(tmp_path / "videos" / f"{number}.png")
    summary = run(tmp_path / "videos", tmp_path / "out", "stills")
    assert summary.splits == {"stills": (2, 2)}
    clips = RecordClips(tmp_path / "out", "stills")
    left, _, side = clips.entries[0].box
    assert left + side / 2 == pytest.approx(100 + SIDE / 2, abs=12) and side < 1.2 * SIDE


def test_face_model_counts_by_its_content(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "yunet.onnx").write_text("the same")
    first, second = (
        CropOptions(face_model=str(tmp_path / name / "yunet.onnx")).to_json() for name in "ab"
    )
    assert first == second and first["face_model"].startswith("sha256:")
