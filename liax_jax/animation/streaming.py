"""Video-length animation in constant memory: chunks of frames, several steps at work at once.

Reading and cropping run in a thread of their own, the device computes one chunk while the one
before it is fetched, and whoever consumes the frames (a video encoder) works in the caller's
thread. Nothing here grows with the number of frames.
"""

import collections
import contextlib
import itertools
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from liax_jax.animation.animator import Animator
from liax_jax.animation.portrait import Portrait

T = TypeVar("T")
_END = object()


@contextlib.contextmanager
def closing(items: Iterator[T]) -> Iterator[Iterator[T]]:
    """Closes a generator at the end, so that what it holds open is released at once."""
    try:
        yield items
    finally:
        if hasattr(items, "close"):
            items.close()


def default_chunk() -> int:
    """Frames a step: enough to fill the device, few enough for the first frame to come soon."""
    return 4 if jax.default_backend() == "cpu" else 16


def in_background(items: Iterable[T], depth: int) -> Iterator[T]:
    """Yields `items`, computed in a thread up to `depth` ahead; its exceptions come through here.

    Closing the generator, or an exception in the consumer, stops the thread.
    """
    results: queue.Queue[Any] = queue.Queue(maxsize=depth)
    stopped = threading.Event()

    def put(item: Any) -> bool:
        while not stopped.is_set():
            try:
                results.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def produce() -> None:
        try:
            with closing(iter(items)) as iterator:
                for item in iterator:
                    if not put((item, None)):
                        break
        except BaseException as error:
            put((None, error))
        put(_END)

    thread = threading.Thread(target=produce, daemon=True)
    thread.start()
    try:
        while (result := results.get()) is not _END:
            item, error = result
            if error is not None:
                raise error
            yield item
    finally:
        stopped.set()
        thread.join()


def chunked(frames: Iterable[np.ndarray], size: int) -> Iterator[tuple[np.ndarray, int]]:
    """(size, …) stacks of consecutive arrays and how many of them count.

    The last stack is filled up with its last array, so that every chunk has one shape and nothing
    is compiled again.
    """
    iterator = iter(frames)
    while part := list(itertools.islice(iterator, size)):
        count = len(part)
        part += [part[-1]] * (size - count)
        yield np.stack(part), count


class FrameStream:
    """Moves frames through an animator, chunk by chunk, over all devices.

    Args:
      animator: the model; copied to every device.
      chunk: frames a step; rounded up to a multiple of the number of devices. By default by the
        kind of device.
      devices: by default all local ones.
    """

    def __init__(
        self,
        animator: Animator,
        chunk: int | None = None,
        devices: list[jax.Device] | None = None,
    ):
        devices = jax.local_devices() if devices is None else devices
        chunk = default_chunk() if chunk is None else chunk
        if chunk < 1:
            raise ValueError(f"a chunk holds at least 1 frame, got {chunk}")
        self.chunk = -(-chunk // len(devices)) * len(devices)
        mesh = jax.sharding.Mesh(np.array(devices), ("frames",))
        self._split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("frames"))
        self._everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
        self.animator: Animator = jax.device_put(animator, self._everywhere)

    def coefficients(self, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """(R, R, 3) uint8 driving frames → (n, M) coefficients, n ≤ chunk, as they are ready."""

        def compute(stack: np.ndarray) -> jax.Array:
            return self.animator.coefficients(jax.device_put(stack, self._split))

        yield from self._run(compute, frames)

    def render(
        self,
        portrait: Portrait,
        alphas: Iterable[np.ndarray],
        opacity: np.ndarray | None = None,
    ) -> Iterator[np.ndarray]:
        """(n, M) coefficients, in pieces of any length → (R, R, 3 or 4) uint8 pictures, one by one.

        Args:
          portrait: the source, used for every frame.
          opacity: as of `Animator.render`.
        """
        portrait = jax.device_put(portrait, self._everywhere)
        mask = None if opacity is None else jax.device_put(jnp.asarray(opacity), self._everywhere)

        def compute(stack: np.ndarray) -> jax.Array:
            alpha = jax.device_put(stack, self._split)
            return self.animator.render(portrait, alpha, opacity=mask, uint8=True)

        rows = (row for piece in alphas for row in piece)
        for pictures in self._run(compute, rows):
            yield from pictures

    def edit_frames(self, frames: Iterable[np.ndarray], change: np.ndarray) -> Iterator[np.ndarray]:
        """Every frame as its own source, its coefficients changed by (M,): uint8 in and out."""
        edit = jax.device_put(jnp.asarray(change, jnp.float32), self._everywhere)

        def compute(stack: np.ndarray) -> jax.Array:
            return self.animator.edit_frames(jax.device_put(stack, self._split), edit, uint8=True)

        for pictures in self._run(compute, frames):
            yield from pictures

    def _run(
        self, compute: Callable[[np.ndarray], jax.Array], rows: Iterable[np.ndarray]
    ) -> Iterator[np.ndarray]:
        # One chunk is computed while the one before it is fetched and consumed.
        in_flight: collections.deque[tuple[jax.Array, int]] = collections.deque()
        for stack, count in chunked(rows, self.chunk):
            in_flight.append((compute(stack), count))
            if len(in_flight) > 1:
                result, count = in_flight.popleft()
                yield np.asarray(result)[:count]
        while in_flight:
            result, count = in_flight.popleft()
            yield np.asarray(result)[:count]
