"""What `liax prepare` has done so far, on disk: so that a killed run goes on where it was.

    .OUT.KEY.partial/          beside OUT; KEY is a hash of the options and of the sources' list
        options.json           what the key is made of, for people and for messages
        lock                   held by the program that works here
        journal.jsonl          a line for each file of records that is complete
        results/00012/34       outcome and spool of an item that is read, not yet in such a file
        records/               becomes OUT

Every file gets its name when it is complete. An item's spool is deleted after the files that hold
its clips are complete and in the journal: whenever the program is killed, each clip is either in
the journal's files, or in a spool, or not read.
"""

import dataclasses
import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from liax_jax.data.extraction import Advance, Extracted, extract
from liax_jax.data.frame_options import FrameOptions
from liax_jax.data.items import Item
from liax_jax.data.records import ClipEntry
from liax_jax.log import logger

_ITEMS_A_FOLDER = 1000


@dataclasses.dataclass
class Journal:
    """What is complete.

    Attributes:
        files: entries of the index.
        clips: entries of the index, without their splits.
        items: of the clips, the item that each is from.
        outcomes: of each item that is done, in order: (fingerprint, what was dropped).
        next_item, next_clip: the first clip that is in no file: item and number in the item.
    """

    files: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    clips: list[ClipEntry] = dataclasses.field(default_factory=list)
    items: list[int] = dataclasses.field(default_factory=list)
    outcomes: list[tuple[str, tuple[tuple[str, str, str], ...]]] = dataclasses.field(
        default_factory=list
    )
    next_item: int = 0
    next_clip: int = 0

    def apply(self, line: dict[str, Any]) -> None:
        """Takes a line of the journal in."""
        self.files.append(line["file"])
        self.clips += [ClipEntry.from_json(clip) for clip in line["clips"]]
        self.items += line["items"]
        self.outcomes += [
            (mark, tuple(tuple(drop) for drop in dropped)) for mark, dropped in line["outcomes"]
        ]
        self.next_item, self.next_clip = line["next"]


def key_of(description: dict[str, Any]) -> str:
    """A short hash of what a run is about."""
    text = json.dumps(description, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class WorkFolder:
    """The folder of unfinished work of one output and one set of options and sources.

    Args:
        out: the folder that the records are for.
        description: what the records depend on; JSON.

    Raises:
        RuntimeError: another program works here.
    """

    def __init__(self, out: Path, description: dict[str, Any]):
        self.path = out.with_name(f".{out.name}.{key_of(description)}.partial")
        self.records = self.path / "records"
        self._journal = self.path / "journal.jsonl"
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = (self.path / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                self._lock.close()
                raise RuntimeError(
                    f"{out}: another `liax prepare` is making it; wait for it, or stop it"
                ) from None
            # Some network file systems know no locks.
            logger.warning(
                "%s: can't be locked (%s); make sure that no other `liax prepare` makes it",
                out,
                error.strerror,
            )
        self.records.mkdir(exist_ok=True)
        if not (self.path / "options.json").exists():
            _write_whole(self.path / "options.json", json.dumps(description, indent=1) + "\n")

    @staticmethod
    def others(out: Path, description: dict[str, Any]) -> list[tuple[Path, dict[str, Any]]]:
        """Unfinished work for the same output with other options: (folder, its description)."""
        own = key_of(description)
        found = []
        for path in sorted(out.parent.glob(f".{out.name}.*.partial")):
            if path.name != f".{out.name}.{own}.partial" and (path / "options.json").is_file():
                try:
                    found.append((path, json.loads((path / "options.json").read_text())))
                except ValueError:
                    found.append((path, {}))
        return found

    def read_journal(self) -> Journal:
        """What is complete; a line that was being written, and files without a line, are not."""
        journal = Journal()
        if self._journal.is_file():
            valid = 0
            for line in self._journal.read_bytes().splitlines(keepends=True):
                try:
                    fields = json.loads(line)
                except ValueError:
                    break
                path = self.records / fields["file"]["name"]
                if not path.is_file() or path.stat().st_size != fields["file"]["bytes"]:
                    break
                journal.apply(fields)
                valid += len(line)
            os.truncate(self._journal, valid)
        named = {file["name"] for file in journal.files}
        for path in self.records.iterdir():
            if path.name not in named:
                path.unlink()
        return journal

    def write_journal(self, line: dict[str, Any]) -> None:
        """Appends a line; it is on the disk when this returns."""
        with self._journal.open("ab") as file:
            file.write(json.dumps(line).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def result_path(self, item: int) -> Path:
        """Where the outcome of an item is; its spool lies beside it."""
        folder, name = divmod(item, _ITEMS_A_FOLDER)
        return self.path / "results" / f"{folder:05d}" / f"{name:03d}.json"

    def num_results(self) -> int:
        """Number of items that are read, but in no complete file."""
        return sum(1 for _ in (self.path / "results").glob("*/*.json"))

    def discard(self, items: Sequence[int]) -> None:
        """Deletes outcomes and spools."""
        for item in items:
            path = self.result_path(item)
            path.unlink(missing_ok=True)
            path.with_suffix(".spool").unlink(missing_ok=True)

    def finish(self, out: Path, replace: bool) -> None:
        """Gives the records their name and deletes the rest."""
        if replace and out.exists():
            shutil.rmtree(out)
        os.replace(self.records, out)
        self.remove()

    def remove(self) -> None:
        """Deletes the folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Lets others work here."""
        self._lock.close()


def work(item: Item, result_path: Path, options: FrameOptions, *, advance: Advance) -> Extracted:
    """Extracts an item unless that is done: the unit of work that engines run."""
    spool = result_path.with_suffix(".spool")
    if result_path.is_file():
        result = Extracted.from_json(json.loads(result_path.read_text()))
        size = sum(clip.num_bytes for clip in result.clips)
        if size == (spool.stat().st_size if spool.exists() else 0):
            advance(0, item.num_bytes)
            return result
    result_path.parent.mkdir(parents=True, exist_ok=True)
    # Of its own name: the worker of a killed run may still be writing.
    partial = spool.with_suffix(f".{os.uname().nodename}.{os.getpid()}.partial")
    try:
        result = extract(item, partial, options, advance)
        if result.clips:
            os.replace(partial, spool)
    finally:
        partial.unlink(missing_ok=True)
    _write_whole(result_path, json.dumps(result.to_json()))
    return result


def _write_whole(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_text(text)
    os.replace(partial, path)


def jobs(
    items: Sequence[Item],
    first: int,
    folder: WorkFolder,
    options: FrameOptions,
) -> Iterator[tuple[Item, Path, FrameOptions]]:
    """The jobs of `work`, from an item on."""
    for number in range(first, len(items)):
        yield items[number], folder.result_path(number), options
