"""Does sparsity make directions readable? The cells of `make interpretability`.

  python study.py configs/studies/interpretability.py --hours 6

Dense and sparse with five seeds; more factors, whose effects overlap; three distributions of
factors; λ₂, other penalties, a price on the source's code, noise, M; the dense codes turned
afterwards. Every cell's control, the same codes in random bases, is in its own result.
"""

from typing import Any

from configs.studies import heads
from liax_jax.studies import Cell, Study
from liax_jax.studies.interpretability_report import DENSE, SPARSE, write_interpretability

# λ₂ of the main sparse cells, and the others tried.
MAIN_LAMBDA = 0.1
LAMBDAS = (0.01, 0.03, 0.3)
MAIN_SEEDS, OTHER_SEEDS = range(5), range(2)
SECONDS_PER_STEP = 0.085
ROTATIONS = ("l1", "varimax", "ica")
SPARSE_FIELDS = {"loss.sparsity": MAIN_LAMBDA}

Setting = tuple[str, dict[str, Any], range, tuple[str, ...]]


def settings() -> list[Setting]:
    """(row, fields, seeds, rotations), the most telling first."""
    rows: list[Setting] = [
        (DENSE, {}, MAIN_SEEDS, ROTATIONS),
        (SPARSE, SPARSE_FIELDS, MAIN_SEEDS, ("random",)),
        *_both("seven factors", {"data.procedural.moving": heads.OVERLAPPING}),
    ]
    for distribution in ("laplacian", "gaussian", "uniform"):
        rows += _both(distribution, {"data.procedural.distribution": distribution})
    rows += [(f"λ₂ {value:g}", {"loss.sparsity": value}, OTHER_SEEDS, ()) for value in LAMBDAS]
    others: dict[str, dict[str, Any]] = {
        # Between 0 and 1 as mean |α| of a dense cell is, so that λ₂ means about the same.
        "Hoyer": {"loss.sparsity": 0.02, "loss.sparsity_penalty": "hoyer"},
        "standardized": {"loss.sparsity": 0.05, "loss.sparsity_penalty": "standardized"},
        "top-2": SPARSE_FIELDS | {"loss.sparsity_penalty": "topk", "loss.sparsity_top_k": 2},
        "sparse, z too": SPARSE_FIELDS | {"loss.source_code": 0.02},
        "sparse, noise": {"loss.sparsity": 0.02, "loss.code_noise": 0.1},
        "sparse from the start": SPARSE_FIELDS | {"loss.sparsity_ramp_steps": 0},
    }
    rows += [(name, fields, OTHER_SEEDS, ()) for name, fields in others.items()]
    for vectors in (4, 16):
        rows += _both(f"M {vectors}", {"model.num_vectors": vectors})
    return rows


def _both(name: str, fields: dict[str, Any]) -> list[Setting]:
    return [
        (f"{name}, {DENSE}", fields, OTHER_SEEDS, ("l1",)),
        (f"{name}, {SPARSE}", fields | SPARSE_FIELDS, OTHER_SEEDS, ()),
    ]


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
