"""What a run leaves for people: JSON lines, TensorBoard events, W&B, pictures, a progress bar."""

import importlib.util
import json
import os
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict
from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tqdm import tqdm

from liax_jax.checkpoint import writing_to
from liax_jax.data.clips import ClipSet
from liax_jax.data.pipeline import TrainIterator
from liax_jax.log import bar_interval, logger

STATUS_SECONDS = 60.0  # at least between two lines of status
WANDB_MODES = ("online", "offline")


class Reporter:
    """Writes a run's metrics and pictures; on all processes but the first it writes nothing.

    Args:
      workdir: gets `metrics.jsonl`, `tensorboard/`, `panels/` and `videos/`.
      first_step: the step that training goes on from. Lines of later steps, written by a run that
        was killed after its last checkpoint, are dropped, as those steps are done again.
      enabled: whether this process writes.
      config: of the run; with `wandb.project` set, everything goes to Weights & Biases as well.

    Every method raises WorkdirError where the disk is full or can't be written to.
    """

    def __init__(
        self,
        workdir: str | Path,
        first_step: int,
        enabled: bool,
        config: ConfigDict | None = None,
    ):
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
            self._wandb = None
            if config is not None and config.wandb.project:
                self._wandb = _start_wandb(config, self.workdir)
        self._last_status = -STATUS_SECONDS

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
        if self._wandb is not None:
            self._wandb.log(dict(values), step=step)

    def status(self, line: str) -> None:
        """Logs a line on how the run is doing, once a minute at most."""
        if self.enabled and time.monotonic() - self._last_status >= STATUS_SECONDS:
            self._last_status = time.monotonic()
            logger.info(line)

    def picture(self, name: str, step: int, picture: np.ndarray) -> None:
        """A picture (h, w, 3) uint8 for TensorBoard."""
        if self.enabled:
            with writing_to(self.workdir):
                self._write_summaries(step, summary.image(name, picture, dataformats="HWC"))
            if self._wandb is not None:
                import wandb

                self._wandb.log({name: wandb.Image(picture)}, step=step)

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
            if self._wandb is not None:
                self._wandb.finish()


def check_wandb(fields: ConfigDict) -> None:
    """Raises ValueError or ImportError where Weights & Biases is asked for and can't be used."""
    if not fields.project:
        return
    if fields.mode not in WANDB_MODES:
        raise ValueError(
            f"wandb.mode = {fields.mode!r}: choose one of {', '.join(WANDB_MODES)}, or leave "
            "wandb.project empty for none"
        )
    if importlib.util.find_spec("wandb") is None:
        raise ImportError(
            "wandb.project is set, but wandb is not installed: pip install 'liax-jax[wandb]', or "
            "leave wandb.project empty"
        )


def _start_wandb(config: ConfigDict, workdir: Path) -> Any:
    """The W&B run of a workdir: a restarted run goes on in the same one."""
    import wandb

    id_path = workdir / "wandb_id"
    if not id_path.exists():
        id_path.write_text(uuid.uuid4().hex[:12])
    return wandb.init(
        project=config.wandb.project,
        mode=config.wandb.mode,
        name=config.wandb.name or workdir.absolute().name,
        id=id_path.read_text().strip(),
        resume="allow",
        dir=str(workdir),
        config=json.loads(config.to_json_best_effort()),
    )


def describe_mixture(batches: TrainIterator, clips: ClipSet) -> None:
    """Logs what each source of a mixture gives, if it is one."""
    steps = batches.plan.epoch_steps()
    total = sum(source.weight for source in batches.plan.sources)
    for source in batches.plan.sources if len(steps) > 1 else ():
        lengths = clips.lengths[source.first_clip : source.first_clip + source.num_clips]
        logger.info(
            "%s: %.2f %% of the examples from %d clips (%d frames); an epoch of it is %.1f steps",
            source.name,
            100 * source.weight / total,
            len(lengths),
            sum(lengths),
            steps[source.name],
        )


def source_shares(batches: TrainIterator, step: int, interval: int) -> dict[str, float]:
    """What a mixture delivered, all hosts together: since the last log step and since the start.

    Also the number of examples that this process had to substitute for damaged ones, if any.
    """
    values: dict[str, float] = {}
    if len(batches.plan.sources) > 1:
        last = (step - 1) // interval * interval
        for name, first in (("share", last), ("total_share", 0)):
            counts = batches.plan.delivered(first, step)
            total = sum(counts.values())
            values |= {f"data/{name}/{source}": n / total for source, n in counts.items()}
    if batches.substituted:
        values["data/substituted"] = float(batches.substituted)
    return values


def progress_bar(total: int, initial: int, batch_size: int, enabled: bool) -> tqdm:
    """Counts steps; shows images (pairs) per second and the time left.

    TQDM_DISABLE=1, as tqdm has it, hides it.
    """
    return tqdm(
        total=total * batch_size,
        initial=initial * batch_size,
        unit="image",
        unit_scale=True,
        desc="train",
        disable=not enabled or bool(os.environ.get("TQDM_DISABLE")),
        dynamic_ncols=True,
        mininterval=bar_interval(),
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
