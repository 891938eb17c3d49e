"""The whole animator: every name and shape, and what has to hold whatever its weights."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from liax_jax import ops
from liax_jax.models import AnimatorModule, ModelConfig
from liax_jax.models.flow_generator import ToFlow

PAIRS = 2  # of source and driving in the batch


@pytest.fixture(scope="module")
def pictures(tiny_config):
    """Source and driving, (2, 32, 32, 3) each: smooth, and all different."""
    line = np.linspace(0, 1, tiny_config.resolution)
    y, x = np.meshgrid(line, line, indexing="ij")
    rng = np.random.default_rng(0)
    phases = rng.uniform(0, 2 * np.pi, (2, PAIRS, 1, 1, 3))
    fx, fy = rng.uniform(-3, 3, (2, 2, PAIRS, 1, 1, 3)) * 2 * np.pi
    waves = np.sin(fx * x[..., None] + fy * y[..., None] + phases)
    return waves.astype(np.float32)


@pytest.fixture(scope="module")
def model(tiny_config):
    """Jitted parts of the tiny animator, of parameters and arguments; compiled once."""
    animator = AnimatorModule(tiny_config)

    def part(method):
        return jax.jit(lambda p, *inputs: animator.apply({"params": p}, *inputs, method=method))

    return {name: part(name) for name in ("__call__", "encode", "navigate", "decode")}


@pytest.fixture(scope="module")
def result(model, tiny_params, pictures):
    """(image, out) of the whole model, in NumPy."""
    return jax.tree.map(np.asarray, model["__call__"](tiny_params, *pictures))


@pytest.mark.parametrize("family", ["lia_x", "lia"])
@pytest.mark.parametrize("resolution", [32, 64])
def test_every_intermediate_is_named_and_shaped(family, resolution):
    config = ModelConfig(
        family=family, resolution=resolution, width=1 / 16, num_blocks=1, num_vectors=4, groups=4
    )
    picture = jax.ShapeDtypeStruct((2, resolution, resolution, 3), jnp.float32)
    animator = AnimatorModule(config)
    (image, out), _ = jax.eval_shape(animator.init_with_output, jax.random.key(0), picture, picture)
    expected: dict[str, Any] = {
        "z_s2r": (2, 32),
        "z_s2t": (2, 32),
        "alpha_r2s": (2, 4),
        "alpha_r2t": (2, 4),
    }
    for r in (8, 16, 32, 64)[: 3 if resolution == 32 else 4]:
        channels = config.channels(r)
        expected[f"feature/{r}"] = expected[f"warped/{r}"] = (2, r, r, channels)
        expected[f"flow/{r}"] = expected[f"rgb/{r}"] = (2, r, r, 3)
        expected[f"grid/{r}"], expected[f"mask/{r}"] = (2, r, r, 2), (2, r, r, 1)
    assert {name: leaf.shape for name, leaf in out.items()} == expected
    assert image.shape == (2, resolution, resolution, 3)
    assert {leaf.dtype for leaf in (image, *out.values())} == {jnp.dtype("float32")}


def test_the_out_dictionary_is_consistent(result, tiny_params, tiny_config):
    image, out = result
    assert image.std() > 0.05 and np.isfinite(image).all()
    np.testing.assert_array_equal(image, out["rgb/32"])
    q = AnimatorModule(tiny_config).apply({"params": tiny_params}, method="directions")
    z_s2t = out["z_s2r"] + out["alpha_r2t"] @ np.asarray(q).T
    np.testing.assert_allclose(out["z_s2t"], z_s2t, atol=1e-5)
    warp = jax.jit(ops.bilinear_warp, static_argnums=2)
    for r in tiny_config.levels:
        flow = out[f"flow/{r}"].astype(np.float64)
        line = np.linspace(-1, 1, r)
        identity = np.stack(np.meshgrid(line, line), axis=-1)
        np.testing.assert_allclose(out[f"grid/{r}"], identity + np.tanh(flow[..., :2]), atol=1e-5)
        mask = 1 / (1 + np.exp(-flow[..., 2:]))
        np.testing.assert_allclose(out[f"mask/{r}"], mask, atol=1e-5)
        sampled = warp(out[f"feature/{r}"], out[f"grid/{r}"], True)
        np.testing.assert_allclose(out[f"warped/{r}"], mask * np.asarray(sampled), atol=1e-4)


def test_the_joint_pass_equals_encoding_source_and_driving_apart(
    model, result, tiny_params, pictures
):
    out = result[1]
    z, features, alpha_r2s = model["encode"](tiny_params, pictures[0])
    _, _, alpha_r2t = model["encode"](tiny_params, pictures[1])
    for name, value in (("z_s2r", z), ("alpha_r2s", alpha_r2s), ("alpha_r2t", alpha_r2t)):
        np.testing.assert_allclose(out[name], value, atol=1e-4)
    for r, feature in features.items():
        np.testing.assert_allclose(out[f"feature/{r}"], feature, atol=1e-4)


def test_zero_coefficients_change_nothing(model, tiny_params, result):
    z = result[1]["z_s2r"]
    still = model["navigate"](tiny_params, z, np.zeros((PAIRS, 4), np.float32))
    np.testing.assert_array_equal(still, z)


def test_every_direction_is_reachable_and_one_source_serves_many_codes(model, tiny_params, result):
    image, out = result
    single = {r: out[f"feature/{r}"][:1] for r in (8, 16, 32)}
    alpha = np.concatenate([out["alpha_r2t"][:1], np.zeros((1, 4)), 2 * np.eye(4)])
    z = np.repeat(out["z_s2r"][:1], 6, axis=0)
    codes = model["navigate"](tiny_params, z, alpha.astype(np.float32))
    images, intermediates = model["decode"](tiny_params, codes, single)
    # The first code is that of the joint pass, where every example brings its own features.
    np.testing.assert_allclose(images[:1], image[:1], atol=1e-4)
    for array in (np.asarray(images), np.asarray(intermediates["flow/32"])):
        assert array.shape == (6, 32, 32, 3)
        assert (np.abs(array[2:] - array[1]).max((1, 2, 3)) > 1e-2).all()


def test_pictures_of_another_size_are_refused(tiny_config, tiny_params):
    animator = AnimatorModule(tiny_config)
    for shape in ((1, 64, 64, 3), (1, 32, 64, 3), (32, 32, 3), (1, 32, 32, 1)):
        with pytest.raises(ValueError, match=r"\(batch, 32, 32, 3\); got .*Resize them") as error:
            animator.apply({"params": tiny_params}, jnp.zeros(shape), method="encode")
        assert str(shape) in str(error.value)


def test_bfloat16_stays_near_float32(tiny_config, tiny_params, pictures, result):
    config = dataclasses.replace(tiny_config, dtype="bfloat16")
    run = jax.jit(lambda *images: AnimatorModule(config).apply({"params": tiny_params}, *images))
    image, out = run(*pictures)
    for name in ("flow/32", "rgb/32", "alpha_r2t", "z_s2t"):
        reference = np.asarray(result[1][name])
        assert out[name].dtype == jnp.float32
        error = np.abs(np.asarray(out[name]) - reference).mean() / np.abs(reference).mean()
        assert 1e-5 < error < 0.05, (name, error)
    assert image.dtype == jnp.float32 and out["feature/32"].dtype == jnp.bfloat16


def test_the_identity_start_warps_nothing_and_lets_the_features_pass(
    model, tiny_config, tiny_params, pictures
):
    """Whatever the other weights are: only the flow heads start differently."""
    config = dataclasses.replace(tiny_config, flow_init="identity")
    flow_generator = dict(tiny_params["flow_generator"])
    style = jnp.zeros((1, config.style_dim))
    for r in config.levels:
        x, coarser = jnp.zeros((1, r, r, config.channels(r))), jnp.zeros((1, r // 2, r // 2, 3))
        head = jax.jit(ToFlow(config).init)(
            jax.random.key(r), x, style, None if r == config.levels[0] else coarser
        )["params"]
        before = flow_generator[f"to_flow_{r}"]
        assert jax.tree.map(jnp.shape, head) == jax.tree.map(jnp.shape, before)
        flow_generator[f"to_flow_{r}"] = head
    image, out = model["__call__"](tiny_params | {"flow_generator": flow_generator}, *pictures)
    assert np.isfinite(image).all()
    open_mask = 1 / (1 + np.exp(-3.0))
    for r in config.levels:
        assert np.abs(np.asarray(out[f"flow/{r}"])[..., :2]).max() == 0
        grid = np.broadcast_to(ops.identity_grid(r), (PAIRS, r, r, 2))
        np.testing.assert_allclose(out[f"grid/{r}"], grid, atol=1e-7)
        # Upsampling reads zeros outside, so that the masks close a little at the border.
        mask, margin = np.asarray(out[f"mask/{r}"]), r // 4
        inner = slice(margin, -margin)
        np.testing.assert_allclose(mask[:, inner, inner], open_mask, atol=1e-5)
        assert mask.min() > 0.5 and mask.max() < open_mask + 1e-5
        feature = np.asarray(out[f"feature/{r}"])
        np.testing.assert_allclose(out[f"warped/{r}"], mask * feature, atol=1e-3)


def test_without_masks_all_of_the_warped_features_pass(tiny_config, tiny_params, pictures):
    """The same parameters; what made the masks does nothing any more."""
    config = dataclasses.replace(tiny_config, use_mask=False)
    apply = jax.jit(lambda params: AnimatorModule(config).apply({"params": params}, *pictures))
    image, out = apply(tiny_params)
    features = AnimatorModule(config).apply({"params": tiny_params}, pictures[0], method="encode")[
        1
    ]
    for r in config.levels:
        assert (out[f"mask/{r}"] == 1).all()
        warped = ops.bilinear_warp(features[r], out[f"grid/{r}"], config.align_corners)
        np.testing.assert_allclose(out[f"warped/{r}"], warped, atol=1e-4)
    closed = jax.tree.map(jnp.array, tiny_params)
    for r in config.levels:
        head = closed["flow_generator"][f"to_flow_{r}"]
        head["bias"] = head["bias"].at[..., 2].add(-100.0)
        head["conv"]["kernel"] = head["conv"]["kernel"].at[..., 2].multiply(-3.0)
    np.testing.assert_array_equal(apply(closed)[0], image)


def test_masks_hide_parts_of_the_warped_features(result, tiny_config):
    for r in tiny_config.levels:
        mask = result[1][f"mask/{r}"]
        assert mask.min() > 0 and mask.max() < 1
