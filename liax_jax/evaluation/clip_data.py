"""The clips to evaluate on, from what --data names: records, videos, or folders of frames."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from liax_jax.data.clip_sets import build_clips
from liax_jax.data.clips import ClipSet, ClipSource, find_clips, image_files, read_image
from liax_jax.data.mixture import clip_identities
from liax_jax.data.records import INDEX_NAME, RecordClips, read_index
from liax_jax.data.video_io import VideoError
from liax_jax.evaluation.clip_origin import describe_origin
from liax_jax.evaluation.errors import ClipError, EvaluationError, some_of
from liax_jax.evaluation.run_folder import digest
from liax_jax.log import logger

_DEFAULT_FPS = 25.0
_VALIDATION_SPLITS = ("val", "valid", "validation", "test")


class VideoClips:
    """Videos and folders of frames as they lie on disk; implements `ClipSet`.

    Frames have to be square; those of another size are scaled to `resolution`.

    Args:
      sources: of `find_clips`, of one split.
      resolution: side in pixels that frames are scaled to.

    Attributes:
      lengths: by the headers; 0 where a file can't be read, which reading it will tell.
    """

    def __init__(self, sources: Sequence[ClipSource], resolution: int):
        self.sources = tuple(sources)
        self.resolution = resolution
        self.names: Sequence[str] = tuple(source.name for source in sources)
        self.lengths: Sequence[int] = tuple(_length(source) for source in sources)
        self.fps: Sequence[float] = tuple(_fps(source) for source in sources)

    def __len__(self) -> int:
        return len(self.sources)

    def frame(self, clip: int, t: int) -> np.ndarray:
        """Frame t of a clip: (h, w, 3) uint8 RGB; a video is read up to there."""
        for number, frame in enumerate(self.frames(clip)):
            if number == t:
                return frame
        raise IndexError(f"clip {self.names[clip]!r} has no frame {t}")

    def frames(self, clip: int) -> Iterator[np.ndarray]:
        """All frames of a clip in order, one at a time: (h, w, 3) uint8 RGB.

        Raises:
          VideoError: unreadable or damaged.
          ClipError: the frames aren't square.
        """
        for frame in self.sources[clip].read():
            yield fitted(frame, self.resolution, f"clip {self.names[clip]!r}")


def fitted(frame: np.ndarray, resolution: int, what: str) -> np.ndarray:
    """A square picture (s, s, 3) uint8 at (resolution, resolution, 3).

    Raises:
      ClipError: it isn't square.
    """
    height, width = frame.shape[:2]
    if height != width:
        raise ClipError(
            f"{what} is of {width}x{height} pixels, and squares of faces are wanted: cut them out "
            "with `liax prepare`, and give its records as --data"
        )
    if height == resolution:
        return frame
    size = (resolution, resolution)
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS))


class FirstClips:
    """The first clips of a set; implements `ClipSet`."""

    def __init__(self, clips: ClipSet, count: int):
        self._clips = clips
        self.resolution = clips.resolution
        self.names = clips.names[:count]
        self.lengths = clips.lengths[:count]
        self.fps = clips.fps[:count]
        self.identities = clip_identities(clips)[:count]

    def __len__(self) -> int:
        return len(self.names)

    def frame(self, clip: int, t: int) -> np.ndarray:
        """Frame t of a clip."""
        return self._clips.frame(clip, t)

    def frames(self, clip: int) -> Iterator[np.ndarray]:
        """All frames of a clip in order."""
        return self._clips.frames(clip)


@dataclasses.dataclass(frozen=True)
class EvaluationData:
    """Opened clips, and what results depend on of where they are from.

    Attributes:
      clips: of one split.
      description: JSON; without paths, so that a folder can be moved.
      dataset: name of the data set where all clips are of one that says so, else "".
    """

    clips: ClipSet
    description: dict[str, Any]
    dataset: str = ""


def open_data(
    path: str | os.PathLike[str], split: str | None = None, resolution: int | None = None
) -> EvaluationData:
    """Opens clips on disk.

    Args:
      path: records of `liax prepare`, or a folder of videos and of folders of frames.
      split: which one; None for a validation or test split where there is one, else for all.
      resolution: of the model; None for that of the records, or of the first square clip that is
        readable, which is said.

    Raises:
      FileNotFoundError, NotADirectoryError: about the folder.
      ValueError: nothing in it, no such split, or records of another resolution.
    """
    path = pathlib.Path(path)
    if (path / INDEX_NAME).is_file():
        return _open_records(path, split, resolution)
    sources = find_clips(path)
    splits = sorted({source.split for source in sources if source.split is not None})
    chosen = _chosen_split(path, split, splits)
    sources = [source for source in sources if source.split == chosen]
    side = resolution or _side_of_first(sources)
    listing = [[source.name, source.num_bytes] for source in sources]
    description = {
        "kind": "videos and folders of frames",
        "split": chosen,
        "files": digest(listing),
        "scaling": f"square frames of other sizes are scaled to {side} px with Pillow's Lanczos",
    }
    return EvaluationData(VideoClips(sources, side), description)


def configured_data(data_config: ConfigDict, resolution: int) -> EvaluationData:
    """Opens the evaluation split that a config names.

    Args:
      data_config: see `build_clips`.

    Raises:
      FileNotFoundError, ValueError: as of `build_clips`.
    """
    clips = build_clips(data_config, resolution, "eval")
    return EvaluationData(clips, describe_origin(clips), _dataset_of(clips))


@dataclasses.dataclass(frozen=True)
class Stills:
    """Source pictures by name, read when they are asked for.

    Attributes:
      names: unique, in order.
      identities: who is in each, as far as that is known: pictures of the same are told apart from
        others only.
      read: number to (h, w, 3) uint8. Raises ClipError where it can't.
      description: JSON, what results depend on.
      files: of pictures in a folder, in the order of names; empty where they are something else.
    """

    names: Sequence[str]
    identities: Sequence[str]
    read: Callable[[int], np.ndarray]
    description: dict[str, Any]
    files: Sequence[pathlib.Path] = ()

    def refuse_oblong(self, numbers: Iterable[int]) -> None:
        """Looks at the headers of picture files, before anything slow.

        Args:
          numbers: of the pictures that are used.

        Raises:
          EvaluationError: some aren't square; all are named.
        """
        oblong = []
        for number in sorted(set(numbers)) if self.files else ():
            try:
                with Image.open(self.files[number]) as image:
                    width, height = image.size
            except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
                continue  # said where it is read, and its pairs alone left out
            if width != height:
                oblong.append(f"{self.names[number]} ({width}x{height})")
        if oblong:
            raise EvaluationError(
                f"--sources takes squares of faces, and {len(oblong)} of its pictures aren't "
                f"square: {some_of(oblong)}; cut the faces out with `liax prepare --layout stills` "
                "and give its records as --sources"
            )


def open_stills(path: str | os.PathLike[str], resolution: int) -> Stills:
    """Source pictures: the images directly in a folder, or the first frames of records or clips.

    Raises:
      FileNotFoundError, ValueError: about the folder.
    """
    path = pathlib.Path(path)
    if path.is_dir() and not (path / INDEX_NAME).is_file() and (files := image_files(path)):
        names = [file.name for file in files]
        listing = digest([[file.name, file.stat().st_size] for file in files])
        return Stills(
            names,
            names,
            lambda number: fitted(read_image(files[number]), resolution, str(files[number])),
            {"kind": "pictures", "files": listing},
            files,
        )
    return first_frames(open_data(path, resolution=resolution))


def first_frames(data: EvaluationData) -> Stills:
    """The first frames of clips as source pictures."""
    clips = data.clips
    return Stills(
        list(clips.names),
        clip_identities(clips),
        lambda number: next(iter(clips.frames(number))),
        {"kind": "first frames", **data.description},
    )


def _open_records(path: pathlib.Path, split: str | None, resolution: int | None) -> EvaluationData:
    splits = sorted(read_index(path)["splits"])
    chosen = _chosen_split(path, split, splits)
    assert chosen is not None
    clips = RecordClips(path, chosen)
    if resolution is not None and clips.resolution != resolution:
        raise EvaluationError(
            f"the records in {path} are of {clips.resolution} px, and {resolution} px are wanted; "
            f"run `liax prepare --resolution {resolution}` into another folder"
        )
    return EvaluationData(clips, describe_origin(clips), _dataset_of(clips))


def _dataset_of(clips: ClipSet) -> str:
    """The data set that all clips of records say they are from, or ""."""
    entries = clips.entries if isinstance(clips, RecordClips) else ()
    names = {entry.dataset for entry in entries}
    return names.pop() if len(names) == 1 else ""


def _chosen_split(path: pathlib.Path, split: str | None, splits: Sequence[str]) -> str | None:
    if split is not None:
        if split not in splits:
            there = f"it has {', '.join(splits)}" if splits else "its clips are in no split folders"
            raise EvaluationError(f"{path}: has no split {split!r}; {there}")
        return split
    if len(splits) <= 1:
        return splits[0] if splits else None
    found = [name for name in _VALIDATION_SPLITS if name in splits]
    if len(found) != 1:
        raise EvaluationError(
            f"{path}: has the splits {', '.join(splits)}; say with --split which one to evaluate on"
        )
    return found[0]


def _side_of_first(sources: Sequence[ClipSource]) -> int:
    """Side of the first clip whose frames can be read and are square; the others fail later."""
    reasons = []
    for source in sources:
        what = f"clip {source.name!r}"
        try:
            frame = next(iter(source.read()), None)
            if frame is None:
                raise ClipError(f"{what} holds no frames")
            side = int(frame.shape[0])
            fitted(frame, side, what)
        except (VideoError, OSError, ClipError) as error:
            reasons.append(str(error))
            continue
        logger.info("frames are compared at %d px, the size of %s (see --resolution)", side, what)
        return side
    raise EvaluationError(f"none of the clips can be read and is square; the first: {reasons[0]}")


def _length(source: ClipSource) -> int:
    try:
        return source.num_frames_estimate() or 0
    except (VideoError, OSError):
        return 0


def _fps(source: ClipSource) -> float:
    try:
        return source.fps(_DEFAULT_FPS)
    except (VideoError, OSError):
        return _DEFAULT_FPS
