"""Frame records: lossless, checked, random access."""

import json
import pickle
import threading

import numpy as np
import pytest

from liax_jax.data.clips import ClipSet
from liax_jax.data.records import (
    RecordClips,
    RecordsError,
    RecordWriter,
    decode_frame,
    encode_frame,
)

RESOLUTION = 32
LENGTHS = {"alice": 5, "bob": 3, "carol": 4}


def frame_of(clip, t):
    rng = np.random.default_rng([list(LENGTHS).index(clip), t])
    return rng.integers(0, 256, (RESOLUTION, RESOLUTION, 3), dtype=np.uint8)


@pytest.fixture
def root(tmp_path):
    """Clips alice, carol and bob in three files; carol in test, the others in train."""
    folder = tmp_path / "records"
    folder.mkdir()
    writer = RecordWriter(folder, RESOLUTION, max_file_bytes=1000)
    for name in ("alice", "carol", "bob"):
        records = (encode_frame(frame_of(name, t), t) for t in range(LENGTHS[name]))
        writer.add_clip(name, records, fps=25.0, source=f"{name}.mp4", source_size=(48, 64))
    writer.close(["train", "test", "train"])
    return folder


def test_lossless_and_complete(root):
    clips = RecordClips(root, "train")
    assert isinstance(clips, ClipSet)
    assert (len(clips), clips.resolution) == (2, RESOLUTION)
    assert (clips.names, clips.lengths, clips.fps) == (("alice", "bob"), (5, 3), (25.0, 25.0))
    for clip, name in enumerate(clips.names):
        frames = list(clips.frames(clip))
        assert len(frames) == LENGTHS[name]
        for t, frame in enumerate(frames):
            assert frame.dtype == np.uint8 and frame.flags.writeable
            np.testing.assert_array_equal(frame, frame_of(name, t))
    np.testing.assert_array_equal(clips.frame(1, 2), frame_of("bob", 2))
    assert RecordClips(root, "test").names == ("carol",)
    assert sorted(path.name for path in root.iterdir()) == [
        "frames-00000.arrayrecord",
        "frames-00001.arrayrecord",
        "frames-00002.arrayrecord",
        "index.json",
    ]


def test_frames_out_of_range(root):
    clips = RecordClips(root, "train")
    for t in (-1, 3):
        with pytest.raises(IndexError, match="'bob' has frames 0 to 2"):
            clips.frame(1, t)


def test_jpeg_is_close_and_smaller():
    y, x = np.mgrid[:64, :64]
    frame = np.stack([x * 4, y * 4, (x + y) * 2], -1).astype(np.uint8)
    record = encode_frame(frame, 7, quality=95)
    error = decode_frame(record, 64, 7).astype(float) - frame
    assert 10 * np.log10(255**2 / np.mean(error**2)) > 38
    assert np.abs(error).max() > 0


def test_any_changed_byte_of_a_record_is_noticed():
    record = encode_frame(frame_of("alice", 0), 0)
    rng = np.random.default_rng(0)
    positions = [*range(16), *rng.integers(16, len(record), 200)]
    for position in positions:
        damaged = bytearray(record)
        damaged[position] ^= 1 << rng.integers(8)
        with pytest.raises(RecordsError):
            decode_frame(bytes(damaged), RESOLUTION, 0)
    for wrong in (record[:10], record[:-1], b""):
        with pytest.raises(RecordsError):
            decode_frame(wrong, RESOLUTION, 0)
    with pytest.raises(RecordsError, match="holds frame 0 at 32 px, not frame 1"):
        decode_frame(record, RESOLUTION, 1)


def test_corrupt_record_is_named(root):
    """One changed byte in the file: that frame is an error, the others still read."""
    path = root / "frames-00000.arrayrecord"
    content = bytearray(path.read_bytes())
    needle = encode_frame(frame_of("alice", 3), 3)
    content[content.find(needle) + len(needle) // 2] ^= 0x55
    path.write_bytes(content)
    clips = RecordClips(root, "train")
    np.testing.assert_array_equal(clips.frame(0, 2), frame_of("alice", 2))
    with pytest.raises(
        RecordsError,
        match=r"frames-00000\.arrayrecord: record 3 \(clip 'alice', "
        r"frame 3\) is damaged: .*run `liax prepare` again",
    ):
        clips.frame(0, 3)
    np.testing.assert_array_equal(clips.frame(0, 4), frame_of("alice", 4))


def test_truncated_or_replaced_file(root):
    path = root / "frames-00002.arrayrecord"
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    with pytest.raises(RecordsError, match=r"frames-00002\.arrayrecord: has \d+ bytes where"):
        RecordClips(root, "train")
    path.write_bytes(b"\0" * len(content))
    with pytest.raises(RecordsError, match="holds 0 records where the index says 3"):
        RecordClips(root, "train").frame(1, 0)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"frames-00002\.arrayrecord: missing"):
        RecordClips(root, "train")


def test_no_records(tmp_path, root):
    with pytest.raises(FileNotFoundError, match=r"no such folder of records.*liax prepare"):
        RecordClips(tmp_path / "none", "train")
    with pytest.raises(FileNotFoundError, match=r"index\.json: missing"):
        RecordClips(tmp_path, "train")
    with pytest.raises(RecordsError, match="has no split 'val'; it has 'test', 'train'"):
        RecordClips(root, "val")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"format": "other"}'])
def test_unreadable_index(root, text):
    (root / "index.json").write_text(text)
    with pytest.raises(RecordsError, match=r"index\.json"):
        RecordClips(root, "train")


def test_index_of_another_version(root):
    index = json.loads((root / "index.json").read_text())
    index["version"] = 99
    (root / "index.json").write_text(json.dumps(index))
    with pytest.raises(RecordsError, match="format version 99.*liax prepare"):
        RecordClips(root, "train")


def test_folder_of_version_1_is_read(root):
    """It knows no identities, spans or boxes; the frames are the same."""
    index = json.loads((root / "index.json").read_text())
    index["version"] = 1
    for clips in index["splits"].values():
        for clip in clips:
            for name in ("identity", "dataset", "start", "end", "box"):
                del clip[name]
            clip["name"] = f"{clip['name']}/first"
    (root / "index.json").write_text(json.dumps(index, indent=1))
    clips = RecordClips(root, "train")
    assert clips.names == ("alice/first", "bob/first") and clips.identities == ("alice", "bob")
    assert clips.entries[0].box is None and clips.entries[0].end is None
    np.testing.assert_array_equal(clips.frame(1, 2), frame_of("bob", 2))


def test_clip_of_the_index_with_wrong_fields(root):
    index = json.loads((root / "index.json").read_text())
    del index["splits"]["train"][0]["num_frames"]
    (root / "index.json").write_text(json.dumps(index))
    with pytest.raises(RecordsError, match=r"index\.json: unreadable .*num_frames.*liax prepare"):
        RecordClips(root, "train")


def test_manifest_is_checked(root):
    path = root / "manifest.json"
    path.write_text('{"options": {"resolution": 32}}')
    assert len(RecordClips(root, "train")) == 2
    for text in ("", '{"options": {"resolu', '{"options": {}}', "[]"):
        path.write_text(text)
        with pytest.raises(RecordsError, match=r"manifest\.json: unreadable .*liax prepare"):
            RecordClips(root, "train")
    path.write_text('{"options": {"resolution": 64}}')
    with pytest.raises(RecordsError, match=r"manifest\.json: says 64 px, the index .* 32 px"):
        RecordClips(root, "train")


def test_writer_goes_on_after_another(tmp_path):
    """As after a kill: what was told to be complete, then the rest, is one run's folder."""

    def add(writer, name):
        records = [encode_frame(frame_of(name, t), t) for t in range(LENGTHS[name])]
        size = sum(map(len, records))
        writer.add_clip(
            name,
            records,
            fps=25.0,
            source=name,
            source_size=(48, 64),
            num_bytes=size,
            identity=name,
        )

    told = []
    for folder in ("whole", "two"):
        (tmp_path / folder).mkdir()
    writer = RecordWriter(tmp_path / "whole", RESOLUTION, 23_000, lambda *args: told.append(args))
    for name in LENGTHS:
        add(writer, name)
    writer.close(["train"] * 3)
    assert [[clip.name for clip in clips] for _, clips in told] == [["alice"], ["bob", "carol"]]
    ((file, clips), _) = told
    first = RecordWriter(tmp_path / "two", RESOLUTION, 23_000)
    add(first, "alice")
    first.close_file()
    second = RecordWriter(tmp_path / "two", RESOLUTION, 23_000, files=[file], clips=clips)
    add(second, "bob")
    add(second, "carol")
    second.close(["train"] * 3)
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_pickle(root):
    clips = RecordClips(root, "train")
    clips.frame(0, 0)
    copy = pickle.loads(pickle.dumps(clips))
    assert copy.names == clips.names
    np.testing.assert_array_equal(copy.frame(1, 1), frame_of("bob", 1))


def test_threads(root):
    clips = RecordClips(root, "train")
    wrong = []

    def read(seed):
        rng = np.random.default_rng(seed)
        for _ in range(100):
            clip = int(rng.integers(2))
            t = int(rng.integers(clips.lengths[clip]))
            if not np.array_equal(clips.frame(clip, t), frame_of(clips.names[clip], t)):
                wrong.append((clip, t))

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
