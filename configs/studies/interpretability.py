"""Does sparsity make directions readable? The cells of `make interpretability`.

  python study.py configs/studies/interpretability.py --hours 6

Dense and sparse with five seeds; λ₂, Hoyer's ratio and top-k, M, a price on the source's code; the
dense codes turned afterwards; three distributions of factors, dense and sparse. Every cell's
control, the same codes in random bases, is in its own result.
"""

from typing import Any

from configs.studies import heads
from liax_jax.studies import Cell, Study
from liax_jax.studies.interpretability_report import DENSE, SPARSE, write_interpretability

# λ₂ of the main sparse cells, and the others tried.
MAIN_LAMBDA = 0.1
LAMBDAS = (0.005, 0.02, 0.5)
MAIN_SEEDS, OTHER_SEEDS = range(5), range(2)
SECONDS_PER_STEP = 0.092
ROTATIONS = ("l1", "varimax", "ica")
SPARSE_FIELDS = {"loss.sparsity": MAIN_LAMBDA}


def settings() -> list[tuple[str, dict[str, Any], range, tuple[str, ...]]]:
    """(row, fields, seeds, rotations), the most telling first."""
    rows: list[tuple[str, dict[str, Any], range, tuple[str, ...]]] = [
        (DENSE, {}, MAIN_SEEDS, ROTATIONS),
        (SPARSE, SPARSE_FIELDS, MAIN_SEEDS, ("random",)),
    ]
    rows += [(f"λ₂ {value:g}", {"loss.sparsity": value}, OTHER_SEEDS, ()) for value in LAMBDAS]
    # Between 0 and 1 as mean |α| of a dense cell is, so that λ₂ means about the same.
    hoyer = {"loss.sparsity": 0.02, "loss.sparsity_penalty": "hoyer"}
    top_k = SPARSE_FIELDS | {"loss.sparsity_penalty": "topk", "loss.sparsity_top_k": 3}
    rows += [
        ("Hoyer", hoyer, OTHER_SEEDS, ()),
        ("top-3", top_k, OTHER_SEEDS, ()),
        ("sparse, z too", SPARSE_FIELDS | {"loss.source_code": 0.02}, OTHER_SEEDS, ()),
    ]
    for distribution in ("laplacian", "gaussian", "uniform"):
        field = {"data.procedural.distribution": distribution}
        rows += [
            (f"{distribution}, {DENSE}", field, OTHER_SEEDS, ("l1",)),
            (f"{distribution}, {SPARSE}", field | SPARSE_FIELDS, OTHER_SEEDS, ()),
        ]
    for vectors in (7, 32):
        field = {"model.num_vectors": vectors}
        rows += [
            (f"M {vectors}, {DENSE}", field, OTHER_SEEDS, ("l1",)),
            (f"M {vectors}, {SPARSE}", field | SPARSE_FIELDS, OTHER_SEEDS, ()),
        ]
    return rows


def get_study() -> Study:
    cells = []
    for row, fields, seeds, rotations in settings():
        for seed in seeds:
            config = heads.get_config()
            config.update_from_flattened_dict(fields | {"seed": seed, "data.seed": seed})
            name = f"{_file_name(row)}-{seed}"
            cells.append(Cell(name, row, config, SECONDS_PER_STEP, rotations))
    # First one seed of everything, then the second, …: a study cut short has something of each.
    cells.sort(key=lambda cell: cell.seed)
    return Study("interpretability", tuple(cells), write_interpretability)


def _file_name(row: str) -> str:
    return row.lower().replace("λ₂", "lambda").replace(",", "").replace(" ", "_")
