"""What a long-running process asks of the operating system."""

import contextlib
import ctypes
import glob
import os
import platform
import signal
from collections.abc import Callable, Iterator
from typing import Any

# Parameter numbers of glibc's mallopt (malloc.h), and the values that keep freed memory.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8
_KEEP_FREED = {_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: 2**31 - 1, _M_ARENA_MAX: 1}
# The same for a process that is yet to start.
_KEEP_FREED_VARIABLES = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
    "MALLOC_ARENA_MAX": "1",
}
# What a machine has if JAX may find an accelerator: NVIDIA, NVIDIA under WSL, TPU, AMD.
_ACCELERATORS = ("/dev/nvidia[0-9]*", "/dev/dxg", "/dev/accel*", "/dev/vfio/[0-9]*", "/dev/kfd")


def keep_freed_memory() -> bool:
    """Makes glibc reuse large freed blocks rather than return them to the system.

    XLA's CPU runtime allocates its work space anew for every step. glibc takes blocks of that size
    from the system each time, and the page faults of touching fresh memory cost up to half of a
    training step on CPU (`benchmarks/step.py` measures it).

    Call before any other thread has allocated memory. A thread that has owns an arena of its own,
    which can't hold blocks of such a size: they are taken from the system all the same. So a
    program calls this before it imports JAX (`keep_freed_memory_on_cpu`); later it helps threads
    that share the main arena alone.

    Returns:
      Whether glibc took the settings: False where the C library is another one.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all([mallopt(parameter, value) == 1 for parameter, value in _KEEP_FREED.items()])


def keep_freed_memory_on_cpu() -> bool:
    """`keep_freed_memory` in a program that is going to compute on the CPU; returns whether.

    Asked before JAX is there to tell: by JAX_PLATFORMS, else by whether the machine has a device
    file of an accelerator. With one, many threads allocate small blocks on the host, for which
    several arenas are better.
    """
    platforms = os.environ.get("JAX_PLATFORMS", "")
    if platforms:
        return platforms.split(",")[0] == "cpu" and keep_freed_memory()
    return not any(glob.glob(pattern) for pattern in _ACCELERATORS) and keep_freed_memory()


def threads_for_cpu_devices() -> None:
    """Gives XLA's CPU runtime threads enough for several devices on one machine.

    It has one per device (`--xla_force_host_platform_device_count`), shared by all of them. A
    device blocks one in each collective that it has begun, and begins several where they don't
    depend on each other: soon none is left for those that the others wait for, and after 40
    seconds the program is ended. Call before the first computation; NPROC is read there.
    """
    if "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", ""):
        os.environ.setdefault("NPROC", "64")


def one_thread() -> dict[str, str]:
    """Environment of a process that is to leave the other cores alone.

    Two small trainings with a core each get more done than one with both. Keeps freed memory too.
    """
    flags = [os.environ.get("XLA_FLAGS", ""), "--xla_cpu_multi_thread_eigen=false"]
    threads = dict.fromkeys(("NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return threads | _KEEP_FREED_VARIABLES | {"XLA_FLAGS": " ".join(filter(None, flags))}


class Terminated(KeyboardInterrupt):
    """SIGTERM, on the way that Ctrl-C takes."""


# Signal → (its handler at the start of a program, what it raises here).
_INTERRUPTS: dict[signal.Signals, tuple[Any, type[KeyboardInterrupt]]] = {
    signal.SIGINT: (signal.default_int_handler, KeyboardInterrupt),
    signal.SIGTERM: (signal.SIG_DFL, Terminated),
}
# The last interrupt that was raised within `interruptible` and hasn't ended it yet.
_pending: list[type[KeyboardInterrupt]] = []


@contextlib.contextmanager
def interruptible(sigterm: bool = True) -> Iterator[None]:
    """Makes sure that Ctrl-C ends work that calls `stop_if_interrupted` now and then.

    Python drops a KeyboardInterrupt that is raised inside of a callback of the garbage collector,
    as JAX has one, or of a destructor. Where a signal is ignored, as SIGINT is in a background
    job, or handled by somebody else, it stays so.

    Args:
      sigterm: whether SIGTERM raises `Terminated`, so that what is half made is removed.
    """

    def handle(number, frame):
        _, interrupt = _INTERRUPTS[signal.Signals(number)]
        _pending[:] = [interrupt]
        raise interrupt

    numbers = _INTERRUPTS if sigterm else [signal.SIGINT]
    ours = [number for number in numbers if signal.getsignal(number) is _INTERRUPTS[number][0]]
    if ours:  # not within another one
        _pending.clear()
    for number in ours:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, _INTERRUPTS[number][0])


def stop_if_interrupted() -> None:
    """Raises the interrupt that came within `interruptible` and was dropped, if any."""
    if _pending:
        raise _pending.pop()


@contextlib.contextmanager
def stop_signals() -> Iterator[Callable[[], str | None]]:
    """Turns the first SIGINT or SIGTERM into a request; a second one interrupts at once.

    Yields:
      A function that returns the name of the signal received so far, or None.
    """
    received: list[str] = []

    def handle(number, frame):
        name = signal.Signals(number).name
        if received:
            raise KeyboardInterrupt(name)
        received.append(name)

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: received[0] if received else None
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
