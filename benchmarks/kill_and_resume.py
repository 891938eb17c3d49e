"""Does a run that is killed again and again end where an uninterrupted one ends, bit for bit?

  python benchmarks/kill_and_resume.py --kills 10

Trains a tiny animator (both networks, both optimisers, moving average) on drawn portraits with
train.py, once in peace and once with SIGKILLs: half of them while a checkpoint is being written,
the others at random moments, starting up included. Then compares every array of the two final
checkpoints, and every logged metric, and exits with status 1 where anything differs. Takes about
5 minutes on two free cores, most of it starting Python and compiling.

This file is also the config of the runs: it has `get_config`.
"""

import argparse
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

ROOT = Path(__file__).resolve().parent.parent
WALL_CLOCK_METRICS = ("images_per_second", "data_wait_share", "time/", "rate/", "memory/", "hosts/")
# Orbax writes a checkpoint under such a name, and renames it when it is complete.
UNFINISHED_SAVES = "*.orbax-checkpoint-tmp*"


def get_config() -> ConfigDict:
    """A run of seconds: 32 pixels, four channels at the finest level."""
    from configs import default

    config = default.get_config()
    config.model.update(
        resolution=32, width=1 / 16, num_blocks=1, num_vectors=4, groups=4, flow_init="identity"
    )
    config.loss.update(perceptual=0.0, l1_scales=2)
    config.discriminator.update(width=1 / 64, r1_interval=4)
    for optimizer in (config.generator_optimizer, config.discriminator_optimizer):
        optimizer.warmup_steps = 10
    config.data.kind = "procedural"
    config.data.flip = True
    config.data.procedural.update(num_clips=16, num_eval_clips=2, frames_per_clip=16)
    config.batch_size = 8
    config.train_steps = 400
    config.log_every = 1
    config.panel_every = 0
    config.video_every = 0
    config.checkpoint_every = 50
    return config


def start_training(
    config_file: str | Path,
    workdir: str | Path,
    flags: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    log: str | Path | None = None,
) -> subprocess.Popen[str]:
    """Starts train.py; its messages go to LOG.log, or WORKDIR.log."""
    command = [sys.executable, str(ROOT / "train.py"), "--config", str(config_file)]
    with open(f"{log or workdir}.log", "a") as messages:
        return subprocess.Popen(
            [*command, "--workdir", str(workdir), *flags],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=messages,
            stderr=subprocess.STDOUT,
            text=True,
        )


def signal_when(
    process: subprocess.Popen[str],
    number: int,
    condition: Callable[[], bool],
    delay: float = 0.0,
    timeout: float = 900.0,
) -> int:
    """Sends a signal `delay` seconds after `condition()` first holds; returns the exit status.

    Raises:
      RuntimeError: the process ended, or the time was up, before.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise RuntimeError(f"nothing to interrupt: train.py ended with {process.wait()}")
        time.sleep(0.001)
    time.sleep(delay)
    process.send_signal(number)
    return process.wait()


def last_logged_step(workdir: Path) -> int:
    """The step of the last complete line of metrics.jsonl, or 0."""
    path = workdir / "metrics.jsonl"
    complete = path.read_text().rpartition("\n")[0] if path.exists() else ""
    return json.loads(complete.splitlines()[-1])["step"] if complete else 0


def is_saving(workdir: Path) -> bool:
    """Whether a checkpoint is being written, or one was left half written."""
    return any((workdir / "checkpoints").glob(UNFINISHED_SAVES))


def load_final_state(config: ConfigDict, workdir: Path) -> Any:
    """The newest checkpoint as NumPy arrays."""
    import jax

    logging.getLogger("absl").setLevel(logging.ERROR)  # Orbax repeats its options
    from liax_jax.checkpoint import Checkpoints, abstract_state
    from liax_jax.training.state import create_train_state

    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    like = abstract_state(jax.eval_shape(lambda: create_train_state(config)), device)
    checkpoints = Checkpoints(workdir, read_only=True)
    state = checkpoints.restore_latest(like)
    checkpoints.close()
    return jax.device_get(state)


def differing_arrays(ours: Any, theirs: Any) -> list[str]:
    """Names of the arrays of two states that aren't the same bit for bit."""
    import jax

    def named(state: Any) -> dict[str, np.ndarray]:
        leaves = jax.tree_util.tree_leaves_with_path(state)
        return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}

    a, b = named(ours), named(theirs)
    same = {k for k in a.keys() & b.keys() if a[k].dtype == b[k].dtype}
    same = {k for k in same if a[k].shape == b[k].shape and a[k].tobytes() == b[k].tobytes()}
    return sorted((a.keys() | b.keys()) - same)


def logged_metrics(workdir: Path) -> list[dict[str, float]]:
    """The lines of metrics.jsonl without the figures that depend on the clock."""
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [
        {k: v for k, v in line.items() if not k.startswith(WALL_CLOCK_METRICS)} for line in lines
    ]


class SaveWatch:
    """Tells a save in progress from what a killed run left, which the next one clears."""

    def __init__(self, workdir: Path):
        self._workdir = workdir
        self._left_over = is_saving(workdir)

    def is_saving(self) -> bool:
        """Whether a checkpoint of this run is being written, or was when it died."""
        saving = is_saving(self._workdir)
        self._left_over = self._left_over and saving
        return saving and not self._left_over


def _kill_repeatedly(
    workdir: Path, kills: int, flags: list[str], last_step: int, seed: int, environment: dict
) -> int:
    """Trains in `workdir`, killed `kills` times; returns how many kills hit an unfinished save."""
    rng = np.random.default_rng(seed)
    targets = np.sort(rng.integers(0, last_step, kills))
    unfinished = 0
    for number, target in enumerate(targets.tolist()):
        during_save = number % 2 == 1
        watch = SaveWatch(workdir)

        def reached(target=target, during_save=during_save, watch=watch) -> bool:
            saving = watch.is_saving()
            return last_logged_step(workdir) >= target and (saving or not during_save)

        process = start_training(__file__, workdir, flags, environment)
        delay = float(rng.uniform(0, 0.05 if during_save else 2))
        signal_when(process, signal.SIGKILL, reached, delay)
        unfinished += watch.is_saving()
        print(
            f"kill {number + 1:2}: at step {last_logged_step(workdir):4}"
            + (", a checkpoint half written" if watch.is_saving() else ""),
            flush=True,
        )
    if start_training(__file__, workdir, flags, environment).wait():
        raise RuntimeError(f"the last run failed; see {workdir}.log")
    return unfinished


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--steps", type=int, default=400, help="length of the run (default: 400)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--folder", type=Path, help="keep the runs here; default: a temporary one")
    arguments = parser.parse_args()
    if arguments.kills < 1 or arguments.steps < 20:
        parser.error("at least 1 kill and 20 steps")
    if arguments.folder and arguments.folder.exists() and any(arguments.folder.iterdir()):
        parser.error(f"{arguments.folder} isn't empty")

    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        # Compiled once for all starts, so that the kills hit training rather than the compiler.
        environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
        environment |= {
            "JAX_PLATFORMS": "cpu",
            "JAX_COMPILATION_CACHE_DIR": str(folder.absolute() / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
        }
        os.environ["JAX_PLATFORMS"] = "cpu"
        peaceful, killed = folder / "uninterrupted", folder / "killed"
        flags = [f"--config.train_steps={arguments.steps}"]
        if start_training(__file__, peaceful, flags, environment).wait():
            print(Path(f"{peaceful}.log").read_text(), file=sys.stderr)
            return 1
        print(f"uninterrupted run: {last_logged_step(peaceful)} steps", flush=True)
        unfinished = _kill_repeatedly(
            killed,
            arguments.kills,
            flags,
            last_step=int(arguments.steps * 0.9),
            seed=arguments.seed,
            environment=environment,
        )
        config = get_config()
        states = [load_final_state(config, workdir) for workdir in (peaceful, killed)]
        different = differing_arrays(*states)
        ours, theirs = logged_metrics(killed), logged_metrics(peaceful)
        lines = sum(a != b for a, b in zip(ours, theirs, strict=False))
        lines += abs(len(ours) - len(theirs))

    import jax

    leaves = jax.tree.leaves(states[0])
    print(
        f"{arguments.kills} kills, {unfinished} of them with a checkpoint half written\n"
        f"final step {int(states[0].step)} and {int(states[1].step)}\n"
        f"{len(leaves)} arrays with {sum(x.size for x in leaves):,} numbers: "
        f"{len(different)} differ{': ' + ', '.join(different[:5]) if different else ''}\n"
        f"{len(theirs)} lines of metrics.jsonl: {lines} differ"
    )
    return 1 if different or lines else 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
