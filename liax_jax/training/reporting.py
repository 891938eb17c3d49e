"""What a run leaves for people: JSON lines, TensorBoard events, pictures, a progress bar."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from tensorboardX import SummaryWriter
from tqdm import tqdm


class Reporter:
    """Writes a run's metrics and pictures; on all processes but the first it writes nothing.

    Args:
      workdir: gets `metrics.jsonl`, `tensorboard/`, `panels/` and `videos/`.
      first_step: the step that training goes on from. Lines of later steps, written by a run that
        was killed after its last checkpoint, are dropped, as those steps are done again.
      enabled: whether this process writes.
    """

    def __init__(self, workdir: str | Path, first_step: int, enabled: bool):
        self.workdir = Path(workdir)
        self.enabled = enabled
        if not enabled:
            return
        self._lines_path = self.workdir / "metrics.jsonl"
        _drop_lines_after(self._lines_path, first_step)
        self._lines = open(self._lines_path, "a", buffering=1)
        self._events = SummaryWriter(str(self.workdir / "tensorboard"), purge_step=first_step + 1)

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """One JSON line and one TensorBoard point per value."""
        if not self.enabled:
            return
        # JSON has no NaN: what isn't finite becomes null.
        finite = {name: value if np.isfinite(value) else None for name, value in values.items()}
        self._lines.write(json.dumps({"step": step} | finite) + "\n")
        for name, value in values.items():
            self._events.add_scalar(name, value, step)

    def picture(self, name: str, step: int, picture: np.ndarray) -> None:
        """A picture (h, w, 3) uint8 for TensorBoard."""
        if self.enabled:
            self._events.add_image(name, picture, step, dataformats="HWC")

    def close(self) -> None:
        """Flushes everything."""
        if self.enabled:
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
