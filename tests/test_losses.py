"""Every term of the objective against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from liax_jax import losses
from liax_jax.models import perceptual


def draw(shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def test_l1_is_unreduced():
    a, b = draw((2, 4, 4, 3)), draw((2, 4, 4, 3), 1)
    np.testing.assert_array_equal(losses.l1(a, b), np.abs(a - b))


def test_multiscale_l1_averages_the_halvings():
    a, b = draw((2, 8, 8, 3)), draw((2, 8, 8, 3), 1)
    expected = np.zeros(2)
    for scale in range(3):
        size = 2**scale
        pooled = [
            x.reshape(2, 8 // size, size, 8 // size, size, 3).mean((2, 4), dtype=np.float64)
            for x in (a, b)
        ]
        expected += np.abs(pooled[0] - pooled[1]).mean((1, 2, 3)) / 3
    np.testing.assert_allclose(losses.multiscale_l1(a, b, 3), expected, rtol=1e-5)
    plain = np.abs(a - b).mean((1, 2, 3))
    np.testing.assert_allclose(losses.multiscale_l1(a, b, 1), plain, rtol=1e-5)


def narrow_vgg(channels=4) -> perceptual.VGGParams:
    """VGG19's layers with few channels: what the term does with its features is the same."""
    params, inputs = {}, 3
    for stage, count in enumerate((2, 2, 4, 4, 1), start=1):
        for number in range(1, count + 1):
            seed = 10 * stage + number
            params[f"conv{stage}_{number}"] = {
                "kernel": jnp.asarray(draw((3, 3, inputs, channels), seed)),
                "bias": jnp.asarray(draw((channels,), seed + 5)),
            }
            inputs = channels
    return params


def test_perceptual_distance_sums_weighted_scales_and_layers():
    params, weights = narrow_vgg(), (1.0, 2.0, 0.0, 4.0, 0.5)
    image, target = draw((2, 32, 32, 3)), draw((2, 32, 32, 3), 1)

    @jax.jit
    def run(image, target):
        def total(image, target):
            return losses.perceptual_distance(params, image, target, (1, 2), weights)

        by_target = jax.grad(lambda t: total(image, t).sum())(target)
        by_image = jax.grad(lambda i: total(i, target).sum())(image)
        features = [
            [
                perceptual.vgg19_features(params, perceptual.gaussian_downsample(x, factor))
                for x in (image, target)
            ]
            for factor in (1, 2)
        ]
        return total(image, target), total(image, image), by_image, by_target, features

    distance, none, by_image, by_target, features = run(image, target)
    expected = np.zeros(2)
    for ours, theirs in features:
        for weight, a, b in zip(weights, ours, theirs, strict=True):
            expected += weight * np.abs(np.asarray(a, np.float64) - b).mean((1, 2, 3))
    np.testing.assert_allclose(distance, expected, rtol=1e-4)
    np.testing.assert_array_equal(none, np.zeros(2))
    np.testing.assert_array_equal(by_target, np.zeros_like(target))
    assert float(jnp.abs(by_image).max()) > 0


def test_adversarial_terms_are_softplus_without_overflow():
    fake = jnp.array([-200.0, -1.5, 0.0, 3.0])
    real = jnp.array([200.0, 2.0, 0.0, -300.0])

    def softplus(x):
        return np.logaddexp(0, np.float64(x))

    generator = losses.adversarial_generator(fake)
    np.testing.assert_allclose(generator, softplus(-fake), rtol=1e-6)
    discriminator = losses.adversarial_discriminator(fake, real)
    expected = softplus(fake) + softplus(-real)
    np.testing.assert_allclose(discriminator, expected, rtol=1e-6, atol=1e-30)


def test_r1_of_a_linear_score_is_the_squared_norm_of_its_weights():
    weight, real = draw((4, 4, 3)), draw((3, 4, 4, 3), 1)
    penalty = losses.r1_penalty(lambda x: jnp.einsum("bhwc,hwc->b", x, weight) + 5, real)
    np.testing.assert_allclose(penalty, np.full(3, np.square(weight).sum()), rtol=1e-5)
    # Of a quadratic score ½‖x‖² the gradient is x: each example gets its own penalty.
    penalty = losses.r1_penalty(lambda x: jnp.square(x).sum((1, 2, 3)) / 2, real)
    np.testing.assert_allclose(penalty, np.square(real).sum((1, 2, 3)), rtol=1e-5)


def test_sparsity_is_the_mean_magnitude_and_its_gradient_the_sign():
    alpha = jnp.array([[1.0, -2.0, 0.5], [0.25, 4.0, -0.25]])
    np.testing.assert_allclose(losses.sparsity(alpha), np.abs(alpha).mean(), rtol=1e-6)
    gradient = jax.grad(losses.sparsity)(jnp.asarray(alpha))
    np.testing.assert_allclose(gradient, np.sign(alpha) / 6, rtol=1e-6)
    at_zero = jax.grad(losses.sparsity)(jnp.zeros((2, 3)))
    assert np.isfinite(at_zero).all() and np.abs(at_zero).max() <= 1 / 6


def test_weighted_total_sums_and_reports_unweighted_means_by_name():
    terms = {"l1": jnp.asarray([1.0, 3.0]), "sparsity": jnp.asarray(0.5)}
    total, means = losses.weighted_total(terms, {"l1": 2.0, "sparsity": 0.1, "unused": 9.0})
    assert {name: float(mean) for name, mean in means.items()} == {"l1": 2.0, "sparsity": 0.5}
    np.testing.assert_allclose(total, 2 * 2 + 0.1 * 0.5, rtol=1e-6)
    with pytest.raises(KeyError, match="l1"):
        losses.weighted_total(terms, {"sparsity": 1.0})
    assert float(losses.weighted_total({}, {})[0]) == 0


def test_hoyer_penalty_is_one_less_hoyers_sparseness_and_free_of_scale():
    alpha = draw((5, 9))
    sizes = np.abs(alpha.astype(np.float64))
    ratio = sizes.sum(1) / np.sqrt(np.square(sizes).sum(1))
    sparseness = (np.sqrt(9) - ratio) / (np.sqrt(9) - 1)
    found = losses.sparsity_hoyer(alpha)
    np.testing.assert_allclose(found, 1 - sparseness, rtol=1e-5)
    np.testing.assert_allclose(losses.sparsity_hoyer(30 * alpha), found, rtol=1e-5)
    one, even = jnp.eye(9)[:1], -jnp.ones((1, 9))
    np.testing.assert_allclose(losses.sparsity_hoyer(one), 0, atol=1e-6)
    np.testing.assert_allclose(losses.sparsity_hoyer(even), 1, rtol=1e-6)
    # Free of scale: no slope along the code itself.
    slope = jax.grad(lambda a: losses.sparsity_hoyer(a).sum())(jnp.asarray(alpha))
    np.testing.assert_allclose((slope * alpha).sum(1), 0, atol=1e-6)
    assert jnp.isfinite(jax.grad(lambda a: losses.sparsity_hoyer(a).sum())(jnp.zeros((2, 9)))).all()


def test_top_k_penalty_lets_the_largest_off():
    alpha = jnp.asarray([[0.5, -3.0, 1.0, 2.0], [4.0, 0.5, -1.0, -0.25]])
    np.testing.assert_allclose(losses.sparsity_top_k(alpha, 2), [1.5 / 4, 0.75 / 4], rtol=1e-6)
    np.testing.assert_allclose(losses.sparsity_top_k(alpha, 1), [3.5 / 4, 1.75 / 4], rtol=1e-6)
    slope = jax.grad(lambda a: losses.sparsity_top_k(a, 2).sum())(alpha)
    np.testing.assert_allclose(slope[0], [0.25, 0, 0.25, 0])
    np.testing.assert_allclose(slope[1], [0, 0.25, 0, -0.25])


def test_standardized_penalty_measures_the_shape_of_each_vector_alone():
    rng = np.random.default_rng(0)
    n = 400_000
    shapes = {
        0.798: rng.standard_normal(n),
        0.707: rng.laplace(size=n),
        0.866: rng.uniform(-1, 1, n),
        # At rest 70 % of the time: E|f| = 0.15, deviation √0.1.
        0.474: rng.uniform(-1, 1, n) * (rng.random(n) < 0.3),
    }
    for expected, values in shapes.items():
        frames = jnp.asarray(values.reshape(2, -1, 1), jnp.float32)
        np.testing.assert_allclose(losses.sparsity_standardized(*frames), expected, atol=0.004)
    alpha, source = draw((32, 5)), draw((32, 5), 1)
    found = losses.sparsity_standardized(alpha, source)
    scale = np.float32([30, 0.1, -2, 1, 5])
    np.testing.assert_allclose(
        losses.sparsity_standardized(scale * alpha, scale * source), found, rtol=1e-4
    )
    # What belongs to a person, in both frames, only costs.
    person = 3 * draw((32, 5), 2)
    assert losses.sparsity_standardized(alpha + person, source + person) > 1.5 * found
    slope = jax.grad(losses.sparsity_standardized)
    assert jnp.isfinite(slope(jnp.zeros((4, 3)), jnp.zeros((4, 3)))).all()


def test_standardized_penalty_spans_devices():
    mesh = jax.make_mesh((4, 2), ("data", "fsdp"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
    spec = jax.sharding.PartitionSpec(("data", "fsdp"))
    penalty = jax.value_and_grad(lambda a, b, axes=(): losses.sparsity_standardized(a, b, axes))

    def on_device(alpha, source):
        value, slope = penalty(alpha, source, ("data", "fsdp"))
        return jax.lax.pmean(value, ("data", "fsdp")), slope / 8

    split = jax.shard_map(
        on_device,
        mesh=mesh,
        in_specs=(spec, spec),
        out_specs=(jax.sharding.PartitionSpec(), spec),
        check_vma=False,
    )
    pair = draw((16, 5)), draw((16, 5), 1)
    for ours, whole in zip(jax.jit(split)(*pair), penalty(*pair), strict=True):
        np.testing.assert_allclose(ours, whole, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("penalty", losses.SPARSITY_PENALTIES)
def test_the_penalty_that_a_config_names(penalty):
    alpha, source = draw((3, 6)), draw((3, 6), 1)
    expected = {
        "l1": losses.sparsity(alpha),
        "hoyer": losses.sparsity_hoyer(alpha),
        "topk": losses.sparsity_top_k(alpha, 2),
        "standardized": losses.sparsity_standardized(alpha, source),
    }
    found = losses.sparsity_penalty(alpha, source, penalty, 2)
    np.testing.assert_array_equal(found, expected[penalty])


def test_source_code_is_measured_along_the_vectors():
    z, directions = draw((3, 8)), np.linalg.qr(draw((8, 4), 1))[0]
    found = losses.source_code(z, directions)
    np.testing.assert_allclose(found, np.abs(z @ directions), rtol=1e-5)
    across = z - (z @ directions) @ directions.T
    np.testing.assert_allclose(losses.source_code(across, directions), 0, atol=1e-6)
