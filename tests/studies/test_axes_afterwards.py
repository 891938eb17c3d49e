"""Axes found after training, on codes whose best axes are known."""

import json

import numpy as np
import pytest

from liax_jax.interpretability.rotation import random_rotation
from liax_jax.studies import Study
from liax_jax.studies.axes_afterwards import (
    KEPT_DIRECTIONS,
    MATCHED,
    WAY,
    axes_by_row,
    axes_of,
)
from liax_jax.studies.cell_measures import CODES_NAME

PEOPLE, TURNING, FRAMES, FACTORS, VECTORS = 144, 96, 32, 4, 6
CLIP = np.repeat(np.arange(PEOPLE), FRAMES)
DRAW = {
    "laplacian": lambda rng, shape: rng.laplace(size=shape),
    "gaussian": lambda rng, shape: rng.standard_normal(shape),
    "uniform": lambda rng, shape: rng.uniform(-1, 1, shape),
}


def save_codes(folder, shape, sizes=(1.0,) * FACTORS, offset=0.0, mixed=True, seed=3):
    """Factors of given sizes in four of six directions of a random basis, with people's offsets."""
    rng = np.random.default_rng(seed)
    factors = DRAW[shape](rng, (len(CLIP), FACTORS))
    codes = np.zeros((len(CLIP), VECTORS))
    codes[:, :FACTORS] = factors * sizes
    codes += 1e-3 * rng.standard_normal(codes.shape)
    codes += offset * rng.standard_normal((PEOPLE, VECTORS))[CLIP]
    folder.mkdir(exist_ok=True, parents=True)
    np.savez(
        folder / CODES_NAME,
        alpha=codes @ random_rotation(VECTORS, rng) if mixed else codes,
        clip=CLIP,
        group=CLIP,
        factors=factors,
        factor_names=np.array([f"factor_{i}" for i in range(FACTORS)]),
        rotation_clips=TURNING,
    )
    return folder


def test_shape_finds_axes_where_sizes_are_equal(tmp_path):
    spiky = axes_of(save_codes(tmp_path / "spiky", "laplacian")).scores
    draws = [axes_of(save_codes(tmp_path / str(s), "gaussian", seed=s)).scores for s in (3, 4, 5)]
    value, by_chance = spiky["l1 of equal sizes"]
    assert value > 0.7 > 0.3 > by_chance
    # Every basis of Gaussian factors of one size is as good as any other.
    for scores in draws:
        value, by_chance = scores["l1 of equal sizes"]
        assert value < by_chance + 0.2 < 0.5
    # (In the first draw chance makes them look independent along their own axes.)
    value, by_chance = np.mean([scores["ica of equal sizes"] for scores in draws], axis=0)
    assert value < by_chance + 0.2 < 0.5
    # ℓ1 mixes flat factors; independence finds them.
    flat = axes_of(save_codes(tmp_path / "flat", "uniform")).scores
    assert flat["l1 of equal sizes"][0] < 0.3 < 0.8 < flat["ica of equal sizes"][0]
    assert "pca of equal sizes" not in spiky
    assert spiky[KEPT_DIRECTIONS] == (FACTORS,)


def test_sizes_find_axes_whatever_the_shape(tmp_path):
    found = axes_of(save_codes(tmp_path, "gaussian", sizes=(8.0, 4.0, 2.0, 1.0))).scores
    assert found["pca of deviations"][0] > 0.8 and found["l1 of deviations"][0] > 0.8
    assert found["l1 of equal sizes"][0] < 0.3


def test_who_is_in_a_clip_hides_what_moves(tmp_path):
    found = axes_of(save_codes(tmp_path, "laplacian", offset=3.0)).scores
    assert found["l1 of deviations"][0] > 0.75 and found["l1 of frames"][0] < 0.4


def test_the_way_to_the_least_l1(tmp_path):
    aligned = axes_of(save_codes(tmp_path / "aligned", "laplacian", mixed=False)).scores
    mixed = axes_of(save_codes(tmp_path / "mixed", "laplacian")).scores
    assert aligned[WAY][0] == pytest.approx(1, abs=0.02)
    assert abs(mixed[WAY][0]) < 0.4


def test_what_was_found_is_kept(tiny_cell, tmp_path):
    cells = [tiny_cell(f"a-{seed}", seed, row="a") for seed in range(2)]
    cells.append(tiny_cell("unmeasured-0", 0, row="unmeasured"))
    study = Study("s", tuple(cells), print)
    save_codes(cells[0].folder(tmp_path), "laplacian")
    save_codes(cells[1].folder(tmp_path), "laplacian", mixed=False)
    results = {"a-0": {"readability": {}}, "a-1": {"readability": {}}, "unmeasured-0": {}}
    first = axes_by_row(study, results, tmp_path)
    assert list(first) == ["a"] and len(first["a"]["l1 of frames"].values) == 2
    assert first["a"]["l1 of frames"].control < 0.4 and first["a"][WAY].control is None
    # The same factors, from other axes.
    assert first["a"][MATCHED].value > 0.9 > first["a"][MATCHED].control
    # Read again rather than found again, until the codes are another cell's.
    path = cells[0].folder(tmp_path) / "axes.json"
    kept = json.loads(path.read_text())
    kept["scores"]["l1 of frames"][0] = 0.125
    path.write_text(json.dumps(kept))
    assert axes_by_row(study, results, tmp_path)["a"]["l1 of frames"].values[0] == 0.125
    path.write_text(json.dumps(kept | {"version": "of another time"}))
    assert axes_by_row(study, results, tmp_path) == first
