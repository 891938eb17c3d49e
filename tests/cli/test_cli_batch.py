"""`liax batch`, with a stand-in for the command that it runs."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from liax_jax.cli import batch
from liax_jax.cli.parsing import Parser


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """The arguments of every job that was run; one whose source is "bad" fails."""
    monkeypatch.chdir(tmp_path)
    calls = []

    def run_arguments(arguments):
        calls.append(arguments)
        return 2 if "--source=bad" in arguments else 0

    monkeypatch.setattr(batch, "run_arguments", run_arguments)
    (tmp_path / "jobs.csv").write_text("source,driving\na,v\nbad,v\nc,v\n")
    return calls


def _run(*arguments):
    parser = Parser(prog="liax")
    batch.register(parser.add_subparsers())
    args = parser.parse_args(["batch", *arguments])
    args.run(args)


def test_failures_are_counted_and_tried_again(ran, tmp_path, capsys):
    with pytest.raises(RuntimeError, match="1 of 3 jobs failed; run the same command again"):
        _run("jobs.csv")
    assert [arguments[0] for arguments in ran] == ["--source=a", "--source=bad", "--source=c"]
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "[1/3] --source=a --driving=v"
    assert out[-2:] == ["failed: line 3 (exit code 2)", "3 jobs: 2 done, 1 failed"]
    assert (tmp_path / "jobs.csv.state.jsonl").exists()
    ran.clear()
    (tmp_path / "jobs.csv").write_text("source,driving\na,v\ngood,v\nc,v\n")
    _run("jobs.csv")
    assert ran == [["--source=good", "--driving=v"]]
    assert capsys.readouterr().out.splitlines()[-1] == "3 jobs: 1 done, 2 done before"


def test_flags(ran, tmp_path, capsys):
    with pytest.raises(RuntimeError):
        _run("jobs.csv", "--no-keep-going", "--state", "s/x.jsonl", "--each", "--crf", "9", "-v")
    assert ran[0] == ["--crf", "9", "-v", "--source=a", "--driving=v"] and len(ran) == 2
    assert (tmp_path / "s" / "x.jsonl").exists()
    ran.clear()
    with pytest.raises(RuntimeError):
        _run("jobs.csv", "--state", "s/x.jsonl", "--restart", "--each", "--crf", "9", "-v")
    assert len(ran) == 3
    ran.clear()
    capsys.readouterr()
    _run("jobs.csv", "--dry-run", "--each", "--note", "a b")
    assert ran == []
    first = capsys.readouterr().out.splitlines()[0]
    assert first == "liax animate --note 'a b' --source=a --driving=v"


def test_a_wrong_list_runs_nothing(ran, tmp_path):
    (tmp_path / "jobs.csv").write_text("source,driving\na,v\nb\n")
    with pytest.raises(ValueError, match="line 3 has 1 cells"):
        _run("jobs.csv")
    assert ran == [] and not (tmp_path / "jobs.csv.state.jsonl").exists()


_PROGRAM = """
import signal, sys, time
from liax_jax import cli
from liax_jax.cli import batch
def run_arguments(arguments):
    if "--source=slow" in arguments:
        time.sleep(60)
    return 0
# A shell that starts the tests in the background hands an ignored SIGINT down.
signal.signal(signal.SIGINT, signal.default_int_handler)
batch.run_arguments = run_arguments
cli._COMMANDS = ("batch",)
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_it_cleanly(tmp_path, signum, code):
    (tmp_path / "jobs.csv").write_text("source\nquick\nslow\nnever\n")
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, "batch", "jobs.csv"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "[1/3] --source=quick\n"
    assert process.stdout.readline() == "[2/3] --source=slow\n"
    time.sleep(0.2)  # it is in the job now
    process.send_signal(signum)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code and "Traceback" not in err
    if signum == signal.SIGINT:
        assert out.splitlines() == [
            "3 jobs: 1 done, 2 left",
            "to go on, run the same command again",
        ]
        assert err == "liax batch: interrupted\n"
    else:
        assert (out, err) == ("", "liax batch: ended by SIGTERM\n")
    (entry,) = (tmp_path / "jobs.csv.state.jsonl").read_text().splitlines()
    assert json.loads(entry)["arguments"] == "--source=quick"


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit) as exit_info:
        _run("--help")
    assert exit_info.value.code == 0
    out = capsys.readouterr().out
    assert (
        "  liax batch jobs.csv --each --checkpoint lia-x\n" in out
        and "defaults: {driving: talk.mp4}" in out
    )
