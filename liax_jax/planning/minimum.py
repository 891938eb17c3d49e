"""The least that a sharding has to move: what a compiled program's collectives are held against.

With n devices along `fsdp`, d along `data`, and P bytes of a network's sharded parameters in the
type that they are gathered in (kernels in the type of the arithmetic, others float32), a device
sends per step of A micro-batches

  all-gather      (n − 1)/n · P               of the parameters, once a step
  reduce-scatter  (n − 1)/n · P · A           of the gradients, once a micro-batch
  all-reduce      2 · (d − 1)/d · P/n · A     of the gradient's shards, over `data`

and 2 · (nd − 1)/nd · Q · A for the Q bytes of what isn't sharded. Activations never move.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from liax_jax.training.state import TrainState


def minimum_collective_bytes(config: ConfigDict, mesh: Any, state: TrainState) -> dict[str, int]:
    """Bytes that each device sends per step, by kind of collective.

    Args:
      config: of the run.
      mesh: the devices.
      state: shapes with shardings, of `sharding.place`.
    """
    shards, copies, turns = mesh.shape["fsdp"], mesh.shape["data"], config.accumulation_steps
    arithmetic = jnp.dtype(config.model.dtype).itemsize
    gathered = scattered = reduced = 0.0
    for network in (state.generator, state.discriminator):
        for leaf in jax.tree.leaves(network.params if network is not None else None):
            size = leaf.size * (arithmetic if leaf.ndim == 4 else leaf.dtype.itemsize)
            if math.prod(leaf.sharding.shard_shape(leaf.shape)) < leaf.size:
                gathered += size * (shards - 1) / shards
                scattered += size * (shards - 1) / shards * turns
                reduced += 2 * size / shards * (copies - 1) / copies * turns
            else:
                reduced += 2 * size * (mesh.size - 1) / mesh.size * turns
    return {
        "all-gather": round(gathered),
        "reduce-scatter": round(scattered),
        "all-reduce": round(reduced),
    }
