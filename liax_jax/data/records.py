"""Frame records: clips at one resolution in ArrayRecord files, with an index of the clips.

A folder of records holds an index and one or more ArrayRecord files whose records are single
frames (group size 1, so that any frame is read on its own):

    index.json                   format, version, resolution, files, and for each split its clips
    frames-00000.arrayrecord     the frames of the clips, each clip in one piece
    manifest.json                options, hash of the sources, counts (not in version 1)
"""

import collections
import logging
import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from array_record.python.array_record_module import ArrayRecordReader

from liax_jax.data.frame_codec import RecordsError as RecordsError
from liax_jax.data.frame_codec import decode_frame as decode_frame
from liax_jax.data.frame_codec import encode_frame as encode_frame
from liax_jax.data.record_index import FORMAT as FORMAT
from liax_jax.data.record_index import INDEX_NAME as INDEX_NAME
from liax_jax.data.record_index import MANIFEST_NAME as MANIFEST_NAME
from liax_jax.data.record_index import VERSION as VERSION
from liax_jax.data.record_index import ClipEntry as ClipEntry
from liax_jax.data.record_index import read_index as read_index
from liax_jax.data.record_index import read_manifest as read_manifest
from liax_jax.data.record_writer import MAX_FILE_BYTES as MAX_FILE_BYTES
from liax_jax.data.record_writer import RecordWriter as RecordWriter
from liax_jax.data.record_writer import open_reader
from liax_jax.log import logger

_MAX_OPEN_FILES = 128
_OR_SKIP = ", or train without its clips: --config.data.skip_damaged"


class RecordClips:
    """The clips of one split of a folder of records; implements `ClipSet`.

    Args:
        root: a folder that `liax prepare` has written.
        split: "train", "val", or whatever split the folder holds.
        skip_damaged: leave out the clips of missing and truncated files, with a warning that
            names the files, rather than raise.

    Raises:
        FileNotFoundError: the folder, its index or a record file is missing.
        RecordsError: no such split (the message lists those there are), or damaged files.
    """

    def __init__(self, root: str | os.PathLike[str], split: str, skip_damaged: bool = False):
        self.root = Path(root).absolute()
        self.split = split
        index = read_index(self.root)
        if split not in index["splits"]:
            raise RecordsError(
                f"{self.root}: has no split {split!r}; it has "
                f"{', '.join(map(repr, sorted(index['splits'])))}"
            )
        self.resolution: int = index["resolution"]
        self._files: list[dict[str, Any]] = index["files"]
        try:
            self.entries = [ClipEntry.from_json(entry) for entry in index["splits"][split]]
        except (TypeError, ValueError) as error:
            raise RecordsError(
                f"{self.root / INDEX_NAME}: unreadable ({error}); run `liax prepare` again"
            ) from None
        if index["version"] > 1:
            read_manifest(self.root, self.resolution)
        self._skip_damaged = skip_damaged
        problems = self._damaged_files()
        if problems and not skip_damaged:
            raise next(iter(problems.values()))
        if problems:
            self.entries = self._without(problems)
        self.names: Sequence[str] = tuple(entry.name for entry in self.entries)
        self.lengths: Sequence[int] = tuple(entry.num_frames for entry in self.entries)
        self.fps: Sequence[float] = tuple(entry.fps for entry in self.entries)
        self.identities: Sequence[str] = tuple(entry.identity for entry in self.entries)
        self._readers: collections.OrderedDict[int, ArrayRecordReader] = collections.OrderedDict()
        self._lock = threading.Lock()

    def _damaged_files(self) -> dict[int, Exception]:
        """The files of this split that are missing or of another size, and the error for each."""
        problems: dict[int, Exception] = {}
        for number in sorted({entry.file for entry in self.entries}):
            file = self._files[number]
            path = self.root / file["name"]
            if not path.is_file():
                problems[number] = FileNotFoundError(
                    f"{path}: missing; run `liax prepare` again{_OR_SKIP}"
                )
            elif path.stat().st_size != file["bytes"]:
                problems[number] = RecordsError(
                    f"{path}: has {path.stat().st_size} bytes where the index says "
                    f"{file['bytes']}; it is truncated or of another run: run `liax prepare` again"
                    f"{_OR_SKIP}"
                )
        return problems

    def _without(self, problems: dict[int, Exception]) -> list[ClipEntry]:
        """The entries of the other files; says what is left out."""
        # Worker processes open the same files again, and have nothing to add.
        level = logging.WARNING if multiprocessing.parent_process() is None else logging.DEBUG
        for number, problem in problems.items():
            lost = [entry for entry in self.entries if entry.file == number]
            logger.log(
                level,
                "%s. Leaving out its %d clips (%d frames) of %r",
                str(problem).removesuffix(_OR_SKIP),
                len(lost),
                sum(entry.num_frames for entry in lost),
                self.split,
            )
        return [entry for entry in self.entries if entry.file not in problems]

    def __reduce__(self) -> tuple[type["RecordClips"], tuple[str, str, bool]]:
        return RecordClips, (str(self.root), self.split, self._skip_damaged)

    def __len__(self) -> int:
        return len(self.entries)

    def frame(self, clip: int, t: int) -> np.ndarray:
        """Frame t of a clip: (h, w, 3) uint8 RGB.

        Raises:
            IndexError: no such clip or frame.
            RecordsError: the record is damaged; names the file, the record, the clip and frame.
        """
        entry = self.entries[clip]
        if not 0 <= t < entry.num_frames:
            raise IndexError(f"clip {entry.name!r} has frames 0 to {entry.num_frames - 1}, not {t}")
        position = entry.first_record + t
        try:
            # Reads go straight to the file at a position of their own, so that threads (and
            # processes after a fork) can share a reader.
            record = self._reader(entry.file).read([position])[0]
            return decode_frame(record, self.resolution, t)
        except (RuntimeError, ValueError, IndexError, OSError) as error:
            raise RecordsError(
                f"{self.root / self._files[entry.file]['name']}: record {position} (clip "
                f"{entry.name!r}, frame {t}) is damaged: {error}; run `liax prepare` again"
            ) from None

    def frames(self, clip: int) -> Iterator[np.ndarray]:
        """All frames of a clip in order, one at a time: (h, w, 3) uint8 RGB."""
        for t in range(self.entries[clip].num_frames):
            yield self.frame(clip, t)

    def _reader(self, file: int) -> ArrayRecordReader:
        """The open reader of a file; the one unused for longest is let go when there are many."""
        with self._lock:
            if file not in self._readers:
                reader = open_reader(self.root / self._files[file]["name"])
                # A damaged file opens without complaint, as an empty one.
                if reader.num_records() != self._files[file]["records"]:
                    raise RecordsError(
                        f"the file holds {reader.num_records()} records where the "
                        f"index says {self._files[file]['records']}"
                    )
                self._readers[file] = reader
                if len(self._readers) > _MAX_OPEN_FILES:
                    self._readers.popitem(last=False)
            self._readers.move_to_end(file)
            return self._readers[file]
