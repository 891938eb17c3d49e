"""The N residual blocks of one level: one after the other, or as one block under `jax.lax.scan`.

The parameters are the same either way (one subtree a block), so that checkpoints, published weights
and fingerprints don't know how a model was run.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from liax_jax.models.config import ModelConfig


def maybe_remat(level: Any, config: ModelConfig, **options: Any) -> Any:
    """A module, or a function of one, that is computed again in the backward pass if asked for."""
    return nn.remat(level, **options) if config.remat == "levels" else level


def residual_blocks(
    parent: nn.Module,
    make_block: Callable[..., nn.Module],
    resolution: int,
    x: jax.Array,
    *context: Any,
) -> jax.Array:
    """Runs the level's `config.num_blocks` blocks `block_{resolution}_{i}` of `parent` on `x`.

    With `config.scan_blocks` the compiler sees one block, whose parameters are stacked and scanned
    over: less to compile, the same numbers. With `config.remat` the backward pass computes a block
    again from its input, and only the input is kept.

    Args:
      parent: a module within its compact method; its `config` is a `ModelConfig`.
      make_block: makes a block that keeps shape and dtype of `x`; takes `name` and `parent`.
      resolution: of the level, pixels.
      x: (b, r, r, c).
      *context: what every block gets besides, e.g. the style (b, D).

    Returns:
      (b, r, r, c).
    """
    config: ModelConfig = parent.config
    names = [f"block_{resolution}_{i}" for i in range(config.num_blocks)]
    known = all(parent.has_variable("params", name) for name in names)
    scanned = config.scan_blocks and len(names) > 1
    if not known or not (scanned or config.remat != "none"):
        # At initialisation each block makes its own parameters (and Flax names what is missing).
        for name in names:
            x = make_block(name=name)(x, *context)
        return x

    block = make_block(parent=None)

    def run(x, params):
        return block.apply({"params": params}, x, *context)

    if config.remat != "none":
        # Inside of a scan the compiler can't merge the second computation with the first anyway.
        run = jax.checkpoint(run, prevent_cse=not scanned)
    each: list[Any] = [parent.get_variable("params", name) for name in names]
    if not scanned:
        for params in each:
            x = run(x, params)
        return x
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)
    return jax.lax.scan(lambda x, params: (run(x, params), None), x, stacked)[0]
