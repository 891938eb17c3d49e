"""`liax batch`: a list of `liax animate` jobs, resumable."""

import argparse
import shlex
from pathlib import Path

from liax_jax.animation.batch import run_jobs
from liax_jax.animation.jobs import read_jobs
from liax_jax.cli.parsing import Commands, add_command

_COMMAND = "animate"
_DESCRIPTION = f"""\
Run a list of `liax {_COMMAND}` jobs, one after the other.

JOBS is a CSV file whose columns are flags of `liax {_COMMAND}` without the dashes, one job a row:

  source,driving,out,edit,edit,compare
  anna.jpg,talk.mp4,anna.mp4,yaw=0.3,smile=0.2,true
  ben.png,talk.mp4,ben.webm,,,

or a YAML file with a list of mappings, and defaults for all of them:

  defaults: {{driving: talk.mp4}}
  jobs:
    - {{source: anna.jpg, out: anna.mp4, edit: {{yaw: 0.3, smile: 0.2}}, compare: true}}
    - {{source: ben.png, out: ben.webm, absolute: [mouth, eyes]}}

Empty cells and `false` leave a flag out, `true` gives it without a value, a repeated column or a
list gives it several times. The column `arguments` holds anything else, as on the command line.
File names are relative to the folder that the command runs in.

A job that fails doesn't stop the others. Run the same command again, after Ctrl-C too: it goes on
where it stopped. A job is run again if it failed, if its row has changed or its output is gone.
"""
_EXAMPLES = """\
examples:
  liax batch jobs.csv --each --checkpoint lia-x
  liax batch jobs.yaml --dry-run
  liax batch jobs.csv --each --checkpoint lia-x --quality 90 --smooth 1
"""


def register(commands: Commands) -> None:
    """Adds the command and its flags."""
    command = add_command(
        commands,
        "batch",
        run,
        help=f"run a CSV or YAML list of {_COMMAND} jobs, resumable",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    command.add_argument("jobs", metavar="JOBS", help="list of jobs: .csv, .tsv, .yaml or .yml")
    command.add_argument(
        "--state",
        metavar="FILE",
        help="file that remembers what is done (default JOBS.state.jsonl, beside JOBS)",
    )
    command.add_argument(
        "--keep-going",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="run the jobs after one that failed (default), or stop there",
    )
    command.add_argument(
        "--restart", action="store_true", help="forget what is done and run every job"
    )
    command.add_argument(
        "--dry-run", action="store_true", help="print the commands and run nothing"
    )
    command.add_argument(
        "--each",
        metavar="FLAGS",
        nargs=argparse.REMAINDER,
        default=[],
        help="all that follows is given to every job, before its own flags; comes last",
    )


def run_arguments(arguments: list[str]) -> int:
    """Runs one job in this process and returns its exit code."""
    from liax_jax.cli import main

    return main([_COMMAND, *arguments])


def run(args: argparse.Namespace) -> None:
    """Runs the list.

    Raises:
      ValueError: the list is wrong; no job has been run then.
      RuntimeError: jobs failed; says how many.
      KeyboardInterrupt: interrupted, after the summary.
    """
    jobs = read_jobs(args.jobs, args.each)
    if args.dry_run:
        for job in jobs:
            print(shlex.join(("liax", _COMMAND, *job.arguments)))
        return
    state = Path(args.state or f"{args.jobs}.state.jsonl")

    def announce(line: str) -> None:
        print(line, flush=True)

    summary = run_jobs(
        jobs,
        run_arguments,
        state,
        keep_going=args.keep_going,
        restart=args.restart,
        announce=announce,
    )
    print("\n".join(summary.lines()))
    if summary.interrupted:
        print("to go on, run the same command again")
        raise KeyboardInterrupt
    if summary.failed:
        raise RuntimeError(
            f"{len(summary.failed)} of {summary.total} jobs failed; run the same command again "
            "for those that aren't done"
        )
