"""Frames that another system made, matched with the clips that they stand for by name."""

import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from liax_jax.data.clips import IMAGE_SUFFIXES, ClipSet, ClipSource, find_clips
from liax_jax.evaluation.errors import ClipError, EvaluationError, counted, some_of
from liax_jax.evaluation.reenactment import (
    ClipFrames,
    ReenactedBatch,
    image_from_uint8,
    padded_batches,
)
from liax_jax.evaluation.run_folder import clip_stems, digest


class Predictions:
    """A folder of mp4s or of folders of frames, one for each clip.

    A prediction is of the clip whose name it has, with the folders of the name, or with "_" for
    what can't be in a file's name (as this program writes its own videos).

    Args:
      folder: the predictions.
      names: of the clips or pairs, in order.
      also: other names that a clip's prediction may have.

    Attributes:
      unmatched: predictions that are of no clip, as paths below the folder.

    Raises:
      FileNotFoundError, NotADirectoryError, ValueError: about the folder.
      EvaluationError: no clip has a prediction in it.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        names: Sequence[str],
        also: Mapping[str, Sequence[str]] | None = None,
    ):
        self.folder = pathlib.Path(folder)
        everything = find_clips(self.folder)
        found: dict[str, list[ClipSource]] = {}
        for source in everything:
            # a.mp4 beside a.mkv or beside a folder a, or train/a beside val/a: all of them are "a".
            for key in {source.name, _without_ending(source)}:
                found.setdefault(key, []).append(source)
        stems = dict(zip(names, clip_stems(names), strict=True))
        taken = set(names)
        self._by_clip: dict[str, list[ClipSource]] = {}
        self._keys: dict[str, list[str]] = {}
        for name in names:
            others = {stems[name], *(also or {}).get(name, ())} - taken
            keys = self._keys[name] = [name, *sorted(others)]
            if sources := [source for key in keys for source in found.get(key, ())]:
                self._by_clip[name] = sources
        used = {source.path for sources in self._by_clip.values() for source in sources}
        self.unmatched = [self._below(s) for s in everything if s.path not in used]
        self._listing = sorted([self._below(source), source.num_bytes] for source in everything)
        if not self._by_clip:
            raise EvaluationError(
                f"no prediction in {self.folder} is named as one of the {len(names)} clips: there "
                f"are {some_of(self.unmatched)}; the clips are {some_of(names)}"
            )

    def _below(self, source: ClipSource) -> str:
        return source.path.relative_to(self.folder).as_posix()

    def describe(self) -> dict[str, Any]:
        """Which they are, as JSON."""
        return {"predictions": self.folder.absolute().name, "files": digest(self._listing)}

    def inputs(self) -> dict[str, str]:
        """What each clip's results depend on of the folder, as a hash."""
        return {
            name: digest([[self._below(source), source.num_bytes] for source in sources])
            for name, sources in self._by_clip.items()
        }

    def notes(self) -> list[str]:
        """What a report has to say about them."""
        if not self.unmatched:
            return []
        some = some_of(self.unmatched)
        return [f"{counted(len(self.unmatched), 'prediction')} without a clip of that name: {some}"]

    def source(self, name: str) -> ClipSource:
        """The prediction of a clip.

        Raises:
          ClipError: there is none, or more than one.
        """
        sources = self._by_clip.get(name, [])
        if len(sources) > 1:
            raise ClipError(
                f"clip {name!r} has {len(sources)} predictions in {self.folder}: "
                f"{some_of([self._below(source) for source in sources])}; leave one of them there"
            )
        if not sources:
            folders = (self.folder / key for key in self._keys.get(name, ()))
            if (empty := next(filter(pathlib.Path.is_dir, folders), None)) is not None:
                raise ClipError(
                    f"clip {name!r} has no prediction: {empty} holds no images "
                    f"({', '.join(sorted(s[1:] for s in IMAGE_SUFFIXES))})"
                )
            raise ClipError(
                f"clip {name!r} has no prediction: no video or folder of frames of that name in "
                f"{self.folder}"
            )
        return sources[0]

    def batches(
        self,
        name: str,
        driving: ClipFrames,
        *,
        batch_size: int,
        source: np.ndarray | None = None,
    ) -> Iterator[ReenactedBatch]:
        """The driving frames of a clip together with the frames predicted for them.

        Args:
          source: (h, w, 3) uint8, the picture that was moved; None for the first driving frame.

        Raises:
          ClipError: no prediction, or one of another length or size.
          VideoError: it can't be read.
        """
        pairs = _paired(name, driving, self.source(name))
        for start, count, stack in padded_batches(pairs, batch_size):
            images = image_from_uint8(stack[:, 0])
            if start == 0:
                portrait = images[:1] if source is None else image_from_uint8(source[None])
            yield ReenactedBatch(start, count, portrait, images, image_from_uint8(stack[:, 1]))


class PredictedClips:
    """The predictions of a set of clips, as `self_reenactment` takes them in place of a model."""

    def __init__(self, predictions: Predictions, clips: ClipSet, batch_size: int):
        self._predictions, self._clips, self._batch_size = predictions, clips, batch_size

    def __call__(self, clip: int, driving: ClipFrames) -> Iterator[ReenactedBatch]:
        """See `Predictions.batches`."""
        name = self._clips.names[clip]
        return self._predictions.batches(name, driving, batch_size=self._batch_size)


def _without_ending(source: ClipSource) -> str:
    """Its name without the ending, which `find_clips` gives back to videos whose names clash."""
    clashes = source.is_video and pathlib.PurePath(source.name).name == source.path.name
    return source.name.removesuffix(source.path.suffix) if clashes else source.name


def _paired(name: str, driving: ClipFrames, prediction: ClipSource) -> Iterator[np.ndarray]:
    """(2, h, w, 3) of each driving frame and its prediction."""
    predicted = prediction.read()
    frames = iter(driving)
    for frame in frames:
        other = next(predicted, None)
        if other is None:
            before = driving.count - 1
            for _ in frames:
                pass
            raise ClipError(
                f"clip {name!r}: the prediction has {before} frames, the clip {driving.count}; a "
                "frame has to stand for each, the first included"
            )
        if other.shape != frame.shape:
            raise ClipError(
                f"clip {name!r}: the prediction is of {other.shape[1]}x{other.shape[0]} pixels, "
                f"the clip of {frame.shape[1]}x{frame.shape[0]}; predictions are never scaled: "
                "make them at that size, or scale videos of --data to theirs with --resolution"
            )
        yield np.stack([frame, other])
    if not driving.cut and (more := sum(1 for _ in predicted)):
        raise ClipError(
            f"clip {name!r}: the prediction has {driving.count + more} frames, the clip "
            f"{driving.count}; leave out what stands for no frame"
        )
