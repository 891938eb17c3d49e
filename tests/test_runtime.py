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


@pytest.mark.parametrize("thread", ["", "threading.Thread(target=allocate)"])
@pytest.mark.parametrize("megabytes", [40, 100])  # less and more than a thread's arena can hold
def test_freed_memory_is_kept_where_the_c_library_is_glibc(thread, megabytes):
    # In a process of its own: the setting can't be taken back.
    program = (
        "import mmap, threading; from liax_jax.runtime import keep_freed_memory_on_cpu\n"
        "took_effect = keep_freed_memory_on_cpu()\n"
        "def resident(): return int(open('/proc/self/statm').read().split()[1]) * mmap.PAGESIZE\n"
        f"def allocate(): bytearray({megabytes} << 20)\n"
        "before = resident()\n"
        + (f"t = {thread}; t.start(); t.join()\n" if thread else "allocate()\n")
        + f"print(took_effect, resident() - before >= {megabytes - 4} << 20)"
    )
    output = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ, JAX_PLATFORMS="cpu"),
    ).stdout.split()
    glibc = str(platform.libc_ver()[0] == "glibc")
    assert output == [glibc, glibc]


@pytest.mark.parametrize(
    ("platforms", "device", "expected"),
    [("", False, True), ("", True, False), ("cpu", True, True), ("cuda,cpu", False, False)],
)
def test_memory_is_kept_only_where_the_cpu_computes(
    platforms, device, expected, tmp_path, monkeypatch
):
    monkeypatch.setenv("JAX_PLATFORMS", platforms)
    monkeypatch.setattr(runtime, "_ACCELERATORS", (str(tmp_path / "nvidia[0-9]*"),))
    monkeypatch.setattr(runtime, "keep_freed_memory", lambda: True)
    if device:
        (tmp_path / "nvidia0").touch()
    assert runtime.keep_freed_memory_on_cpu() is expected


def test_a_process_of_one_thread_keeps_memory_from_its_start():
    environment = dict(os.environ, **runtime.one_thread())
    program = "import os; print(os.environ['MALLOC_ARENA_MAX'], os.environ['NPROC'])"
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment
    ).stdout.split()
    assert output == ["1", "1"]


@pytest.mark.parametrize(
    ("number", "handler", "interrupt"),
    [
        (signal.SIGINT, signal.default_int_handler, KeyboardInterrupt),
        (signal.SIGTERM, signal.SIG_DFL, runtime.Terminated),
    ],
)
def test_an_interrupt_that_python_drops_still_ends_the_work(number, handler, interrupt):
    class Dropping:
        def __del__(self):
            os.kill(os.getpid(), number)
            for _ in range(1000):  # the handler runs between instructions, in here
                pass

    before = signal.getsignal(number)
    signal.signal(number, handler)
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        with pytest.raises(KeyboardInterrupt) as raised, runtime.interruptible():
            with runtime.interruptible():  # a command within a command
                holder = Dropping()
                del holder
            runtime.stop_if_interrupted()
        assert raised.type is interrupt
        with runtime.interruptible():
            runtime.stop_if_interrupted()  # once is enough
        assert signal.getsignal(number) is handler
    finally:
        sys.unraisablehook = hook
        signal.signal(number, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_is_ignored_or_not_asked_for_stays_so(number):
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with runtime.interruptible():
            os.kill(os.getpid(), number)
            runtime.stop_if_interrupted()
            assert signal.getsignal(number) is signal.SIG_IGN
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with runtime.interruptible(sigterm=False):
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_sigterm_ends_a_program_as_ctrl_c_does_where_it_asks_for_that(number, status):
    program = (
        "import os, signal; from liax_jax.training.command import run_program\n"
        # Processes in the background are born deaf to it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"run_program(lambda: os.kill(os.getpid(), {int(number)}), 'go on', True)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (status, "-c: error: go on\n")
