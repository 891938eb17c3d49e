"""What axes found after training make of a model's codes: each criterion on each form of them.

A criterion and the form of the codes that it sees both matter, so that criteria are compared on one
form. Codes made equally large in all directions of their subspace tell what the *shape* of a code's
distribution does: sizes alone, which principal axes go by, say nothing there.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from liax_jax.interpretability.codes import Codes
from liax_jax.interpretability.predictors import dci, predict, split_by_group
from liax_jax.interpretability.rotation import find_rotation, random_rotation
from liax_jax.source_version import source_version
from liax_jax.studies.cell_measures import CODES_NAME, KIND, read_codes
from liax_jax.studies.cells import Cell, Study
from liax_jax.studies.rows import agreement
from liax_jax.studies.seed_statistics import Statistic, over_seeds
from liax_jax.studies.sources import MEASURING

FORMS = ("frames", KIND, "equal sizes")
CRITERIA = ("l1", "ica", "pca")
# Principal axes say nothing where all sizes are equal.
OF_EQUAL_SIZES = ("l1", "ica")
WAY = "way to the least l1"
KEPT_DIRECTIONS = "directions of equal sizes"
# Directions with less of the variance than this share of the largest one's are left out where all
# are made equally large: they would be noise.
_SUBSPACE = 0.003
_RANDOM_BASES = 10
MATCHED = "matched in l1 of deviations"
_MATCHED_AXES = f"l1 of {KIND}"
_CACHE_NAME = "axes.json"
_SOURCES = ("studies/axes_afterwards.py", *MEASURING)


@dataclasses.dataclass(frozen=True)
class Axes:
    """A cell's codes, turned.

    Attributes:
      scores: see `axes_of`.
      matrix: (M, M) to the axes of least ℓ1 of deviations.
    """

    scores: dict[str, tuple[float, ...]]
    matrix: np.ndarray


def axes_by_row(
    study: Study, results: Mapping[str, Mapping[str, Any]], root: Path
) -> dict[str, dict[str, Statistic]]:
    """Of each row, "l1 of frames" … over its seeds, beside random bases of the same form.

    Of two seeds and more `MATCHED` too, the matched correlation of their codes in the axes of least
    ℓ1 of deviations. A cell takes some seconds; what was found is kept in its folder.
    """
    found: dict[str, list[tuple[Path, Axes]]] = {}
    cells = [cell for cell in study.cells if "readability" in results.get(cell.name, {})]
    for cell in tqdm(cells, desc="axes", unit="cell", leave=False, disable=None):
        found.setdefault(cell.row, []).append((cell.folder(root), axes_of_cell(cell, root)))
    rows = {}
    for row, of_seeds in found.items():
        scores = [axes.scores for _, axes in of_seeds]
        rows[row] = {
            name: over_seeds(*zip(*(each[name] for each in scores), strict=True))
            for name in scores[0]
        }
        if len(of_seeds) > 1:
            rows[row][MATCHED] = _matched(of_seeds)
    return rows


def axes_of(folder: Path) -> Axes:
    """Turns the codes of a finished cell.

    Scores are {"criterion of form": (DCI-D, mean DCI-D of random bases)}.

    DCI disentanglement (ridge) is of deviations, in axes found on the people kept for that.
    To how many directions sizes were made equal, the others being noise, is `KEPT_DIRECTIONS`.

    `WAY` is how far training has brought the axes towards the least mean |α| of frames (less their
    median), which eq. 9 weighs: 0 where it is as large as in random bases, 1 where no rotation
    makes it smaller.
    """
    to_turn, scored = _codes_to_turn(folder), read_codes(folder).of_kind(KIND)
    # Training learns an offset too, so that none counts.
    frames = to_turn.alpha - np.median(to_turn.alpha, axis=0)
    found: dict[str, tuple[float, ...]] = {WAY: (_way(frames),)}
    matrices = {}
    for form in FORMS:
        base = np.eye(scored.alpha.shape[1])
        seen = frames if form == "frames" else to_turn.of_kind(KIND).alpha
        if form == "equal sizes":
            base = _whitening(seen)
            seen = seen @ base
            found[KEPT_DIRECTIONS] = (float(base.shape[1]),)
        codes = scored.alpha @ base
        bases = _random_bases(codes.shape[1])
        by_chance = float(np.mean([_dci(scored, codes @ basis) for basis in bases]))
        for criterion in OF_EQUAL_SIZES if form == "equal sizes" else CRITERIA:
            name, matrix = f"{criterion} of {form}", find_rotation(seen, criterion).matrix
            found[name] = (_dci(scored, codes @ matrix), by_chance)
            matrices[name] = matrix
    return Axes(found, matrices[_MATCHED_AXES])


def _matched(of_seeds: Sequence[tuple[Path, Axes]]) -> Statistic:
    codes = [read_codes(folder).of_kind(KIND) for folder, _ in of_seeds]
    turned = [each.alpha @ axes.matrix for each, (_, axes) in zip(codes, of_seeds, strict=True)]
    return agreement(turned, codes[0].group)["matched"]


def axes_of_cell(cell: Cell, root: Path) -> Axes:
    """`axes_of` its folder, which keeps what was found."""
    path, version = cell.folder(root) / _CACHE_NAME, f"{cell.key}-{source_version(_SOURCES)}"
    try:
        kept = json.loads(path.read_text())
    except (OSError, ValueError):
        kept = {}
    if kept.get("version") != version:
        found = axes_of(cell.folder(root))
        kept = {"version": version, "scores": found.scores, "matrix": found.matrix.tolist()}
        path.write_text(json.dumps(kept))
    scores = {name: tuple(values) for name, values in kept["scores"].items()}
    return Axes(scores, np.array(kept["matrix"]))


def _codes_to_turn(folder: Path) -> Codes:
    """Those of the people that rotations are found on, none of whom is scored."""
    with np.load(folder / CODES_NAME) as saved:
        first = saved["clip"] < int(saved["rotation_clips"])
        return Codes(
            saved["alpha"][first].astype(np.float64), saved["clip"][first], saved["group"][first]
        )


def _way(frames: np.ndarray) -> float:
    least = find_rotation(frames, "l1")
    bases = _random_bases(frames.shape[1])
    by_chance = float(np.mean([np.abs(frames @ basis).mean() for basis in bases]))
    return (by_chance - least.before) / (by_chance - least.after)


def _random_bases(size: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [random_rotation(size, rng) for _ in range(_RANDOM_BASES)]


def _whitening(codes: np.ndarray) -> np.ndarray:
    """(M, k): to the k directions that vary, each with unit variance."""
    power, axes = np.linalg.eigh(np.cov(codes.T))
    kept = power > _SUBSPACE * power.max()
    return axes[:, kept] / np.sqrt(power[kept])


def _dci(codes: Codes, alpha: np.ndarray) -> float:
    assert codes.factors is not None
    prediction = predict(alpha, codes.factors, split_by_group(codes.group), "ridge")
    return dci(prediction)["disentanglement"]
