"""`liax interpret`: what each direction of a model does, with the proof."""

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from liax_jax.cli.parsing import Commands, add_command
from liax_jax.cli.probe_flags import add_probe_flags, open_probe_data

if TYPE_CHECKING:
    from liax_jax.interpretability.report_content import Report
    from liax_jax.metrics.identity import IdentityMetric

_DESCRIPTION = """\
Say what each direction of a model does, without labels, and show it: how few directions move a
picture, what changing each one does to several portraits, where and how the face moves, which
directions do the same. From that follow names, signs and ranges: OUT/directions.json.

OUT gets report.html (one file, for a browser), report.json, figures/*.png and directions.json. A
run that was stopped goes on. On drawn portraits (--data procedural) the names are checked too.
docs/interpret.md says how to read the report. Needs: pip install 'liax-jax[interpret]'
"""
_EXAMPLES = """\
examples:
  liax interpret runs/portraits --data procedural --out report
  liax interpret runs/clips --data runs/clips --out report --write-card
  liax interpret lia-x --data videos --out report --portraits 4
  liax edit --checkpoint runs/clips --source me.png --edit yaw=0.3 --out turned.png
"""


def register(commands: Commands) -> None:
    """Adds the command and its flags."""
    command = add_command(
        commands,
        "interpret",
        run,
        help="name a model's directions, and show what each does",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    command.add_argument("checkpoint", metavar="CHECKPOINT", type=Path, help="the model")
    command.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write")
    command.add_argument(
        "--portraits",
        type=int,
        default=8,
        metavar="N",
        help="how many portraits each direction is tried on, at most, of as many people as there "
        "are (default 8)",
    )
    command.add_argument(
        "--write-card",
        action="store_true",
        help="put directions.json into the checkpoint's folder, so that --edit NAME=VALUE works",
    )
    command.add_argument(
        "--overwrite", action="store_true", help="with --write-card: replace names that are there"
    )
    command.add_argument(
        "--restart", action="store_true", help="forget what an earlier run has found in OUT"
    )
    command.add_argument(
        "--face-model",
        type=Path,
        metavar="ONNX",
        help="find faces with this YuNet model rather than OpenCV's cascades",
    )
    command.add_argument(
        "--weights",
        type=Path,
        metavar="DIR",
        help="folder of `liax weights`; with ArcFace in it, identity drift is measured too",
    )
    add_probe_flags(command, kind=None)


def run(args: argparse.Namespace) -> None:
    """Runs the lab, writes the report, and prints the names."""
    from liax_jax.plotting import require_matplotlib

    require_matplotlib()

    from liax_jax.faces.detection import open_detector
    from liax_jax.interpretability.direction_names import (
        check_card_place,
        direction_card,
        write_card,
    )
    from liax_jax.interpretability.lab import LabOptions, open_probe, run_lab
    from liax_jax.interpretability.report import check_report_place, write_report

    options = LabOptions(args.portraits, args.clips, args.frames)
    check_report_place(args.out, args.checkpoint)
    card_path = check_card_place(args.checkpoint, args.overwrite) if args.write_card else None
    detector = open_detector(args.face_model)
    identity, how = _identity_metric(args.weights, args.face_model)
    stream, clips = open_probe_data(args, args.checkpoint)
    probe = open_probe(stream, clips, options, detector, progress=True)
    vectors = args.out / "directions"
    if args.restart and vectors.exists():
        shutil.rmtree(vectors)
    findings = run_lab(stream.animator, clips, probe, vectors, identity=identity)
    record = stream.animator.record
    about = {
        "checkpoint": str(args.checkpoint),
        "fingerprint": record.fingerprint,
        "step": "not known" if record.step is None else f"{record.step:,}",
        "data": f"{args.data}: {len(probe.codes.alpha)} frames of "
        f"{len(set(probe.codes.clip.tolist()))} clips",
    }
    report = write_report(args.out, about, stream, clips, probe, findings, vectors, how, args.seed)
    print("\n".join(_lines(report)))
    if card_path is not None:
        write_card(card_path, direction_card(findings))
        print(f"direction card: {card_path}")
    print(f"report: {args.out / 'report.html'}")


def _identity_metric(
    weights: Path | None, face_model: Path | None
) -> tuple["IdentityMetric | None", str]:
    """The metric of identity drift, and how it measures; or None, and why not."""
    from liax_jax.metrics.identity import identity_metric
    from liax_jax.metrics.weights_store import MissingWeightsError, WeightsStore

    try:
        metric = identity_metric(WeightsStore(weights).load("arcface"))
    except MissingWeightsError as error:
        return None, f"left out: {error}"
    if face_model is not None:
        metric = metric.with_face_model(face_model)
    return metric, metric.convention


def _lines(report: "Report") -> list[str]:
    lines = [f"{'':4} {'name':14} {'confidence':>10} {'change dB':>9} {'reach':>7}"]
    for index in report.order:
        finding = report.findings[index]
        name = report.signed_name(index) if finding.has_effect else "no effect"
        confidence = f"{finding.name.confidence:.2f}" if finding.has_effect else ""
        lines.append(
            f"{index:4d} {name:14} {confidence:>10} "
            f"{finding.effect.reach_db:9.1f} {finding.reach:7.3g}"
        )
    if report.accuracy:
        found = report.accuracy
        lines.append(
            f"names that are right: {found.right} of {found.with_effect}; where the truth is clear "
            f"{found.clear_right} of {found.clear}; with an effect that is no factor's: "
            f"{found.no_factor}"
        )
        if found.purity is not None:
            lines.append(f"share of a change that is one factor's: {found.purity:.2f}")
    return lines
