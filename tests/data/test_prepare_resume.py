"""Runs that are killed, interrupted, or started twice: nothing is lost, repeated or different."""

import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from liax_jax.data import extraction, work_folder
from liax_jax.data import prepare as prepare_module
from liax_jax.data.crop_options import CropOptions
from liax_jax.data.frame_options import FrameOptions
from liax_jax.data.prepare import prepare
from liax_jax.data.records import RecordClips

CENTER = FrameOptions(32, quality=None, crop=CropOptions("center"))
NUM_CLIPS = 8
# Two or three clips of 12 frames a file.
FILE_BYTES = 5_000


@pytest.fixture
def videos(tmp_path, make_frame_folder, make_video):
    for number in range(NUM_CLIPS):
        make_frame_folder(tmp_path / "videos" / f"{number}", 12, phase=25 * number)
    (tmp_path / "videos" / "broken.mp4").write_text("words")
    return tmp_path / "videos"


def run(videos, out, options=CENTER, **kwargs):
    arguments = {"workers": 1, "max_file_bytes": FILE_BYTES, "progress": False, **kwargs}
    return prepare(videos, out, options, **arguments)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def whole(videos, tmp_path):
    run(videos, tmp_path / "whole")
    return contents(tmp_path / "whole")


def test_files_have_a_maximum_size(videos, tmp_path, whole):
    sizes = [len(content) for name, content in whole.items() if name.endswith(".arrayrecord")]
    assert len(sizes) >= 3
    entries = RecordClips(tmp_path / "whole", "train").entries
    assert len({entry.file for entry in entries}) == len(sizes)
    run(videos, tmp_path / "tiny", max_file_bytes=1)
    index = json.loads((tmp_path / "tiny" / "index.json").read_text())
    assert [file["records"] for file in index["files"]] == [12] * NUM_CLIPS


@pytest.mark.parametrize("stop_at", range(0, NUM_CLIPS + 1, 2))
def test_goes_on_wherever_it_stopped(videos, tmp_path, whole, monkeypatch, stop_at):
    """The work stops at each item in turn; none that is done is worked on again."""
    done = []
    true_extract = extraction.extract

    def watched(item, *args):
        if len(done) == stop_at:
            raise KeyboardInterrupt
        done.append(item.name)
        return true_extract(item, *args)

    monkeypatch.setattr(work_folder, "extract", watched)
    with pytest.raises(KeyboardInterrupt):
        run(videos, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    stop_at = -1
    summary = run(videos, tmp_path / "out")
    assert len(done) == len(set(done)) == NUM_CLIPS + 1
    assert contents(tmp_path / "out") == whole
    assert summary.skipped == [("broken", "unreadable", summary.skipped[0][2])]
    assert not list(tmp_path.glob(".out.*"))


def test_killed_three_times(videos, tmp_path, whole):
    """SIGKILL to the program as soon as it has done something more."""
    command = [
        *(sys.executable, "-m", "liax_jax.cli", "prepare", str(videos), str(tmp_path / "out")),
        *("--resolution", "32", "--lossless", "--crop", "center", "--workers", "2"),
        *("--shard-mb", str(FILE_BYTES / 2**20)),
    ]
    kills = 0
    for number in range(3):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while process.poll() is None:
            if len(list(tmp_path.glob(".out.*.partial/re*/**/*"))) > 2 * number + 1:
                os.kill(process.pid, signal.SIGKILL)
                kills += 1
                break
            time.sleep(0.005)
        process.wait()
    result = subprocess.run(command, capture_output=True, text=True)
    if not (tmp_path / "out").exists():
        pytest.fail(result.stderr)
    assert kills >= 1
    assert contents(tmp_path / "out") == whole
    assert not list(tmp_path.glob(".out.*"))


def test_damaged_work_is_done_again(videos, tmp_path, whole, monkeypatch):
    """A line of the journal cut short, a file without a line, a file cut short, a short spool."""

    def interrupted(self, *args):
        raise KeyboardInterrupt

    monkeypatch.setattr(prepare_module.Run, "complete", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(videos, tmp_path / "out")
    (work,) = tmp_path.glob(".out.*.partial")
    journal = work / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    (work / "records" / "frames-00001.arrayrecord").write_bytes(b"short")
    (work / "records" / "frames-00099.arrayrecord").write_bytes(b"stray")
    journal.write_bytes(b"".join(lines)[:-10])
    (work / "results" / "00000").mkdir(parents=True, exist_ok=True)
    monkeypatch.undo()
    summary = run(videos, tmp_path / "out")
    assert contents(tmp_path / "out") == whole
    assert 0 < summary.resumed < NUM_CLIPS


def test_other_options_say_so_and_start_anew(videos, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(work_folder, "extract", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run(videos, tmp_path / "out")
    assert "the same command goes on" in capsys.readouterr().err
    monkeypatch.undo()
    run(videos, tmp_path / "out", dataclasses.replace(CENTER, resolution=64))
    assert "unfinished work with other options" in (error := capsys.readouterr().err)
    assert "resolution 32, not 64" in error
    assert RecordClips(tmp_path / "out", "train").resolution == 64


def test_two_at_a_time(videos, tmp_path, monkeypatch):
    def second(*args):
        monkeypatch.undo()
        with pytest.raises(RuntimeError, match="another `liax prepare` is making it"):
            run(videos, tmp_path / "out")
        raise KeyboardInterrupt

    monkeypatch.setattr(work_folder, "extract", second)
    with pytest.raises(KeyboardInterrupt):
        run(videos, tmp_path / "out")
    run(videos, tmp_path / "out")


def test_file_system_without_locks(videos, tmp_path, whole, monkeypatch, caplog):
    def refused(*args):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(work_folder.fcntl, "flock", refused)
    with caplog.at_level("WARNING"):
        run(videos, tmp_path / "out")
    assert "can't be locked (No locks available)" in caplog.text
    assert contents(tmp_path / "out") == whole


@pytest.mark.parametrize(
    ("workers", "error"),
    [
        (1, OSError(errno.ENOSPC, "No space left on device")),
        (2, ValueError("write() failed: No space left on device; Failed to close")),
    ],
)
def test_full_disk_keeps_what_is_done(videos, tmp_path, whole, monkeypatch, workers, error):
    true_add = prepare_module.records.RecordWriter.add_clip

    def full(self, name, *args, **kwargs):
        if name == "5":
            raise error
        true_add(self, name, *args, **kwargs)

    monkeypatch.setattr(prepare_module.records.RecordWriter, "add_clip", full)
    with pytest.raises(OSError, match="no space left in .*; free some and run the same command"):
        run(videos, tmp_path / "out", workers=workers)
    monkeypatch.undo()
    assert not (tmp_path / "out").exists()
    assert run(videos, tmp_path / "out").resumed > 0
    assert contents(tmp_path / "out") == whole
