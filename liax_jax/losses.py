"""The objective of LIA and LIA-X, term by term (eq. 5, 9).

Each function is pure, unweighted and, where a term has examples or pixels, unreduced. Weights live
in the config and are applied in one place, `weighted_total`.
"""

from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import optax

from liax_jax.models import perceptual


def l1(image: jax.Array, target: jax.Array) -> jax.Array:
    """|image − target|: two (b, h, w, 3) in [-1, 1] → (b, h, w, 3) in [0, 2]. ℒ_recon of eq. 5."""
    return jnp.abs(image - target)


def multiscale_l1(image: jax.Array, target: jax.Array, num_scales: int) -> jax.Array:
    """Mean absolute difference at full, half, quarter … size (2×2 averages), mean over scales.

    Coarse scales give a misplaced head a gradient where no pixel overlaps. (b, h, w, 3) → (b,).
    """
    total = jnp.zeros(image.shape[0], jnp.float32)
    for scale in range(num_scales):
        if scale:
            image, target = (
                x.reshape(x.shape[0], x.shape[1] // 2, 2, x.shape[2] // 2, 2, -1).mean((2, 4))
                for x in (image, target)
            )
        total = total + l1(image, target).mean((1, 2, 3))
    return total / num_scales


def perceptual_distance(
    params: perceptual.VGGParams,
    image: jax.Array,
    target: jax.Array,
    scales: Sequence[int],
    layer_weights: Sequence[float],
) -> jax.Array:
    """Mean absolute difference of VGG19 features, summed over scales and layers. ℒ_vgg of eq. 5.

    Args:
      params: VGG19 weights (`models.perceptual`).
      image, target: (b, h, w, 3) in [-1, 1]; no gradient flows to the target.
      scales: reductions of both pictures, e.g. (1, 2, 4, 8).
      layer_weights: one per layer relu1_1 … relu5_1; 0 leaves a layer out.

    Returns:
      (b,).
    """
    total = jnp.zeros(image.shape[0], jnp.float32)
    for factor in scales:
        ours = perceptual.vgg19_features(params, perceptual.gaussian_downsample(image, factor))
        theirs = perceptual.vgg19_features(params, perceptual.gaussian_downsample(target, factor))
        for weight, a, b in zip(layer_weights, ours, theirs, strict=True):
            difference = jnp.abs(a - jax.lax.stop_gradient(b)).astype(jnp.float32)
            total = total + weight * difference.mean((1, 2, 3))
    return total


def adversarial_generator(fake_logits: jax.Array) -> jax.Array:
    """Non-saturating term softplus(−D(x̂)): (b,) → (b,). ℒ_adv of eq. 5."""
    return jax.nn.softplus(-fake_logits)


def adversarial_discriminator(fake_logits: jax.Array, real_logits: jax.Array) -> jax.Array:
    """softplus(D(x̂)) + softplus(−D(x_d)): (b,), (b,) → (b,)."""
    return jax.nn.softplus(fake_logits) + jax.nn.softplus(-real_logits)


def r1_penalty(score: Callable[[jax.Array], jax.Array], real: jax.Array) -> jax.Array:
    """Squared gradient norm ‖∇D(x_d)‖² (Mescheder et al. 2018): (b, h, w, 3) → (b,)."""
    gradient = jax.grad(lambda x: score(x).sum())(real)
    return jnp.square(gradient).sum((1, 2, 3))


def sparsity(alpha: jax.Array) -> jax.Array:
    """S(𝒜_{r→d}) of eq. 9: the ℓ1 norm of the coefficients, as a mean over batch and vectors.

    (b, M) → scalar mean |α|; the mean makes λ₂ independent of batch size and M.
    """
    return optax.tree.norm(alpha, ord=1) / alpha.size


def weighted_total(
    terms: Mapping[str, jax.Array], weights: Mapping[str, float]
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Σ weight · mean(term), with each term's unweighted mean by name."""
    means = {name: jnp.mean(term) for name, term in terms.items()}
    total = sum((weights[name] * mean for name, mean in means.items()), jnp.zeros(()))
    return total, means
