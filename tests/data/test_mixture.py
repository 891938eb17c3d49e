"""Mixtures: exact shares, every batch a function of seed and step, and what can't be mixed."""

import collections
import itertools
import sys

import numpy as np
import pytest
from absl import flags
from ml_collections import config_flags
from numbered import NumberedClips, assert_equal, batches, visits

from configs import default
from liax_jax.data.clips import ClipSet
from liax_jax.data.mixture import MixtureClips, clip_identities
from liax_jax.data.pipeline import build_clips, make_train_iterator
from liax_jax.data.records import RecordWriter, encode_frame
from liax_jax.data.visits import BLOCK, VisitPlan, block_counts


def mixture(**weights):
    sizes = {"hdtf": [4] * 5, "mead": [3] * 7, "vox": [9] * 50}
    parts = {name: NumberedClips(sizes[name]) for name in sorted(weights)}
    return MixtureClips(parts, weights)


def source_names(plan, first, last):
    """The source of each visit."""
    starts = [source.first_clip for source in plan.sources]
    numbers = np.searchsorted(starts, [plan[i].clip for i in range(first, last)], side="right") - 1
    return [plan.sources[number].name for number in numbers]


def test_a_single_source_keeps_the_sequence_that_runs_were_trained_on():
    plan = VisitPlan([5, 2, 9, 3], 1, 4)
    expected = [(0, 1, 2), (1, 1, 0), (2, 2, 8), (3, 2, 0), (2, 3, 1), (3, 0, 1)]
    assert [plan[index][:3] for index in range(6)] == expected
    assert plan[987_654_321][:3] == (3, 1, 0)
    second_host = VisitPlan([5, 2, 9, 3], 1, 4, rows=[2, 3])
    assert [second_host[i][:3] for i in range(4)] == [(2, 2, 8), (3, 2, 0), (1, 1, 0), (0, 4, 3)]


def test_clips_of_a_mixture_are_those_of_its_parts():
    clips = mixture(vox=0.4, hdtf=0.2)
    assert isinstance(clips, ClipSet)
    assert [source[:2] for source in clips.sources] == [("hdtf", 0.2), ("vox", 0.4)]
    assert (len(clips), clips.names[5], clips.lengths[4:6]) == (55, "vox/clip0", (4, 9))
    # Red is the number of the clip in its part.
    assert [clips.frame(clip, 3)[0, 0, 0] for clip in (0, 4, 5, 54)] == [0, 4, 0, 49]
    assert len(list(clips.frames(4))) == 4 and len(list(clips.frames(5))) == 9


def test_shares_are_exact_in_every_block_and_near_in_every_batch():
    clips = mixture(vox=0.4, hdtf=0.2, mead=0.2)
    plan = VisitPlan(clips.lengths, 0, 40, sources=clips.sources)
    for block in (0, 3):
        names = source_names(plan, block * BLOCK, (block + 1) * BLOCK)
        assert collections.Counter(names) == {"vox": 5000, "hdtf": 2500, "mead": 2500}
    assert plan.delivered(0, 250) == {"hdtf": 2500, "mead": 2500, "vox": 5000}
    # Shuffled within the block: a batch of 40 rarely holds no hdtf, or nothing else.
    per_batch = [collections.Counter(names[i : i + 40])["hdtf"] for i in range(0, BLOCK, 40)]
    assert np.std(per_batch) == pytest.approx(np.sqrt(40 * 0.25 * 0.75), rel=0.2)
    steps = plan.epoch_steps()
    assert steps == {"hdtf": 5 / 10, "mead": 7 / 10, "vox": 50 / 20}


@pytest.mark.parametrize(("first", "last"), [(0, 1), (5, 900), (333, 334), (1111, 2345)])
def test_delivered_is_what_the_visits_are(first, last):
    clips = mixture(vox=0.61, hdtf=0.28, mead=0.11)
    plan = VisitPlan(clips.lengths, 7, 12, sources=clips.sources)
    counted = collections.Counter(source_names(plan, first * 12, last * 12))
    assert plan.delivered(first, last) == {name: counted[name] for name in ("hdtf", "mead", "vox")}


def test_weights_are_met_to_one_in_ten_thousand():
    assert block_counts([1, 1, 1]) in ((3334, 3333, 3333), (3333, 3334, 3333), (3333, 3333, 3334))
    assert block_counts([1e-9, 1.0]) == (1, 9999)
    rng = np.random.default_rng(0)
    for _ in range(50):
        weights = rng.exponential(size=rng.integers(1, 9)) ** 3 + 1e-3
        counts = np.array(block_counts(weights))
        assert counts.sum() == BLOCK and counts.min() >= 1
        assert np.abs(counts / BLOCK - weights / weights.sum()).max() <= 2e-4


def test_each_source_visits_all_its_clips_once_an_epoch():
    clips = mixture(vox=0.5, hdtf=0.3, mead=0.2)
    plan = VisitPlan(clips.lengths, 3, 8, sources=clips.sources)
    for source in clips.sources:
        own = [
            visit.clip - source.first_clip
            for visit in (plan[index] for index in range(25_000))
            if 0 <= visit.clip - source.first_clip < source.num_clips
        ]
        n = source.num_clips
        epochs = [tuple(own[start : start + n]) for start in range(0, len(own) - n, n)]
        assert len(epochs) > 50 and all(sorted(epoch) == list(range(n)) for epoch in epochs)
        assert len(set(epochs)) > 50


def test_batches_of_a_mixture_are_a_function_of_seed_and_step():
    clips = mixture(vox=0.4, hdtf=0.4, mead=0.2)
    options = {"batch_size": 6, "clip_sampling": "length", "balance_identities": True}
    whole = batches(clips, 6, **options)
    assert_equal(batches(clips, 4, start_step=2, num_threads=5, **options), whole[2:])
    for rows in ([0, 1], [2, 3, 5], [4]):
        part = batches(clips, 6, rows=rows, **options)
        assert_equal(part, [{name: x[rows] for name, x in batch.items()} for batch in whole])
    other = batches(clips, 6, seed=2, batch_size=6)
    assert [visits(batch) for batch in other] != [visits(batch) for batch in whole]


def chi_square(counts, expected):
    return sum((counts[key] - n) ** 2 / n for key, n in expected.items())


def test_clips_by_length():
    plan = VisitPlan([2, 8, 30], 0, 1, clip_sampling="length")
    counts = collections.Counter(plan[index].clip for index in range(8000))
    # 2 degrees of freedom: exceeded by chance in 1 of 1,000 cases.
    assert chi_square(counts, {0: 400, 1: 1600, 2: 6000}) < 13.8


@pytest.mark.parametrize(
    ("sampling", "within"), [("uniform", {0: 2000, 1: 2000}), ("length", {0: 1000, 1: 3000})]
)
def test_balanced_identities(sampling, within):
    identities = ["ann", "ann", "bob"]
    plan = VisitPlan([10, 30, 7], 5, 1, clip_sampling=sampling, identities=identities)
    clips = [plan[index].clip for index in range(8000)]
    counts = collections.Counter(clips)
    assert counts[2] == 4000
    assert all(sorted(identities[c] for c in clips[i : i + 2]) == ["ann", "bob"] for i in (0, 98))
    assert chi_square(counts, within) < 10.8


def test_who_is_in_a_clip():
    clips = NumberedClips([3, 3, 3])
    clips.names = ["id1/a/1", "id1/b/2", "carol"]
    assert list(clip_identities(clips)) == ["id1", "id1", "carol"]
    clips.identities = ["", "dave", None]
    assert list(clip_identities(clips)) == ["id1", "dave", "carol"]
    both = MixtureClips({"x": clips, "y": clips}, {"x": 1, "y": 1})
    assert both.identities == ("x/id1", "x/dave", "x/carol", "y/id1", "y/dave", "y/carol")


def write_records(folder, names, resolution=32, splits=("train", "val")):
    folder.mkdir()
    writer = RecordWriter(folder, resolution)
    for number, name in enumerate(names):
        frames = (np.full((resolution, resolution, 3), 9 * number + t, np.uint8) for t in range(3))
        records = (encode_frame(frame, t) for t, frame in enumerate(frames))
        size = (resolution, resolution)
        writer.add_clip(name, records, fps=25.0, source=name, source_size=size)
    writer.close(list(itertools.islice(itertools.cycle(splits), len(names))))
    return str(folder)


@pytest.fixture
def data_config(tmp_path):
    config = default.get_config().data
    config.paths = {
        "vox": write_records(tmp_path / "vox", ["a", "b", "c", "d"]),
        "hdtf": write_records(tmp_path / "hdtf", ["e", "f"]),
        "big": write_records(tmp_path / "big", ["g", "h"], resolution=64),
        "only_train": write_records(tmp_path / "only", ["i"]),
    }
    config.mixture = {"vox": 3, "hdtf": 1}
    return config


def test_build_a_mixture(data_config):
    clips = build_clips(data_config, 32, "train")
    assert clips.names == ("hdtf/e", "vox/a", "vox/c")
    assert build_clips(data_config, 32, "eval").names == ("hdtf/f", "vox/b", "vox/d")
    iterator = make_train_iterator(clips, batch_size=4, seed=0, num_workers=1)
    assert next(iterator)["source"].shape == (4, 32, 32, 3)
    iterator.close()
    assert iterator.plan.delivered(0, 2500) == {"hdtf": 2500, "vox": 7500}
    data_config.mixture.vox = 0
    assert build_clips(data_config, 32, "train").names == ("hdtf/e",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mixture": {"vox": -0.1}}, "data.mixture.vox = -0.1: a weight must be a number of 0 or"),
        ({"mixture": {"vox": float("nan")}}, "data.mixture.vox = nan: a weight"),
        ({"mixture": {"vox": "much"}}, "data.mixture.vox = 'much': a weight"),
        ({"mixture": {"vox": 0, "hdtf": 0.0}}, "data.mixture: all weights are 0"),
        (
            {"mixture": {"vox": 1, "mead": 1}},
            "names 'mead', but data.paths has no folder of that name .it has 'big', 'hdtf', "
            "'only_train', 'vox'.; set data.paths.mead",
        ),
        ({"mixture": {"vox": 1, "big": 1}}, "of 64 px, the model of 32 px"),
        ({"mixture": {"only_train": 1}}, "has no split 'val'; it has 'train'"),
        ({"path": "records"}, "data.path and data.mixture are both set"),
        ({"kind": "procedural"}, "data.mixture mixes records; set data.kind to 'records'"),
    ],
)
def test_mixtures_that_cannot_be_made(data_config, changes, message):
    if "mixture" in changes:
        del data_config.mixture
    data_config.update(changes)
    with pytest.raises(ValueError, match=message):
        for split in ("train", "eval"):
            build_clips(data_config, 32, split)


def test_sources_of_differing_resolutions_or_without_clips():
    small, large = NumberedClips([3, 3]), NumberedClips([3, 3], resolution=8)
    with pytest.raises(ValueError, match="'a' is of 4 px, 'b' of 8 px"):
        MixtureClips({"a": small, "b": large}, {"a": 1, "b": 1})
    with pytest.raises(ValueError, match="source 'b' of the mixture has no clips"):
        MixtureClips({"a": small, "b": NumberedClips([])}, {"a": 1, "b": 1})
    with pytest.raises(ValueError, match="data.clip_sampling must be one of 'uniform', 'length'"):
        VisitPlan([3, 3], 0, 1, clip_sampling="random")


def test_the_command_line_gives_a_whole_mixture_or_changes_one_share(data_config, monkeypatch):
    config = default.get_config()
    config.data = data_config

    def parse(*arguments):
        monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
        values = flags.FlagValues()
        config_flags.DEFINE_config_dict("config", config, flag_values=values)
        values(sys.argv)

    parse("--config.data.mixture.hdtf=5")
    assert config.data.mixture.to_dict() == {"vox": 3, "hdtf": 5}
    parse("--config.data.mixture={'a': 0.5}", "--config.data.paths={'a': 'records/a'}")
    assert config.data.mixture.to_dict() == {"a": 0.5}
    assert config.data.paths.to_dict() == {"a": "records/a"}
