"""Drawn frames kept on disk: the same bytes, drawn once, and nothing wrong after a crash."""

import errno
import pickle
import subprocess
import sys

import numpy as np
import pytest
from ml_collections import ConfigDict

from configs import demo
from liax_jax.data.clip_sets import build_clips
from liax_jax.data.clips import ClipSet
from liax_jax.data.procedural import KeptClips, ProceduralClips, kept_frames


def drawn(**fields):
    return ProceduralClips(**{"resolution": 16, "num_clips": 3, "frames_per_clip": 4} | fields)


@pytest.fixture
def count_draws(monkeypatch):
    """Clips that were drawn, in order."""
    calls = []
    draw = ProceduralClips.frames

    def counted(self, clip):
        calls.append(clip)
        return draw(self, clip)

    monkeypatch.setattr(ProceduralClips, "frames", counted)
    return calls


def test_frames_are_those_drawn_and_are_drawn_once(tmp_path, count_draws):
    clips = drawn(seed=5)
    kept = KeptClips(clips, tmp_path)
    assert isinstance(kept, ClipSet) and len(kept) == 3
    assert kept.names == clips.names and kept.lengths == clips.lengths
    for clip, t in ((2, 1), (0, 3), (2, 0)):
        np.testing.assert_array_equal(kept.frame(clip, t), clips.frame(clip, t))
    assert count_draws == [2, 0]
    again = KeptClips(drawn(seed=5), tmp_path)
    np.testing.assert_array_equal(again.frame(2, 3), clips.frame(2, 3))
    unpickled = pickle.loads(pickle.dumps(kept))
    np.testing.assert_array_equal(list(unpickled.frames(0)), [clips.frame(0, t) for t in range(4)])
    assert count_draws == [2, 0]


@pytest.mark.parametrize(
    "fields",
    [{"seed": 1}, {"distribution": "resting"}, {"moving": ("yaw",)}, {"frames_per_clip": 5}],
)
def test_other_settings_have_other_files(tmp_path, fields):
    KeptClips(drawn(), tmp_path).frame(0, 1)
    other = drawn(**fields)
    np.testing.assert_array_equal(KeptClips(other, tmp_path).frame(0, 1), other.frame(0, 1))
    assert len(list(tmp_path.iterdir())) == 4


def test_a_clip_half_written_is_drawn_again(tmp_path, count_draws):
    clips = drawn()
    kept = KeptClips(clips, tmp_path)
    for clip in (0, 1):
        kept.frame(clip, 0)
    path = next(tmp_path.glob("*.frames"))
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff\x00\xff\x00")
    again = KeptClips(clips, tmp_path)
    np.testing.assert_array_equal(again.frame(0, 0), clips.frame(0, 0))
    again.frame(1, 0)
    assert count_draws == [0, 1, 0]


def test_processes_that_fill_one_folder_agree(tmp_path):
    program = (
        "import sys, zlib; from liax_jax.data.procedural import KeptClips, ProceduralClips\n"
        "kept = KeptClips(ProceduralClips(16, 6, 4, seed=2), sys.argv[1])\n"
        "print(zlib.crc32(b''.join(kept.frame(c, t) for c in range(6) for t in range(4))))\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    sums = [run.communicate(timeout=120)[0] for run in runs]
    assert sums[0] == sums[1] and all(run.returncode == 0 for run in runs)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".crc32", ".frames"]


def test_a_full_disk_is_an_error_and_leaves_no_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(kept_frames.os, "link", full)
    with pytest.raises(OSError, match="No space left"):
        KeptClips(drawn(), tmp_path / "kept")
    assert not list((tmp_path / "kept").iterdir())


def test_config_keeps_frames_and_seeds_people_apart_from_the_order(tmp_path):
    def clips(**fields):
        config = demo.get_config().data
        config.procedural.update(num_clips=2, num_eval_clips=2, frames_per_clip=3)
        config.update(ConfigDict(fields))
        return [build_clips(config, 16, split) for split in ("train", "eval")]

    plain = clips(seed=3)
    kept = clips(seed=7, procedural={"keep_in": str(tmp_path), "seed": 3})
    for a, b in zip(plain, kept, strict=True):
        assert isinstance(b, KeptClips) and a.names == b.names
        np.testing.assert_array_equal(a.frame(1, 2), b.frame(1, 2))
    assert plain[0].names != clips(seed=7)[0].names
