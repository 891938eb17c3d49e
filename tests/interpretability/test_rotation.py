"""Rotations: what they find, that they never make it worse, and that pictures stay."""

import jax
import numpy as np
import pytest

from liax_jax.convert import to_torch_state_dict
from liax_jax.directions import DirectionCard
from liax_jax.interpretability.contrasts import CONTRASTS
from liax_jax.interpretability.rotated_model import refuse_published_names, rotated_model
from liax_jax.interpretability.rotation import (
    descend,
    find_rotation,
    random_rotation,
    turn_planes,
)
from liax_jax.model_files import ModelFile, ModelRecord, fingerprint, load_model, save_model
from liax_jax.models import AnimatorModule, ModelConfig

SIZE = 6
DRAW = {
    "laplacian": lambda rng, shape: rng.laplace(size=shape),
    "uniform": lambda rng, shape: rng.uniform(-1, 1, shape),
}


def mixed(kind, seed=0, frames=1500):
    """Independent sources of falling size, their mixing, and the mixture."""
    rng = np.random.default_rng(seed)
    sources = DRAW[kind](rng, (frames, SIZE)) * np.linspace(1, 0.6, SIZE)
    mixing = random_rotation(SIZE, rng)
    return sources, mixing, sources @ mixing.T


def agreement(mixing, matrix):
    """Least of the largest |cosines| of found axes with true ones; 1 for a signed permutation."""
    table = np.abs(mixing.T @ matrix)
    assert sorted(table.argmax(0)) == list(range(SIZE)) or table.max(0).min() < 0.9
    return table.max(0).min()


@pytest.mark.parametrize("criterion", ["l1", "varimax", "ica"])
def test_heavy_tailed_sources_are_recovered_up_to_sign_and_order(criterion):
    _, mixing, codes = mixed("laplacian")
    found = find_rotation(codes, criterion, restarts=1)
    assert agreement(mixing, found.matrix) > 0.98
    np.testing.assert_allclose(found.matrix.T @ found.matrix, np.eye(SIZE), atol=1e-12)
    use = np.abs(codes @ found.matrix).mean(0)
    assert (np.diff(use) <= 0).all()


def test_uniform_sources_are_mixed_by_l1_and_recovered_by_ica():
    sources, mixing, codes = mixed("uniform")
    by_l1 = find_rotation(codes, "l1", restarts=1)
    # The true axes are not the sparsest ones.
    assert by_l1.after < 0.95 * np.abs(sources).mean()
    assert agreement(mixing, by_l1.matrix) < 0.9
    assert agreement(mixing, find_rotation(codes, "ica", restarts=1).matrix) > 0.98


def test_two_uniform_factors_as_worked_out_by_hand():
    # E|x| + |y| on [−1, 1]²: 1 along the axes, 2·√2/3 = 0.943 at 45°.
    codes = np.random.default_rng(0).uniform(-1, 1, (40_000, 2))
    found, values = turn_planes(codes, np.eye(2))
    assert 2 * values[0] == pytest.approx(1, abs=0.01)
    assert 2 * values[-1] == pytest.approx(2 * np.sqrt(2) / 3, abs=0.01)
    assert np.abs(found[0, 0]) == pytest.approx(np.sqrt(0.5), abs=0.05)


@pytest.mark.parametrize("criterion", ["l1", "varimax", "ica"])
@pytest.mark.parametrize("kind", sorted(DRAW))
def test_the_objective_never_rises(criterion, kind):
    _, _, codes = mixed(kind, seed=3, frames=400)
    found = find_rotation(codes, criterion, restarts=2)
    expected = {"as it was", "principal axes", "random 1", "random 2"}
    assert {s.name for s in found.starts} - {"ica"} == expected
    for start in found.starts:
        assert (np.diff(start.values) <= 0).all(), start.name
    lasts = [start.values[-1] for start in found.starts]
    assert lasts == sorted(lasts)
    value = CONTRASTS[criterion].value
    assert value(codes @ found.matrix) == pytest.approx(lasts[0], rel=1e-9)
    by_name = {start.name: start for start in found.starts}
    assert by_name["as it was"].values[0] == pytest.approx(value(codes), rel=1e-9)


@pytest.mark.parametrize("name", sorted(CONTRASTS))
def test_slopes_of_contrasts(name):
    rng = np.random.default_rng(0)
    codes, change = rng.laplace(size=(50, 4)), rng.normal(size=(50, 4))
    value, slope, step = CONTRASTS[name].value, CONTRASTS[name].slope, 1e-6
    by_difference = (value(codes + step * change) - value(codes - step * change)) / (2 * step)
    assert (slope(codes, 1e-9) * change).sum() == pytest.approx(by_difference, rel=1e-5)


def test_no_plane_has_a_lower_angle_than_the_one_found():
    _, _, codes = mixed("laplacian", frames=200)
    rotation, values = turn_planes(codes, descend(codes, np.eye(SIZE), CONTRASTS["l1"])[0])
    turned = codes @ rotation
    for angle in np.linspace(0, np.pi / 2, 400):
        c, s = np.cos(angle), np.sin(angle)
        pair = turned[:, :2] @ np.array([[c, -s], [s, c]])
        assert np.abs(pair).sum() >= np.abs(turned[:, :2]).sum() * (1 - 1e-5)


def test_still_coefficients_stay_apart():
    _, mixing, codes = mixed("laplacian")
    wide = np.concatenate([codes, np.zeros((len(codes), 3))], 1)
    wide = wide @ random_rotation(SIZE + 3, np.random.default_rng(9))
    found = find_rotation(wide, "ica", restarts=0)
    turned = wide @ found.matrix
    np.testing.assert_allclose(turned[:, SIZE:], 0, atol=1e-9)
    np.testing.assert_allclose(found.matrix.T @ found.matrix, np.eye(SIZE + 3), atol=1e-9)


@pytest.mark.parametrize("size", [0.03, 0.001])
def test_ica_isnt_held_up_by_coefficients_that_hardly_move(size):
    rng = np.random.default_rng(0)
    sources = rng.laplace(size=(800, SIZE)) * ([1] * (SIZE - 2) + [size, size])
    mixing = random_rotation(SIZE, rng)
    found = find_rotation(sources @ mixing.T, "ica", restarts=2)
    assert agreement(mixing, found.matrix) > 0.98
    # Every descent ends at the same place, and none ran out of steps.
    lasts = [start.values[-1] for start in found.starts]
    np.testing.assert_allclose(lasts, CONTRASTS["ica"].value(sources), atol=0.005)
    assert max(len(start.values) for start in found.starts) < 100


def test_ica_leaves_what_only_rests_somewhere_alone():
    _, mixing, codes = mixed("laplacian")
    wide = np.concatenate([codes, np.full((len(codes), 1), 7.0)], 1)
    found = find_rotation(wide, "ica", restarts=0).matrix
    # Ordered by use, the constant comes first.
    np.testing.assert_allclose(np.abs(found[:, 0]), [0] * SIZE + [1], atol=1e-9)
    assert agreement(mixing, found[:SIZE, 1:]) > 0.98


def test_principal_axes_and_random_ones():
    _, _, codes = mixed("laplacian")
    turned = codes @ find_rotation(codes, "pca").matrix
    moments = turned.T @ turned
    np.testing.assert_allclose(moments, np.diag(np.diag(moments)), atol=1e-8)
    first, again, other = (find_rotation(codes, "random", seed=s).matrix for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_bad_input():
    _, _, codes = mixed("laplacian", frames=50)
    with pytest.raises(ValueError, match="choose one of l1, varimax, ica, pca, random"):
        find_rotation(codes, "quartimax")
    with pytest.raises(ValueError, match="restarts must be 0 or more"):
        find_rotation(codes, restarts=-1)
    with pytest.raises(ValueError, match="6 frames are too few for 6 vectors"):
        find_rotation(codes[:6])
    codes[3, 2] = np.nan
    with pytest.raises(ValueError, match="coefficient 2 of frame 3 is nan"):
        find_rotation(codes)


CONFIGS = {
    "lia_x": ModelConfig(resolution=32, width=1 / 16, num_blocks=1, num_vectors=4, groups=4),
    "lia": ModelConfig(family="lia", resolution=32, width=1 / 16, num_blocks=0, num_vectors=4),
}


@pytest.fixture(params=sorted(CONFIGS))
def model(request, make_params):
    config = CONFIGS[request.param]
    params = jax.tree.map(np.asarray, make_params(config))
    record = ModelRecord(config, DirectionCard(4), 5, "drawn", "", fingerprint(config, params))
    return ModelFile(record, params, {}, "made here")


def test_a_rotated_model_makes_the_same_pictures(model, tmp_path):
    matrix = random_rotation(4, np.random.default_rng(4))
    module = AnimatorModule(model.record.config)
    rng = np.random.default_rng(0)
    source, driving = rng.uniform(-1, 1, (2, 2, 32, 32, 3)).astype(np.float32)
    run = jax.jit(module.apply)
    image, out = run({"params": model.params}, source, driving)

    clips = [np.asarray(out["alpha_r2t"], np.float64)] * 2
    turned = rotated_model(model, matrix, "l1", clips)
    save_model(tmp_path / "turned", turned.record, turned.params)
    record, params = load_model(tmp_path / "turned")
    turned_image, turned_out = run({"params": params}, source, driving)

    scale = float(np.abs(image).max())
    assert float(np.abs(turned_image - image).max()) <= 1e-5 * max(scale, 1)
    np.testing.assert_allclose(
        turned_out["alpha_r2t"], out["alpha_r2t"] @ matrix.astype(np.float32), atol=1e-4
    )
    basis = module.apply({"params": model.params}, method="directions")
    turned_basis = module.apply({"params": params}, method="directions")
    np.testing.assert_allclose(turned_basis, basis @ matrix.astype(np.float32), atol=1e-6)
    assert record.fingerprint != model.record.fingerprint and record.step == 5
    assert record.origin == f"l1 rotation of {model.record.fingerprint} (drawn)"
    names = [d.name for d in record.card.directions]
    assert names == [f"direction_{i}" for i in range(4)]
    # Nothing of the model that was turned has changed.
    assert fingerprint(model.record.config, model.params) == model.record.fingerprint


def test_a_rotated_model_can_be_published_and_read_back(model, tmp_path):
    matrix = random_rotation(4, np.random.default_rng(5))
    turned = rotated_model(model, matrix, "ica")
    state = to_torch_state_dict(turned.record.config, turned.params, turned.extras)
    assert any(value.shape == (32, 4) for value in state.values())
    save_model(tmp_path / "turned.pt", turned.record, turned.params, turned.extras)
    record, params = load_model(tmp_path / "turned.pt")
    assert record.fingerprint == turned.record.fingerprint
    np.testing.assert_array_equal(
        params["dictionary"]["weight"], turned.params["dictionary"]["weight"]
    )


def test_matrices_that_are_no_rotations_of_the_model(model, tmp_path):
    with pytest.raises(ValueError, match=r"shape \(4, 4\); got \(5, 5\)"):
        rotated_model(model, np.eye(5), "l1")
    with pytest.raises(ValueError, match="not orthogonal"):
        rotated_model(model, 2 * np.eye(4), "l1")
    with pytest.raises(ValueError, match="`liax convert`"):
        refuse_published_names(tmp_path / "x.pt")
