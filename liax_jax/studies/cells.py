"""What a study is made of: cells, each a training with its measures, and where their work lies."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from liax_jax.source_version import source_version
from liax_jax.studies.sources import MEASURING, TRAINING

RESULT_NAME = "result.json"
REQUEST_NAME = "cell.json"
RUN_NAME = "run"
# Fields of a config that change what is shown and saved on the way, but not what is learnt.
_NOT_LEARNT = (
    "checkpoint_every",
    "distributed",
    "eval",
    "keep_checkpoints",
    "log_every",
    "max_minutes",
    "mesh",
    "panel_every",
    "profile_steps",
    "video_every",
    "wandb",
)


@dataclasses.dataclass(frozen=True)
class Probe:
    """What a trained cell is measured on: drawn people that no training has seen.

    Attributes:
      clips: people whose frames are scored.
      rotation_clips: others, whose frames rotations are found on.
      frames_per_clip: of each, spread over ten seconds.
      regressors: for DCI (`interpretability.predictors`).
      rotations: random bases for the controls.
      bootstrap: resamplings of people for the intervals.
    """

    clips: int = 64
    rotation_clips: int = 32
    frames_per_clip: int = 32
    regressors: Sequence[str] = ("ridge", "forest")
    rotations: int = 10
    bootstrap: int = 40


@dataclasses.dataclass(frozen=True, eq=False)
class Cell:
    """One training of a study.

    Attributes:
      name: unique in the study; letters, digits, "-", "_" and ".".
      row: what it is one seed of.
      config: all fields, the seeds among them.
      seconds_per_step: of one training step on one core, estimated, for the time left.
      rotations: criteria of `interpretability.rotation` to turn its codes by and measure again.
      probe: None measures reconstruction alone.
    """

    name: str
    row: str
    config: ConfigDict
    seconds_per_step: float
    rotations: Sequence[str] = ()
    probe: Probe | None = Probe()

    @property
    def seed(self) -> int:
        return int(self.config.seed)

    @property
    def steps(self) -> int:
        return int(self.config.train_steps)

    @functools.cached_property
    def training_key(self) -> str:
        """12 digits that change with whatever changes the trained model."""
        fields = _plain(self.config)
        learnt = {name: value for name, value in fields.items() if name not in _NOT_LEARNT}
        # Where drawn frames are kept doesn't change them.
        learnt["data"]["procedural"].pop("keep_in", None)
        return _digest([learnt, source_version(TRAINING)])

    @functools.cached_property
    def key(self) -> str:
        """12 digits that change with whatever changes the cell's result."""
        probe = None if self.probe is None else dataclasses.asdict(self.probe)
        measures = [probe, list(self.rotations), _plain(self.config.eval)]
        return _digest([self.training_key, measures, source_version(MEASURING)])

    def folder(self, root: Path) -> Path:
        """Of this cell's work; another training has another folder."""
        return root / f"{self.name}-{self.training_key}"

    def request(self) -> dict[str, Any]:
        """What the process that runs the cell is given, as JSON."""
        return {
            "name": self.name,
            "row": self.row,
            "key": self.key,
            "config": _plain(self.config),
            "rotations": list(self.rotations),
            "probe": None if self.probe is None else dataclasses.asdict(self.probe),
        }

    def result(self, root: Path) -> dict[str, Any] | None:
        """What was found, or None where the cell isn't finished as it is now."""
        try:
            found = json.loads((self.folder(root) / RESULT_NAME).read_text())
        except (OSError, ValueError):
            return None
        return found if found.get("key") == self.key else None


@dataclasses.dataclass(frozen=True)
class Study:
    """Cells, and the report on them.

    Attributes:
      name: of the report, docs/NAME.md, and of the folder, runs/NAME.
      cells: in the order in which they are worth having.
      write_report: (study, results by cell's name, folder of the work, folder of the report).
    """

    name: str
    cells: Sequence[Cell]
    write_report: Callable[["Study", Mapping[str, dict[str, Any]], Path, Path], None]

    def __post_init__(self) -> None:
        names = [cell.name for cell in self.cells]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"study {self.name}: several cells are called {', '.join(twice)}")

    def chosen(self, only: Sequence[str]) -> list[Cell]:
        """The cells whose names hold one of the words; all without any.

        Raises:
          ValueError: a word that no cell's name holds.
        """
        for word in only:
            if not any(word in cell.name for cell in self.cells):
                names = ", ".join(cell.name for cell in self.cells)
                raise ValueError(f"no cell's name holds {word!r}; the cells are {names}")
        return [cell for cell in self.cells if not only or any(w in cell.name for w in only)]

    def results(self, root: Path) -> dict[str, dict[str, Any]]:
        """Of the finished cells, by name."""
        found = {cell.name: cell.result(root) for cell in self.cells}
        return {name: result for name, result in found.items() if result is not None}


def _plain(config: ConfigDict) -> dict[str, Any]:
    """The config as it is after a round through JSON: what the cell's process will see."""
    return json.loads(json.dumps(config.to_dict(), sort_keys=True))


def _digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
