"""Writes a folder of frame records."""

import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter

from liax_jax.data.record_index import FORMAT, INDEX_NAME, VERSION, ClipEntry

# The images are compressed already.
_WRITER_OPTIONS = "group_size:1,uncompressed"
# Random access: no read-ahead, no threads of the reader's own.
_READER_OPTIONS = "readahead_buffer_size:0,max_parallelism:0"
_READER_BUFFER_BYTES = 32768
MAX_FILE_BYTES = 2 << 30


def open_reader(path: Path) -> ArrayRecordReader:
    """A file of records, for random access."""
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
        if open_reader(path).num_records() != file["records"]:
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
