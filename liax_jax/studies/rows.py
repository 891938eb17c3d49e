"""Results of cells as rows: each a mean over seeds with its interval, beside its control."""

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from liax_jax.interpretability.codes import Codes
from liax_jax.interpretability.disentanglement import Score, measure_disentanglement
from liax_jax.interpretability.predictors import FOUND_R2, completeness
from liax_jax.interpretability.stability import measure_stability
from liax_jax.studies.cell_measures import KIND, USED_KIND, USED_SHARE, read_codes
from liax_jax.studies.cells import Cell, Study
from liax_jax.studies.seed_statistics import Statistic, differences, over_pairs, over_seeds

Result = Mapping[str, Any]
# The scores of a row: its name here, and in `interpretability.disentanglement`.
SCORES = {
    "dci_d": "ridge/disentanglement",
    "dci_c": "ridge/completeness",
    "dci_i": "ridge/informativeness",
    "dci_d_all": "ridge/disentanglement_all",
    "found": "ridge/factors_found",
    "forest_d": "forest/disentanglement",
    "mig": "mig",
    "sap": "sap",
    "modularity": "modularity",
    "irs": "irs",
}
SPARSITY = ("gini", "hoyer", "effective_vectors")
# A control of so much leaves nothing above it.
_CERTAIN = 1 - 1e-6


@dataclasses.dataclass(frozen=True)
class Row:
    """One setting of a study, over its seeds.

    Attributes:
      name: as the cells name it, with ", rotated (criterion)" where codes were turned afterwards.
      settings: what tells it from other rows, of the config.
      seeds: of the cells.
      statistics: by name.
      factors: {factor: {"kurtosis", "r2", "completeness"}}, means over seeds; completeness over
        those that found the factor, NaN where none did; "completeness_of_seeds" is a list of each,
        NaN where it didn't; empty without codes.
    """

    name: str
    settings: dict[str, Any]
    seeds: tuple[int, ...]
    statistics: dict[str, Statistic]
    factors: dict[str, dict[str, Any]]

    @property
    def motion(self) -> tuple[str, tuple[str, ...]]:
        """How its people move: the factors' distribution, and which ones."""
        return self.settings["distribution"], tuple(self.settings["moving"])

    def to_json(self) -> dict[str, Any]:
        """As plain numbers, lists and dictionaries, statistics at the top; None for NaN."""
        content = dataclasses.asdict(self)
        content["factors"] = _without_nan(content["factors"])
        return content | content.pop("statistics")


def _without_nan(value: Any) -> Any:
    """The same dictionaries and lists, with None for NaN."""
    if isinstance(value, dict):
        return {name: _without_nan(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value


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


def paired(
    a: Row, b: Row, name: str, factor: float = 1.0, without: Collection[int] = ()
) -> Statistic | None:
    """a − factor · b of one measure over the seeds that both rows have; None without any.

    Cells of one seed start from the same parameters where their shapes agree, and see the same
    pictures in the same order, so that the difference varies less than each of the two.

    Args:
      without: seeds to leave out.
    """
    of_a, of_b = (_by_seed(row, name, "values") for row in (a, b))
    return differences(of_a, of_b, factor, without)


def above_control(row: Row, name: str) -> Statistic | None:
    """A measure less its control, over the row's seeds; None where it has none."""
    return differences(_by_seed(row, name, "values"), _by_seed(row, name, "controls"))


def _by_seed(row: Row, name: str, which: str) -> dict[int, float]:
    found = row.statistics.get(name)
    if found is None or found.over == "pairs":
        return {}
    return dict(zip(row.seeds, getattr(found, which), strict=False))


def agreement(codes: Sequence[np.ndarray], group: np.ndarray) -> dict[str, Statistic]:
    """Stability of several seeds: "matched" correlation and "udr", mean over pairs of seeds.

    Of used vectors, which deviate by a tenth of what the first one does, or more.

    "matched_above" is where matched correlation lies between its control, which is high where
    codes fill few of their dimensions, (0) and 1; left out where a control is 1 too.
    """
    found = measure_stability(codes, group, used_share=USED_SHARE)
    values: dict[str, list[tuple[tuple[int, int], float, float | None]]] = {
        "matched": [(p.runs, p.matched, p.matched_control) for p in found.pairs],
        "udr": [(p.runs, p.udr["lasso"], p.udr_control["lasso"]) for p in found.pairs],
        "linear_r2": [(p.runs, p.linear_r2, None) for p in found.pairs],
    }
    if all(p.matched_control < _CERTAIN for p in found.pairs):
        values["matched_above"] = [
            (p.runs, (p.matched - p.matched_control) / (1 - p.matched_control), None)
            for p in found.pairs
        ]
    return {name: over_pairs(pairs, len(codes)) for name, pairs in values.items()}


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
    factors: dict[str, dict[str, Any]] = {}
    if all("readability" in r for r in results):
        statistics |= _scores(results)
        for measure in SPARSITY:
            for suffix, part in (("", None), ("_deviations", KIND)):
                of = [r["sparsity"][part] if part else r["sparsity"] for r in results]
                statistics[measure + suffix] = over_seeds(
                    [each["values"][measure] for each in of],
                    [each["control"][measure] for each in of],
                )
        factors = _factors([r["readability"][KIND] for r in results])
        sizes = [np.abs(_frames(cell, root, criterion).alpha).mean() for cell in cells]
        statistics["mean_abs"] = over_seeds(sizes)
        if criterion is not None:
            scores = [_mig_of_frames(cell, root, criterion) for cell in cells]
            statistics["mig_frames"] = over_seeds(
                [score.value for score in scores], [score.control for score in scores]
            )
        if len(cells) > 1:
            statistics |= agreement(*_codes(cells, root, criterion))
    settings = _settings(cells[0]) | {"rotation": criterion, "pairs": trained[0]["pairs"]}
    settings["parameters"] = trained[0]["parameters"]
    return Row(name, settings, tuple(cell.seed for cell in cells), statistics, factors)


def _scores(results: Sequence[Result]) -> dict[str, Statistic]:
    """Scores of deviations; "dci_d_used" of used vectors alone, "mig_frames" of frames as they are.

    Where motions rest, the mean of a clip moves what rests, and cuts a factor's many equal values
    into as many different ones; mutual information is hurt by that, regressions aren't.
    """
    wanted = {short: (KIND, long) for short, long in SCORES.items()}
    wanted |= {"dci_d_used": (USED_KIND, SCORES["dci_d"]), "mig_frames": ("frames", SCORES["mig"])}
    found = {}
    for short, (kind, long) in wanted.items():
        scores = [r["readability"].get(kind, {}).get("scores", {}).get(long) for r in results]
        if all(scores):
            of_one = scores[0]["interval"]
            if short == "found" and of_one is not None:  # no more than there are
                of_one = np.minimum(of_one, len(results[0]["readability"][KIND]["factors"]))
            found[short] = over_seeds(
                [score["value"] for score in scores],
                [score["control"] for score in scores],
                of_one,
            )
    return found


def _settings(cell: Cell) -> dict[str, Any]:
    model, loss = cell.config.model, cell.config.loss
    procedural = cell.config.data.procedural
    return {
        "family": model.family,
        "width": model.width,
        "vectors": model.num_vectors,
        "penalty": loss.sparsity_penalty if loss.sparsity else "none",
        "lambda2": loss.sparsity,
        "lambda2_grows_over": loss.sparsity_ramp_steps,
        "lambda2_falls": list(loss.sparsity_release),
        "top_k": loss.sparsity_top_k if loss.sparsity_penalty == "topk" else None,
        "code_noise": loss.code_noise,
        "source_code": loss.source_code,
        "distribution": procedural.distribution,
        "moving": list(procedural.moving),
        "steps": cell.steps,
    }


def _codes(
    cells: Sequence[Cell], root: Path, criterion: str | None
) -> tuple[list[np.ndarray], np.ndarray]:
    """The codes of each seed as they are scored, turned where asked to, and who is in them."""
    codes = [_frames(cell, root, criterion).of_kind(KIND) for cell in cells]
    return [code.alpha for code in codes], codes[0].group


def _mig_of_frames(cell: Cell, root: Path, criterion: str) -> Score:
    """Of turned codes; a cell's result has it of the codes as they are."""
    codes = _frames(cell, root, criterion)
    # The fastest regressor: its scores aren't looked at.
    return measure_disentanglement(codes, regressors=("ridge",), bootstrap=0).scores["mig"]


def _frames(cell: Cell, root: Path, criterion: str | None) -> Codes:
    """The codes of frames as they are, turned where asked to."""
    codes = read_codes(cell.folder(root))
    if criterion is None:
        return codes
    return dataclasses.replace(codes, alpha=codes.alpha @ _matrix(cell, root, criterion))


def _matrix(cell: Cell, root: Path, criterion: str) -> np.ndarray:
    result = cell.result(root)
    assert result is not None
    return np.array(result["rotated"][criterion]["matrix"])


def _factors(readabilities: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for j, name in enumerate(readabilities[0]["factors"]):
        of_seeds = [
            completeness(np.array(r["importance"]["ridge"])[:, [j]])
            if r["factors"][name]["r2"]["ridge"] >= FOUND_R2
            else math.nan
            for r in readabilities
        ]
        of_found = [value for value in of_seeds if not math.isnan(value)]
        about = [r["factors"][name] for r in readabilities]
        found[name] = {
            "kurtosis": float(np.mean([a["excess_kurtosis"] for a in about])),
            "r2": float(np.mean([a["r2"]["ridge"] for a in about])),
            "completeness": float(np.mean(of_found)) if of_found else math.nan,
            "completeness_of_seeds": of_seeds,
        }
    return found
