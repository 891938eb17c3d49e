"""The paper's ablations in small: the cells of `make ablations`.

  python study.py configs/studies/ablations.py --hours 4

Sparse against dense (Fig. 3), LIA against LIA-X, three widths (Tables 3 and 4), on drawn portraits
of 64 px that move as in life, with as many pairs of frames for each.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import demo
from liax_jax.studies import Cell, Study
from liax_jax.studies.ablations_report import (
    BASE,
    DENSE,
    HALF,
    LIA,
    LIA_HALF,
    QUARTER,
    write_ablations,
)
from liax_jax.studies.cells import Probe

SEEDS = range(3)
# Row: (fields, seconds of one core for a step of 8 pairs).
ROWS: dict[str, tuple[dict[str, Any], float]] = {
    BASE: ({}, 0.6),
    DENSE: ({"loss.sparsity": 0.0}, 0.6),
    LIA_HALF: ({"model.family": "lia", "loss.sparsity": 0.0, "model.width": 0.125}, 0.5),
    HALF: ({"model.width": 0.125}, 0.25),
    # 4 channels at 64 px can't be 8 groups; half as wide, a group has one channel as well.
    QUARTER: ({"model.width": 0.0625, "model.groups": 4}, 0.15),
}
# LIA of LIA-X's width has about as many parameters but 3.5 times the operations of a step; half as
# wide, 0.9 times. The first has one seed, and comes last, as it takes as long as three others.
WIDE: dict[str, tuple[dict[str, Any], float]] = {
    LIA: ({"model.family": "lia", "loss.sparsity": 0.0}, 1.4),
}
STEPS = 2000
# The factors are none of this study's questions; the picture of |α| needs frames in a row.
PROBE = Probe(clips=12, rotation_clips=4, rotations=3, bootstrap=0, regressors=("ridge",))


def get_config() -> ConfigDict:
    config = demo.get_config()
    config.data.procedural.update(seed=0, keep_in="runs/ablations-frames")
    # From the start, a λ₂ of this size is answered by α = 0, and nothing learns to move.
    config.loss.update(sparsity=0.02, sparsity_ramp_steps=STEPS // 2)
    config.train_steps = STEPS
    config.max_minutes = 0.0
    config.panel_every = STEPS
    config.checkpoint_every = 200
    config.keep_checkpoints = 1
    config.eval.videos = False
    return config


def get_study() -> Study:
    cells = [_cell(row, seed, *about) for seed in SEEDS for row, about in ROWS.items()]
    cells += [_cell(row, 0, *about) for row, about in WIDE.items()]
    return Study("ablations", tuple(cells), write_ablations)


def _cell(row: str, seed: int, fields: dict[str, Any], seconds: float) -> Cell:
    config = get_config()
    config.update_from_flattened_dict(fields | {"seed": seed, "data.seed": seed})
    name = f"{row.lower().replace(',', '').replace(' ', '_')}-{seed}"
    return Cell(name, row, config, seconds, probe=PROBE)
