"""Metrics on disk: JSON lines, TensorBoard events, and a run that goes on."""

import io
import json
import struct

import numpy as np
import pytest
from PIL import Image
from tensorboardX.proto.event_pb2 import Event, SessionLog

from liax_jax.checkpoint import WorkdirError
from liax_jax.training.reporting import Reporter, progress_bar


def read_lines(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def read_events(workdir):
    """Events of all files, by the framing of TFRecords: length, checksum, content, checksum."""
    events = []
    for path in sorted((workdir / "tensorboard").iterdir()):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            events.append(Event.FromString(content[12 : 12 + length]))
            content = content[16 + length :]
    return events


def test_one_line_and_one_point_per_value(tmp_path):
    reporter = Reporter(tmp_path, 0, enabled=True)
    reporter.metrics(1, {"psnr": 12.5, "loss/l1": 0.25})
    # On disk at once: a run that is killed loses nothing.
    assert read_lines(tmp_path) == [{"step": 1, "psnr": 12.5, "loss/l1": 0.25}]
    points = [
        (e.step, v.tag, v.simple_value) for e in read_events(tmp_path) for v in e.summary.value
    ]
    assert points == [(1, "psnr", 12.5), (1, "loss/l1", 0.25)]
    reporter.close()


def test_not_finite_becomes_null_in_json(tmp_path):
    reporter = Reporter(tmp_path, 0, enabled=True)
    reporter.metrics(3, {"loss/l1": float("nan"), "loss/total": float("inf"), "psnr": 1.0})
    reporter.close()
    assert read_lines(tmp_path) == [{"step": 3, "loss/l1": None, "loss/total": None, "psnr": 1.0}]
    assert "NaN" not in (tmp_path / "metrics.jsonl").read_text()


def test_picture_goes_to_tensorboard_unchanged(tmp_path):
    picture = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    reporter = Reporter(tmp_path, 0, enabled=True)
    reporter.picture("panel", 7, picture)
    reporter.close()
    event = read_events(tmp_path)[-1]
    assert event.step == 7 and event.summary.value[0].tag == "panel"
    shown = Image.open(io.BytesIO(event.summary.value[0].image.encoded_image_string))
    np.testing.assert_array_equal(np.asarray(shown), picture)


def test_going_on_drops_the_lines_that_are_written_again(tmp_path):
    reporter = Reporter(tmp_path, 0, enabled=True)
    for step in range(1, 8):
        reporter.metrics(step, {"psnr": float(step)})
    reporter.close()
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 8, "ps')  # killed in the middle of a line
    reporter = Reporter(tmp_path, 5, enabled=True)
    for step in range(6, 9):
        reporter.metrics(step, {"psnr": 10.0 * step})
    reporter.close()
    assert [line["step"] for line in read_lines(tmp_path)] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [line["psnr"] for line in read_lines(tmp_path)] == [1, 2, 3, 4, 5, 60, 70, 80]
    # TensorBoard drops what an event file says from the step of a later file's start on.
    starts = [e.step for e in read_events(tmp_path) if e.session_log.status == SessionLog.START]
    assert starts == [1, 6]


def test_a_process_that_is_not_the_first_writes_nothing(tmp_path):
    reporter = Reporter(tmp_path, 0, enabled=False)
    reporter.metrics(1, {"psnr": 1.0})
    reporter.picture("panel", 1, np.zeros((2, 2, 3), np.uint8))
    reporter.close()
    assert not list(tmp_path.iterdir())


def test_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "tensorboard").write_text("a file")
    with pytest.raises(WorkdirError, match="can't be written to: File exists"):
        Reporter(tmp_path, 0, enabled=True)


def test_full_disk_is_a_clear_error(tmp_path):
    reporter = Reporter(tmp_path, 0, enabled=True)
    reporter._lines.close()
    with open("/dev/full", "w", buffering=1) as full:
        reporter._lines = full
        with pytest.raises(WorkdirError, match="can't be written to: No space left on device"):
            reporter.metrics(1, {"psnr": 1.0})
        with pytest.raises(WorkdirError):
            reporter.close()


def test_progress_bar_counts_images(capsys):
    with progress_bar(total=10, initial=4, batch_size=8, enabled=True) as bar:
        bar.update(8)
    shown = capsys.readouterr().err
    assert "40.0/80.0" in shown and "image/s" in shown
    with progress_bar(total=10, initial=4, batch_size=8, enabled=False) as bar:
        bar.update(8)
    assert capsys.readouterr().err == ""
