"""What the painters of one frame share: the picture, its view, the light, the clip's layers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liax_jax.data.procedural.identity import Identity
from liax_jax.data.procedural.numerics import Texture
from liax_jax.data.procedural.surfaces import Box, Egg, Hit, Vector, View, meet_ellipsoid
from liax_jax.data.procedural.textures import blend


@dataclass(frozen=True)
class Layers:
    """What a clip paints once."""

    who: Identity
    backdrop: np.ndarray
    face: Texture
    hair: Texture
    body: Texture


@dataclass(frozen=True)
class DepthMap:
    """Depth (h w) of the head over `box`; -9 where the head is not."""

    box: Box
    depth: np.ndarray

    def over(self, part: Box) -> np.ndarray:
        """The map cut or filled up to another part of the frame."""
        found = np.full([s.stop - s.start for s in part], np.float32(-9.0))
        here, there = [], []
        for whole, cut in zip(self.box, part, strict=True):
            start, stop = max(whole.start, cut.start), min(whole.stop, cut.stop)
            if stop <= start:
                return found
            here.append(slice(start - cut.start, stop - cut.start))
            there.append(slice(start - whole.start, stop - whole.start))
        found[here[0], here[1]] = self.depth[there[0], there[1]]
        return found


@dataclass(frozen=True)
class Frame:
    """One frame being painted: image float32 (3 h w), x (1 w) and y (h 1) frame positions."""

    image: np.ndarray
    x: np.ndarray
    y: np.ndarray
    view: View
    egg: Egg
    light: Vector  # towards the light, in head coordinates
    layers: Layers

    @property
    def who(self) -> Identity:
        return self.layers.who

    @property
    def sharp(self) -> float:
        """Pixels per head unit."""
        return 1.0 / self.view.pixel

    def part(self, box: Box) -> np.ndarray:
        """The image within a box."""
        return self.image[:, box[0], box[1]]

    def paint(self, box: Box, alpha: np.ndarray, colour: np.ndarray) -> None:
        """Paint a colour over a box by alpha (h w)."""
        blend(self.part(box), alpha, colour)

    def meet(self, box: Box, centre: Vector, radii: Vector, with_far: bool = False) -> Hit:
        """Hits of an ellipsoid by the rays of a box."""
        x, y = self.x[:, box[1]], self.y[box[0]]
        return meet_ellipsoid(self.view, x, y, centre, radii, with_far=with_far)
