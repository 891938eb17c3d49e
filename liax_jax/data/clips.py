"""What a clip is: the interface of every data set, and the clips found in a folder of videos.

`ClipSet` is the interface that training and evaluation read: square uint8 frames of clips.
`find_clips` lists what a folder on disk holds; `ClipSource.read` streams one of them at its
original size.
"""

import dataclasses
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image, UnidentifiedImageError

from liax_jax.data import video_io

VIDEO_SUFFIXES = frozenset(
    (
        ".3gp",
        ".avi",
        ".flv",
        ".gif",
        ".m2ts",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".ogv",
        ".ts",
        ".vob",
        ".webm",
        ".wmv",
        ".y4m",
    )
)
IMAGE_SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".bmp"))

# Folders of these names directly below the root are splits; any other folder is a group of clips.
SPLIT_NAMES = ("train", "val", "valid", "validation", "test")


@runtime_checkable
class ClipSet(Protocol):
    """Clips of square frames, as training and evaluation read them.

    Implementations can be pickled and can be read from several threads at once.

    Attributes:
        resolution: height and width of every frame, in pixels.
        names: one per clip, unique, in a fixed order.
        lengths: number of frames of each clip, at least 2.
        fps: frames per second of each clip.
    """

    @property
    def resolution(self) -> int: ...

    @property
    def names(self) -> Sequence[str]: ...

    @property
    def lengths(self) -> Sequence[int]: ...

    @property
    def fps(self) -> Sequence[float]: ...

    def __len__(self) -> int:
        """Number of clips."""
        ...

    def frame(self, clip: int, t: int) -> np.ndarray:
        """Frame t of a clip: (h, w, 3) uint8 RGB."""
        ...

    def frames(self, clip: int) -> Iterator[np.ndarray]:
        """All frames of a clip in order, one at a time: (h, w, 3) uint8 RGB."""
        ...


@dataclasses.dataclass(frozen=True)
class ClipSource:
    """One clip on disk, not read yet.

    Attributes:
        path: a video file, or a folder of numbered images.
        name: path below the root (and below its split folder), without the ending.
        split: the split folder it lies in, or None.
        num_bytes: size on disk.
    """

    path: Path
    name: str
    split: str | None
    num_bytes: int

    @property
    def is_video(self) -> bool:
        return self.path.suffix.lower() in VIDEO_SUFFIXES and not self.path.is_dir()

    def fps(self, default: float) -> float:
        """Frames per second: the video's own, or the default for a folder of images."""
        return video_io.probe(self.path).fps if self.is_video else default

    def num_frames_estimate(self) -> int | None:
        """Number of frames by the header or by counting files, for progress bars only."""
        if self.is_video:
            return video_io.probe(self.path).num_frames
        return len(image_files(self.path))

    def read(self, num_threads: int = 0) -> Iterator[np.ndarray]:
        """Yields (h, w, 3) uint8 RGB frames in order, all of one size.

        Raises:
            VideoError: unreadable, truncated or damaged, with the reason.
        """
        if self.is_video:
            return video_io.read_video(self.path, num_threads=num_threads)
        return read_frame_folder(self.path)


def image_files(folder: Path) -> list[Path]:
    """The images in a folder in the order of their numbers: 2.png before 10.png."""
    with os.scandir(folder) as entries:
        files = [
            Path(entry.path)
            for entry in entries
            if os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES
            and not entry.name.startswith(".")
            and entry.is_file()
        ]
    return sorted(files, key=lambda path: natural_key(path.name))


def natural_key(text: str) -> list[tuple[int, int, str]]:
    return [
        (0, int(part), "") if part.isdecimal() else (1, 0, part)
        for part in re.split(r"(\d+)", text)
    ]


def read_frame_folder(folder: str | os.PathLike[str]) -> Iterator[np.ndarray]:
    """Yields the images of a folder in the order of their numbers.

    Yields:
        (h, w, 3) uint8 RGB frames, all of one size.

    Raises:
        VideoError: there is no image in it.
        DamagedVideoError: an image is unreadable, or differs in size from the first one.
    """
    size = None
    files = image_files(Path(folder))
    if not files:
        raise video_io.VideoError(f"{folder}: holds no images")
    for path in files:
        try:
            frame = read_image(path)
        except video_io.VideoError as error:
            raise video_io.DamagedVideoError(
                f"{folder}: image {path.name} is unreadable "
                f"({str(error).removeprefix(f'{path}: ')})"
            ) from None
        if size not in (None, frame.shape):
            raise video_io.DamagedVideoError(
                f"{folder}: image {path.name} is {frame.shape[1]}x{frame.shape[0]}, the images "
                f"before it {size[1]}x{size[0]}"
            )
        size = frame.shape
        yield frame


# Pillow cuts these off at 255 where it should divide.
_DEEP_GREY = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")


def read_image(path: Path) -> np.ndarray:
    """Reads one image: (h, w, 3) uint8 RGB.

    Raises:
        VideoError: it is unreadable, or grey of more than 8 bits.
    """
    try:
        with Image.open(path) as image:
            if image.mode in _DEEP_GREY:
                raise ValueError(
                    f"its pixels have more than 8 bits (Pillow's mode {image.mode}); save it with 8"
                )
            return np.array(image.convert("RGB"))
    except (
        UnidentifiedImageError,
        OSError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
    ) as error:
        raise video_io.VideoError(f"{path}: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def find_clips(root: str | os.PathLike[str]) -> list[ClipSource]:
    """Lists the clips below a folder, sorted by split and name.

    A video file is a clip; a folder that holds images is a clip. Folders directly below the root
    named like a split ("train", "val", "valid", "validation", "test") give their clips that split.

    Raises:
        FileNotFoundError: the folder does not exist.
        NotADirectoryError: it is a file.
        ValueError: it holds no clip, or some clips are in split folders and others are not.
    """
    root = Path(root)
    if not root.exists():
        raise FileNotFoundError(f"{root}: no such folder")
    if not root.is_dir():
        raise NotADirectoryError(f"{root}: is a file; name the folder that holds the videos")
    sources: list[ClipSource] = []
    for folder, subfolders, files in os.walk(root, onerror=_raise, followlinks=True):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        sources += _clips_of_folder(root, Path(folder), files)
    if not sources:
        raise ValueError(
            f"{root}: no videos ({', '.join(sorted(s[1:] for s in VIDEO_SUFFIXES))}) and no "
            f"folders of images ({', '.join(sorted(s[1:] for s in IMAGE_SUFFIXES))}) in it"
        )
    outside = [source for source in sources if source.split is None]
    if outside and len(outside) < len(sources):
        inside = next(source for source in sources if source.split is not None)
        raise ValueError(
            f"{root}: some clips are in split folders ({inside.path}), others are not "
            f"({outside[0].path}); put every clip into a split folder, or none"
        )
    return sorted(
        _with_unique_names(sources),
        key=lambda source: (source.split or "", natural_key(source.name)),
    )


def _raise(error: OSError) -> None:
    # os.walk passes over folders that it may not list unless it is told not to.
    raise error


def _clips_of_folder(root: Path, folder: Path, files: list[str]) -> list[ClipSource]:
    """The clips directly in a folder: its videos, and itself if it holds images."""
    below = folder.relative_to(root).parts
    split = below[0] if below and below[0] in SPLIT_NAMES else None
    group = below[1:] if split else below
    visible = [name for name in files if not name.startswith(".")]
    sources = []
    for name in visible:
        if os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES:
            path = folder / name
            # A dangling link is listed too: reading it fails later, and names it.
            num_bytes = path.stat().st_size if path.exists() else 0
            sources.append(ClipSource(path, "/".join((*group, path.stem)), split, num_bytes))
    images = [name for name in visible if os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES]
    # Loose images directly in the root or in a split folder are no clip: they have no name.
    if images and group:
        num_bytes = sum((folder / name).stat().st_size for name in images)
        sources.append(ClipSource(folder, "/".join(group), split, num_bytes))
    return sources


def _with_unique_names(sources: list[ClipSource]) -> list[ClipSource]:
    """Gives clips whose names clash (a.mp4 beside a.avi) their endings back."""
    counts: dict[tuple[str | None, str], int] = {}
    for source in sources:
        counts[source.split, source.name] = counts.get((source.split, source.name), 0) + 1
    return [
        dataclasses.replace(source, name=source.name + source.path.suffix)
        if counts[source.split, source.name] > 1 and source.is_video
        else source
        for source in sources
    ]
