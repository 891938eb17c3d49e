"""Frames that another system made, matched with the clips that they stand for by name."""

import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from liax_jax.data.clips import ClipSet, ClipSource, find_clips
from liax_jax.evaluation.errors import ClipError
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

    Attributes:
      unmatched: names of predictions that no clip has.

    Raises:
      FileNotFoundError, NotADirectoryError, ValueError: about the folder.
    """

    def __init__(self, folder: str | os.PathLike[str], names: list[str]):
        self.folder = pathlib.Path(folder)
        found = {source.name: source for source in find_clips(self.folder)}
        stems = dict(zip(names, clip_stems(names), strict=True))
        self._by_clip = {
            name: found[key] for name in names for key in _keys(name, stems[name]) if key in found
        }
        used = {source.path for source in self._by_clip.values()}
        self.unmatched = [name for name, source in found.items() if source.path not in used]
        self._listing = [[name, source.num_bytes] for name, source in sorted(found.items())]

    def describe(self) -> dict[str, Any]:
        """What the results depend on, as JSON."""
        return {"predictions": self.folder.absolute().name, "files": digest(self._listing)}

    def notes(self) -> list[str]:
        """What a report has to say about them."""
        if not self.unmatched:
            return []
        some = ", ".join(self.unmatched[:5]) + (", …" if len(self.unmatched) > 5 else "")
        return [f"{len(self.unmatched)} predictions have no clip of their name: {some}"]

    def source(self, name: str) -> ClipSource:
        """The prediction of a clip.

        Raises:
          ClipError: there is none.
        """
        if name not in self._by_clip:
            raise ClipError(
                f"clip {name!r} has no prediction: no video or folder of frames of that name in "
                f"{self.folder}"
            )
        return self._by_clip[name]

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


def _keys(name: str, stem: str) -> list[str]:
    """What a clip's prediction may be called, the preferred one last."""
    return [stem, name]


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
