"""Motion files: round trip, refusals, nothing executed."""

import dataclasses
import pickle
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from liax_jax.animation import motion as motion_module
from liax_jax.animation.motion import Motion, MotionError, check_model, load_motion, save_motion

ALPHA = np.random.default_rng(0).standard_normal((12, 5)).astype(np.float32)
MOTION = Motion(ALPHA, 24.0, "0123abcd", source="tälk.mp4")


def _same(a, b):
    np.testing.assert_array_equal(a.alpha, b.alpha)
    np.testing.assert_array_equal(a.frame_times, b.frame_times)
    assert (a.fps, a.fingerprint, a.source) == (b.fps, b.fingerprint, b.source)
    assert (a.times is None) == (b.times is None)


@pytest.mark.parametrize("times", [None, np.cumsum(np.linspace(0.01, 0.1, 12))])
def test_round_trip_is_bit_for_bit(tmp_path, times):
    motion = dataclasses.replace(MOTION, times=times)
    save_motion(tmp_path / "new" / "talk.npz", motion)
    _same(load_motion(tmp_path / "new" / "talk.npz"), motion)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["talk.npz"]


def test_a_file_can_be_edited_by_hand(tmp_path):
    save_motion(tmp_path / "a.npz", MOTION)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        content = dict(arrays)
    content["alpha"] = content["alpha"].astype(np.float64) * 2
    del content["format"], content["source"]
    np.savez(tmp_path / "b.npz", **content)
    motion = load_motion(tmp_path / "b.npz")
    np.testing.assert_array_equal(motion.alpha, 2 * ALPHA)
    assert motion.alpha.dtype == np.float32 and motion.source == ""


def test_what_a_motion_says_of_itself():
    assert (MOTION.num_frames, MOTION.num_vectors, MOTION.duration) == (12, 5, 0.5)
    np.testing.assert_allclose(MOTION.frame_times, np.arange(12) / 24)
    varying = Motion(ALPHA[:3], 10.0, "x", times=np.array([1.0, 1.1, 1.4]))
    assert varying.duration == pytest.approx(0.5)


def test_rounded_time_stamps_are_a_steady_rate():
    times = np.round(np.arange(12) / 24, 3)  # whole milliseconds
    assert dataclasses.replace(MOTION, times=times).times is None
    times[6:] += 1 / 24  # a frame was dropped
    assert dataclasses.replace(MOTION, times=times).times is not None


def test_a_motion_keeps_its_own_arrays():
    alpha = ALPHA.copy()
    motion = Motion(alpha, 24.0, "x")
    alpha[:] = 0
    np.testing.assert_array_equal(motion.alpha, ALPHA)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": ALPHA[0]}, "frames, vectors"),
        ({"alpha": ALPHA[:0]}, "at least one of each"),
        ({"alpha": np.where(np.arange(12)[:, None] == 7, np.nan, ALPHA)}, "frame 7 aren't finite"),
        ({"fps": 0.0}, "frame rate has to be a positive"),
        ({"fps": float("inf")}, "frame rate has to be a positive"),
        ({"times": np.arange(11.0)}, "12 frames has as many times"),
        ({"times": np.array([0, 1, 2, 2, *range(4, 12)])}, "frame 3 isn't later"),
    ],
)
def test_what_is_no_motion(change, message):
    with pytest.raises(MotionError, match=message):
        dataclasses.replace(MOTION, **change)


def test_the_name_has_to_end_in_npz(tmp_path):
    with pytest.raises(MotionError, match="ends in .npz"):
        save_motion(tmp_path / "talk.mp4", MOTION)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "talk.npz"
    save_motion(path, MOTION)

    def full(file, **content):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(motion_module.np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space left"):
        save_motion(path, dataclasses.replace(MOTION, fps=1.0))
    assert [p.name for p in tmp_path.iterdir()] == ["talk.npz"]
    _same(load_motion(path), MOTION)


class _Bomb:
    def __reduce__(self):
        return (pytest.fail, ("the pickle was executed",))


def test_pickles_are_refused_unread(tmp_path):
    (tmp_path / "bomb.npz").write_bytes(pickle.dumps(_Bomb()))
    with pytest.raises(MotionError, match="bomb.npz: damaged, or not a motion file"):
        load_motion(tmp_path / "bomb.npz")
    bomb = np.empty((), object)
    bomb[()] = _Bomb()
    for name in ("alpha", "fps", "fingerprint", "times", "source", "format"):
        content = {"alpha": ALPHA, "fps": 24.0, "fingerprint": "x"} | {name: bomb}
        np.savez(tmp_path / "inside.npz", **content)
        with pytest.raises(MotionError, match="damaged, or not a motion file"):
            load_motion(tmp_path / "inside.npz")


def test_damaged_files(tmp_path):
    path = tmp_path / "talk.npz"
    save_motion(path, MOTION)
    whole = path.read_bytes()
    for size in (0, 1, 40, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(MotionError, match="talk.npz: damaged, or not a motion file"):
            load_motion(path)
    middle = whole.index(b"alpha.npy") + 100
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :])
    with pytest.raises(MotionError, match="damaged"):
        load_motion(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": None, "weights": ALPHA}, "holds no 'alpha'"),
        ({"fingerprint": None}, "holds no 'fingerprint'"),
        ({"format": "liax-motion 2"}, "version 2; update"),
        ({"format": "liax-poem 1"}, "not a motion file but 'liax-poem 1'"),
        ({"fps": -1.0}, "frame rate"),
        ({"fps": ALPHA}, "damaged, or not"),
        ({"alpha": np.array([["a", "b"]])}, "damaged, or not"),
    ],
)
def test_other_archives(tmp_path, change, message):
    content = {"alpha": ALPHA, "fps": 24.0, "fingerprint": "x"} | change
    np.savez(tmp_path / "other.npz", **{k: v for k, v in content.items() if v is not None})
    with pytest.raises(MotionError, match=message):
        load_motion(tmp_path / "other.npz")


def test_an_archive_that_unpacks_to_too_much(tmp_path, monkeypatch):
    monkeypatch.setattr(motion_module, "_MAX_BYTES", 10_000)
    np.savez_compressed(tmp_path / "big.npz", alpha=np.zeros((1000, 40)), fps=25.0, fingerprint="x")
    with pytest.raises(MotionError, match="unpacks to"):
        load_motion(tmp_path / "big.npz")


def test_a_header_that_promises_more_than_there_is(tmp_path):
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 40)}"
    array = b"\x93NUMPY\x01\x00" + (len(header) + 1).to_bytes(2, "little") + header + b"\n"
    with zipfile.ZipFile(tmp_path / "liar.npz", "w") as archive:
        archive.writestr("alpha.npy", array)
        for name in ("fps", "fingerprint"):
            archive.writestr(f"{name}.npy", array)
    with pytest.raises(MotionError, match="damaged"):
        load_motion(tmp_path / "liar.npz")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.npz"):
        load_motion(tmp_path / "none.npz")


def test_a_motion_of_another_model_is_refused():
    record = SimpleNamespace(fingerprint="0123abcd", config=SimpleNamespace(num_vectors=5))
    check_model(MOTION, record)
    with pytest.raises(MotionError, match=r"talk.npz belongs to another model \(ffff;"):
        check_model(dataclasses.replace(MOTION, fingerprint="ffff"), record, "talk.npz")
    record.config.num_vectors = 40
    with pytest.raises(MotionError, match="5 coefficients a frame and the model 40"):
        check_model(MOTION, record)
