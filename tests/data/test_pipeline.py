"""Training batches: a pure function of the seed and the step."""

import collections
import itertools
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from ml_collections import ConfigDict
from numbered import NumberedClips, assert_equal, batches, visits

import liax_jax
from liax_jax.data.clips import ClipSet
from liax_jax.data.pipeline import build_clips, make_train_iterator
from liax_jax.data.records import RecordClips, RecordsError, RecordWriter, encode_frame
from liax_jax.data.visits import VisitPlan


class BrokenClips(NumberedClips):
    def frame(self, clip, t):
        raise RecordsError("file x: record 3 (clip 'alice', frame 3) is damaged")


def test_batches_are_pairs_of_one_clip():
    clips = NumberedClips([5, 2, 9, 3])
    assert isinstance(clips, ClipSet)
    for batch in batches(clips, 10, batch_size=6):
        for image in batch.values():
            assert image.shape == (6, 4, 4, 3) and image.dtype == np.uint8
            assert type(image) is np.ndarray
        np.testing.assert_array_equal(batch["source"][..., 0], batch["driving"][..., 0])
        for _, source, driving in visits(batch):
            assert source != driving


def test_an_epoch_visits_every_clip_once():
    """Across the seams of batches too: 7 clips in batches of 3, and of 20."""
    clips = NumberedClips([3] * 7)
    for batch_size in (3, 20):
        order = [
            visit[0]
            for batch in batches(clips, 70 // batch_size + 1, batch_size=batch_size)
            for visit in visits(batch)
        ]
        epochs = [tuple(order[start : start + 7]) for start in range(0, 70, 7)]
        assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
        assert len(set(epochs)) == 10


def test_pairs_are_uniform():
    plan = VisitPlan([3, 4], seed=0, batch_size=1)
    drawn = [plan[index] for index in range(6000)]
    for clip, length in ((0, 3), (1, 4)):
        pairs = collections.Counter((v.source, v.driving) for v in drawn if v.clip == clip)
        assert set(pairs) == set(itertools.permutations(range(length), 2))
        expected = 3000 / len(pairs)
        chi_square = sum((count - expected) ** 2 / expected for count in pairs.values())
        assert chi_square < 35  # 11 degrees of freedom: exceeded by chance in 1 of 4,000 cases


def test_any_start_step_continues_the_same_sequence():
    clips = NumberedClips([4, 7, 3])
    whole = batches(clips, 9, batch_size=4)
    for start in (1, 5):
        assert_equal(batches(clips, 9 - start, batch_size=4, start_step=start), whole[start:])
    late = 123_456_789
    assert_equal(
        batches(clips, 2, batch_size=4, start_step=late)[1:],
        batches(clips, 1, batch_size=4, start_step=late + 1),
    )


def test_threads_do_not_matter():
    clips = NumberedClips([4, 7, 3])
    assert_equal(
        batches(clips, 8, batch_size=4, num_threads=1),
        batches(clips, 8, batch_size=4, num_threads=5),
    )


def test_seeds_differ():
    clips = NumberedClips([50] * 50)
    sequences = [
        [visits(batch) for batch in batches(clips, 2, batch_size=25, seed=seed)]
        for seed in (0, 1, 2**32 - 1)
    ]
    assert sequences[0] != sequences[1] != sequences[2]
    # The next seed is not the next epoch.
    assert [visits(b) for b in batches(clips, 4, batch_size=25, seed=0)][2:] != sequences[1]


def test_processes_share_each_batch():
    clips = NumberedClips([6, 5, 4, 8, 2])
    whole = batches(clips, 6, batch_size=6)
    # A mesh may deal rows to processes in any way.
    for rows in ([0, 1], [2, 3, 5], [4]):
        part = batches(clips, 6, batch_size=6, rows=rows)
        assert_equal(part, [{name: x[rows] for name, x in batch.items()} for batch in whole])


def test_an_error_in_a_thread_surfaces():
    iterator = make_train_iterator(BrokenClips([5, 5]), batch_size=2, seed=0)
    with pytest.raises(RecordsError, match="clip 'alice', frame 3"):
        next(iterator)
    iterator.close()
    with pytest.raises(ValueError, match="closed"):
        next(iterator)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "records"
    folder.mkdir()
    writer = RecordWriter(folder, 32)
    for clip in range(3):
        frames = [np.full((32, 32, 3), 40 * clip + t, np.uint8) for t in range(4)]
        writer.add_clip(
            f"clip{clip}",
            (encode_frame(frame, t) for t, frame in enumerate(frames)),
            fps=25.0,
            source=f"{clip}.mp4",
            source_size=(32, 32),
        )
    writer.close(["train", "train", "val"])
    return folder


def test_worker_processes_give_the_same_batches(root):
    clips = RecordClips(root, "train")
    assert_equal(
        batches(clips, 5, batch_size=3, num_workers=2, start_step=2),
        batches(clips, 5, batch_size=3, start_step=2),
    )


def test_an_error_in_a_worker_process_surfaces(root):
    clips = RecordClips(root, "train")
    path = root / "frames-00000.arrayrecord"
    path.write_bytes(b"\0" * path.stat().st_size)
    iterator = make_train_iterator(clips, batch_size=2, seed=0, num_workers=1)
    with pytest.raises(
        RecordsError,
        match=r"frames-00000\.arrayrecord: record \d \(clip 'clip\d', "
        r"frame \d\) is damaged",
    ):
        next(iterator)
    iterator.close()


def test_a_program_that_just_ends_is_quiet(root):
    """Nobody closes the iterator, and the workers are gone all the same."""
    program = f"""
        from liax_jax.data.pipeline import make_train_iterator
        from liax_jax.data.records import RecordClips
        if __name__ == "__main__":
            clips = RecordClips({str(root)!r}, "train")
            iterator = make_train_iterator(clips, batch_size=2, seed=0, num_workers=1)
            print(next(iterator)["source"].shape)
    """
    (root / "program.py").write_text(textwrap.dedent(program))
    environment = {**os.environ, "PYTHONPATH": str(Path(liax_jax.__file__).parents[1])}
    result = subprocess.run(
        [sys.executable, str(root / "program.py")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "(2, 32, 32, 3)\n", "")


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"batch_size": 0}, "batch size"),
        ({"batch_size": 4, "rows": [3, 4]}, r"rows must be some of 0 to 3, got \[3, 4\]"),
        ({"batch_size": 4, "rows": []}, "rows"),
        ({"batch_size": 4, "seed": -1}, "seed"),
        ({"batch_size": 4, "seed": 2**32}, "seed"),
        ({"batch_size": 4, "start_step": -1}, "start step"),
        ({"batch_size": 4, "num_workers": -1}, "workers"),
    ],
)
def test_wrong_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        make_train_iterator(NumberedClips([3, 3]), **{"seed": 0, **kwargs})


def test_clips_that_cannot_be_trained_on():
    with pytest.raises(ValueError, match="clip 'clip1' has 1 frame; training needs two"):
        make_train_iterator(NumberedClips([3, 1]), batch_size=2, seed=0)
    with pytest.raises(ValueError, match="no clips"):
        make_train_iterator(NumberedClips([]), batch_size=2, seed=0)


def config(**changes):
    return ConfigDict(
        {
            "kind": "records",
            "path": "",
            "train_split": "train",
            "eval_split": "val",
            "seed": 3,
            "procedural": {
                "num_clips": 5,
                "num_eval_clips": 2,
                "frames_per_clip": 6,
                "distribution": "natural",
            },
            **changes,
        }
    )


def test_build_records(root):
    assert build_clips(config(path=str(root)), 32, "train").names == ("clip0", "clip1")
    assert build_clips(config(path=str(root)), 32, "eval").names == ("clip2",)


def test_build_procedural():
    train = build_clips(config(kind="procedural"), 32, "train")
    unseen = build_clips(config(kind="procedural"), 32, "eval")
    assert isinstance(train, ClipSet)
    assert (len(train), len(unseen), train.resolution) == (5, 2, 32)
    assert set(train.lengths) == set(unseen.lengths) == {6}
    assert not set(train.names) & set(unseen.names)
    assert not np.array_equal(train.frame(0, 0), unseen.frame(0, 0))
    mixed = config(
        kind="procedural",
        procedural={
            "num_clips": 5,
            "num_eval_clips": 2,
            "frames_per_clip": 6,
            "distribution": {"yaw": "uniform"},
        },
    )
    assert not np.array_equal(build_clips(mixed, 32, "train").frame(0, 3), train.frame(0, 3))


def test_build_refuses(root):
    for changes, resolution, split, message in (
        ({"kind": "tapes"}, 32, "train", "'procedural' or 'records', got 'tapes'"),
        ({"path": ""}, 32, "train", "data.path is empty.*liax prepare"),
        ({"path": str(root)}, 32, "val", "'train' or 'eval', got 'val'"),
        ({"path": str(root)}, 64, "train", "of 32 px, the model of 64 px.*--resolution 64"),
        (
            {"path": str(root), "eval_split": "test"},
            32,
            "eval",
            "no split 'test'; it has 'train', 'val'",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            build_clips(config(**changes), resolution, split)
    with pytest.raises(FileNotFoundError, match="no such folder of records"):
        build_clips(config(path=str(root / "none")), 32, "train")
