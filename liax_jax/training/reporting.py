"""What a run leaves for people: JSON lines, TensorBoard events, pictures, a progress bar."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tqdm import tqdm

from liax_jax.checkpoint import writing_to


class Reporter:
    """Writes a run's metrics and pictures; on all processes but the first it writes nothing.

    Args:
      workdir: gets `metrics.jsonl`, `tensorboard/`, `panels/` and `videos/`.
      first_step: the step that training goes on from. Lines of later steps, written by a run that
        was killed after its last checkpoint, are dropped, as those steps are done again.
      enabled: whether this process writes.

    Every method raises WorkdirError where the disk is full or can't be written to.
    """

    def __init__(self, workdir: str | Path, first_step: int, enabled: bool):
        self.workdir = Path(workdir)
        self.enabled = enabled
        if not enabled:
            return
        self._lines_path = self.workdir / "metrics.jsonl"
        folder = self.workdir / "tensorboard"
        with writing_to(self.workdir):
            _drop_lines_after(self._lines_path, first_step)
            self._lines = open(self._lines_path, "a", buffering=1)  # noqa: SIM115 (see `close`)
            folder.mkdir(exist_ok=True)
            # Not SummaryWriter: its thread dies of a full disk, and the program then waits for it
            # forever. The ending, as two runs that start in the same second must not share a file.
            self._events = EventsWriter(str(folder / "events"), f".{os.getpid()}.{first_step}")
            # Tells TensorBoard to forget the steps that are done again.
            self._events.write_event(
                Event(step=first_step + 1, session_log=SessionLog(status=SessionLog.START))
            )
            self._events.flush()

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """One JSON line and one TensorBoard point per value."""
        if not self.enabled:
            return
        # JSON has no NaN: what isn't finite becomes null.
        finite = {name: value if np.isfinite(value) else None for name, value in values.items()}
        line = json.dumps({"step": step} | finite) + "\n"
        with writing_to(self.workdir):
            self._lines.write(line)
            self._write_summaries(step, *(summary.scalar(name, x) for name, x in values.items()))

    def picture(self, name: str, step: int, picture: np.ndarray) -> None:
        """A picture (h, w, 3) uint8 for TensorBoard."""
        if self.enabled:
            with writing_to(self.workdir):
                self._write_summaries(step, summary.image(name, picture, dataformats="HWC"))

    def _write_summaries(self, step: int, *summaries) -> None:
        for content in summaries:
            self._events.write_event(Event(wall_time=time.time(), step=step, summary=content))
        self._events.flush()

    def close(self) -> None:
        """Closes the files."""
        if self.enabled:
            with writing_to(self.workdir):
                self._lines.close()
                self._events.close()


def progress_bar(total: int, initial: int, batch_size: int, enabled: bool) -> tqdm:
    """Counts steps; shows images (pairs) per second and the time left."""
    return tqdm(
        total=total * batch_size,
        initial=initial * batch_size,
        unit="image",
        unit_scale=True,
        desc="train",
        disable=not enabled,
        dynamic_ncols=True,
        smoothing=0.05,
    )


def _drop_lines_after(path: Path, step: int) -> None:
    if not path.exists():
        return
    kept = []
    for line in path.read_text().splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line)
        except (ValueError, KeyError):
            continue  # the last line of a killed run may be cut short
    partial = path.with_suffix(".partial")
    partial.write_text("".join(line + "\n" for line in kept))
    partial.replace(path)
