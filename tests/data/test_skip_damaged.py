"""Training goes on without what is damaged only if told to, says so, and stays deterministic."""

import logging
import os
import pickle
import re

import numpy as np
import pytest
from numbered import assert_equal, batches

from configs import default
from liax_jax.data.pipeline import build_clips, make_train_iterator
from liax_jax.data.records import RecordClips, RecordsError, RecordWriter, encode_frame


@pytest.fixture
def root(tmp_path):
    """Four clips of eight frames, each in a file of its own; the last one is for validation."""
    folder = tmp_path / "records"
    folder.mkdir()
    writer = RecordWriter(folder, 32, max_file_bytes=1)
    rng = np.random.default_rng(0)
    for name in ("alice", "bob", "carol", "dan"):
        frames = rng.integers(0, 256, (8, 32, 32, 3), np.uint8)
        records = (encode_frame(frame, t) for t, frame in enumerate(frames))
        writer.add_clip(name, records, fps=25.0, source=name, source_size=(32, 32))
    writer.close(["train", "train", "train", "val"])
    return folder


def truncate(root):
    path = root / "frames-00001.arrayrecord"
    os.truncate(path, path.stat().st_size // 2)


def remove(root):
    (root / "frames-00001.arrayrecord").unlink()


def damage(root, clip, t):
    """Changes one byte of a record."""
    path = root / f"frames-{clip:05d}.arrayrecord"
    content = bytearray(path.read_bytes())
    needle = encode_frame(RecordClips(root, "train").frame(clip, t), t)
    content[content.find(needle) + len(needle) // 2] ^= 0x55
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "says"), [(truncate, "it is truncated or of another run"), (remove, "missing")]
)
def test_a_shard_that_is_missing_or_truncated(root, harm, says, caplog):
    harm(root)
    config = default.get_config().data
    config.path = str(root)
    with pytest.raises((RecordsError, FileNotFoundError)) as error:
        build_clips(config, 32, "train")
    assert says in str(error.value) and "frames-00001.arrayrecord" in str(error.value)
    assert str(error.value).endswith("or train without its clips: --config.data.skip_damaged")
    config.skip_damaged = True
    with caplog.at_level(logging.WARNING):
        clips = build_clips(config, 32, "train")
    assert clips.names == ("alice", "carol")
    (record,) = caplog.records
    assert re.search(rf"frames-00001.arrayrecord: .*{says}", record.message)
    assert record.message.endswith("again. Leaving out its 1 clips (8 frames) of 'train'")
    assert pickle.loads(pickle.dumps(clips)).names == clips.names
    options = {"batch_size": 5, "skip_damaged": True}
    assert_equal(batches(clips, 4, num_workers=1, **options), batches(clips, 4, **options))
    assert build_clips(config, 32, "eval").names == ("dan",)


def test_nothing_left(root):
    for path in root.glob("*.arrayrecord"):
        path.unlink()
    config = default.get_config().data
    config.update(path=str(root), skip_damaged=True)
    with pytest.raises(ValueError, match="records: its split 'train' holds no clips"):
        build_clips(config, 32, "train")


def test_a_damaged_frame_is_an_error_by_default(root):
    damage(root, 2, 3)
    with pytest.raises(RecordsError, match="clip 'carol', frame 3. is damaged"):
        batches(RecordClips(root, "train"), 30, batch_size=4)


def collected(clips, count, **options):
    iterator = make_train_iterator(clips, seed=1, batch_size=6, skip_damaged=True, **options)
    found = [next(iterator) for _ in range(count)]
    iterator.close()
    return found, iterator.substituted


def test_another_pair_is_taken_counted_and_said(root, caplog):
    whole, none = collected(RecordClips(root, "train"), 20)
    assert none == 0
    damage(root, 2, 3)
    clips = RecordClips(root, "train")
    plan = make_train_iterator(clips, seed=1, batch_size=6).plan
    visits = [plan[number] for number in range(120)]
    hit = [v.clip == 2 and 3 in (v.source, v.driving) for v in visits]
    with caplog.at_level(logging.WARNING):
        found, substituted = collected(clips, 20)
    assert substituted == sum(hit) > 5
    # The same pairs as before, but for those.
    pictures = [
        np.concatenate([np.stack([batch["source"], batch["driving"]], 1) for batch in x])
        for x in (whole, found)
    ]
    same = (pictures[0] == pictures[1]).all(axis=(1, 2, 3, 4))
    np.testing.assert_array_equal(~same, hit)
    (record,) = caplog.records
    assert "another pair was taken, as data.skip_damaged says: " in record.message
    assert "frames-00002.arrayrecord: record 3 (clip 'carol', frame 3) is damaged" in record.message
    # Whoever reads them, in threads or worker processes, on one host or on two, from any step on.
    again, count = collected(clips, 20, num_workers=2)
    assert_equal(again, found)
    assert count == substituted
    parts = [collected(clips, 20, rows=range(i, i + 3)) for i in (0, 3)]
    assert sum(count for _, count in parts) == substituted
    joined = [
        {name: np.concatenate([part[step][name] for part, _ in parts]) for name in found[0]}
        for step in range(20)
    ]
    assert_equal(joined, found)
    assert_equal(collected(clips, 13, start_step=7)[0], found[7:])


def test_when_everything_is_damaged_that_is_an_error(root):
    clips = RecordClips(root, "train")
    for path in root.glob("*.arrayrecord"):
        path.write_bytes(b"\0" * path.stat().st_size)
    with pytest.raises(RecordsError, match="is damaged"):
        collected(clips, 1)
