"""Frame records: clips at one resolution in ArrayRecord files, with an index of the clips.

A folder of records holds an index and one or more ArrayRecord files whose records are single
frames (group size 1, so that any frame is read on its own):

    index.json                   format, version, resolution, files, and for each split its clips
    frames-00000.arrayrecord     the frames of the clips, each clip in one piece

A record is a header (magic, codec, resolution, frame number, CRC-32) followed by the image.

Codecs: lossless WebP by default, JPEG if asked for. Measured on one core with Pillow, on frames of
14 portrait videos at 128 px (KB a frame, ms to encode, frames decoded per second):

    raw pixels            49.2    0.0    > 1,000,000
    PNG, level 6          23.5    3.5          2,240
    PNG, level 1          25.4    1.1          1,940
    WebP lossless, m 0    18.2    0.5          3,440     <- default: smaller and faster than PNG
    WebP lossless, m 4    16.3   10.9          2,790
    JPEG q 95, 4:4:4       8.1    0.1          5,160     (44 dB)

A training step takes two frames an example, so one core feeds some 1,700 examples a second.
Lossless keeps the block artefacts of JPEG out of what the discriminator calls real. Raw pixels
would be 2.7 times as much to store and to move, for a decoding time that training does not notice.
"""

import collections
import dataclasses
import io
import json
import logging
import multiprocessing
import os
import struct
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter
from PIL import Image

from liax_jax.log import logger

FORMAT = "liax-frame-records"
VERSION = 1
INDEX_NAME = "index.json"

_HEADER = struct.Struct("<4sHHII")  # magic, codec, resolution, frame number, CRC-32
_MAGIC = b"LXFR"
_WEBP, _JPEG = 1, 2

# The images are compressed already.
_WRITER_OPTIONS = "group_size:1,uncompressed"
# Random access: no read-ahead, no threads of the reader's own.
_READER_OPTIONS = "readahead_buffer_size:0,max_parallelism:0"
_READER_BUFFER_BYTES = 32768
_MAX_OPEN_FILES = 128
_MAX_FILE_BYTES = 2 << 30

_OR_SKIP = ", or train without its clips: --config.data.skip_damaged"


class RecordsError(ValueError):
    """A folder of records that is missing, incomplete, damaged or of another format."""


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
    """

    name: str
    file: int
    first_record: int
    num_frames: int
    fps: float
    source: str
    source_height: int
    source_width: int


def encode_frame(frame: np.ndarray, t: int, quality: int | None = None) -> bytes:
    """Makes the record of a frame.

    Args:
        frame: (h, w, 3) uint8 RGB, h == w.
        t: number of the frame in its clip.
        quality: None for lossless, or the quality of a JPEG, 1 to 100.
    """
    buffer = io.BytesIO()
    if quality is None:
        Image.fromarray(frame).save(buffer, "WEBP", lossless=True, method=0, quality=0)
    else:
        # Chroma at full resolution: lips and eyes are small.
        Image.fromarray(frame).save(buffer, "JPEG", quality=quality, subsampling=0)
    payload = buffer.getvalue()
    codec = _WEBP if quality is None else _JPEG
    header = (_MAGIC, codec, frame.shape[0], t)
    crc = zlib.crc32(payload, zlib.crc32(_HEADER.pack(*header, 0)))
    return _HEADER.pack(*header, crc) + payload


def decode_frame(record: bytes, resolution: int, t: int) -> np.ndarray:
    """Reads the record of a frame: (h, w, 3) uint8 RGB.

    Raises:
        RecordsError: a byte of it has changed, or it is another frame's record.
    """
    if len(record) <= _HEADER.size or record[:4] != _MAGIC:
        raise RecordsError("it is not a frame record")
    magic, codec, height, number, crc = _HEADER.unpack_from(record)
    payload = memoryview(record)[_HEADER.size :]
    if zlib.crc32(payload, zlib.crc32(_HEADER.pack(magic, codec, height, number, 0))) != crc:
        raise RecordsError("its checksum does not match its content")
    if codec not in (_WEBP, _JPEG) or (height, number) != (resolution, t):
        raise RecordsError(
            f"it holds frame {number} at {height} px, not frame {t} at {resolution} px"
        )
    # OpenCV and Pillow give the same pixels; OpenCV takes half to a third of the time.
    frame = cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_COLOR_RGB)
    if frame is None or frame.shape != (resolution, resolution, 3):
        raise RecordsError("it holds no picture of its size")
    return frame


def _open_reader(path: Path) -> ArrayRecordReader:
    return ArrayRecordReader(
        str(path), _READER_OPTIONS, file_reader_buffer_size=_READER_BUFFER_BYTES
    )


class RecordWriter:
    """Writes a folder of records: clip after clip, then `close`, which writes the index.

    The folder has to exist. Without `close` there is no index, and nothing will read it.
    """

    def __init__(
        self, folder: str | os.PathLike[str], resolution: int, max_file_bytes: int = _MAX_FILE_BYTES
    ):
        self._folder = Path(folder)
        self._resolution = resolution
        self._max_file_bytes = max_file_bytes
        self._files: list[dict[str, Any]] = []
        self._clips: list[ClipEntry] = []
        self._writer: ArrayRecordWriter | None = None

    def add_clip(
        self,
        name: str,
        records: Iterable[bytes],
        *,
        fps: float,
        source: str,
        source_size: tuple[int, int],
    ) -> None:
        """Appends a clip; its records come from `encode_frame` with t = 0, 1, …"""
        if self._writer is None or self._files[-1]["bytes"] >= self._max_file_bytes:
            self._close_file()
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
        self._clips.append(
            ClipEntry(name, len(self._files) - 1, first, num_frames, fps, source, *source_size)
        )

    def _close_file(self) -> None:
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

    def close(self, splits: Sequence[str]) -> None:
        """Completes the files and writes the index.

        Args:
            splits: the split of each clip, in the order in which they were added.

        Raises:
            OSError: a file is not complete, as on a full disk.
        """
        self._close_file()
        clips: dict[str, list[dict[str, Any]]] = {split: [] for split in sorted(set(splits))}
        for split, entry in zip(splits, self._clips, strict=True):
            clips[split].append(dataclasses.asdict(entry))
        index = {
            "format": FORMAT,
            "version": VERSION,
            "resolution": self._resolution,
            "files": self._files,
            "splits": clips,
        }
        (self._folder / INDEX_NAME).write_text(json.dumps(index, indent=1) + "\n")


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
        if index["version"] != VERSION:
            raise RecordsError(
                f"{path}: format version {index['version']}, this program reads {VERSION}; run "
                "`liax prepare` again"
            )
        int(index["resolution"]), list(index["files"]), index["splits"].items()
    except RecordsError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordsError(
            f"{path}: unreadable ({type(error).__name__}: {error}); run `liax prepare` again"
        ) from None
    return index


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
        self.entries = [ClipEntry(**entry) for entry in index["splits"][split]]
        self._skip_damaged = skip_damaged
        problems = self._damaged_files()
        if problems and not skip_damaged:
            raise next(iter(problems.values()))
        if problems:
            self.entries = self._without(problems)
        self.names: Sequence[str] = tuple(entry.name for entry in self.entries)
        self.lengths: Sequence[int] = tuple(entry.num_frames for entry in self.entries)
        self.fps: Sequence[float] = tuple(entry.fps for entry in self.entries)
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
