"""The index and the manifest of a folder of frame records.

index.json       format, version, resolution, files, and for each split its clips
manifest.json    options, hash of the sources, counts (not in version 1)
"""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from liax_jax.data.frame_codec import RecordsError

FORMAT = "liax-frame-records"
VERSION = 2
# Version 1 knew neither identities, data sets, source spans nor boxes; the frames are the same.
READABLE_VERSIONS = (1, 2)
INDEX_NAME = "index.json"
MANIFEST_NAME = "manifest.json"


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
