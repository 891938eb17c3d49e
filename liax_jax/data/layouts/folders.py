"""Layouts without annotations: folders of videos, of folders of images, and of pictures."""

import os
from collections.abc import Iterator
from pathlib import Path

from liax_jax.data import clips
from liax_jax.data.items import Item

STILLS_SPLIT = "stills"


def read_folder(videos: Path, annotations: Path) -> Iterator[Item]:
    """Videos and folders of images; the first folder on the way to a clip says who it shows."""
    for source in clips.find_clips(videos):
        yield _item(source, videos, source.name.split("/")[0])


def read_vox_frames(videos: Path, annotations: Path) -> Iterator[Item]:
    """The same, with clips named ID#VIDEO#START#END: the part before the first # says who."""
    for source in clips.find_clips(videos):
        name = source.name.rsplit("/", 1)[-1]
        if "#" not in name:
            raise ValueError(
                f"{source.path}: in the layout vox-frames clips are named ID#VIDEO#START#END; use "
                "--layout folder for other names"
            )
        yield _item(source, videos, name.split("#")[0])


def _item(source: clips.ClipSource, videos: Path, identity: str) -> Item:
    return Item(
        name=source.name,
        path=source.path,
        source=source.path.relative_to(videos).as_posix(),
        num_bytes=source.num_bytes,
        identity=identity,
        split=source.split,
    )


def read_stills(videos: Path, annotations: Path) -> Iterator[Item]:
    """Every picture is a clip of one frame, in a split that training does not read."""
    found = False
    for folder, subfolders, files in os.walk(videos, followlinks=True):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(files, key=clips.natural_key):
            path = Path(folder) / name
            if name.startswith(".") or path.suffix.lower() not in clips.IMAGE_SUFFIXES:
                continue
            found = True
            relative = path.relative_to(videos).as_posix()
            yield Item(relative, path, relative, path.stat().st_size, relative, split=STILLS_SPLIT)
    if not found:
        raise ValueError(f"{videos}: no pictures ({', '.join(sorted(clips.IMAGE_SUFFIXES))}) in it")
