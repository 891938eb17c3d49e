"""Running lists of jobs: failures, resuming, interruption."""

import json
import sys

import pytest

from liax_jax.animation.batch import run_jobs
from liax_jax.animation.jobs import Job, JobsError
from liax_jax.runtime import Terminated


def _jobs(tmp_path, count=4):
    return [
        Job(f"line {i + 2}", (f"--source={i}.png", f"--out={tmp_path / f'{i}.mp4'}"))
        for i in range(count)
    ]


class Runner:
    """Writes the output of every job but those that it has to do something else for."""

    def __init__(self, instead=None):
        self.instead = instead or {}
        self.ran = []

    def __call__(self, arguments):
        assert isinstance(arguments, list)
        number = int(arguments[0].split("=")[1].split(".")[0])
        self.ran.append(number)
        if number in self.instead:
            return self.instead[number]()
        with open(arguments[1].split("=")[1], "w") as file:
            file.write("video")
        return 0


def _raise(error):
    def act():
        raise error

    return act


def test_all_go_well_once(tmp_path):
    jobs, state, said = _jobs(tmp_path), tmp_path / "new" / "state.jsonl", []
    runner = Runner()
    summary = run_jobs(jobs, runner, state, announce=said.append)
    assert runner.ran == [0, 1, 2, 3]
    assert (summary.done, summary.failed, summary.left, summary.interrupted) == (4, [], 0, False)
    assert summary.lines() == ["4 jobs: 4 done"]
    assert said[1].startswith("[2/4] --source=1.png --out=")
    entries = [json.loads(line) for line in state.read_text().splitlines()]
    assert [entry["job"] for entry in entries] == [job.digest for job in jobs]

    runner = Runner()
    summary = run_jobs(jobs, runner, state)
    assert runner.ran == [] and summary.lines() == ["4 jobs: 4 done before"]


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (lambda: 2, "exit code 2"),
        (_raise(SystemExit(2)), "exit code 2"),
        (_raise(SystemExit("no face")), "no face"),
        (_raise(ValueError("no face\n in it")), "ValueError: no face in it"),
        (_raise(MemoryError()), "MemoryError"),
    ],
)
def test_one_failure_does_not_stop_the_rest(tmp_path, act, reason):
    jobs, state = _jobs(tmp_path), tmp_path / "state.jsonl"
    runner = Runner({1: act})
    summary = run_jobs(jobs, runner, state)
    assert runner.ran == [0, 1, 2, 3]
    assert (summary.done, summary.failed, summary.left) == (3, [(jobs[1], reason)], 0)
    assert summary.lines() == [f"failed: line 3 ({reason})", "4 jobs: 3 done, 1 failed"]

    runner = Runner()
    assert run_jobs(jobs, runner, state).done == 1  # and is tried again
    assert runner.ran == [1]


def test_an_exit_without_a_code_is_no_failure(tmp_path):
    summary = run_jobs(_jobs(tmp_path), Runner({1: sys.exit}), tmp_path / "state.jsonl")
    assert summary.done == 4


def test_stopping_at_the_first_failure(tmp_path):
    runner = Runner({1: lambda: 2})
    summary = run_jobs(_jobs(tmp_path), runner, tmp_path / "state.jsonl", keep_going=False)
    assert runner.ran == [0, 1]
    assert summary.lines()[-1] == "4 jobs: 1 done, 1 failed, 2 left"


@pytest.mark.parametrize("act", [_raise(KeyboardInterrupt()), lambda: 130, _raise(SystemExit(130))])
def test_interruption_ends_the_batch_and_the_next_goes_on(tmp_path, act):
    jobs, state = _jobs(tmp_path), tmp_path / "state.jsonl"
    runner = Runner({2: act})
    summary = run_jobs(jobs, runner, state)
    assert runner.ran == [0, 1, 2] and summary.interrupted
    assert summary.lines() == ["4 jobs: 2 done, 2 left"]
    runner = Runner()
    assert run_jobs(jobs, runner, state).lines() == ["4 jobs: 2 done, 2 done before"]
    assert runner.ran == [2, 3]


@pytest.mark.parametrize("ended", [SystemExit(143), Terminated()])
def test_a_signal_ends_the_program(tmp_path, ended):
    jobs, state = _jobs(tmp_path), tmp_path / "state.jsonl"
    with pytest.raises(type(ended)) as exit_info:
        run_jobs(jobs, Runner({1: _raise(ended)}), state)
    assert exit_info.value is ended
    runner = Runner()
    run_jobs(jobs, runner, state)
    assert runner.ran == [1, 2, 3]


def test_a_changed_row_and_a_lost_output_are_run_again(tmp_path):
    jobs, state = _jobs(tmp_path), tmp_path / "state.jsonl"
    run_jobs(jobs, Runner(), state)
    jobs[0] = Job("line 2", (*jobs[0].arguments, "--strength=0.5"))
    (tmp_path / "3.mp4").unlink()
    jobs.reverse()  # the order doesn't matter
    runner = Runner()
    run_jobs(jobs, runner, state)
    assert runner.ran == [3, 0]


def test_restarting(tmp_path):
    jobs, state = _jobs(tmp_path), tmp_path / "state.jsonl"
    run_jobs(jobs, Runner(), state)
    assert run_jobs(jobs, Runner(), state, restart=True).done == 4
    assert len(state.read_text().splitlines()) == 4


def test_a_pattern_of_file_names_is_not_looked_for(tmp_path):
    job = Job("line 2", ("--source=0.png", f"--out={tmp_path}/%05d.png"))
    state = tmp_path / "state.jsonl"
    run_jobs([job], lambda arguments: 0, state)
    assert run_jobs([job], lambda arguments: 0, state).done_before == 1


def test_a_failure_after_a_success_counts(tmp_path):
    jobs, state = _jobs(tmp_path, 1), tmp_path / "state.jsonl"
    run_jobs(jobs, Runner(), state)
    (tmp_path / "0.mp4").unlink()
    run_jobs(jobs, Runner({0: lambda: 2}), state)
    (tmp_path / "0.mp4").write_text("half of something else")
    runner = Runner()
    run_jobs(jobs, runner, state)
    assert runner.ran == [0]


def test_a_line_cut_short_is_run_again_and_mended(tmp_path, caplog):
    jobs, state = _jobs(tmp_path), tmp_path / "state.jsonl"
    run_jobs(jobs, Runner(), state)
    whole = state.read_bytes()
    state.write_bytes(whole[:-20])
    runner = Runner()
    with caplog.at_level("WARNING", "liax_jax"):
        run_jobs(jobs, runner, state)
    assert runner.ran == [3] and "last line is incomplete" in caplog.text
    entries = [json.loads(line) for line in state.read_text().splitlines()]
    assert [entry["job"] for entry in entries] == [job.digest for job in jobs]


@pytest.mark.parametrize("content", [b"a poem\nof two lines\n", b"[1]\n", b"\xff\xfe\n"])
@pytest.mark.parametrize("restart", [False, True])
def test_another_file_is_left_alone(tmp_path, content, restart):
    state = tmp_path / "state.jsonl"
    state.write_bytes(content)
    runner = Runner()
    with pytest.raises(JobsError, match=r"state.jsonl: .*give another --state"):
        run_jobs(_jobs(tmp_path), runner, state, restart=restart)
    assert state.read_bytes() == content and runner.ran == []
