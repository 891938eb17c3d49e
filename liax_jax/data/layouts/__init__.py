"""Readers for the layouts in which people have face videos: a folder → items, one at a time.

`docs/data.md` describes each layout, with the licence of its data. A reader looks at names, sizes
and annotations, at no picture; it yields in an order that depends on names alone.
"""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

from liax_jax.data.items import Item
from liax_jax.data.layouts import folders, hdtf, mead, talkinghead, voxceleb


@dataclasses.dataclass(frozen=True)
class Layout:
    """A layout.

    Attributes:
        read: (folder of the videos, annotations, a file or a folder) → items.
        crop: what --crop is by default: frames that are portraits already are left as they are,
            boxes are used where they are crops, and faces are found everywhere else.
        help: one line.
    """

    read: Callable[[Path, Path], Iterator[Item]]
    crop: str
    help: str


LAYOUTS = {
    "folder": Layout(folders.read_folder, "face", "videos or folders of images, in subfolders too"),
    "vox-frames": Layout(
        folders.read_vox_frames,
        "center",
        "cropped clips named ID#VIDEO#START#END, videos or folders of PNG (VoxCelebHQ, LIA, FOMM)",
    ),
    "voxceleb": Layout(
        voxceleb.read_utterances, "face", "VoxCeleb 1 and 2: txt/ID/VIDEO/UTTERANCE.txt + videos"
    ),
    "vox-csv": Layout(voxceleb.read_csv, "box", "vox-metadata.csv of FOMM + videos"),
    "talkinghead-1kh": Layout(
        talkinghead.read_tubes, "box", "TalkingHead-1KH: *_video_tubes.txt + split clips"
    ),
    "hdtf": Layout(
        hdtf.read_annotations, "box", "HDTF: *_annotion_time.txt, *_crop_wh.txt, videos"
    ),
    "mead": Layout(mead.read_mead, "face", "MEAD: ID/video/VIEW/EMOTION/level_N/NNN.mp4"),
    "stills": Layout(
        folders.read_stills,
        "face",
        "pictures (AAHQ, FFHQ) as sources for cross-reenactment, in a split of their own",
    ),
}


def read_layout(
    layout: str, videos: Path, annotations: Path | None = None, dataset: str | None = None
) -> Iterator[Item]:
    """Yields the items of a folder.

    Args:
        layout: one of `LAYOUTS`.
        videos: the folder that holds the videos.
        annotations: a file or a folder of annotations, if not in the same folder.
        dataset: the name of the data set; by default the layout's, or the folder's own.

    Raises:
        FileNotFoundError, NotADirectoryError: no such folder or annotations.
        ValueError: unknown layout; nothing of this layout found; an annotation that can't be read.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, got {layout!r}")
    for path in (videos, annotations):
        if path is not None and not path.exists():
            what = "folder" if path is videos else "file or folder"
            raise FileNotFoundError(f"{path}: no such {what}")
    if not videos.is_dir():
        raise NotADirectoryError(f"{videos}: is a file; name the folder that holds the videos")
    name = dataset or (videos.resolve().name if layout in ("folder", "stills") else layout)
    for item in LAYOUTS[layout].read(videos, annotations or videos):
        yield dataclasses.replace(item, dataset=name)
