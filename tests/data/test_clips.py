"""Finding clips in folders, and reading folders of images."""

import numpy as np
import pytest

from liax_jax.data.clips import find_clips, image_files, read_frame_folder
from liax_jax.data.video_io import DamagedVideoError, VideoError


def found(root):
    return [(source.split, source.name) for source in find_clips(root)]


def test_videos_in_subfolders(tmp_path):
    for name in ("b10.mp4", "b2.MOV", "deep/er/a.webm", "notes.txt", ".hidden.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert found(tmp_path) == [(None, "b2"), (None, "b10"), (None, "deep/er/a")]


def test_clashing_names_keep_their_endings(tmp_path):
    for name in ("a.mp4", "a.avi", "b.mp4"):
        (tmp_path / name).write_bytes(b"x")
    assert found(tmp_path) == [(None, "a.avi"), (None, "a.mp4"), (None, "b")]


def test_split_folders_of_image_folders(tmp_path, make_frame_folder):
    for name in ("train/id1#a", "train/id1#b", "test/id2/c"):
        make_frame_folder(tmp_path / name, 2)
    assert found(tmp_path) == [("test", "id2/c"), ("train", "id1#a"), ("train", "id1#b")]


def test_image_folders_without_splits(tmp_path, make_frame_folder):
    make_frame_folder(tmp_path / "one", 3)
    make_frame_folder(tmp_path / "two", 2)
    sources = find_clips(tmp_path)
    assert [source.name for source in sources] == ["one", "two"]
    assert not sources[0].is_video
    assert sources[0].num_frames_estimate() == 3
    assert sources[0].fps(default=12.5) == 12.5
    assert len(list(sources[0].read())) == 3


def test_split_and_unsplit_clips_together(tmp_path):
    for name in ("train/a.mp4", "b.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ValueError, match=r"split folders \(.*a\.mp4\).*not \(.*b\.mp4\)"):
        find_clips(tmp_path)


def test_nothing_to_find(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        find_clips(tmp_path / "none")
    (tmp_path / "file").write_text("x")
    with pytest.raises(NotADirectoryError, match="is a file"):
        find_clips(tmp_path / "file")
    with pytest.raises(ValueError, match="no videos .*mp4.* and no folders of images"):
        find_clips(tmp_path)


def test_images_in_the_order_of_their_numbers(tmp_path, make_frame_folder, clip_frames):
    folder = make_frame_folder(tmp_path / "clip", 12)
    assert [path.stem for path in image_files(folder)] == [str(t) for t in range(12)]
    np.testing.assert_array_equal(list(read_frame_folder(folder)), clip_frames(12, 40, 40))


def test_damaged_image_folders(tmp_path, make_frame_folder, clip_frames):
    folder = make_frame_folder(tmp_path / "clip", 4)
    (folder / "2.png").write_bytes((folder / "2.png").read_bytes()[:60])
    with pytest.raises(DamagedVideoError, match=r"clip: image 2\.png is unreadable"):
        list(read_frame_folder(folder))
    (folder / "2.png").write_text("not an image")
    with pytest.raises(DamagedVideoError, match=r"2\.png is unreadable"):
        list(read_frame_folder(folder))
    other = make_frame_folder(tmp_path / "other", 1, height=20)
    (other / "0.png").rename(folder / "2.png")
    with pytest.raises(DamagedVideoError, match=r"2\.png is 40x20, the images before it 40x40"):
        list(read_frame_folder(folder))
    with pytest.raises(VideoError, match="holds no images"):
        list(read_frame_folder(other))
