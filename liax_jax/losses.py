"""The objective of LIA and LIA-X, term by term (eq. 5, 9).

Each function is pure, unweighted and, where a term has examples or pixels, unreduced. Weights live
in the config and are applied in one place, `weighted_total`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

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


def sparsity_hoyer(alpha: jax.Array) -> jax.Array:
    """How evenly motion is spread over vectors, free of scale: (b, M) → (b,) in [0, 1].

    (‖α‖₁ / ‖α‖₂ − 1) / (√M − 1), one minus the sparseness of Hoyer (2004): 0 where one coefficient
    does everything, 1 where all are as large. M ≥ 2.
    """
    # Not differentiable at α = 0, where the ratio has no limit either: rounded off below |α| 1e-4.
    length = jnp.sqrt(jnp.square(alpha).sum(-1) + 1e-8)
    return (jnp.abs(alpha).sum(-1) / length - 1) / (alpha.shape[-1] ** 0.5 - 1)


def sparsity_top_k(alpha: jax.Array, k: int) -> jax.Array:
    """Mean |α| with the k largest of each frame let off: (b, M) → (b,); 1 ≤ k < M.

    The k largest have no gradient, so that they don't shrink; the model itself cuts nothing.
    """
    size = jnp.abs(alpha)
    largest = jax.lax.top_k(size, k)[0].sum(-1)
    return (size.sum(-1) - largest) / alpha.shape[-1]


def sparsity_standardized(
    alpha: jax.Array, alpha_source: jax.Array, batch_axes: tuple[str, ...] = ()
) -> jax.Array:
    """Mean |α| of each vector in units of how far it moves within a clip: 2 × (b, M) → scalar.

    E|αᵢ| / √(½ E(αᵢ − αᵢ')²), mean over vectors; α, α' of two frames of a clip, E over the batch.
    Of frames independent of each other it measures shape alone: √(2/π) = 0.80 for Gaussian
    coefficients about 0, 0.71 for Laplacian ones, 0.87 for uniform ones, less the more often they
    rest; a contrast of independent component analysis (Hyvärinen et al. 2001, ch. 8). Unlike mean
    |α| it isn't lowered by making α small, unlike Hoyer's ratio not by an offset or by one large
    vector, and not by coefficients that tell people apart. A vector that moves less than 1e-4
    counts as at rest.

    Args:
      alpha: of the driving frames, b ≥ 1; a micro-batch is a batch of its own.
      alpha_source: of the source frames, of the same clips.
      batch_axes: names of the axes of devices that the batch is split over, inside of `shard_map`.
    """
    moved = jnp.mean(jnp.square(alpha - alpha_source), axis=0) / 2
    if batch_axes:
        moved = jax.lax.pmean(moved, batch_axes)
    size = (jnp.abs(alpha) + jnp.abs(alpha_source)) / 2
    return jnp.mean(size / jnp.sqrt(moved + 1e-8))


SPARSITY_PENALTIES = ("l1", "hoyer", "topk", "standardized")


def sparsity_penalty(
    alpha: jax.Array,
    alpha_source: jax.Array,
    penalty: str,
    top_k: int,
    batch_axes: tuple[str, ...] = (),
) -> jax.Array:
    """The penalty of `SPARSITY_PENALTIES` that a config names: 2 × (b, M) → (b,) or a scalar.

    All but "standardized" weigh the driving frame's code alone, as eq. 9 does.
    """
    if penalty == "standardized":
        return sparsity_standardized(alpha, alpha_source, batch_axes)
    if penalty == "hoyer":
        return sparsity_hoyer(alpha)
    return sparsity_top_k(alpha, top_k) if penalty == "topk" else sparsity(alpha)


def source_code(z_s2r: jax.Array, directions: jax.Array) -> jax.Array:
    """|Qᵀ z_{s→r}|: what the source's own code does along the motion vectors, (b, M).

    z_{s→r} takes the source's pose back to the reference, so that motion can be described in it
    densely while α is sparse. What is orthogonal to the vectors is free.

    Args:
      z_s2r: (b, D).
      directions: Q (D, M).
    """
    return jnp.abs(jnp.matmul(z_s2r, directions, precision=jax.lax.Precision.HIGHEST))


def weights_at(fields: Mapping[str, Any], step: jax.Array | int) -> dict[str, Any]:
    """The fields of `config.loss` at a step.

    The terms on the code, `sparsity` and `source_code`, grow linearly from 0 to their weights over
    `sparsity_ramp_steps`. A λ₂ that is high from the start is met by α = 0: nothing has been learnt
    yet that motion could gain as much as it costs.

    `sparsity_release`, (first, last), lets them fall back to 0 between two steps. By then the price
    has chosen the axes; what is left of the objective is the same in every basis of the code, so
    that nothing turns them again while α grows back to what reconstruction wants.
    """
    weights = dict(fields)
    share: Any = 1.0
    if ramp := weights.get("sparsity_ramp_steps", 0):
        share = jnp.minimum(step / ramp, 1.0)
    if release := tuple(weights.get("sparsity_release", ())):
        first, last = release
        share = share * jnp.clip((last - step) / (last - first), 0.0, 1.0)
    if ramp or release:
        share = share.astype(jnp.float32)
        weights |= {name: weights[name] * share for name in ("sparsity", "source_code")}
    return weights


def weighted_total(
    terms: Mapping[str, jax.Array], weights: Mapping[str, float]
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Σ weight · mean(term), with each term's unweighted mean by name."""
    means = {name: jnp.mean(term) for name, term in terms.items()}
    total = sum((weights[name] * mean for name, mean in means.items()), jnp.zeros(()))
    return total, means
