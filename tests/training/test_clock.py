"""Where the time goes, with a clock that the test turns: nothing here waits."""

import threading

import numpy as np
import pytest

from liax_jax.training import clock as clock_module
from liax_jax.training.clock import StepClock


class Device:
    """Steps end when the test says so."""

    def __init__(self, monkeypatch):
        self.time = 100.0
        self._ends: dict[int, tuple[threading.Event, list[float]]] = {}
        monkeypatch.setattr(clock_module.jax, "block_until_ready", self._wait)
        self._thread_time = threading.local()

    def now(self):
        # The watching thread sees the time at which the step ended, the loop its own.
        return getattr(self._thread_time, "value", self.time)

    def start(self, number):
        self._ends[number] = (threading.Event(), [])
        return number

    def end(self, number, at):
        self._ends[number][1].append(at)
        self._ends[number][0].set()

    def _wait(self, number):
        event, times = self._ends[number]
        assert event.wait(10)
        self._thread_time.value = times[0]


@pytest.fixture
def device(monkeypatch):
    return Device(monkeypatch)


def run(device, clock, number, *, data=0.0, save=0.0, dispatch_at=None):
    for activity, seconds in (("save", save), ("data", data)):
        with clock.doing(activity):
            device.time += seconds
    if dispatch_at is not None:
        device.time = dispatch_at
    with clock.step(number):
        result = device.start(number)
    clock.dispatched(result)


def test_a_wait_for_data_that_the_device_does_not_notice_is_none(device):
    clock = StepClock(8, 0, now=device.now)
    run(device, clock, 1, data=0.0)  # dispatched at 100
    run(device, clock, 2, data=3.0)  # the batch comes at 103, the device is busy until 105
    device.end(1, at=105.0)
    device.end(2, at=110.0)
    device.time = 110.0
    values = clock.lap(2)
    assert values["images_per_second"] == pytest.approx(16 / 10)
    assert values["time/step"] == values["time/compute"] == 5.0
    assert values["data_wait_share"] == values["time/data"] == values["time/other"] == 0.0
    clock.close()


def test_what_the_device_waits_for_is_named(device):
    clock = StepClock(8, 10, now=device.now)
    run(device, clock, 11, data=1.0)  # dispatched at 101
    device.end(11, at=103.0)
    device.time = 102.0
    run(device, clock, 12, save=4.0, data=2.0)  # saved until 106, data until 108
    device.end(12, at=112.0)
    device.time = 112.0
    values = clock.lap(12)
    # Idle: 100–101 and 106–108 for data, 103–106 for saving; busy 101–103 and 108–112.
    assert values["time/step"] == 6.0
    assert values["time/data"] == pytest.approx(3.0 / 2)
    assert values["data_wait_share"] == pytest.approx(3.0 / 12)
    assert values["time/save"] == pytest.approx(3.0 / 2)
    assert values["time/compute"] == pytest.approx(6.0 / 2)
    assert values["time/pictures"] == values["time/other"] == 0.0
    clock.close()


def test_laps_share_no_time_and_lose_none(device):
    clock = StepClock(4, 0, now=device.now)
    rng = np.random.default_rng(0)
    number, laps, begun, ended = 0, [], device.time, 0.0
    for steps in (3, 1, 5):
        for _ in range(steps):
            number += 1
            run(device, clock, number, data=rng.exponential(), save=rng.exponential())
            ended = max(ended, device.time) + rng.exponential()
            device.end(number, at=ended)
            device.time += rng.exponential() / 10
        device.time = max(ended, device.time) + 0.5
        lap_begun = device.time
        values = clock.lap(number)
        laps.append((steps, values))
        parts = [values[f"time/{n}"] for n in ("compute", "data", "save", "pictures", "other")]
        assert sum(parts) == pytest.approx(values["time/step"]) and min(parts) >= 0
        assert values["images_per_second"] == pytest.approx(4 / values["time/step"])
    assert sum(n * values["time/step"] for n, values in laps) == pytest.approx(lap_begun - begun)
    clock.close()


def test_a_failed_step_does_not_stop_the_clock(device, monkeypatch):
    def fail(_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(clock_module.jax, "block_until_ready", fail)
    clock = StepClock(8, 0, now=device.now)
    run(device, clock, 1)
    device.time += 1
    assert clock.lap(1)["images_per_second"] == 8.0
    clock.close()


def test_the_time_limit(device):
    clock = StepClock(8, 0, max_minutes=2.0, now=device.now)
    assert not clock.out_of_time()
    device.time += 121
    assert clock.out_of_time()
    clock.close()
    unlimited = StepClock(8, 0, now=device.now)
    device.time += 1e9
    assert not unlimited.out_of_time()
    unlimited.close()
