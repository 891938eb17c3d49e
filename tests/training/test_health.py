"""One line for all hosts, memory where it is known, and rates beside published peaks."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

from liax_jax.training import health

VALUES = {
    "images_per_second": 80.0,
    "data_wait_share": 0.125,
    "time/step": 0.4,
    "time/compute": 0.35,
    "time/data": 0.05,
    "memory/host_gib": 3.0,
    "memory/device_gib": 60.0,
}


def test_one_process():
    values = VALUES | health.across_hosts(VALUES)
    assert values["hosts/count"] == 1
    assert values["hosts/step_seconds_min"] == values["hosts/step_seconds_max"] == np.float32(0.4)
    assert health.status_line(20, values) == (
        "step 20: 80.0 images/s; 0.400 s a step; 12.5% waiting for data; 60.0 GiB of a device in "
        "use; 3.0 GiB of a host"
    )


def test_several_processes_in_one_line():
    def gather(own):
        other = own.copy()
        other[:5] = 0.6, 0.3, 0.25, 71.0, 2.0
        other[5] = 7
        return np.stack([own, other])

    values = VALUES | health.across_hosts(VALUES, gather)
    values |= {"data/share/hdtf": 0.25, "data/share/vox": 0.75}
    values |= {"rate/tflops_per_device": 123.4, "rate/mfu": 0.31}
    assert health.status_line(20, values) == (
        "step 20: 80.0 images/s; 0.400–0.600 s a step on 2 hosts; 12.5% waiting for data (at most "
        "0.250 s a step); 123 TFLOP/s a device (31.0% MFU); 71.0 GiB of a device in use; 3.0 GiB "
        "of a host; data hdtf 25.0%, vox 75.0%; 7 damaged pairs replaced"
    )


def test_memory_of_the_fullest_device(monkeypatch):
    assert 0.05 < health.memory()["memory/host_gib"] < 1000
    assert "memory/device_gib" not in health.memory()  # the CPU backend doesn't tell
    stats = [{"bytes_in_use": n << 30, "peak_bytes_in_use": (n + 5) << 30} for n in (3, 9, 4)]
    devices = [SimpleNamespace(memory_stats=lambda entry=entry: entry) for entry in stats]
    monkeypatch.setattr(health.jax, "local_devices", lambda: devices)
    values = health.memory()
    assert (values["memory/device_gib"], values["memory/device_peak_gib"]) == (9, 14)


def test_rates_beside_the_published_peak(monkeypatch):
    devices = jax.device_count()
    assert health.compute_rate(0.0, 1.0, "float32") == {}
    assert health.compute_rate(8e12 * devices, 2.0, "float32") == {"rate/tflops_per_device": 4.0}
    monkeypatch.setattr(
        health.jax, "devices", lambda: [SimpleNamespace(device_kind="NVIDIA A100-SXM4-80GB")]
    )
    for dtype, mfu in (("bfloat16", 0.25), ("float32", 0.5)):
        values = health.compute_rate(156e12 * devices, 2.0, dtype)
        assert values == {"rate/tflops_per_device": pytest.approx(78), "rate/mfu": mfu}


def test_all_hosts_must_see_the_same_clips():
    clips = type("Clips", (), {"names": ("a", "b"), "lengths": (3, 4), "__len__": lambda _: 2})()
    health.check_same_clips(clips)
    health.check_same_clips(clips, lambda own: np.stack([own, own, own]))
    with pytest.raises(ValueError, match=r"processes \[2\] of 3 found other clips than process 0"):
        health.check_same_clips(clips, lambda own: np.stack([own, own, own + 1]))
