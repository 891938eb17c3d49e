"""What runs the units of work: this process, a pool of processes, or Ray over many machines.

An engine is given jobs and yields their results in the order of the jobs, a bounded number ahead;
the results do not depend on the engine.
"""

import collections
import concurrent.futures
import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from liax_jax.data.progress import Progress

ENGINES = ("local", "ray")

# Jobs in flight for each worker, so that none waits for the next job.
_JOBS_AHEAD = 2
_LOOK_SECONDS = 0.2

Result = TypeVar("Result")
# function(*job, advance=…): advance is told of (frames read, bytes of the source that they are).
Work = Callable[..., Result]


def run(
    engine: str,
    work: Work[Result],
    jobs: Iterable[tuple[Any, ...]],
    workers: int | None,
    progress: Progress,
) -> Generator[Result, None, None]:
    """Runs work(*job, advance=…) for each job.

    Args:
        engine: "local" or "ray".
        work: a function of a module; with its arguments it can be pickled.
        jobs: the arguments.
        workers: processes at a time, over all machines; with Ray, None for as many as it has.
        progress: is told of frames and bytes.

    Yields:
        The results, in the order of the jobs.

    Raises:
        ImportError: Ray is not installed.
        RuntimeError: a worker process died.
        Exception: what a job raised.
    """
    if engine == "ray":
        return _run_on_ray(work, jobs, workers, progress)
    if engine != "local":
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}")
    if workers is None:
        raise ValueError('the engine "local" needs a number of workers')
    if workers == 1:
        return (work(*job, advance=progress.add) for job in jobs)
    return _run_in_pool(work, jobs, workers, progress)


def default_workers(engine: str) -> int | None:
    """One for each processor of this machine; None with Ray: as many as the cluster has."""
    if engine == "ray":
        return None
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _run_in_pool(
    work: Work[Result], jobs: Iterable[tuple[Any, ...]], workers: int, progress: Progress
) -> Generator[Result, None, None]:
    # Spawned, not forked: the program that calls may have threads.
    context = multiprocessing.get_context("spawn")
    frames, num_bytes, stop = context.Value("q"), context.Value("d"), context.Event()
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(
            concurrent.futures.ProcessPoolExecutor(
                workers,
                mp_context=context,
                initializer=_start_worker,
                initargs=(frames, num_bytes, stop),
            )
        )
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        stack.callback(stop.set)
        waiting = iter(jobs)
        running: collections.deque[concurrent.futures.Future[Result]] = collections.deque()
        while True:
            while len(running) < _JOBS_AHEAD * workers:
                job = next(waiting, None)
                if job is None:
                    break
                running.append(pool.submit(_in_worker, work, job))
            if not running:
                break
            future = running.popleft()
            while not concurrent.futures.wait([future], timeout=_LOOK_SECONDS).done:
                progress.set(frames.value, num_bytes.value)
            progress.set(frames.value, num_bytes.value)
            try:
                result = future.result()
            except BrokenProcessPool:
                raise RuntimeError(
                    "a worker process died, perhaps for want of memory; run again with "
                    "--workers 1, which goes on with what is done, and the progress bar stops at "
                    "the clip that does it"
                ) from None
            yield result


# What a worker process reports to, set by its initialiser.
_worker: dict[str, Any] = {}


def _start_worker(frames: Any, num_bytes: Any, stop: Any) -> None:
    # Ctrl-C goes to the whole group of processes; the parent answers it, by `stop`.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker.update(frames=frames, num_bytes=num_bytes, stop=stop)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A parent that is killed tells nobody, and its workers would wait for jobs for ever.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _in_worker(work: Work[Result], job: tuple[Any, ...]) -> Result:
    def advance(frames: int, num_bytes: float) -> None:
        with _worker["frames"].get_lock():
            _worker["frames"].value += frames
        with _worker["num_bytes"].get_lock():
            _worker["num_bytes"].value += num_bytes
        if _worker["stop"].is_set():
            raise concurrent.futures.CancelledError

    return work(*job, advance=advance)


def _run_on_ray(
    work: Work[Result], jobs: Iterable[tuple[Any, ...]], workers: int | None, progress: Progress
) -> Generator[Result, None, None]:
    """One Ray task a job. A cluster is joined if RAY_ADDRESS names one, else one begins here."""
    try:
        import ray
    except ImportError as error:
        raise ImportError(
            'the engine "ray" needs Ray: pip install "liax-jax[ray]"; or use --engine local'
        ) from error
    started = not ray.is_initialized()
    if started:
        here = None if os.environ.get("RAY_ADDRESS") else workers
        ray.init(num_cpus=here, include_dashboard=False, log_to_driver=False)
    try:
        remote: Any = ray.remote(num_cpus=1, max_retries=3)(_on_ray)
        slots = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        waiting = iter(jobs)
        running: collections.deque[Any] = collections.deque()
        while True:
            while len(running) < _JOBS_AHEAD * slots:
                job = next(waiting, None)
                if job is None:
                    break
                running.append(remote.remote(work, job))
            if not running:
                break
            try:
                result, frames, num_bytes = ray.get(running.popleft())
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            except ray.exceptions.RayError as error:
                raise RuntimeError(f"Ray: {error}") from None
            progress.add(frames, num_bytes)
            yield result
    finally:
        if started:
            ray.shutdown()


def _on_ray(work: Work[Result], job: tuple[Any, ...]) -> tuple[Result, int, float]:
    total = [0, 0.0]

    def advance(frames: int, num_bytes: float) -> None:
        total[0] += frames
        total[1] += num_bytes

    return work(*job, advance=advance), int(total[0]), total[1]
