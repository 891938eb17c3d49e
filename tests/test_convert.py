"""Published names and layouts → ours: strict, complete, and true to the directions' signs."""

import json
import re
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import traverse_util

from liax_jax.convert import (
    COLUMN_SIGNS,
    checked_parameters,
    export_signs,
    from_torch_state_dict,
    import_published,
    infer_config,
    parameter_shapes,
    to_torch_state_dict,
)
from liax_jax.models import AnimatorModule, ModelConfig
from liax_jax.published_names import name_table

FIXTURES = Path(__file__).parent / "fixtures" / "parity"
LIA_X, LIA = "liax_512_half_width", "lia_256"


def published_shapes(name) -> dict[str, tuple[int, ...]]:
    spec = json.loads((FIXTURES / f"{name}.json").read_text())
    return {key: tuple(shape) for key, shape in spec["keys"]}


def without_memory(shapes) -> dict[str, np.ndarray]:
    """Zeros of any shape in four bytes."""
    return {key: np.broadcast_to(np.float32(0), shape) for key, shape in shapes.items()}


def small_lia_x() -> dict[str, np.ndarray]:
    """LIA-X of half width at 64 pixels with one block per level, under the published names.

    Taken from the names of the 512 px model: its four finest levels have the channels of ours.
    """
    renamed: dict[str, tuple[int, ...]] = {}
    for key, shape in published_shapes(LIA_X).items():
        if re.search(r"block[67]\.|block_512|conv_512|rgb_512|flow_512", key):
            continue
        if re.match(r"dec\.(conv|rgb|flow)[23][._]", key) or "conv4_2_up" in key:
            continue
        if re.search(r"_2(_rgb)?\.[1-9]\.", key):
            continue
        key = re.sub(
            r"^dec\.(conv|rgb|flow)([4-7])([._])",
            lambda match: f"dec.{match[1]}{int(match[2]) - 2}{match[3]}",
            key,
        )
        renamed[key] = shape
    rng = np.random.default_rng(5)
    return {key: rng.standard_normal(shape, dtype=np.float32) for key, shape in renamed.items()}


@pytest.fixture(scope="module")
def small():
    state = small_lia_x()
    return state, *from_torch_state_dict(state)


@pytest.mark.parametrize(
    "name, config",
    [
        (LIA_X, ModelConfig(resolution=512, width=0.5, num_blocks=4, num_vectors=40)),
        (LIA, ModelConfig(family="lia", resolution=256, width=1.0, num_blocks=0, num_vectors=20)),
    ],
)
def test_hyperparameters_are_read_off_names_and_shapes(name, config):
    assert infer_config(without_memory(published_shapes(name))) == config


def test_every_tensor_has_its_place(small):
    state, config, params = small
    assert config == ModelConfig(resolution=64, width=0.5, num_blocks=1, num_vectors=40)
    picture = jax.ShapeDtypeStruct((1, 64, 64, 3), np.float32)
    wanted = jax.eval_shape(AnimatorModule(config).init, jax.random.key(0), picture, picture)[
        "params"
    ]
    assert jax.tree.map(lambda a: a.shape, params) == jax.tree.map(lambda a: a.shape, wanted)
    published = sum(a.size for key, a in state.items() if not key.endswith(".kernel"))
    assert sum(a.size for a in jax.tree.leaves(params)) == published
    # Layouts: o i y x → y x i o, and the dense layer's transpose.
    np.testing.assert_array_equal(
        params["encoder"]["block_64"]["conv1"]["conv"]["kernel"][1, 2, 3, 4],
        state["enc.enc_2r.block2.0.conv1.0.weight"][4, 3, 1, 2],
    )
    np.testing.assert_array_equal(
        params["flow_generator"]["up_16"]["conv"]["kernel"][0, 1, 5, 6],
        state["dec.conv3_1.conv.weight"][0, 6, 5, 0, 1],
    )
    np.testing.assert_array_equal(
        params["encoder"]["motion"]["kernel"], state["enc.enc_r2t.0.weight"].T
    )
    np.testing.assert_array_equal(
        params["flow_generator"]["constant"][1, 2], state["dec.input.input"][0, :, 1, 2]
    )


def test_directions_keep_the_signs_of_the_published_model(small):
    state, config, params = small
    published, r = np.linalg.qr(state["dec.direction.weight"] + np.float32(1e-8))
    assert (np.diagonal(r) < 0).any() and (np.diagonal(r) > 0).any()
    np.testing.assert_allclose(directions(config, params), published, atol=2e-6)


@pytest.mark.parametrize("name", [LIA_X, LIA])
def test_all_that_does_not_fit_is_listed_in_one_error(name):
    state = without_memory(published_shapes(name))
    absent = "enc.enc_r2t.0.bias" if name == LIA_X else "enc.fc.2.bias"
    del state["dec.conv1.activate.bias"], state[absent]
    state["dec.direction.weight"] = np.zeros((7, 5), np.float32)
    state["dec.input.input"] = np.zeros((3,), np.float32)
    state["dec.surplus.weight"] = np.zeros((1,), np.float32)
    with pytest.raises(ValueError) as error:
        from_torch_state_dict(state)
    lines = [line.strip() for line in str(error.value).splitlines()]
    family, dim, vectors = ("lia_x", 256, 40) if name == LIA_X else ("lia", 512, 20)
    assert lines[0] == f"this is not a complete {family} generator:"
    misshapen = (
        f"dec.direction.weight (7, 5) does not give dictionary/weight ({dim}, {vectors})",
        f"dec.input.input (3,) does not give flow_generator/constant (4, 4, {dim})",
    )
    assert sorted(lines[1:]) == sorted(
        [
            "missing: dec.conv1.activate.bias",
            f"missing: {absent}",
            *(f"misshapen: {line}" for line in misshapen),
            "unexpected: dec.surplus.weight",
        ]
    )


def test_the_generator_is_found_in_a_training_checkpoint():
    shapes = published_shapes(LIA)
    checkpoint = {f"gen.{key}": array for key, array in without_memory(shapes).items()}
    checkpoint["dis.convs.0.0.weight"] = np.zeros((2,), np.float32)  # beside it, and not read
    del checkpoint["gen.enc.fc.4.bias"]
    with pytest.raises(ValueError) as error:
        from_torch_state_dict(checkpoint)
    assert str(error.value).splitlines()[1:] == ["  missing: enc.fc.4.bias"]


def test_other_files_are_told_apart():
    with pytest.raises(ValueError, match="neither a LIA-X nor a LIA generator.*features.0.weight"):
        from_torch_state_dict({"features.0.weight": np.zeros((2, 2), np.float32)})
    headless = without_memory(published_shapes(LIA))
    del headless["enc.fc.4.weight"]
    with pytest.raises(ValueError, match="not a complete lia generator: missing enc.fc.4.weight"):
        from_torch_state_dict(headless)


def assert_same_bits(ours, theirs):
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        assert ours[key].dtype == value.dtype and ours[key].shape == value.shape, key
        assert ours[key].tobytes() == value.tobytes(), key


def directions(config, params) -> np.ndarray:
    """Q as our code has it."""
    return np.asarray(AnimatorModule(config).apply({"params": params}, method="directions"))


def published_directions(state) -> np.ndarray:
    """Q as the published code has it."""
    return np.linalg.qr(state["dec.direction.weight"] + np.float32(1e-8))[0]


@pytest.mark.parametrize("name", [LIA_X, LIA])
def test_the_table_names_every_tensor_and_its_shape(name):
    shapes = published_shapes(name)
    config = infer_config(without_memory(shapes))
    assert {entry.name for entry in name_table(config)} == shapes.keys()
    flat = without_memory(parameter_shapes(config))
    exported = to_torch_state_dict(config, traverse_util.unflatten_dict(flat, sep="/"))
    assert {key: value.shape for key, value in exported.items()} == shapes


def test_published_weights_come_back_bit_for_bit(small):
    state = small[0]
    assert any(key.endswith(".kernel") for key in state)  # buffers, here of no particular numbers
    config, params, extras = import_published(state)
    assert set(extras) == {k for k in state if k.endswith(".kernel")} | {COLUMN_SIGNS}
    assert {-1, 1} == set(extras[COLUMN_SIGNS].tolist())
    assert_same_bits(to_torch_state_dict(config, params, extras), state)


def test_unused_tensors_come_back_and_absent_buffers_stay_absent(make_params):
    config = ModelConfig(
        family="lia", resolution=32, width=1 / 16, num_blocks=0, num_vectors=4, max_channels=512
    )
    state = to_torch_state_dict(config, make_params(config))
    assert not state["dec.convs.3.noise.weight"].any()
    rng = np.random.default_rng(3)
    for name, value in list(state.items()):
        if name.endswith(".kernel"):
            del state[name]
        else:
            state[name] = rng.standard_normal(value.shape, dtype=np.float32)
    back = to_torch_state_dict(*import_published({f"gen.{k}": v for k, v in state.items()}))
    assert_same_bits(back, state)


def test_a_model_trained_here_gets_the_blur_filters(tiny_config, tiny_params):
    exported = to_torch_state_dict(tiny_config, tiny_params)
    blur = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64
    for name in ("enc.enc_2r.block2.0.conv2.0.kernel", "enc.enc_2r.block3.0.skip.0.kernel"):
        np.testing.assert_array_equal(exported[name], blur)
    for name in ("conv3_1.conv.blur", "conv3_2_up.0", "rgb2.up", "flow4.up"):
        np.testing.assert_array_equal(exported[f"dec.{name}.kernel"], 4 * blur)


def test_directions_that_have_to_turn_round_do_so_with_their_coefficients(tiny_config, tiny_params):
    """LAPACK chooses the signs of the published Q; α_i d_i is the same."""
    exported = to_torch_state_dict(tiny_config, tiny_params)
    signs = export_signs(tiny_params)
    turned = np.array(signs.coefficients)
    assert {-1, 1} == set(turned.tolist()) and set(signs.columns) == {1}
    ours = directions(tiny_config, tiny_params)
    np.testing.assert_allclose(published_directions(exported), ours * turned, atol=2e-6)
    head = tiny_params["encoder"]["motion"]
    np.testing.assert_array_equal(
        exported["enc.enc_r2t.0.weight"], (np.asarray(head["kernel"]) * turned).T
    )
    np.testing.assert_array_equal(exported["enc.enc_r2t.0.bias"], np.asarray(head["bias"]) * turned)
    # With the record of signs all is as before; without, as the published code has it.
    known = import_published(exported, tiny_config, signs)[1]
    assert_same_bits(
        checked_parameters(tiny_config, known), checked_parameters(tiny_config, tiny_params)
    )
    unknown = import_published(exported, tiny_config)[1]
    np.testing.assert_allclose(directions(tiny_config, unknown), ours * turned, atol=2e-6)


def test_parameters_that_do_not_fit_are_all_listed(tiny_config, tiny_params):
    flat = dict(checked_parameters(tiny_config, tiny_params))
    del flat["encoder/motion/bias"]
    flat["encoder/surplus"] = np.zeros(1, np.float32)
    flat["dictionary/weight"] = np.zeros((3, 2), np.float32)
    with pytest.raises(ValueError) as error:
        to_torch_state_dict(tiny_config, traverse_util.unflatten_dict(flat, sep="/"))
    assert [line.strip() for line in str(error.value).splitlines()[1:]] == [
        "missing: encoder/motion/bias",
        "unexpected: encoder/surplus",
        "misshapen: dictionary/weight (3, 2) should be (32, 4)",
    ]


def test_converting_makes_no_copies(small):
    state, config, params = small
    exported = to_torch_state_dict(config, params)
    kernel = "enc.enc_2r.block2.0.conv1.0.weight"
    assert np.shares_memory(exported[kernel], state[kernel])
