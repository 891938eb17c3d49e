"""Does sparsity make directions readable? The cells of `make interpretability`.

  python study.py configs/studies/interpretability.py --hours 6

Dense and sparse with five seeds; a price that is given up again; more factors, whose effects
overlap; three distributions of factors; λ₂, other penalties, a price on the source's code, noise,
longer training, M; the codes turned afterwards.
Every cell's control, the same codes in random bases, is in its own result.
"""

from typing import Any

from configs.studies import heads
from liax_jax.studies import Cell, Study
from liax_jax.studies.interpretability_report import write_interpretability
from liax_jax.studies.readability_tables import (
    DENSE,
    LONGER_DENSE,
    LONGER_SPARSE,
    RELEASED,
    SPARSE,
)

# λ₂ of the main sparse cells, and the others tried.
MAIN_LAMBDA = 0.1
LAMBDAS = (0.01, 0.03, 0.3)
SMALLEST = min(LAMBDAS)
MAIN_SEEDS, LONGER_SEEDS, DISTRIBUTION_SEEDS, OTHER_SEEDS = map(range, (5, 4, 3, 2))
SECONDS_PER_STEP = 0.085
# "pca" tells what variances alone would: where factors differ in size, principal axes find them.
ROTATIONS = ("l1 of frames", "l1", "varimax", "ica", "pca")
FEWER_ROTATIONS = ("l1 of frames", "pca")
SPARSE_FIELDS = {"loss.sparsity": MAIN_LAMBDA}
# No price from two thirds of the training on, after a fall of a sixth.
RELEASE = {"loss.sparsity_release": (heads.STEPS // 2, heads.STEPS * 2 // 3)}
STANDARDIZED = {"loss.sparsity": 0.05, "loss.sparsity_penalty": "standardized"}

Setting = tuple[str, dict[str, Any], range, tuple[str, ...]]


def settings() -> list[Setting]:
    """(row, fields, seeds, rotations)."""
    rows: list[Setting] = [
        (DENSE, {}, MAIN_SEEDS, ROTATIONS),
        (SPARSE, SPARSE_FIELDS, MAIN_SEEDS, FEWER_ROTATIONS),
        (RELEASED, SPARSE_FIELDS | RELEASE, OTHER_SEEDS, ()),
        # One seed, kept as a warning: it is met by copies of one signal in every vector.
        ("standardized", STANDARDIZED, range(1), ()),
        *_both("seven factors", {"data.procedural.moving": heads.OVERLAPPING}),
    ]
    for distribution in ("laplacian", "gaussian", "uniform"):
        fields = {"data.procedural.distribution": distribution}
        rows += _both(distribution, fields, DISTRIBUTION_SEEDS)
    # The smallest has as many seeds as the main rows: turned afterwards it is what to recommend.
    rows += [
        (
            f"λ₂ {value:g}",
            {"loss.sparsity": value},
            MAIN_SEEDS if value == SMALLEST else OTHER_SEEDS,
            (),
        )
        for value in LAMBDAS
    ]
    # One seed of those that cost most and bring least.
    top_2 = {"loss.sparsity_penalty": "topk", "loss.sparsity_top_k": 2}
    others: list[tuple[str, dict[str, Any], range]] = [
        ("λ₂ 0.3, released", {"loss.sparsity": 0.3, **RELEASE}, range(1)),
        ("Hoyer", {"loss.sparsity": 0.02, "loss.sparsity_penalty": "hoyer"}, OTHER_SEEDS),
        ("top-2", SPARSE_FIELDS | top_2, range(1)),
        ("sparse, z too", SPARSE_FIELDS | {"loss.source_code": 0.02}, range(1)),
        ("noise", {"loss.code_noise": 0.1}, OTHER_SEEDS),
        ("λ₂ 0.03, noise", {"loss.code_noise": 0.1, "loss.sparsity": 0.03}, OTHER_SEEDS),
    ]
    rows += [(*other, ()) for other in others]
    # Does the penalty only lack time to turn the axes?
    longer = {"train_steps": 3 * heads.STEPS}
    rows.append((LONGER_DENSE, longer, LONGER_SEEDS, FEWER_ROTATIONS))
    # The second reads best of all as trained.
    rows += [
        (name, longer | {"loss.sparsity": value}, seeds, ())
        for name, value, seeds in zip(
            LONGER_SPARSE, (0.01, 0.03), (OTHER_SEEDS, LONGER_SEEDS), strict=True
        )
    ]
    # As many vectors as factors. λ₂ weighs the mean over vectors: the same price for each.
    four = {"model.num_vectors": 4}
    rows += _both("M 4", four, price=MAIN_LAMBDA * 4 / heads.VECTORS)
    return rows


def _both(
    name: str, fields: dict[str, Any], seeds: range = OTHER_SEEDS, price: float = MAIN_LAMBDA
) -> list[Setting]:
    return [
        (f"{name}, {DENSE}", fields, seeds, FEWER_ROTATIONS),
        (f"{name}, {SPARSE}", fields | {"loss.sparsity": price}, seeds, ()),
    ]


def get_study() -> Study:
    cells = []
    for row, fields, seeds, rotations in settings():
        for seed in seeds:
            config = heads.get_config()
            config.update_from_flattened_dict(fields | {"seed": seed, "data.seed": seed})
            name = f"{_file_name(row)}-{seed}"
            cells.append(Cell(name, row, config, SECONDS_PER_STEP, rotations))
    # One seed of everything, the main rows whole, then the rest: cut short, it has what tells most.
    cells.sort(key=_urgency)
    return Study("interpretability", tuple(cells), write_interpretability)


def _urgency(cell: Cell) -> tuple[int, int]:
    if cell.seed == 0:
        return 0, 0
    return (1 if cell.row in (DENSE, SPARSE, f"λ₂ {SMALLEST:g}") else 2), cell.seed


def _file_name(row: str) -> str:
    return row.lower().replace("λ₂", "lambda").replace(",", "").replace(" ", "_")
