"""What a trace of `--config.profile_steps` says, as a table: no viewer needed.

  python -m benchmarks.trace WORKDIR

First the host's thread that trains: how often and how long it was in what. Then the operations of
the devices (on CPU: of the threads that compute), summed over threads by kind, a kind being the
operation's name without its number.
"""

import collections
import re
import sys
from pathlib import Path
from typing import Any

from jax.profiler import ProfileData

HOST_NAMES = ("train", "data", "save", "pictures", "np.asarray(jax.Array)")
# Frames around operations, and waiting for them: not work of their own.
_NOT_OPERATIONS = re.compile(
    r"ThunkExecutor|wait|Dispatch|Threadpool|Execut|TfrtCpu|Pjrt|end: |XLA Modules", re.I
)
TOP = 12


def newest_trace(workdir: Path) -> Path:
    traces = sorted(workdir.glob("profile/**/*.xplane.pb"), key=lambda path: path.stat().st_mtime)
    if not traces:
        raise SystemExit(f"{workdir}: no trace in it; train with --config.profile_steps=10:15")
    return traces[-1]


def is_device(plane: str, line: str) -> bool:
    return (plane.startswith("/device:") and line == "XLA Ops") or (
        plane == "/host:CPU" and line.startswith("tf_XLA")
    )


def summarize(trace: Any) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """(host, device): name → durations in ms."""
    host: dict[str, list[float]] = collections.defaultdict(list)
    device: dict[str, list[float]] = collections.defaultdict(list)
    for plane in trace.planes:
        for line in plane.lines:
            on_device = is_device(plane.name, line.name)
            for event in line.events:
                name = event.name
                if on_device and not _NOT_OPERATIONS.search(name):
                    kind = re.sub(r"[._\d]+$", "", name)
                    device[kind].append(event.duration_ns / 1e6)
                elif not on_device and name in HOST_NAMES:
                    host[name].append(event.duration_ns / 1e6)
    return host, device


def main(workdir: Path) -> None:
    path = newest_trace(workdir)
    print(path)
    host, device = summarize(ProfileData.from_file(str(path)))
    for title, table in (("host", host), ("operations of the devices", device)):
        total = sum(map(sum, table.values()))
        print(f"\n{title:40s} times   total ms   share")
        for name, times in sorted(table.items(), key=lambda item: -sum(item[1]))[:TOP]:
            print(f"{name:40s} {len(times):5d} {sum(times):10.1f} {sum(times) / total:7.1%}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
