"""What one coefficient changes, by the basis: `liax interpret` on cells of `make interpretability`.

  python -m benchmarks.interventions [--root runs/interpretability] [--row dense --row sparse]

Each model as it was trained; turned to the axes of least ℓ1 of deviations, which the study finds on
other people; and in a random basis. A model draws the same pictures in all of them: only what one
coefficient does alone differs. Findings are kept beside the cells, so that a run that was stopped
goes on; --restart begins afresh. Prints a line for each row and basis, of means over seeds: shares
and agreement are means over directions by use, names are counted.
"""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
from absl import app, flags
from tqdm import tqdm

from benchmarks.measure import report
from liax_jax.animation.animator import Animator
from liax_jax.animation.streaming import FrameStream
from liax_jax.faces.detection import open_detector
from liax_jax.interpretability.direction_names import naming_accuracy
from liax_jax.interpretability.lab import LabOptions, open_probe, run_lab
from liax_jax.interpretability.probe_clips import open_probe_clips
from liax_jax.interpretability.rotated_model import rotated_model
from liax_jax.interpretability.rotation import random_rotation
from liax_jax.model_files import read_model
from liax_jax.studies.axes_afterwards import axes_of_cell
from liax_jax.studies.cells import RESULT_NAME, RUN_NAME, Cell
from liax_jax.studies.command import load_study
from liax_jax.studies.document import shown, table
from liax_jax.studies.seed_statistics import over_seeds

_STUDY = flags.DEFINE_string("study", "configs/studies/interpretability.py", "Its config.")
_ROOT = flags.DEFINE_string("root", "runs/interpretability", "Where its cells were trained.")
_ROWS = flags.DEFINE_multi_string(
    "row",
    ["dense", "sparse", "dense, longer", "λ₂ 0.01, longer", "λ₂ 0.03, longer"],
    "Of the study; give the flag once for each.",
)
_RESTART = flags.DEFINE_bool("restart", False, "Measure anew what was measured before.")

BASES = ("as trained", "turned", "random")
_FINDINGS_NAME = "interventions"
MEASURES = {
    "with_effect": ("directions with an effect", 1),
    "purity": ("share of a change that one factor makes", 2),
    "agreement": ("agreement of people", 2),
    "right": ("names right", 2),
}


def basis_of(cell: Cell, root: Path, basis: str) -> np.ndarray:
    """(M, M): from the model's own axes to one of BASES."""
    size = cell.config.model.num_vectors
    if basis == "turned":
        return axes_of_cell(cell, root).matrix
    return random_rotation(size, np.random.default_rng(0)) if basis == "random" else np.eye(size)


def effects_of(cell: Cell, root: Path, basis: str) -> dict[str, float]:
    """MEASURES of a cell's directions that change what is seen; means are weighted by use."""
    folder = cell.folder(root)
    model = rotated_model(read_model(folder / RUN_NAME), basis_of(cell, root, basis), basis)
    animator = Animator.create(model.record, model.params)
    clips = open_probe_clips(folder / RUN_NAME, animator.resolution)
    probe = open_probe(FrameStream(animator), clips, LabOptions(), open_detector(), progress=False)
    place = folder / _FINDINGS_NAME / basis
    findings = run_lab(animator, clips, probe, place, progress=False)
    found = naming_accuracy(findings)
    if found is None or found.purity is None:
        raise ValueError(f"{cell.name}, {basis}: no direction changes a factor")
    visible = [finding for finding in findings if finding.has_effect]
    return {
        "with_effect": len(visible),
        "purity": found.purity,
        "agreement": float(
            np.average([f.effect.agreement for f in visible], weights=[f.use for f in visible])
        ),
        "right": found.right / found.with_effect,
    }


def main(_) -> None:
    study, root = load_study(Path(_STUDY.value)), Path(_ROOT.value)
    unknown = set(_ROWS.value) - {cell.row for cell in study.cells}
    if unknown:
        raise app.UsageError(f"--row {unknown.pop()}: the study has no such row")
    cells = [cell for cell in study.cells if cell.row in _ROWS.value]
    missing = [cell.name for cell in cells if not (cell.folder(root) / RESULT_NAME).exists()]
    if missing:
        raise app.UsageError(f"--root {root}: not trained there: {', '.join(missing)}")
    if _RESTART.value:
        for cell in cells:
            if (earlier := cell.folder(root) / _FINDINGS_NAME).exists():
                shutil.rmtree(earlier)
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    jobs = [(cell, basis) for cell in cells for basis in BASES]
    for cell, basis in tqdm(jobs, unit="model"):
        found.setdefault((cell.row, basis), []).append(effects_of(cell, root, basis))
    rows, lines = {}, []
    for (row, basis), of_seeds in found.items():
        statistics = {name: over_seeds([each[name] for each in of_seeds]) for name in MEASURES}
        rows[f"{row}, {basis}"] = {
            name: dataclasses.asdict(statistic) for name, statistic in statistics.items()
        }
        texts = [shown(statistics[name], digits) for name, (_, digits) in MEASURES.items()]
        lines.append([row, basis, str(len(of_seeds)), *texts])
    print(table(("cells", "basis", "seeds", *(words for words, _ in MEASURES.values())), lines))
    report("interventions", {"portraits": LabOptions().subjects, "rows": rows})


if __name__ == "__main__":
    app.run(main)
