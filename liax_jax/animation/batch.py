"""Running a list of jobs one after the other, with a state file to go on from."""

import dataclasses
import json
import os
import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from liax_jax.animation.jobs import Job, JobsError
from liax_jax.log import logger
from liax_jax.runtime import Terminated

# What a shell calls a program ended by Ctrl-C; codes above 128 are signals.
_INTERRUPTED = 130
_FIRST_SIGNAL = 128


@dataclasses.dataclass
class BatchSummary:
    """What became of the jobs: how many had been done before, were done and weren't reached, and
    (job, reason) of those that failed."""

    total: int
    done_before: int = 0
    done: int = 0
    failed: list[tuple[Job, str]] = dataclasses.field(default_factory=list)
    interrupted: bool = False

    @property
    def left(self) -> int:
        return self.total - self.done_before - self.done - len(self.failed)

    def lines(self) -> list[str]:
        """For people: the failures, then the counts."""
        lines = [f"failed: {job.where} ({reason})" for job, reason in self.failed]
        counts = (
            (self.done, "done"),
            (self.done_before, "done before"),
            (len(self.failed), "failed"),
            (self.left, "left"),
        )
        shown = ", ".join(f"{count} {what}" for count, what in counts if count)
        return [*lines, f"{self.total} jobs: {shown}"]


def run_jobs(
    jobs: Sequence[Job],
    run_arguments: Callable[[list[str]], int],
    state: str | os.PathLike[str],
    *,
    keep_going: bool = True,
    restart: bool = False,
    announce: Callable[[str], None] = logger.info,
) -> BatchSummary:
    """Runs the jobs in order, leaving out what the state file says is done.

    A job counts as done while its arguments are the same and the file of its --out is there.

    Args:
      run_arguments: runs the command and returns its exit code. An exception, and the exit that a
        wrong argument causes, fail the job too; KeyboardInterrupt and the code 130 end the batch.
      state: file of finished jobs, one JSON object a line; made with the first one.
      keep_going: whether the jobs after a failed one are run.
      restart: whether to forget what is done and run every job.
      announce: is told of each job before it begins.

    Returns:
      The summary; `interrupted` is set where Ctrl-C ended the batch.

    Raises:
      JobsError: the state file isn't one.
      SystemExit, Terminated: a signal ended the program; what is done is in the state file.
    """
    finished = _read_state(Path(state))
    if restart:  # only now: a file that is no state file has been refused, and isn't removed
        finished = set()
        Path(state).unlink(missing_ok=True)
    summary = BatchSummary(len(jobs))
    try:
        for number, job in enumerate(jobs, 1):
            if job.digest in finished and _output_exists(job):
                summary.done_before += 1
                continue
            announce(f"[{number}/{len(jobs)}] {shlex.join(job.arguments)}")
            began = time.monotonic()
            reason = _run(job, run_arguments)
            _add_state(Path(state), job, reason, round(time.monotonic() - began, 3))
            if not reason:
                summary.done += 1
                continue
            summary.failed.append((job, reason))
            if not keep_going:
                break
    except Terminated:
        raise
    except KeyboardInterrupt:
        summary.interrupted = True
    return summary


def _run(job: Job, run_arguments: Callable[[list[str]], int]) -> str:
    """Runs a job: "" where it went well, or what went wrong."""
    try:
        code: Any = run_arguments(list(job.arguments))
    except SystemExit as error:
        code = 0 if error.code is None else error.code
        if isinstance(code, int) and code > _FIRST_SIGNAL and code != _INTERRUPTED:
            raise
    except Exception as error:
        logger.error("%s failed", job.where, exc_info=True)
        return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")
    if code == _INTERRUPTED:
        raise KeyboardInterrupt
    return "" if code == 0 else f"exit code {code}" if isinstance(code, int) else str(code)


def _output_exists(job: Job) -> bool:
    # A pattern like frames/%05d.png names many files; the state file is believed.
    return job.output is None or "%" in job.output or Path(job.output).exists()


def _read_state(path: Path) -> set[str]:
    """Digests of the jobs whose last run went well."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return set()
    except UnicodeDecodeError:
        raise JobsError(f"{path}: isn't a state file of a batch; give another --state") from None
    finished: set[str] = set()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            digest, reason = str(entry["job"]), entry["failed"]
        except (ValueError, KeyError, TypeError):
            if number == len(lines):  # no newline after it: the program was killed while writing
                logger.warning("%s: the last line is incomplete; that job is run again", path)
                continue
            raise JobsError(
                f"{path}: line {number} isn't of a batch's state file; give another --state, or "
                "remove the file to begin anew"
            ) from None
        finished.discard(digest)
        if not reason:
            finished.add(digest)
    return finished


def _add_state(path: Path, job: Job, reason: str, seconds: float) -> None:
    """Appends a line that is on the disk when this returns."""
    entry = {
        "job": job.digest,
        "failed": reason,
        "seconds": seconds,
        "arguments": shlex.join(job.arguments),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            torn = file.read(1) != b"\n"
            if torn:  # a line cut short by a kill: taken out, so that every line is whole
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
        file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
