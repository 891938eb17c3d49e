"""Results of cells as rows: each a mean over seeds with its interval, beside its control."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from liax_jax.interpretability.stability import measure_stability
from liax_jax.studies.cell_measures import KIND, read_codes
from liax_jax.studies.cells import Cell, Study

Result = Mapping[str, Any]
# The scores of a row: its name here, and in `interpretability.disentanglement`.
SCORES = {
    "dci_d": "ridge/disentanglement",
    "dci_c": "ridge/completeness",
    "dci_i": "ridge/informativeness",
    "forest_d": "forest/disentanglement",
    "mig": "mig",
    "sap": "sap",
    "modularity": "modularity",
    "irs": "irs",
}
SPARSITY = ("gini", "hoyer", "effective_vectors")


@dataclasses.dataclass(frozen=True)
class Statistic:
    """One measure of a row.

    Attributes:
      value: mean over seeds.
      interval: 95 %, by Student's t over seeds; of a single seed, over people where its result has
        one; else None.
      over: "seeds" or "people": what the interval is over.
      control: mean over seeds of the measure's own control, or None.
      values: of each seed.
    """

    value: float
    interval: tuple[float, float] | None
    over: str
    control: float | None
    values: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Row:
    """One setting of a study, over its seeds.

    Attributes:
      name: as the cells name it, with ", rotated (criterion)" where codes were turned afterwards.
      settings: what tells it from other rows, of the config.
      seeds: of the cells.
      statistics: by name.
      factors: {factor: {"kurtosis", "r2", "completeness"}}, means over seeds; empty without codes.
    """

    name: str
    settings: dict[str, Any]
    seeds: tuple[int, ...]
    statistics: dict[str, Statistic]
    factors: dict[str, dict[str, float]]

    def to_json(self) -> dict[str, Any]:
        """As plain numbers, lists and dictionaries, statistics at the top."""
        content = dataclasses.asdict(self)
        return content | content.pop("statistics")


def make_rows(study: Study, results: Mapping[str, Result], root: Path) -> list[Row]:
    """The rows that have a finished cell, and one more for each rotation of their codes."""
    rows = []
    for name in dict.fromkeys(cell.row for cell in study.cells):
        cells = [cell for cell in study.cells if cell.row == name and cell.name in results]
        if not cells:
            continue
        found = [results[cell.name] for cell in cells]
        rows.append(_row(name, cells, found, found, root, None))
        for criterion in cells[0].rotations:
            turned = [{**result, **result["rotated"][criterion]} for result in found]
            rows.append(
                _row(f"{name}, rotated ({criterion})", cells, turned, found, root, criterion)
            )
    return rows


def over_seeds(
    values: Sequence[float],
    controls: Sequence[float] = (),
    of_one: Sequence[float] | None = None,
) -> Statistic:
    """A mean over seeds.

    Args:
      values: one per seed.
      controls: likewise, or none.
      of_one: interval of the only seed, over people.
    """
    mean = float(np.mean(values))
    interval, over = None, "seeds"
    if len(values) > 1:
        interval = _t_interval(values)
    elif of_one is not None:
        interval, over = (float(of_one[0]), float(of_one[1])), "people"
    control = float(np.mean(controls)) if len(controls) else None
    return Statistic(mean, interval, over, control, tuple(map(float, values)))


def agreement(codes: Sequence[np.ndarray], group: np.ndarray) -> dict[str, Statistic]:
    """Stability of several seeds: "matched" correlation and "udr", mean over pairs of seeds.

    Pairs share seeds, so that the interval is a jackknife over seeds, and needs three of them.
    """
    found = measure_stability(codes, group)
    values = {
        "matched": [(p.runs, p.matched, p.matched_control) for p in found.pairs],
        "udr": [(p.runs, p.udr["lasso"], p.udr_control["lasso"]) for p in found.pairs],
        "linear_r2": [(p.runs, p.linear_r2, p.linear_r2) for p in found.pairs],
    }
    return {name: _over_pairs(pairs, len(codes)) for name, pairs in values.items()}


def _row(
    name: str,
    cells: Sequence[Cell],
    results: Sequence[Result],
    trained: Sequence[Result],
    root: Path,
    criterion: str | None,
) -> Row:
    """`results` are of the codes as turned, `trained` of the model, which turning leaves alone."""
    statistics = {
        metric: over_seeds(
            [r["reconstruction"]["mean"][metric] for r in trained],
            [r["reconstruction"]["floors"]["copy_source"][metric] for r in trained],
            trained[0]["reconstruction"]["intervals"]["mean"][metric],
        )
        for metric in ("psnr", "l1", "ssim")
    }
    pooled = [r["reconstruction"]["pooled_psnr"] for r in trained]
    statistics["pooled_psnr"] = over_seeds(
        [p["mean"] for p in pooled], [p["copy_source"] for p in pooled]
    )
    statistics["minutes"] = over_seeds([r["seconds"]["training"] / 60 for r in trained])
    factors: dict[str, dict[str, float]] = {}
    if all("readability" in r for r in results):
        scores = [r["readability"][KIND]["scores"] for r in results]
        for short, long in SCORES.items():
            if long in scores[0]:
                statistics[short] = over_seeds(
                    [s[long]["value"] for s in scores],
                    [s[long]["control"] for s in scores],
                    scores[0][long]["interval"],
                )
        for measure in SPARSITY:
            statistics[measure] = over_seeds(
                [r["sparsity"]["values"][measure] for r in results],
                [r["sparsity"]["control"][measure] for r in results],
            )
        factors = _factors([r["readability"][KIND] for r in results])
        if len(cells) > 1:
            statistics |= agreement(*_codes(cells, root, criterion))
    settings = _settings(cells[0]) | {"rotation": criterion, "pairs": trained[0]["pairs"]}
    settings["parameters"] = trained[0]["parameters"]
    return Row(name, settings, tuple(cell.seed for cell in cells), statistics, factors)


def _settings(cell: Cell) -> dict[str, Any]:
    model, loss = cell.config.model, cell.config.loss
    procedural = cell.config.data.procedural
    return {
        "family": model.family,
        "width": model.width,
        "vectors": model.num_vectors,
        "penalty": loss.sparsity_penalty if loss.sparsity else "none",
        "lambda2": loss.sparsity,
        "source_code": loss.source_code,
        "distribution": procedural.distribution,
        "steps": cell.steps,
    }


def _codes(
    cells: Sequence[Cell], root: Path, criterion: str | None
) -> tuple[list[np.ndarray], np.ndarray]:
    """The codes of each seed as they are scored, turned where asked to, and who is in them."""
    read: Callable[[Cell], Any] = lambda cell: read_codes(cell.folder(root)).of_kind(KIND)  # noqa: E731
    codes = [read(cell) for cell in cells]
    alphas = [code.alpha for code in codes]
    if criterion is not None:
        matrices = [_matrix(cell, root, criterion) for cell in cells]
        alphas = [alpha @ matrix for alpha, matrix in zip(alphas, matrices, strict=True)]
    return alphas, codes[0].group


def _matrix(cell: Cell, root: Path, criterion: str) -> np.ndarray:
    result = cell.result(root)
    assert result is not None
    return np.array(result["rotated"][criterion]["matrix"])


def _factors(readabilities: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for j, name in enumerate(readabilities[0]["factors"]):
        completeness = [
            _completeness(np.array(r["importance"]["ridge"])[:, j]) for r in readabilities
        ]
        about = [r["factors"][name] for r in readabilities]
        found[name] = {
            "kurtosis": float(np.mean([a["excess_kurtosis"] for a in about])),
            "r2": float(np.mean([a["r2"]["ridge"] for a in about])),
            "completeness": float(np.mean(completeness)),
        }
    return found


def _completeness(importance: np.ndarray) -> float:
    """How far one coefficient alone foretells a factor: 1 − its entropy in units of ln M."""
    if not importance.sum() or len(importance) < 2:
        return 0.0
    share = importance / importance.sum()
    entropy = -np.sum(share * np.log(np.where(share > 0, share, 1)))
    return float(1 - entropy / np.log(len(share)))


def _t_interval(values: Sequence[float]) -> tuple[float, float]:
    from scipy import stats

    mean, error = np.mean(values), stats.sem(values)
    reach = stats.t.ppf(0.975, len(values) - 1) * error
    return float(mean - reach), float(mean + reach)


def _over_pairs(pairs: Sequence[tuple[tuple[int, int], float, float]], seeds: int) -> Statistic:
    values = [value for _, value, _ in pairs]
    mean = float(np.mean(values))
    interval = None
    if seeds > 2:
        without = [
            np.mean([value for runs, value, _ in pairs if left_out not in runs])
            for left_out in range(seeds)
        ]
        error = np.sqrt((seeds - 1) / seeds * np.square(without - np.mean(without)).sum())
        interval = (mean - 1.96 * float(error), mean + 1.96 * float(error))
    control = float(np.mean([control for _, _, control in pairs]))
    return Statistic(mean, interval, "seeds", control, tuple(values))
