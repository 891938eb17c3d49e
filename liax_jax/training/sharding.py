"""Devices, and how arrays lie on them.

A mesh has two axes. Batches are split over both. Parameters, optimiser state and moving average are
split over `fsdp` (fully sharded data parallelism: Rajbhandari et al. 2020, ZeRO) and repeated along
`data`. A step gathers the parameters once, in the type of its arithmetic, computes with all of them
on its part of the batch, and adds up each micro-batch's gradients back into shards:

    per device and step, with n = fsdp and P the bytes of the parameters in that type
      all-gather       (n − 1)/n · P
      reduce-scatter   (n − 1)/n · P   per micro-batch

and 2 · (d − 1)/d · P/n over `data` of size d. Nothing else moves: each device runs the same program
on its examples, and `Devices` is where they talk.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

DATA_AXIS, FSDP_AXIS = AXES = "data", "fsdp"
BATCH = PartitionSpec(AXES)
# Splitting a bias over devices saves nothing, and costs a message.
_MIN_SPLIT_ELEMENTS = 4096
_TILE_COLUMNS = 128


def make_mesh(axes: Mapping[str, int], devices: list[jax.Device] | None = None) -> Mesh:
    """All devices of all processes as a mesh with axes "data" and "fsdp".

    Args:
      axes: size of each axis, e.g. {"data": -1, "fsdp": 8}; −1, at most once, takes what is left,
        and an axis that isn't named has size 1.
      devices: instead of all.

    Raises:
      ValueError: unknown axes, or sizes that don't give the number of devices.
    """
    devices = jax.devices() if devices is None else list(devices)
    shape = _axis_sizes(axes, len(devices))
    slices = len({getattr(device, "slice_index", 0) for device in devices})
    if slices > 1:
        # Slices are joined by the slower network, which carries the data axis.
        if shape[0] % slices:
            raise ValueError(
                f"mesh.{DATA_AXIS} = {shape[0]}: must be a multiple of the {slices} slices; lower "
                f"mesh.{FSDP_AXIS} = {shape[1]}"
            )
        within, across = (shape[0] // slices, shape[1]), (slices, 1)
        grid = mesh_utils.create_hybrid_device_mesh(within, across, devices)
        return Mesh(grid, AXES, axis_types=(AxisType.Auto,) * 2)
    return jax.make_mesh(shape, AXES, axis_types=(AxisType.Auto,) * 2, devices=devices)


def _axis_sizes(axes: Mapping[str, int], count: int) -> tuple[int, int]:
    """(data, fsdp) with −1 replaced."""
    unknown = sorted(set(axes) - set(AXES))
    if unknown:
        raise ValueError(f"mesh.{unknown[0]}: there is no such axis; there are {', '.join(AXES)}")
    sizes = [int(axes.get(name, 1)) for name in AXES]
    text = ", ".join(f"{name} = {size}" for name, size in zip(AXES, sizes, strict=True))
    if any(size < 1 and size != -1 for size in sizes) or sizes.count(-1) > 1:
        raise ValueError(f"mesh ({text}): sizes are 1 or more, and one of them may be -1, the rest")
    fixed = math.prod(size for size in sizes if size != -1)
    if count % fixed or (-1 not in sizes and fixed != count):
        raise ValueError(
            f"mesh ({text}) doesn't fit the {count} device(s): "
            + ("their product has to be that number" if -1 not in sizes else "it has to divide it")
        )
    data, fsdp = (size if size != -1 else count // fixed for size in sizes)
    return data, fsdp


def replicated(mesh: Mesh) -> NamedSharding:
    """The same array on every device."""
    return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """The leading axis split over all devices."""
    return NamedSharding(mesh, BATCH)


def split_over(mesh: Mesh, shape: tuple[int, ...]) -> NamedSharding:
    """The one rule for arrays of the state: the largest axis that `fsdp` divides is split.

    Of equal axes the last one. Small arrays, and those without such an axis, are on every device.
    """
    shards = mesh.shape[FSDP_AXIS]
    dividing = [axis for axis, size in enumerate(shape) if size % shards == 0]
    if shards == 1 or not dividing or math.prod(shape) < _MIN_SPLIT_ELEMENTS:
        return replicated(mesh)
    axis = max(dividing, key=lambda axis: (shape[axis], axis))
    return NamedSharding(mesh, PartitionSpec(*(None,) * axis, FSDP_AXIS))


def place(state: Any, mesh: Mesh) -> Any:
    """Shapes and types of a state, each with its sharding: what a restore or `jit` is told."""
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=split_over(mesh, x.shape)), state
    )


class Devices:
    """What devices tell one another in a step; on one device, nothing.

    Left to XLA's partitioner, some layers would be split over channels and activations would move,
    above all in loops: many times the bytes of the parameters.

    Args:
      mesh: of the run; None is one device.
      params: the parameters that are trained, whole (shapes will do).
    """

    def __init__(self, mesh: Mesh | None, params: Any):
        self._mesh = mesh if mesh is not None and mesh.size > 1 else None
        self._specs = jax.tree.map(lambda x: self._spec(x.shape), params)

    def _spec(self, shape: tuple[int, ...]) -> PartitionSpec:
        return PartitionSpec() if self._mesh is None else split_over(self._mesh, shape).spec

    @property
    def batch_axes(self) -> tuple[str, ...]:
        """Names of the axes that the batch is split over; none on one device."""
        return () if self._mesh is None else AXES

    def run(
        self, function: Callable[[Any, Any, Any], tuple[Any, Any]], params: Any, *arguments: Any
    ) -> tuple[Any, Any]:
        """`function(params, batch, others)` on every device's shards and examples.

        Returns:
          Gradients, split as the parameters are, and what is the same on every device.
        """
        if self._mesh is None:
            return function(params, *arguments)
        return jax.shard_map(
            function,
            mesh=self._mesh,
            in_specs=(self._specs, BATCH, PartitionSpec()),
            out_specs=(self._specs, PartitionSpec()),
            check_vma=False,
        )(params, *arguments)

    def gather(self, shards: Any, dtype: str) -> Any:
        """A device's shards of the parameters → all of them, kernels in the type of arithmetic.

        Convolution kernels are nearly all of a network; the style path and biases stay float32.
        """

        def whole(shard: jax.Array, spec: PartitionSpec) -> jax.Array:
            # Cast where it is split, then gathered: half the bytes in bfloat16.
            used = shard.astype(jnp.dtype(dtype)) if shard.ndim == 4 else shard
            if self._mesh is None:
                return used
            if FSDP_AXIS in spec:
                axis = spec.index(FSDP_AXIS)
                used = jax.lax.all_gather(used, FSDP_AXIS, axis=axis, tiled=True)
            # Else XLA moves it into the loops over a level's blocks, and gathers twice.
            return jax.lax.optimization_barrier(used)

        return jax.tree.map(whole, shards, self._specs)

    def scatter(self, gradients: Any) -> Any:
        """Gradients by a device's examples → their mean over devices, split and float32."""

        def shard(gradient: jax.Array, spec: PartitionSpec) -> jax.Array:
            if self._mesh is None:
                return gradient.astype(jnp.float32)
            rest: tuple[str, ...] = AXES
            if FSDP_AXIS in spec:
                axis = spec.index(FSDP_AXIS)
                gradient = _add_into_shards(gradient, axis, self._mesh.shape[FSDP_AXIS])
                rest = (DATA_AXIS,)
            gradient = jax.lax.psum(gradient, rest)
            return gradient.astype(jnp.float32) / self._mesh.size

        return jax.tree.map(shard, gradients, self._specs)

    def mean(self, values: Any) -> Any:
        """Means over a device's examples → over all."""
        return values if self._mesh is None else jax.lax.pmean(values, AXES)


def _add_into_shards(gradient: jax.Array, axis: int, shards: int) -> jax.Array:
    """Sum over `fsdp`, of which each device keeps its part along `axis`.

    The parts are laid one after the other, in whole tiles of a TPU's memory where they are large
    enough. Of an array whose tiles are padded, 3×3 kernels above all, its compiler makes an
    all-reduce: twice the bytes.
    """
    whole = jnp.moveaxis(gradient, axis, 0)
    kept = (whole.shape[0] // shards, *whole.shape[1:])
    columns = _TILE_COLUMNS if math.prod(kept) % _TILE_COLUMNS == 0 else math.prod(kept)
    parts = whole.reshape(shards, -1, columns)
    part = jax.lax.psum_scatter(parts, FSDP_AXIS, scatter_dimension=0)
    return jnp.moveaxis(part.reshape(kept), 0, axis)


def check_batch(mesh: Mesh, batch_size: int, accumulation_steps: int) -> None:
    """Raises ValueError where a batch can't be split evenly into micro-batches and over devices."""
    if accumulation_steps < 1 or batch_size % (mesh.size * accumulation_steps):
        raise ValueError(
            f"batch_size = {batch_size} must be a multiple of devices × accumulation_steps = "
            f"{mesh.size} × {accumulation_steps}; change one of them"
        )


def process_rows(mesh: Mesh, batch_size: int) -> list[int]:
    """Which examples of the global batch lie on this process's devices, in rising order."""
    whole = np.arange(batch_size)
    parts = batch_sharding(mesh).addressable_devices_indices_map((batch_size,)).values()
    return sorted({int(row) for part in parts for row in whole[part]})


def shard_batch(
    batch: dict[str, np.ndarray], mesh: Mesh, rows: list[int] | None = None
) -> dict[str, jax.Array]:
    """This process's part of the batch → one global array per name, split over the devices.

    Args:
      batch: arrays whose leading axis is `rows`.
      mesh: of the run.
      rows: of `process_rows`; None where one process has the whole batch.
    """
    sharding = batch_sharding(mesh)
    if rows is None:
        return {name: jax.device_put(array, sharding) for name, array in batch.items()}
    batch_size = len(rows) * jax.process_count()
    position = {row: i for i, row in enumerate(rows)}

    def local_part(array: np.ndarray):
        def part(index: tuple[slice, ...]) -> np.ndarray:
            first, stop, _ = index[0].indices(batch_size)
            return array[position[first] : position[first] + stop - first]

        return part

    return {
        name: jax.make_array_from_callback(
            (batch_size, *array.shape[1:]), sharding, local_part(array)
        )
        for name, array in batch.items()
    }
