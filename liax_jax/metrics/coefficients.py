"""How sparse motion coefficients are, free of their scale."""

import jax
import jax.numpy as jnp


def gini(alpha: jax.Array) -> jax.Array:
    """Gini index of |α| (Hurley & Rickard 2009): (b, M) → (b,), 0 = all equal, → 1 = one active."""
    magnitude = jnp.sort(jnp.abs(alpha), axis=-1)
    count = alpha.shape[-1]
    rank_weight = (count + 0.5 - jnp.arange(1, count + 1, dtype=alpha.dtype)) / count
    total = magnitude.sum(-1, keepdims=True) + jnp.finfo(alpha.dtype).tiny
    return 1 - 2 * jnp.sum(magnitude / total * rank_weight, axis=-1)


def active_vectors(alpha: jax.Array, threshold: float = 0.05) -> jax.Array:
    """Number of coefficients above `threshold` of the example's largest: (b, M) → (b,)."""
    magnitude = jnp.abs(alpha)
    return jnp.sum(magnitude > threshold * magnitude.max(-1, keepdims=True), axis=-1)


def effective_vectors(alpha: jax.Array) -> jax.Array:
    """Participation ratio (Σ|α|)² / Σα²: (b, M) → (b,), 1 = one active, M = all equal."""
    magnitude = jnp.abs(alpha)
    energy = jnp.square(magnitude).sum(-1) + jnp.finfo(alpha.dtype).tiny
    return jnp.square(magnitude.sum(-1)) / energy


def hoyer(alpha: jax.Array) -> jax.Array:
    """Hoyer's measure (2004), (√M − |α|₁ / |α|₂) / (√M − 1): (b, M) → (b,).

    0 = all equal, 1 = one active, as where there is a single one.
    """
    if alpha.shape[-1] == 1:
        return jnp.ones(alpha.shape[:-1], alpha.dtype)
    root = alpha.shape[-1] ** 0.5
    return (root - jnp.sqrt(effective_vectors(alpha))) / (root - 1)
