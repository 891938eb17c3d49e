"""Several sets of clips as one, each with its share of the training examples."""

import bisect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from liax_jax.data.clips import ClipSet
from liax_jax.data.visits import Source


class MixtureClips:
    """The clips of several sources, one after the other; implements `ClipSet`.

    Clips are named SOURCE/CLIP.

    Args:
        parts: the clips of each source by name.
        weights: the share of each source in the training examples, in any unit, each positive.

    Raises:
        ValueError: a source without clips, or sources of differing resolutions.
    """

    def __init__(self, parts: Mapping[str, ClipSet], weights: Mapping[str, float]):
        self._names = list(parts)
        self._parts = list(parts.values())
        first = self._names[0]
        for name, clips in parts.items():
            if not len(clips):
                raise ValueError(f"source {name!r} of the mixture has no clips")
            if clips.resolution != parts[first].resolution:
                raise ValueError(
                    f"the sources of a mixture must be of one resolution: {first!r} is of "
                    f"{parts[first].resolution} px, {name!r} of {clips.resolution} px; run "
                    "`liax prepare` with the same --resolution for both"
                )
        self.resolution: int = parts[first].resolution
        self.names: Sequence[str] = tuple(
            f"{source}/{name}" for source, clips in parts.items() for name in clips.names
        )
        self.lengths: Sequence[int] = tuple(n for clips in self._parts for n in clips.lengths)
        self.fps: Sequence[float] = tuple(fps for clips in self._parts for fps in clips.fps)
        self.identities: Sequence[str] = tuple(
            # Two data sets may use the same name for different people.
            f"{source}/{identity}"
            for source, clips in parts.items()
            for identity in clip_identities(clips)
        )
        self._starts = [0]
        for clips in self._parts[:-1]:
            self._starts.append(self._starts[-1] + len(clips))
        self.sources = tuple(
            Source(name, float(weights[name]), start, len(clips))
            for name, clips, start in zip(self._names, self._parts, self._starts, strict=True)
        )

    @property
    def parts(self) -> dict[str, ClipSet]:
        """The clips of each source by name."""
        return dict(zip(self._names, self._parts, strict=True))

    def __len__(self) -> int:
        return len(self.names)

    def frame(self, clip: int, t: int) -> np.ndarray:
        """Frame t of a clip: (h, w, 3) uint8 RGB."""
        part = self._part_of(clip)
        return self._parts[part].frame(clip - self._starts[part], t)

    def frames(self, clip: int) -> Iterator[np.ndarray]:
        """All frames of a clip in order, one at a time: (h, w, 3) uint8 RGB."""
        part = self._part_of(clip)
        return self._parts[part].frames(clip - self._starts[part])

    def _part_of(self, clip: int) -> int:
        return bisect.bisect_right(self._starts, clip) - 1


def clip_identities(clips: ClipSet) -> Sequence[str]:
    """Who is in each clip: the set's own `identities`, else the first folder of the clip's name.

    A clip that lies in no folder is an identity of its own.
    """
    own: Sequence[Any] | None = getattr(clips, "identities", None)
    folders = [name.split("/", 1)[0] for name in clips.names]
    if own is None:
        return folders
    return [str(identity or folder) for identity, folder in zip(own, folders, strict=True)]
