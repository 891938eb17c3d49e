"""`liax prepare` on real videos: rate, the same records for any workers, and after kill -9.

    python -m benchmarks.prepare VIDEOS FOLDER [--resolution 256] [--kills 3] [-- MORE FLAGS]

Prepares VIDEOS with one worker, with two, and with two killed some times at random moments; prints
the seconds, and whether every file is the same.
"""

import argparse
import hashlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path


def command(args: argparse.Namespace, out: Path, workers: int) -> list[str]:
    """A run of `liax prepare` in files of 32 MB, so that a kill finds some of them complete."""
    return [
        *(sys.executable, "-m", "liax_jax.cli", "prepare", args.videos, str(out)),
        *("--resolution", str(args.resolution), "--workers", str(workers), "--shard-mb", "32"),
        *args.flags,
    ]


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def timed(arguments: list[str]) -> tuple[float, float, str]:
    """Seconds, seconds of processor time, and what it printed."""
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(arguments, check=True, capture_output=True, text=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - start, processor, result.stdout


def killed(arguments: list[str], seconds: float) -> bool:
    """Kills the program, not its workers, with SIGKILL after some time; whether it was running."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        return True


def main() -> None:
    """Runs it and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("flags", nargs="*", help="after --: more flags of liax prepare")
    args = parser.parse_args()
    args.folder.mkdir(parents=True)
    found = {}
    seconds = 0.0
    for workers in (1, 2):
        out = args.folder / f"workers{workers}"
        seconds, processor, printed = timed(command(args, out, workers))
        found[out.name] = digests(out)
        print(f"{workers} workers: {seconds:.1f} s, {processor:.1f} s of processor time\n{printed}")
    out = args.folder / "killed"
    draw = random.Random(args.seed)
    for number in range(args.kills):
        if out.exists():
            break
        after = draw.uniform(0.2, 0.6) * seconds
        state = "killed" if killed(command(args, out, 2), after) else "was done already"
        done = len(list(args.folder.glob(".killed.*/records/*")))
        kept = len(list(args.folder.glob(".killed.*/results/*/*.json")))
        print(
            f"kill {number + 1} after {after:.1f} s: {state}; {done} files (the last may be "
            f"incomplete), {kept} clips kept beside them"
        )
    if not out.exists():
        resumed, _, printed = timed(command(args, out, 2))
        print(f"the last run: {resumed:.1f} s\n{printed}")
    found[out.name] = digests(out)
    same = all(other == found["workers1"] for other in found.values())
    for name, digest in sorted(found["workers1"].items()):
        print(f"{digest}  {name}")
    print("every file is the same in all three" if same else f"DIFFERENT: {found}")
    left = [path.name for path in args.folder.iterdir() if path.name.startswith(".")]
    print(f"left over: {left or 'nothing'}")
    shutil.rmtree(args.folder)
    sys.exit(0 if same and not left else 1)


if __name__ == "__main__":
    main()
