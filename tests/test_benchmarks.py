"""The benchmarks compare what they say they compare."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import data, trace
from liax_jax.data.procedural import ProceduralClips


@pytest.fixture
def frames():
    return data.sample_frames(ProceduralClips(32, num_clips=2, frames_per_clip=16))


def test_both_ways_of_reading_give_the_same_pictures(frames, tmp_path):
    paths = data.write_pngs(tmp_path / "png", frames)
    clips = data.write_records(tmp_path / "records", frames, quality=None)
    assert (len(frames), clips.lengths, clips.resolution) == (2, (8, 8), 32)
    png = data.PngMethod(paths, 32)()
    method = data.RecordMethod(clips, "device")
    records = method()
    method.close()
    for name in ("source", "driving"):
        assert png[name].shape == (data.BATCH_SIZE, 3, 32, 32) and png[name].dtype == np.float32
        assert records[name].shape == (data.BATCH_SIZE, 32, 32, 3)
        ours = np.asarray(records[name]).transpose(0, 3, 1, 2) / 127.5 - 1
        np.testing.assert_allclose(png[name], ours, atol=1e-5)


def test_the_whole_path_ends_with_floats(frames, tmp_path):
    method = data.RecordMethod(data.write_records(tmp_path / "r", frames, 95), "whole path")
    first, second = method(), method()
    method.close()
    for batch in (first, second):
        assert batch["source"].dtype == np.float32
        assert float(np.abs(batch["source"]).max()) <= 1 + 1e-6


def test_a_trace_is_summed_by_kind():
    def line(name, *events):
        events = [SimpleNamespace(name=n, duration_ns=ms * 1e6) for n, ms in events]
        return SimpleNamespace(name=name, events=events)

    host = line("python", ("train", 2), ("train", 3), ("data", 1), ("other", 9))
    worker = line("tf_XLAEigen/1", ("fusion.12", 4), ("fusion.3", 1), ("ThunkExecutor::Execute", 9))
    gpu = line("XLA Ops", ("gemm_fusion_dot.5.1", 7))
    planes = [
        SimpleNamespace(name="/host:CPU", lines=[host, worker]),
        SimpleNamespace(name="/device:GPU:0", lines=[gpu, line("Steps", ("1", 50))]),
    ]
    on_host, on_device = trace.summarize(SimpleNamespace(planes=planes))
    assert on_host == {"train": [2, 3], "data": [1]}
    assert on_device == {"fusion": [4, 1], "gemm_fusion_dot": [7]}


def test_no_trace_is_a_clear_error(tmp_path):
    with pytest.raises(SystemExit, match="no trace in it; train with --config.profile_steps"):
        trace.newest_trace(tmp_path)
