"""Layers against their definitions, restated with explicit weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from liax_jax import layers, ops
from liax_jax.models.discriminator import minibatch_stddev


def draw(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def correlate(x, kernel, stride=1, padding="SAME"):
    return lax.conv_general_dilated(
        x, kernel, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def test_dense_divides_by_the_root_of_its_inputs():
    x, kernel, bias = draw((3, 16)), draw((16, 5), 1), draw((5,), 2)
    layer = layers.EqualizedDense(5, bias_init=1.0)
    y = jax.jit(layer.apply)({"params": {"kernel": kernel, "bias": bias}}, x)
    np.testing.assert_allclose(y, x @ kernel / 4 + bias, rtol=1e-5, atol=1e-5)
    initial = layer.init(jax.random.key(0), x)["params"]
    np.testing.assert_array_equal(initial["bias"], np.ones(5))


@pytest.mark.parametrize("kernel_size, stride, padding", [(1, 1, "SAME"), (3, 2, "VALID")])
def test_convolution_divides_by_the_root_of_its_fan_in(kernel_size, stride, padding):
    x, kernel = draw((2, 7, 7, 4)), draw((kernel_size, kernel_size, 4, 6), 1)
    layer = layers.EqualizedConv(6, kernel_size, stride, padding)
    y = jax.jit(layer.apply)({"params": {"kernel": kernel}}, x)
    expected = correlate(x, kernel, stride, padding) / np.sqrt(4 * kernel_size**2)
    np.testing.assert_allclose(y, expected, atol=1e-5)


def test_weights_are_drawn_with_unit_variance_and_outputs_keep_it():
    x = draw((4, 16, 16, 8))
    layer = layers.EqualizedConv(64, padding="VALID")
    y, variables = jax.jit(lambda key: layer.init_with_output(key, x))(jax.random.key(0))
    assert abs(float(variables["params"]["kernel"].std()) - 1) < 0.05
    assert abs(float(y.std()) - 1) < 0.1


def test_down_convolution_blurs_then_strides():
    x = draw((1, 8, 8, 3))
    params = {"conv": {"kernel": draw((3, 3, 3, 5), 1)}, "bias": draw((5,), 2)}
    y = jax.jit(layers.DownConvAct(5).apply)({"params": params}, x)
    kernel = params["conv"]["kernel"] / np.sqrt(27)
    expected = ops.activate(correlate(ops.blur(x, (2, 2)), kernel, 2, "VALID"), params["bias"])
    assert y.shape == (1, 4, 4, 5)
    np.testing.assert_allclose(y, expected, atol=1e-5)


def test_residual_blocks_divide_the_sum_by_root_two():
    x = draw((1, 4, 4, 3))

    def conv(seed):
        return {"conv": {"kernel": draw((3, 3, 3, 3), seed)}, "bias": draw((3,), seed + 1)}

    params = {"conv1": conv(1), "conv2": conv(3)}
    y = jax.jit(layers.RenderBlock().apply)({"params": params}, x)
    inner = x
    for name in ("conv1", "conv2"):
        kernel = params[name]["conv"]["kernel"] / np.sqrt(27)
        inner = ops.activate(correlate(inner, kernel), params[name]["bias"])
    np.testing.assert_allclose(y, (x + inner) / np.sqrt(2), atol=1e-5)


def explicit_modulated_conv(x, style, params, up, demodulate):
    """One weight per example: w·m/√fan_in, demodulated, in an ordinary convolution."""
    kernel, modulation = params["kernel"], params["modulation"]
    scale = style @ modulation["kernel"] / np.sqrt(style.shape[1]) + modulation["bias"]
    outputs, norms = [], []
    for example, m in zip(x, scale, strict=True):
        weight = kernel * m[:, None] / np.sqrt(np.prod(kernel.shape[:3]))
        if demodulate:
            weight = weight / np.sqrt((weight**2).sum((0, 1, 2)) + 1e-8)
        norms.append(np.sqrt((weight**2).sum((0, 1, 2))))
        if up:
            # The gradient of a stride-2 correlation: dilated input under the flipped kernel.
            y = lax.conv_general_dilated(
                example[None], weight[::-1, ::-1], (1, 1), ((2, 2), (2, 2)), (2, 2),
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )  # fmt: skip
            outputs.append(4 * ops.blur(y, (1, 1)))
        else:
            outputs.append(correlate(example[None], weight))
    return jnp.concatenate(outputs), np.array(norms)


@pytest.mark.parametrize(
    "kernel_size, up, demodulate",
    [(3, False, True), (3, True, True), (1, False, True), (1, False, False)],
)
def test_modulated_convolution_equals_explicit_weights_per_example(kernel_size, up, demodulate):
    x, style = draw((3, 5, 5, 4)), draw((3, 8), 1)
    params = {
        "kernel": draw((kernel_size, kernel_size, 4, 6), 2),
        "modulation": {"kernel": draw((8, 4), 3), "bias": 1 + draw((4,), 4)},
    }
    layer = layers.ModulatedConv(6, kernel_size, up=up, demodulate=demodulate)
    y = jax.jit(layer.apply)({"params": params}, x, style)
    expected, norms = explicit_modulated_conv(x, style, params, up, demodulate)
    assert y.shape == (3, 10, 10, 6) if up else (3, 5, 5, 6)
    np.testing.assert_allclose(y, expected, atol=3e-5)
    if demodulate:
        np.testing.assert_allclose(norms, 1, rtol=1e-5)


def test_demodulation_forgets_the_length_of_the_modulation():
    x, style = draw((2, 4, 4, 3)), np.zeros((2, 5), np.float32)
    kernel, zeros = draw((3, 3, 3, 2), 1), np.zeros((5, 3), np.float32)

    def run(bias):
        modulation = {"kernel": zeros, "bias": np.full((3,), bias, np.float32)}
        params = {"kernel": kernel, "modulation": modulation}
        return layers.ModulatedConv(2).apply({"params": params}, x, style)

    np.testing.assert_allclose(run(1.0), run(7.0), rtol=1e-4, atol=1e-5)


def test_flow_block_normalises_with_the_published_epsilon():
    x, style, groups = 1e-2 * draw((2, 4, 4, 8)), draw((2, 6), 1), 2
    shapes = jax.eval_shape(layers.FlowBlock(groups).init, jax.random.key(0), x, style)["params"]
    params = jax.tree.map(lambda s: draw(s.shape, s.size), shapes)
    y = jax.jit(layers.FlowBlock(groups).apply)({"params": params}, x, style)

    def styled(name, value):
        return layers.StyledConv(8).apply({"params": params[name]}, value, style)

    u = np.asarray(styled("conv1", x))
    grouped = u.reshape(2, 4, 4, groups, 4)
    mean, var = (f(grouped, axis=(1, 2, 4), keepdims=True) for f in (np.mean, np.var))
    norm = ((grouped - mean) / np.sqrt(var + 1e-5)).reshape(u.shape)
    norm = norm * params["norm"]["scale"] + params["norm"]["bias"]
    np.testing.assert_allclose(y, u + params["gamma"] * styled("conv2", norm), atol=2e-4)


def test_flow_block_starts_as_almost_its_first_convolution():
    x, style = draw((1, 4, 4, 4)), draw((1, 6), 1)
    params = jax.jit(layers.FlowBlock(2).init)(jax.random.key(0), x, style)["params"]
    np.testing.assert_array_equal(params["gamma"], np.full(4, 1e-5, np.float32))
    assert float(params["norm"]["scale"].min()) == float(params["norm"]["scale"].max()) == 1


@pytest.mark.parametrize("batch, group_size, group", [(8, 4, 4), (6, 4, 3), (2, 4, 2), (3, 1, 1)])
def test_minibatch_stddev_equals_numpy(batch, group_size, group):
    x = draw((batch, 3, 3, 5))
    y = np.asarray(minibatch_stddev(x, group_size))
    assert y.shape == (batch, 3, 3, 6)
    np.testing.assert_array_equal(y[..., :5], x)
    for i in range(batch):
        members = x[i % (batch // group) :: batch // group]
        assert len(members) == group
        expected = np.sqrt(members.var(0) + 1e-8).mean()
        np.testing.assert_allclose(y[i, :, :, 5], expected, rtol=1e-5)
