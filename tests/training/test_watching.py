"""What a run tells of itself: where its time went, its mixture, its profile, and W&B."""

import gzip
import json
import logging
import sys
from types import ModuleType, SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from test_loop import cheap, tiny_config  # noqa: F401 (a fixture)

from liax_jax.data.records import RecordClips, RecordsError, RecordWriter, encode_frame
from liax_jax.training import pictures, reporting
from liax_jax.training.loop import check_config, train_and_evaluate
from liax_jax.training.profiling import Profiler, parse_profile_steps

PARTS = ("compute", "data", "save", "pictures", "other")


def lines_of(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").open()]


def write_records(folder, num_clips):
    folder.mkdir()
    writer = RecordWriter(folder, 32, max_file_bytes=1)
    rng = np.random.default_rng(num_clips)
    for clip in range(num_clips):
        frames = rng.integers(0, 256, (5, 32, 32, 3), np.uint8)
        records = (encode_frame(frame, t) for t, frame in enumerate(frames))
        writer.add_clip(f"c{clip}", records, fps=25.0, source="", source_size=(32, 32))
    writer.close(["val", *["train"] * (num_clips - 1)])
    return str(folder)


@pytest.fixture
def mixed_config(tmp_path):
    config = tiny_config(log_every=5)
    config.data.kind = "records"
    config.data.paths = {
        "a": write_records(tmp_path / "a", 4),
        "b": write_records(tmp_path / "b", 3),
    }
    config.data.mixture = {"a": 3.0, "b": 1.0}
    return config


def test_each_line_says_where_the_time_went(cheap, tmp_path):  # noqa: F811
    train_and_evaluate(tiny_config(log_every=6), tmp_path)
    for line in lines_of(tmp_path):
        parts = [line[f"time/{part}"] for part in PARTS]
        assert min(parts) >= 0 and sum(parts) == pytest.approx(line["time/step"], rel=0.02)
        assert line["images_per_second"] == pytest.approx(8 / line["time/step"])
        assert 0 <= line["data_wait_share"] <= 1
        assert line["hosts/count"] == 1 and line["memory/host_gib"] > 0.05


def test_what_the_mixture_delivered(cheap, mixed_config, tmp_path, caplog):  # noqa: F811
    with caplog.at_level(logging.INFO, "liax_jax"):
        train_and_evaluate(mixed_config, tmp_path / "run")
    lines = lines_of(tmp_path / "run")
    assert [line["step"] for line in lines] == [5, 10, 15, 20, 24]
    steps = np.diff([0, 5, 10, 15, 20, 24])
    shares = np.array([line["data/share/a"] for line in lines])
    np.testing.assert_allclose(shares * steps * 8, np.round(shares * steps * 8), atol=1e-9)
    assert lines[-1]["data/total_share/a"] == pytest.approx((shares * steps).sum() / 24)
    assert lines[-1]["data/total_share/a"] == pytest.approx(0.75, abs=0.1)
    assert all(x["data/share/a"] + x["data/share/b"] == pytest.approx(1) for x in lines)
    text = caplog.text
    assert "a: 75.00 % of the examples from 3 clips (15 frames); an epoch of it is 0.5" in text
    assert "step 5: " in text and "; data a " in text
    # Once a minute at most.
    assert "step 10: " not in text


def test_shares_do_not_depend_on_where_a_run_was_stopped(cheap, mixed_config, tmp_path):  # noqa: F811
    train_and_evaluate(mixed_config, tmp_path / "whole")
    mixed_config.train_steps = 12
    train_and_evaluate(mixed_config, tmp_path / "parts")
    mixed_config.train_steps = 24
    train_and_evaluate(mixed_config, tmp_path / "parts")
    whole, parts = (
        {
            line["step"]: {k: v for k, v in line.items() if "share/" in k}
            for line in lines_of(tmp_path / name)
        }
        for name in ("whole", "parts")
    )
    assert parts.pop(12) and parts == whole


def test_damage_is_counted_in_the_metrics(cheap, mixed_config, tmp_path, caplog):  # noqa: F811
    (tmp_path / "a" / "frames-00001.arrayrecord").unlink()
    damaged = tmp_path / "b" / "frames-00001.arrayrecord"
    damaged.write_bytes(b"\0" * damaged.stat().st_size)
    with pytest.raises(FileNotFoundError, match="frames-00001.arrayrecord: missing"):
        train_and_evaluate(mixed_config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    mixed_config.data.skip_damaged = True
    with caplog.at_level(logging.INFO, "liax_jax"):
        train_and_evaluate(mixed_config, tmp_path / "run2")
    counts = [line.get("data/substituted", 0) for line in lines_of(tmp_path / "run2")]
    assert counts == sorted(counts) and counts[-1] > 5
    assert "Leaving out its 1 clips (5 frames) of 'train'" in caplog.text
    assert "another pair was taken, as data.skip_damaged says: " in caplog.text


def test_panels_are_drawn_of_what_can_be_read(tmp_path):
    root = write_records(tmp_path / "a", 4)
    clips = RecordClips(root, "train")
    damaged = tmp_path / "a" / "frames-00001.arrayrecord"
    damaged.write_bytes(b"\0" * damaged.stat().st_size)
    with pytest.raises(RecordsError, match="clip 'c1', frame 0. is damaged"):
        pictures.panel_examples(clips, clips, skip_damaged=False)
    sources, driving = pictures.panel_examples(clips, clips, skip_damaged=True)
    assert sources.shape == driving.shape == (8, 32, 32, 3)
    np.testing.assert_array_equal(sources[0], clips.frame(1, 0))
    for path in (tmp_path / "a").glob("*.arrayrecord"):
        path.write_bytes(b"\0" * path.stat().st_size)
    with pytest.raises(RecordsError, match="no clip to draw panels of could be read"):
        pictures.panel_examples(RecordClips(root, "train"), clips, skip_damaged=True)


def test_profile_steps_are_parsed():
    assert parse_profile_steps("") is None
    assert parse_profile_steps("10:15") == (10, 15) and parse_profile_steps("3:3") == (3, 3)
    for text in ("10", "0:3", "5:4", "a:b", "-1:3", "1:2:3"):
        with pytest.raises(ValueError, match="profile_steps = .*as in 10:15"):
            check_config(tiny_config(profile_steps=text))


def test_a_trace_of_the_steps_that_were_asked_for(cheap, tmp_path):  # noqa: F811
    train_and_evaluate(tiny_config(profile_steps="3:5", train_steps=8), tmp_path)
    (trace,) = (tmp_path / "profile").rglob("perfetto_trace.json.gz")
    content = gzip.decompress(trace.read_bytes()).decode()
    events = json.loads(content)["traceEvents"]
    steps = {e["args"]["step_num"] for e in events if e.get("name") == "train" and "args" in e}
    assert steps == {"3", "4", "5"}
    assert any(e.get("name") == "data" for e in events)
    assert len(list((tmp_path / "profile").rglob("*.xplane.pb"))) == 1


def test_a_trace_ends_with_the_run(tmp_path):
    profiler = Profiler("2:9", tmp_path, enabled=True)
    for step in (1, 2, 3):
        profiler.before(step, None)
        profiler.after(step, jnp.ones(3) + step)
    profiler.close()
    assert list((tmp_path / "profile").rglob("*.xplane.pb"))
    other = Profiler("2:9", tmp_path / "other", enabled=False)
    other.before(2, None)
    other.after(9, None)
    other.close()
    assert not (tmp_path / "other").exists()


@pytest.fixture
def wandb(monkeypatch):
    """A stand-in for the module: remembers what it is told."""
    module = ModuleType("wandb")
    runs = []

    def init(**options):
        run = SimpleNamespace(options=options, logged=[], finished=False)
        run.log = lambda values, step: run.logged.append((step, values))
        run.finish = lambda: setattr(run, "finished", True)
        runs.append(run)
        return run

    module.init, module.Image = init, lambda picture: ("image", picture.shape)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.setattr(reporting.importlib.util, "find_spec", lambda name: name == "wandb" or None)
    return runs


def test_weights_and_biases_gets_what_the_files_get(wandb, tmp_path):
    config = tiny_config()
    config.wandb.update(project="faces", mode="offline")
    check_config(config)
    workdir = tmp_path / "w"
    for first_step in (0, 4):
        workdir.mkdir(exist_ok=True)
        reporter = reporting.Reporter(workdir, first_step, enabled=True, config=config)
        reporter.metrics(first_step + 1, {"psnr": 12.5})
        reporter.picture("panel", first_step + 1, np.zeros((4, 6, 3), np.uint8))
        reporter.close()
    first, second = wandb
    options = first.options
    assert (options["project"], options["mode"], options["name"]) == ("faces", "offline", "w")
    assert options["config"]["model"]["num_vectors"] == 4
    # A restarted run goes on in the same one.
    assert options["id"] == second.options["id"] and options["resume"] == "allow"
    assert first.logged == [(1, {"psnr": 12.5}), (1, {"panel": ("image", (4, 6, 3))})]
    assert [step for step, _ in second.logged] == [5, 5] and first.finished and second.finished


def test_weights_and_biases_that_cannot_be_used(monkeypatch):
    config = tiny_config()
    config.wandb.project = "faces"
    monkeypatch.setattr(reporting.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'liax-jax\[wandb\]'"):
        check_config(config)
    config.wandb.mode = "nowhere"
    with pytest.raises(ValueError, match="wandb.mode = 'nowhere': choose one of online, offline"):
        check_config(config)
