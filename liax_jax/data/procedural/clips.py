"""Procedural portraits as a set of clips: a `ClipSet` whose motion is known."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from liax_jax.data.procedural.factors import (
    FACTORS,
    resolve_distributions,
    resolve_moving,
    trajectories,
)
from liax_jax.data.procedural.identity import PEOPLE, Identity, as_plain, sample_identity
from liax_jax.data.procedural.render import Layers, PortraitRenderer


class ProceduralClips:
    """Portraits drawn from seeds, moving through known factors.

    Clip i shows the identity of (seed, first_identity + i); two sets whose seeds differ share no
    identity. Every pixel is a pure function of the arguments, on every machine and in any order of
    access. Safe to read from several threads and to pickle.

    Args:
      resolution: width and height of the frames, pixels, >= 16.
      num_clips: number of clips, >= 1; each is another person.
      frames_per_clip: frames per clip, >= 2.
      seed: non-negative seed of identities and motion.
      distribution: one of `DISTRIBUTIONS` for all factors, or a mapping factor -> one of these,
        where factors left out are "natural".
      fps: frames per second, > 0.
      first_identity: number of the first clip's identity, >= 0.
      cached_clips: clips whose still layers are kept in memory, >= 1.
      moving: names of the factors that move, empty for all; the others stay at rest (0). Those that
        move do so as they would among all.
      people: "varied", or "plain" (`identity.as_plain`).

    Attributes:
      factor_names: the F factors that move.

    Raises:
      ValueError: an argument out of its range, an unknown factor, distribution or sort of people.
    """

    def __init__(
        self,
        resolution: int,
        num_clips: int,
        frames_per_clip: int = 64,
        seed: int = 0,
        distribution: str | Mapping[str, str] = "natural",
        fps: float = 25.0,
        first_identity: int = 0,
        cached_clips: int = 64,
        moving: Sequence[str] = (),
        people: str = "varied",
    ) -> None:
        for name, value, least in (
            ("num_clips", num_clips, 1),
            ("frames_per_clip", frames_per_clip, 2),
            ("seed", seed, 0),
            ("first_identity", first_identity, 0),
            ("cached_clips", cached_clips, 1),
        ):
            if value < least:
                raise ValueError(f"{name} must be at least {least}, not {value}")
        if not fps > 0:
            raise ValueError(f"fps must be above 0, not {fps}")
        if people not in PEOPLE:
            raise ValueError(f"unknown people {people!r}; choose from {', '.join(PEOPLE)}")
        self.people = people
        self.resolution = int(resolution)
        self.seed = int(seed)
        self.first_identity = int(first_identity)
        self.cached_clips = int(cached_clips)
        self.distributions = resolve_distributions(distribution)
        self.factor_names = resolve_moving(moving)
        self._columns = [FACTORS.index(name) for name in self.factor_names]
        self.names = [f"portrait-{seed}-{first_identity + i:05d}" for i in range(num_clips)]
        self.lengths = [int(frames_per_clip)] * int(num_clips)
        self.fps = [float(fps)] * int(num_clips)
        self._renderer = PortraitRenderer(self.resolution)
        self._lock = threading.Lock()
        self._cache: OrderedDict[int, tuple[Layers, np.ndarray]] = OrderedDict()

    def __len__(self) -> int:
        return len(self.names)

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["_lock"], state["_cache"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()
        self._cache = OrderedDict()

    def _check(self, clip: int) -> int:
        if not 0 <= clip < len(self.names):
            raise IndexError(f"clip {clip} is outside 0..{len(self.names) - 1}")
        return int(clip)

    def check_index(self, clip: int, t: int) -> None:
        """Raises IndexError where there is no clip or no frame of that number."""
        length = self.lengths[self._check(clip)]
        if not 0 <= t < length:
            raise IndexError(f"frame {t} is outside 0..{length - 1}")

    def _still(self, clip: int) -> tuple[Layers, np.ndarray]:
        clip = self._check(clip)
        with self._lock:
            if clip in self._cache:
                self._cache.move_to_end(clip)
                return self._cache[clip]
        made = (self._renderer.paint_layers(self.identity(clip)), self.factors(clip))
        with self._lock:
            self._cache[clip] = made
            while len(self._cache) > self.cached_clips:
                self._cache.popitem(last=False)
        return made

    def identity(self, clip: int) -> Identity:
        """Who clip `clip` shows."""
        who = sample_identity(self.seed, self.first_identity + self._check(clip))
        return as_plain(who) if self.people == "plain" else who

    def factors(self, clip: int) -> np.ndarray:
        """Normalised factor values of a clip, float32 (t, F), in the order of `factor_names`."""
        clip = self._check(clip)
        key = (self.seed, self.first_identity + clip, 6)
        values = trajectories(key, self.lengths[clip], self.fps[clip], self.distributions)
        return values[:, self._columns]

    def frame(self, clip: int, t: int) -> np.ndarray:
        """Frame t of a clip, uint8 (h w 3), RGB."""
        self.check_index(clip, t)
        layers, values = self._still(clip)
        return self._renderer.draw(layers, self._all_factors(values[t]))

    def frames(self, clip: int) -> Iterator[np.ndarray]:
        """All frames of a clip in order, each uint8 (h w 3)."""
        for t in range(self.lengths[self._check(clip)]):
            yield self.frame(clip, t)

    def frame_at(self, clip: int, values: np.ndarray) -> np.ndarray:
        """A clip's portrait at any normalised factor values (F,), uint8 (h w 3), RGB."""
        layers, _ = self._still(clip)
        return self._renderer.draw(layers, self._all_factors(values))

    def _all_factors(self, values: np.ndarray) -> np.ndarray:
        """Values of the factors that move (F,) → of all, as the renderer takes them."""
        everything = np.zeros(len(FACTORS), np.float32)
        everything[self._columns] = values
        return everything
