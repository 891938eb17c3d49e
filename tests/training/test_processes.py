"""Runs of two real processes: equal to one, stopped together, and ended when one is lost."""

import json
import os
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
import pytest
import tiny

from benchmarks.kill_and_resume import last_logged_step, load_final_state, start_training

STEPS, SAVE_EVERY = 12, 5


def free_port():
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return listener.getsockname()[1]


def environment(devices):
    flags = f"--xla_backend_optimization_level=0 --xla_force_host_platform_device_count={devices}"
    return os.environ | {
        "XLA_FLAGS": flags,
        "NPROC": "64",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.02",
    }


def start(workdir, count, mesh, steps=STEPS, log=None):
    """Starts `count` processes of one run on eight devices together."""
    flags = [f"--config.mesh.{axis}={size}" for axis, size in mesh.items()]
    flags += [f"--config.train_steps={steps}", f"--config.checkpoint_every={SAVE_EVERY}"]
    flags += ["--config.loss.adversarial=0"]
    address = f"localhost:{free_port()}"
    processes = []
    for index in range(count):
        mine = [*flags]
        if count > 1:
            mine += [
                f"--config.distributed.coordinator_address={address}",
                f"--config.distributed.num_processes={count}",
                f"--config.distributed.process_id={index}",
                "--config.distributed.heartbeat_timeout_seconds=10",
            ]
        # Messages of each process in a file of its own.
        target = workdir.with_name(f"{workdir.name}.{index}") if log is None else log
        target.parent.mkdir(exist_ok=True)
        processes.append(
            start_training(tiny.__file__, workdir, mine, environment(8 // count), log=target)
        )
    return processes


def finish(processes, seconds=300):
    deadline = time.monotonic() + seconds
    try:
        return [p.wait(timeout=max(1, deadline - time.monotonic())) for p in processes]
    finally:
        for process in processes:
            process.kill()


def wait_for_step(workdir, step, processes, seconds=300):
    deadline = time.monotonic() + seconds
    while last_logged_step(workdir) < step:
        assert all(p.poll() is None for p in processes), said(workdir)
        assert time.monotonic() < deadline, said(workdir)
        time.sleep(0.02)


def said(workdir):
    return "\n".join(p.read_text() for p in sorted(workdir.parent.glob(f"{workdir.name}*.log")))


def losses(workdir):
    """{step: {name: value}} of what was logged last for each step."""
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").open()]
    return {
        line["step"]: {n: x for n, x in line.items() if n.startswith("loss/") or n == "psnr"}
        for line in lines
    }


def assert_same_run(workdir, reference):
    found, expected = losses(workdir), losses(reference)
    assert sorted(found) == sorted(expected) == list(range(1, STEPS + 1))
    for step, values in expected.items():
        assert found[step] == pytest.approx(values, abs=1e-4), step


def params_of_step(workdir, step):
    """The generator's parameters as NumPy arrays; the run is left as it is."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(workdir / "checkpoints" / str(step), f"{folder}/checkpoints/{step}")
        config = tiny.get_config()
        config.loss.adversarial = 0.0
        return jax.tree.leaves(load_final_state(config, Path(folder)).generator.params)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """One process with eight devices, uninterrupted."""
    workdir = tmp_path_factory.mktemp("processes") / "alone"
    assert finish(start(workdir, 1, {"data": 8})) == [0], said(workdir)
    return workdir


def test_two_processes_stop_together_and_any_number_goes_on(alone):
    """2 processes, SIGTERM to one of them → 1 process on another mesh → 2 again."""
    workdir = alone.with_name("elastic")
    two = start(workdir, 2, {"data": 2, "fsdp": 4})
    wait_for_step(workdir, 2, two)
    two[1].send_signal(signal.SIGTERM)
    assert finish(two) == [75, 75], said(workdir)
    stopped_at = last_logged_step(workdir)
    assert 2 <= stopped_at < STEPS
    assert (workdir / "checkpoints" / str(stopped_at)).is_dir()

    middle = min(stopped_at + 2, STEPS - 1)
    assert finish(start(workdir, 1, {"data": 1, "fsdp": 8}, steps=middle)) == [0], said(workdir)
    assert f"going on from step {stopped_at}" in said(workdir)
    assert finish(start(workdir, 2, {"data": 8})) == [0, 0], said(workdir)
    assert f"going on from step {middle}" in said(workdir)
    assert_same_run(workdir, alone)


def test_a_killed_process_ends_the_other_and_a_restart_goes_on(alone):
    workdir = alone.with_name("killed")
    """And before that: two processes train as one."""
    mesh = {"data": 2, "fsdp": 4}
    assert finish(start(workdir, 2, mesh, steps=SAVE_EVERY)) == [0, 0], said(workdir)
    parameters = (params_of_step(where, SAVE_EVERY) for where in (workdir, alone))
    for found, expected in zip(*parameters, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)
    two = start(workdir, 2, mesh)
    wait_for_step(workdir, SAVE_EVERY + 2, two)
    two[1].send_signal(signal.SIGKILL)
    killed_at = time.monotonic()
    statuses = finish(two, seconds=120)
    assert time.monotonic() - killed_at < 60
    assert statuses[1] == -signal.SIGKILL
    # By ours where a computation failed, or by JAX's own that misses the heartbeat (SIGABRT).
    assert statuses[0] in (75, -signal.SIGABRT), said(workdir)
    if statuses[0] == 75:
        assert "another process of this run has ended" in said(workdir)
    assert finish(start(workdir, 2, {"data": 8})) == [0, 0], said(workdir)
    assert_same_run(workdir, alone)


def test_waiting_for_processes_that_never_come_is_bounded(tmp_path):
    workdir = tmp_path / "lonely"
    process = start_training(
        tiny.__file__,
        workdir,
        [
            f"--config.distributed.coordinator_address=localhost:{free_port()}",
            "--config.distributed.num_processes=2",
            "--config.distributed.process_id=0",
            "--config.distributed.start_timeout_seconds=3",
        ],
        environment(4),
    )
    # JAX itself aborts a first process that waits in vain (SIGABRT), and lets others raise.
    assert finish([process], seconds=60) in ([2], [-signal.SIGABRT])
    said = Path(f"{workdir}.log").read_text()
    assert "waiting 3 s at most; were all started, with the same coordinator address?" in said
