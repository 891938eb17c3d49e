"""The output folder of an evaluation: what is done clip by clip, so that a stopped run goes on.

    run.json          what the results depend on: model, protocol, metrics, data
    clips.jsonl       a line per finished clip, in the order of the data
    clips/NAME.npz    of each: the scores of its frames, and what set metrics collected
    results.json, table.txt, report.*, rows.tex, frames/, plots/, videos/
    pairs.csv         of cross-reenactment, from its beginning

A clip counts as done when its line is there, which is written after its arrays and its video.
"""

import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from liax_jax.evaluation.differences import differences
from liax_jax.evaluation.errors import EvaluationError, unwritable
from liax_jax.log import logger

RUN_NAME, LINES_NAME, RESULTS_NAME = "run.json", "clips.jsonl", "results.json"
MEAN_PICTURE, PAIRS_NAME = "mean_alpha.png", "pairs.csv"
# What is made of all clips together. None of it may stand beside clips that it doesn't describe.
_SUMMARY_FILES = (
    RESULTS_NAME,
    "table.txt",
    "report.md",
    "report.html",
    "rows.tex",
    MEAN_PICTURE,
    PAIRS_NAME,
)
_SUMMARY_FOLDERS = ("plots",)
_CLIP_FOLDERS = ("clips", "frames", "videos", "pictures")

# Of a description: clip to a hash of what that clip's results alone depend on.
INPUTS = "inputs"
# Of a description: what a newer checkpoint changes, and the version of the code that scores.
MODEL, PROGRAM = "model", "program"
# What may differ where `start_anew` is given.
_RENEWED = (MODEL, PROGRAM)

Description = Mapping[str, Any]


class RunFolder:
    """Opens the output folder of an evaluation, for going on or for starting anew.

    Args:
      path: the folder; it is made where it is missing.
      description: what the results depend on, as JSON. Where the folder holds clips of another
        description, they are not mixed: see `start_anew`. Of what stands under `INPUTS`, a change
        concerns the clips of that name alone, which are evaluated again.
      names: of all clips, in order.
      start_anew: remove the clips of another model, or scored by another version of the program,
        and say so, rather than raise; where anything else of the description differs, raise all the
        same.
      restart: remove all clips that are there in any case.

    Attributes:
      entries: the line of each finished clip, by name.

    Raises:
      EvaluationError: the folder can't be written to, is in use, or holds something else: clips of
        another description, or files that no evaluation has made.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        description: Description,
        names: Sequence[str],
        *,
        start_anew: bool = False,
        restart: bool = False,
    ):
        self.path = pathlib.Path(path)
        self.names = list(names)
        self.stems = dict(zip(self.names, clip_stems(self.names), strict=True))
        self.description = json.loads(json.dumps(description))
        self.entries: dict[str, dict[str, Any]] = {}
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self.path)
        except OSError as error:
            raise unwritable(self.path, error) from error
        try:
            self._open(start_anew, restart)
        except BaseException as error:
            self._lock.close()
            if isinstance(error, OSError):
                raise unwritable(self.path, error) from error
            raise

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, *_: Any) -> None:
        self._lock.close()

    def _open(self, start_anew: bool, restart: bool) -> None:
        self._refuse_foreign()
        lines = self.path / LINES_NAME
        before = self._description_before()
        same = _common(before) == _common(self.description)
        if not same and not (lines.exists() and lines.stat().st_size):
            before = None  # no clip was finished: there is nothing to be lost or mixed
        if before is not None and not same and not restart:
            self._refuse_other_settings(before, start_anew)
        self._remove(_SUMMARY_FILES, _SUMMARY_FOLDERS)
        if same and not restart:
            entries = _read_lines(lines, self.names, self._arrays_path)
            old, new = before.get(INPUTS, {}), self.description.get(INPUTS, {})
            changed = [name for name in entries if old.get(name) != new.get(name)]
            if changed:
                logger.info("%d clips have changed and are evaluated again", len(changed))
            self.entries = {name: e for name, e in entries.items() if name not in changed}
            if before != self.description:
                # First the lines: a clip whose input has changed must not outlive the old hash.
                self.write_lines()
                self._write_description()
        else:
            self._remove((LINES_NAME, RUN_NAME), _CLIP_FOLDERS)
            self._write_description()
        # Without lines that were cut short or whose arrays are missing.
        self.write_lines()

    def _write_description(self) -> None:
        self.write(RUN_NAME, json.dumps(self.description, indent=2) + "\n")

    def _description_before(self) -> Any:
        """What the folder holds clips of; {} where that can't be read, None where it holds none."""
        try:
            return json.loads((self.path / RUN_NAME).read_text())
        except FileNotFoundError:
            return None
        except ValueError:
            return {}

    def _refuse_other_settings(self, before: Any, start_anew: bool) -> None:
        """Raises, saying what differs; where `start_anew` allows it, says so alone."""
        before, now = _common(before), _common(self.description)
        different = differences(before, now)
        if start_anew and before and _without(before, *_RENEWED) == _without(now, *_RENEWED):
            logger.info("%s held an earlier evaluation (%s); starting anew", self.path, different)
            return
        same_settings = before and _without(before, PROGRAM) == _without(now, PROGRAM)
        what = "by a program that scores otherwise" if same_settings else "of other settings"
        raise EvaluationError(
            f"{self.path} holds an evaluation {what} ({different}); choose another --out, or "
            "replace it with --restart"
        )

    def _refuse_foreign(self) -> None:
        """What an evaluation would replace is its own only where it has left run.json."""
        if (self.path / RUN_NAME).exists():
            return
        for name in (*_SUMMARY_FILES, LINES_NAME, *_SUMMARY_FOLDERS, *_CLIP_FOLDERS):
            path = self.path / name
            if path.exists():
                kind = "folder" if path.is_dir() else "file"
                raise EvaluationError(
                    f"{self.path} holds no evaluation of clips, but a {kind} {name!r}, which an "
                    "evaluation would replace; choose another --out"
                )

    def _remove(self, files: Sequence[str], folders: Sequence[str]) -> None:
        # Folders first, and run.json last: while it is there, it is known whose they are.
        for name in folders:
            shutil.rmtree(self.path / name, ignore_errors=True)
        for name in files:
            (self.path / name).unlink(missing_ok=True)

    def _arrays_path(self, name: str) -> pathlib.Path:
        return self.path / "clips" / f"{self.stems[name]}.npz"

    def add(self, entry: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Keeps a finished clip: its arrays first, then its line.

        Args:
          entry: JSON with "name", one of `names`; "file" is added, what its files are called.
          arrays: by name; may be empty.

        Raises:
          EvaluationError: they can't be written.
        """
        name = entry["name"]
        entry = {**entry, "file": self.stems[name]}
        path = self._arrays_path(name)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            path.parent.mkdir(exist_ok=True)
            with open(partial, "wb") as file:
                np.savez(file, **dict(arrays))  # type: ignore[arg-type]
            os.replace(partial, path)
            append_line(self.path / LINES_NAME, entry)
        except OSError as error:
            raise unwritable(self.path, error) from error
        finally:
            partial.unlink(missing_ok=True)
        self.entries[name] = entry

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """What was kept with a finished clip."""
        with np.load(self._arrays_path(name)) as file:
            return dict(file)

    def finished(self) -> list[dict[str, Any]]:
        """The entries of the finished clips, in the order of `names`."""
        return [self.entries[name] for name in self.names if name in self.entries]

    def write_lines(self) -> None:
        """Writes clips.jsonl anew, in the order of `names`."""
        self.write(LINES_NAME, "".join(json.dumps(entry) + "\n" for entry in self.finished()))

    def write(self, name: str, text: str) -> None:
        """Writes a text file of the folder; it appears complete or not at all.

        Raises:
          EvaluationError: it can't be written.
        """
        write_whole(self.path / name, text)


def write_whole(path: pathlib.Path, text: str) -> None:
    """Writes a text file; it appears complete or not at all.

    Raises:
      EvaluationError: it can't be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise unwritable(path.parent, error) from error


def _common(description: Any) -> Any:
    """What all clips depend on; None stays None."""
    return _without(description, INPUTS) if description else description


def _without(description: Description, *left_out: str) -> Description:
    return {key: value for key, value in description.items() if key not in left_out}


def _locked(folder: pathlib.Path) -> Any:
    """The open file .lock, locked until it is closed."""
    lock = (folder / ".lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise EvaluationError(
            f"{folder}: another evaluation is writing there; wait for it, or choose another --out"
        ) from None
    except OSError as error:  # some network file systems know no locks
        logger.warning("%s can't be locked (%s)", folder, error.strerror)
    return lock


def append_line(path: pathlib.Path, entry: Mapping[str, Any]) -> None:
    """Appends JSON as a line; it is on the disk when this returns."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _read_lines(
    path: pathlib.Path, names: Sequence[str], arrays_path: Any
) -> dict[str, dict[str, Any]]:
    """The entries of clips that are done; a line that was cut short is not."""
    known = set(names)
    entries: dict[str, dict[str, Any]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            entry = json.loads(line)
            name = entry["name"]
        except (ValueError, KeyError, TypeError):
            continue
        if name in known and arrays_path(name).exists():
            entries[name] = entry
    return entries


def digest(value: Any) -> str:
    """16 hexadecimal digits of the SHA-256 over a value as JSON."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def clip_stems(names: Sequence[str]) -> list[str]:
    """File names (without suffix) for clip names, which may hold slashes and the like; unique."""
    stems: list[str] = []
    taken: set[str] = set()
    for index, name in enumerate(names):
        stem = re.sub(r"[^\w.-]+", "_", name).strip("._")[:120] or "clip"
        while stem in taken:
            stem = f"{stem}_{index}"
        taken.add(stem)
        stems.append(stem)
    return stems
