"""Where the time of training goes, although the host runs ahead of the device.

A step is dispatched long before it is finished, so that the host's own clock says little: what it
spends waiting for a batch may cost nothing, as the device still computes. A thread therefore waits
for every step to finish and notes when. The device was busy with a step from its dispatch, or from
the end of the step before if that was later, to its end; before that it was idle, and what the host
did meanwhile is to blame.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax

# What the host does between two dispatches, in the order of the loop.
ACTIVITIES = ("data", "save", "pictures")


class StepClock:
    """Rates, what each step's time went to, and the limit on training time.

    Args:
      batch_size: images (pairs) of a step, over all devices.
      first_step: steps done before.
      max_minutes: of training; 0 for no limit.
      now: seconds of a monotonic clock.
    """

    def __init__(
        self,
        batch_size: int,
        first_step: int,
        max_minutes: float = 0.0,
        now: Callable[[], float] = time.monotonic,
    ):
        self._batch_size = batch_size
        self._limit = max_minutes * 60
        self._now = now
        self._start = self._lap_start = self._device_free = now()
        self._lap_step = first_step
        self._spans: list[tuple[str, float, float]] = []
        self._idle = dict.fromkeys(ACTIVITIES, 0.0)
        self._busy = 0.0
        self._steps: queue.Queue = queue.Queue()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="step clock")
        self._thread.start()

    @contextlib.contextmanager
    def doing(self, activity: str) -> Iterator[None]:
        """What the host does meanwhile is one of ACTIVITIES; named in profiles too."""
        start = self._now()
        with jax.profiler.TraceAnnotation(activity):
            yield
        self._spans.append((activity, start, self._now()))

    @contextlib.contextmanager
    def step(self, step: int) -> Iterator[None]:
        """Around the dispatch of a step; `dispatched` has to follow."""
        self._dispatch = self._now()
        with jax.profiler.StepTraceAnnotation("train", step_num=step):
            yield

    def dispatched(self, result: Any) -> None:
        """The step's results, whose being ready ends it; not an array that is donated later."""
        self._steps.put((self._dispatch, self._spans, result))
        self._spans = []

    def lap(self, step: int) -> dict[str, float]:
        """Means since the last lap; waits until every dispatched step has ended.

        Returns:
          images_per_second, data_wait_share (of all time: the device idle for want of data), and
          in seconds per step `time/step`, and its parts `time/compute` (the device busy),
          `time/data`, `time/save`, `time/pictures` (the device idle meanwhile), `time/other`.
        """
        self._steps.join()
        now = self._now()
        seconds, steps = now - self._lap_start, max(step - self._lap_step, 1)
        parts = {"compute": self._busy} | self._idle
        parts["other"] = max(0.0, seconds - sum(parts.values()))
        values = {
            "images_per_second": (step - self._lap_step) * self._batch_size / seconds,
            "data_wait_share": self._idle["data"] / seconds,
            "time/step": seconds / steps,
        }
        values |= {f"time/{name}": part / steps for name, part in parts.items()}
        self._lap_start, self._lap_step = now, step
        self._busy, self._idle = 0.0, dict.fromkeys(ACTIVITIES, 0.0)
        return values

    def out_of_time(self) -> bool:
        """Whether the limit on training time is reached."""
        return bool(self._limit) and self._now() - self._start > self._limit

    def close(self) -> None:
        """Ends the thread, or leaves it behind where a step never ends, as when a host is lost."""
        self._steps.put(None)
        self._thread.join(timeout=1)

    def _watch(self) -> None:
        while (item := self._steps.get()) is not None:
            dispatch, spans, result = item
            # A failed computation raises in the loop as well, which has more to say about it.
            with contextlib.suppress(Exception):
                jax.block_until_ready(result)
            self._account(dispatch, spans, self._now())
            self._steps.task_done()

    def _account(
        self, dispatch: float, spans: list[tuple[str, float, float]], finished: float
    ) -> None:
        """Splits the time from the end of the step before to the end of this one."""
        begun = max(dispatch, self._device_free)
        for activity, start, end in spans:
            # Before the lap began is another lap's time; a lap only ends when the device is free.
            idle_from = max(start, self._device_free, self._lap_start)
            self._idle[activity] += max(0.0, min(end, begun) - idle_from)
        self._busy += finished - begun
        self._device_free = finished
