"""Signals and the allocator."""

import os
import platform
import signal
import subprocess
import sys

import pytest

from liax_jax import runtime
from liax_jax.runtime import stop_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_is_a_request_and_the_second_interrupts(number):
    before = [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)]
    with stop_signals() as requested:
        assert requested() is None
        os.kill(os.getpid(), number)
        assert requested() == signal.Signals(number).name
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
    assert [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)] == before


def test_handlers_are_restored_after_an_error():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ZeroDivisionError), stop_signals():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGTERM) is before


def test_freed_memory_is_kept_where_the_c_library_is_glibc():
    # In a process of its own: the setting can't be taken back.
    program = (
        "import mmap, sys; from liax_jax.runtime import keep_freed_memory\n"
        "took_effect = keep_freed_memory()\n"
        "def resident(): return int(open('/proc/self/statm').read().split()[1]) * mmap.PAGESIZE\n"
        "before = resident(); block = bytearray(64 << 20); del block\n"
        "print(took_effect, resident() - before >= 60 << 20)"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    glibc = str(platform.libc_ver()[0] == "glibc")
    assert output == [glibc, glibc]


def test_an_interrupt_that_python_drops_still_ends_the_work():
    class Dropping:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(1000):  # the handler runs between instructions, in here
                pass

    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        with pytest.raises(KeyboardInterrupt), runtime.interruptible():
            holder = Dropping()
            del holder
            runtime.stop_if_interrupted()
        with runtime.interruptible():
            runtime.stop_if_interrupted()  # once is enough
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGINT, before)
