"""Frame records: clips at one resolution in ArrayRecord files, with an index of the clips.

A folder of records holds an index and one or more ArrayRecord files whose records are single
frames (group size 1, so that any frame is read on its own):

    index.json                   format, version, resolution, files, and for each split its clips
    frames-00000.arrayrecord     the frames of the clips, each clip in one piece
    manifest.json                options, hash of the sources, counts (not in version 1)
"""

import collections
import dataclasses
import json
import logging
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter

from liax_jax.data.frame_codec import RecordsError as RecordsError
from liax_jax.data.frame_codec import decode_frame as decode_frame
from liax_jax.data.frame_codec import encode_frame as encode_frame
from liax_jax.log import logger

FORMAT = "liax-frame-records"
VERSION = 2
# Version 1 knew neither identities, data sets, source spans nor boxes; the frames are the same.
READABLE_VERSIONS = (1, 2)
INDEX_NAME = "index.json"
MANIFEST_NAME = "manifest.json"


# The images are compressed already.
_WRITER_OPTIONS = "group_size:1,uncompressed"
# Random access: no read-ahead, no threads of the reader's own.
_READER_OPTIONS = "readahead_buffer_size:0,max_parallelism:0"
_READER_BUFFER_BYTES = 32768
_MAX_OPEN_FILES = 128
MAX_FILE_BYTES = 2 << 30

_OR_SKIP = ", or train without its clips: --config.data.skip_damaged"


@dataclasses.dataclass(frozen=True)
class ClipEntry:
    """A clip in the index.

    Attributes:
        name: unique in its split.
        file: number of the ArrayRecord file.
        first_record: position of the clip's first frame in that file.
        num_frames: number of frames, in consecutive records.
        fps: frames per second, after any stride.
        source: the video or folder it was read from, relative to the prepared folder.
        source_height, source_width: size before cropping and scaling.
        identity: who it shows; clips of one identity belong into one split.
        dataset: the data set it is from.
        start, end: the part of the source that it shows, in seconds; end None in version 1.
        box: left, top and side of the square that was cut out, in pixels of the source (it may
            reach outside); None in version 1.
    """

    name: str
    file: int
    first_record: int
    num_frames: int
    fps: float
    source: str
    source_height: int
    source_width: int
    identity: str = ""
    dataset: str = ""
    start: float = 0.0
    end: float | None = None
    box: tuple[float, float, float] | None = None

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "ClipEntry":
        """An entry of the index; version 1 says who it shows by the first folder of the name."""
        entry = cls(**fields)
        identity = entry.identity or entry.name.split("/")[0]
        if entry.box is None:
            return dataclasses.replace(entry, identity=identity)
        left, top, side = entry.box
        return dataclasses.replace(entry, identity=identity, box=(left, top, side))


def _open_reader(path: Path) -> ArrayRecordReader:
    return ArrayRecordReader(
        str(path), _READER_OPTIONS, file_reader_buffer_size=_READER_BUFFER_BYTES
    )


class RecordWriter:
    """Writes a folder of records: clip after clip, then `close`, which writes the index.

    The folder has to exist. Without `close` there is no index, and nothing will read it.

    Args:
        folder: where to write.
        resolution: of the frames.
        max_file_bytes: no clip begins in a file that is so large already, or would be with it.
        on_file: is told of each file when it is complete: (its entry in the index, the clips
            written since the file before).
        files, clips: what an earlier writer was told to have completed, to go on after it.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        resolution: int,
        max_file_bytes: int = MAX_FILE_BYTES,
        on_file: Callable[[dict[str, Any], list[ClipEntry]], None] | None = None,
        files: Sequence[dict[str, Any]] = (),
        clips: Sequence[ClipEntry] = (),
    ):
        self._folder = Path(folder)
        self._resolution = resolution
        self._max_file_bytes = max_file_bytes
        self._on_file = on_file
        self._files: list[dict[str, Any]] = list(files)
        self._clips: list[ClipEntry] = list(clips)
        self._told = len(self._clips)
        self._writer: ArrayRecordWriter | None = None

    @property
    def clips(self) -> Sequence[ClipEntry]:
        """The clips written so far."""
        return self._clips

    def add_clip(
        self,
        name: str,
        records: Iterable[bytes],
        *,
        fps: float,
        source: str,
        source_size: tuple[int, int],
        num_bytes: int = 0,
        **details: Any,
    ) -> None:
        """Appends a clip; its records come from `encode_frame` with t = 0, 1, …

        Args:
            num_bytes: size of the records, if known: then a file does not grow beyond
                max_file_bytes unless by a single clip.
            details: further fields of `ClipEntry`.
        """
        if self._writer is not None:
            size = self._files[-1]["bytes"]
            if size >= self._max_file_bytes or size + num_bytes > self._max_file_bytes:
                self.close_file()
        if self._writer is None:
            file_name = f"frames-{len(self._files):05d}.arrayrecord"
            self._writer = ArrayRecordWriter(str(self._folder / file_name), _WRITER_OPTIONS)
            self._files.append({"name": file_name, "records": 0, "bytes": 0})
        file = self._files[-1]
        first, num_frames = file["records"], 0
        for record in records:
            self._writer.write(record)
            file["bytes"] += len(record)
            num_frames += 1
        file["records"] += num_frames
        number = len(self._files) - 1
        self._clips.append(
            ClipEntry(name, number, first, num_frames, fps, source, *source_size, **details)
        )

    def close_file(self) -> None:
        """Completes the file being written, if one is."""
        if self._writer is None:
            return
        self._writer.close()
        self._writer = None
        file = self._files[-1]
        path = self._folder / file["name"]
        file["bytes"] = path.stat().st_size
        # The library does not report every failed write.
        if _open_reader(path).num_records() != file["records"]:
            raise OSError(f"{path}: could not be written in full; is the disk full?")
        if self._on_file is not None:
            self._on_file(file, self._clips[self._told :])
        self._told = len(self._clips)

    def close(self, splits: Sequence[str]) -> None:
        """Completes the files and writes the index.

        Args:
            splits: the split of each clip, in the order in which they were added.

        Raises:
            OSError: a file is not complete, as on a full disk.
        """
        self.close_file()
        index: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "resolution": self._resolution,
            "files": self._files,
        }
        lines: dict[str, list[str]] = {split: [] for split in sorted(set(splits))}
        for split, entry in zip(splits, self._clips, strict=True):
            lines[split].append(json.dumps(dataclasses.asdict(entry)))
        # One clip a line: readable, and not much longer than it has to be.
        body = ",\n".join(
            f"  {json.dumps(split)}: [\n" + ",\n".join(f"   {line}" for line in clips) + "\n  ]"
            for split, clips in lines.items()
        )
        head = json.dumps(index, indent=1)[:-2]
        (self._folder / INDEX_NAME).write_text(f'{head},\n "splits": {{\n{body}\n }}\n}}\n')


def read_index(root: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads and checks `index.json`.

    Raises:
        FileNotFoundError: there is no such folder, or no index in it.
        RecordsError: the index is unreadable or of another version.
    """
    root = Path(root)
    path = root / INDEX_NAME
    if not root.is_dir():
        raise FileNotFoundError(
            f"{root}: no such folder of records; make it with `liax prepare VIDEOS {root}`"
        )
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: missing, so {root} is no folder of records; make one with `liax prepare`"
        )
    try:
        index = json.loads(path.read_text())
        if index["format"] != FORMAT:
            raise RecordsError(f"{path}: is not an index of frame records")
        if index["version"] not in READABLE_VERSIONS:
            raise RecordsError(
                f"{path}: format version {index['version']}, this program reads "
                f"{' and '.join(map(str, READABLE_VERSIONS))}; run `liax prepare` again"
            )
        int(index["resolution"]), list(index["files"]), index["splits"].items()
    except RecordsError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordsError(
            f"{path}: unreadable ({type(error).__name__}: {error}); run `liax prepare` again"
        ) from None
    return index


def read_manifest(
    root: str | os.PathLike[str], resolution: int | None = None
) -> dict[str, Any] | None:
    """Reads and checks `manifest.json`: how the records were made.

    Args:
        root: a folder of records.
        resolution: what the index says.

    Returns:
        None if there is none: `RecordWriter` by itself writes none.

    Raises:
        RecordsError: unreadable, or of records of another resolution.
    """
    path = Path(root) / MANIFEST_NAME
    if not path.exists():
        return None
    try:
        manifest = json.loads(path.read_text())
        stated = int(manifest["options"]["resolution"])
    except (ValueError, KeyError, TypeError) as error:
        raise RecordsError(
            f"{path}: unreadable ({type(error).__name__}: {error}); it is damaged or cut short: "
            "run `liax prepare` again"
        ) from None
    if resolution is not None and stated != resolution:
        raise RecordsError(
            f"{path}: says {stated} px, the index beside it {resolution} px; they are of different "
            "runs: run `liax prepare` again"
        )
    return manifest


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
                reader = _open_reader(self.root / self._files[file]["name"])
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
