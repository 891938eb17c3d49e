"""Devices and how arrays lie on them: batches along a `data` axis, everything else on each."""

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

DATA_AXIS = "data"


def make_mesh() -> Mesh:
    """All devices of all processes along the data axis."""
    return jax.make_mesh((jax.device_count(),), (DATA_AXIS,), axis_types=(AxisType.Auto,))


def replicated(mesh: Mesh) -> NamedSharding:
    """The same array on every device."""
    return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """The leading axis split over the devices."""
    return NamedSharding(mesh, PartitionSpec(DATA_AXIS))


def check_batch(mesh: Mesh, batch_size: int, accumulation_steps: int) -> None:
    """Raises ValueError where a batch can't be split evenly into micro-batches and over devices."""
    devices = mesh.shape[DATA_AXIS]
    if accumulation_steps < 1 or batch_size % (devices * accumulation_steps):
        raise ValueError(
            f"batch_size = {batch_size} must be a multiple of devices × accumulation_steps = "
            f"{devices} × {accumulation_steps}; change one of them"
        )


def shard_batch(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """This process's slice of the batch → one global array per name, split over the devices."""
    sharding = batch_sharding(mesh)
    return {
        name: jax.make_array_from_process_local_data(sharding, array)
        for name, array in batch.items()
    }
