"""What study.py does with its flags."""

import argparse
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from liax_jax.interpretability.predictors import require_sklearn
from liax_jax.log import logger, show_messages
from liax_jax.plotting import require_matplotlib
from liax_jax.studies.cells import Cell, Study
from liax_jax.studies.interpretability_report import describe_cell
from liax_jax.studies.published import give_results, outdated_results, take_results
from liax_jax.studies.runner import (
    Stopped,
    expected_seconds,
    measured_scale,
    run_study,
    steps_done,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a study and writes its report; returns the exit status.

    0: every cell asked for is finished; 1: some failed, the report has the others; 2: a mistake in
    the flags, the study or the report's page; 75: stopped, to be started again.
    """
    args = _parser().parse_args(arguments)
    show_messages()
    try:
        study = load_study(args.study)
        root = args.out or Path("runs") / study.name
        cells = study.chosen(args.only)
        workers = args.workers or default_workers()
        if args.results:
            _take(study, root, args.results)
        if args.dry_run:
            print(plan(study, cells, root, workers))
            return 0
        # Now rather than after hours of training.
        require_matplotlib()
        require_sklearn()
        failed = []
        try:
            if not args.report_only:
                failed = run_study(
                    study,
                    root,
                    only=args.only,
                    workers=workers,
                    hours=args.hours,
                    describe=describe_cell,
                )
        finally:
            if args.results:
                give_results(study, root, args.results)
        study.write_report(study, study.results(root), root, args.docs)
    except Stopped as error:
        logger.info("%s", error)
        return 75
    except (ValueError, OSError, ImportError) as error:
        print(f"study.py: error: {error}", file=sys.stderr)
        return 2
    unfinished = [cell.name for cell in cells if cell.result(root) is None]
    logger.info("report: %s", args.docs / f"{study.name}.md")
    if failed:
        logger.error("failed: %s", ", ".join(failed))
    elif unfinished:
        logger.info("not finished: %s", ", ".join(unfinished))
    return 1 if failed else 0


def _take(study: Study, root: Path, published: Path) -> None:
    taken = take_results(study, root, published)
    if taken:
        logger.info("%s: took the results of %s", published, ", ".join(taken))
    if outdated := outdated_results(study, published):
        logger.warning(
            "%s: not of this version of the study, and left alone: %s",
            published,
            ", ".join(outdated),
        )


def load_study(path: Path) -> Study:
    """The study of a file that has `get_study()`.

    Raises:
      FileNotFoundError: no such file. ValueError: not a study.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such study; see configs/studies/")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    study = module.get_study() if hasattr(module, "get_study") else None
    if not isinstance(study, Study):
        raise ValueError(f"{path}: has no get_study() that returns a liax_jax.studies.Study")
    return study


def default_workers() -> int:
    """On CPU a cell a core; on an accelerator four, which share it."""
    import jax

    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    return len(os.sched_getaffinity(0)) if jax.default_backend() == "cpu" else 4


def plan(study: Study, cells: Sequence[Cell], root: Path, workers: int) -> str:
    """What would run, and for how long."""
    scale = measured_scale(study.cells, root)
    lines, total = [], 0.0
    for cell in cells:
        seconds = expected_seconds(cell, scale)
        done = steps_done(cell, root)
        state = f"{done:,} of {cell.steps:,} steps done" if done else f"{cell.steps:,} steps"
        if cell.result(root) is not None:
            state, seconds = "finished", 0.0
        else:
            seconds *= 1 - 0.95 * done / cell.steps
        total += seconds
        lines.append(f"{cell.name:32s} {state:34s} {seconds / 60:6.1f} min")
    how = "as measured on finished cells" if scale != 1 else "estimated"
    hours = total / 3600 / workers
    lines.append(f"{len(cells)} cells, about {hours:.1f} h with {workers} at a time ({how})")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="study.py",
        description="Trains and measures the cells of a study, and writes its report.",
        epilog="Finished cells are kept: the same command goes on where it was stopped.",
    )
    parser.add_argument("study", type=Path, help="e.g. configs/studies/interpretability.py")
    parser.add_argument("--out", type=Path, help="folder of the work; default runs/NAME")
    parser.add_argument(
        "--results", type=Path, metavar="FOLDER",
        help="takes finished cells from there instead of training them, and leaves new ones there",
    )  # fmt: skip
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="folder of the report")
    parser.add_argument(
        "--only", type=lambda text: text.split(","), default=(), metavar="WORD,…",
        help="only cells whose names hold one of the words",
    )  # fmt: skip
    parser.add_argument("--workers", type=int, help="cells at a time; default: one a core")
    parser.add_argument("--hours", type=float, default=0.0, help="start no cell after so long")
    parser.add_argument("--dry-run", action="store_true", help="list cells and expected time")
    parser.add_argument("--report-only", action="store_true", help="run nothing")
    return parser
