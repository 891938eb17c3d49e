"""Moving a source picture by driving frames, batch by batch: what the protocols have in common."""

import dataclasses
import functools
import hashlib
import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from liax_jax.data.clips import ClipSet
from liax_jax.data.video_io import write_video
from liax_jax.evaluation.errors import ClipError
from liax_jax.models.animator import AnimatorModule
from liax_jax.visualization import SideBySide

VIDEO_LABELS = ("source", "driving", "reconstruction")


@dataclasses.dataclass(frozen=True)
class ReenactmentFns:
    """The three steps of reenacting a clip, each jitted; images float32 in [-1, 1].

    Attributes:
      encode: source (1, h, w, 3) to its code z_s2r (1, D) and features {r: (1, r, r, c)}.
      coefficients: driving frames (b, h, w, 3) to their motion coefficients (b, M).
      render: (z_s2r, features, coefficients) to images (b, h, w, 3), not clipped.
    """

    encode: Callable[[jax.Array], tuple[jax.Array, dict[int, jax.Array]]]
    coefficients: Callable[[jax.Array], jax.Array]
    render: Callable[[jax.Array, dict[int, jax.Array], jax.Array], jax.Array]


# The animator is a static argument and the parameters are not: calling these again with other
# parameters, as a training run does at intervals, compiles nothing anew.
@functools.partial(jax.jit, static_argnums=0)
def _encode(animator: AnimatorModule, params: Any, source: jax.Array) -> tuple[jax.Array, dict]:
    encoded: Any = animator.apply({"params": params}, source, method="encode")
    z_s2r, features, _ = encoded
    return z_s2r, features


@functools.partial(jax.jit, static_argnums=0)
def _coefficients(animator: AnimatorModule, params: Any, driving: jax.Array) -> jax.Array:
    encoded: Any = animator.apply({"params": params}, driving, method="encode")
    return encoded[2]


@functools.partial(jax.jit, static_argnums=0)
def _render(
    animator: AnimatorModule,
    params: Any,
    z_s2r: jax.Array,
    features: dict[int, jax.Array],
    coefficients: jax.Array,
) -> jax.Array:
    variables = {"params": params}
    z_s2t = animator.apply(variables, z_s2r, coefficients, method="navigate")  # eq. 7
    image, _ = animator.apply(variables, z_s2t, features, method="decode")
    return image


def make_reenactment_fns(animator: AnimatorModule, params: Any) -> ReenactmentFns:
    """The steps of reenactment with a trained animator.

    Args:
      animator: the model; two equal ones share what is compiled.
      params: its "params" collection.
    """
    return ReenactmentFns(
        encode=functools.partial(_encode, animator, params),
        coefficients=functools.partial(_coefficients, animator, params),
        render=functools.partial(_render, animator, params),
    )


@dataclasses.dataclass(frozen=True)
class ReenactedBatch:
    """Consecutive driving frames and the frames made after them, padded to one batch size.

    Attributes:
      start: number of the first frame in the clip, from 0.
      count: how many of the b entries are frames of the clip; the rest repeats the last one.
      source: (1, h, w, 3) float32 in [-1, 1], the picture that is moved.
      driving: (b, h, w, 3) float32 in [-1, 1].
      reconstruction: (b, h, w, 3) float32, as the model returned it, not clipped.
      coefficients: (b, M) of the driving frames; None where another system made the frames.
    """

    start: int
    count: int
    source: jax.Array
    driving: jax.Array
    reconstruction: jax.Array
    coefficients: jax.Array | None = None


@jax.jit
def image_from_uint8(pixels: jax.Array) -> jax.Array:
    """uint8 [0, 255] → float32 [-1, 1]."""
    return pixels.astype(jnp.float32) / 127.5 - 1.0


class ClipFrames:
    """The frames to be used of one clip, each checked for its form; iterated over once.

    Attributes:
      count: how many frames have been read.
      cut: whether the clip goes on after the last frame used.
    """

    def __init__(self, clips: ClipSet, clip: int, max_frames: int | None = None, least: int = 2):
        self._clips, self._clip = clips, clip
        self._max_frames, self._least = max_frames, least
        self._digest = hashlib.sha256()
        self.count, self.cut = 0, False

    def __iter__(self) -> Iterator[np.ndarray]:
        name, side = self._clips.names[self._clip], self._clips.resolution
        for frame in self._clips.frames(self._clip):
            if self._max_frames is not None and self.count == self._max_frames:
                self.cut = True
                break
            if frame.shape != (side, side, 3) or frame.dtype != np.uint8:
                raise ClipError(
                    f"clip {name!r}, frame {self.count}: expected ({side}, {side}, 3) uint8, got "
                    f"{frame.shape} {frame.dtype}; prepare the clips again at {side} pixels"
                )
            self._digest.update(frame.tobytes())
            self.count += 1
            yield frame
        if self.count < self._least:
            raise ClipError(
                f"clip {name!r} has {self.count} {'frame' if self.count == 1 else 'frames'}; this "
                f"protocol needs at least {self._least}: leave the clip out"
            )

    @property
    def digest(self) -> str:
        """16 hexadecimal digits of the SHA-256 over the pixels read so far."""
        return self._digest.hexdigest()[:16]


def pixel_digest(picture: np.ndarray) -> str:
    """16 hexadecimal digits of the SHA-256 over a picture's pixels."""
    return hashlib.sha256(picture.tobytes()).hexdigest()[:16]


def padded_batches(
    frames: Iterator[np.ndarray], batch_size: int
) -> Iterator[tuple[int, int, np.ndarray]]:
    """(start, count, (batch_size, h, w, 3)); the last batch is filled up with its last frame."""
    start = 0
    while pending := list(itertools.islice(frames, batch_size)):
        padding = [pending[-1]] * (batch_size - len(pending))
        yield start, len(pending), np.stack(pending + padding)
        start += len(pending)


def reenact_frames(
    fns: ReenactmentFns,
    frames: Iterator[np.ndarray],
    *,
    batch_size: int,
    source: np.ndarray | None = None,
    relative: bool = False,
    change: np.ndarray | None = None,
) -> Iterator[ReenactedBatch]:
    """Moves a source by driving frames, batch by batch, holding one batch at a time.

    The source is encoded once. The last batch is padded, so that one shape is compiled for all.

    Args:
      frames: (h, w, 3) uint8, in order.
      source: (h, w, 3) uint8; None for the first of the frames.
      relative: move the source by the change since the first frame, α_s + α_t − α_1 (eq. 8),
        rather than to the driving's own coefficients α_t (eq. 7). The same where the source is the
        first frame.
      change: (M,) edit of the source's coefficients (eq. 10), carried through all frames.
    """
    for start, count, pixels in padded_batches(frames, batch_size):
        driving = image_from_uint8(pixels)
        if start == 0:
            portrait = driving[:1] if source is None else image_from_uint8(source[None])
            z_s2r, features = fns.encode(portrait)
        alpha = fns.coefficients(driving)
        if start == 0:
            offset = fns.coefficients(portrait) - alpha[:1] if relative else None
        moved = alpha if offset is None else alpha + offset
        if change is not None:
            moved = moved + change
        rendered = fns.render(z_s2r, features, moved)
        yield ReenactedBatch(start, count, portrait, driving, rendered, alpha)


def reenact_clip(
    fns: ReenactmentFns,
    clips: ClipSet,
    clip: int,
    *,
    batch_size: int,
    max_frames: int | None = None,
) -> Iterator[ReenactedBatch]:
    """Reenacts one clip from its first frame, batch by batch; see `reenact_frames`.

    Raises:
      ClipError: fewer than two frames, or a frame of another size; the clip is named.
    """
    frames = iter(ClipFrames(clips, clip, max_frames))
    return reenact_frames(fns, frames, batch_size=batch_size)


def write_reenactment_video(
    fns: ReenactmentFns,
    clips: ClipSet,
    clip: int,
    path: str | os.PathLike[str],
    *,
    batch_size: int,
    max_frames: int | None = None,
) -> None:
    """Writes source | driving | reconstruction of one clip as a labelled mp4, at the clip's fps.

    Unlike `self_reenactment` this scores nothing and lets non-finite pixels through, as magenta.
    """
    batches = reenact_clip(fns, clips, clip, batch_size=batch_size, max_frames=max_frames)
    compose = SideBySide(VIDEO_LABELS, clips.resolution)
    pictures = (picture for batch in batches for picture in compose_batch(compose, batch))
    write_video(path, pictures, clips.fps[clip])


def compose_batch(compose: SideBySide, batch: ReenactedBatch) -> Iterator[np.ndarray]:
    """A side-by-side picture for each frame of a batch."""
    source, driving, reconstruction = jax.device_get(
        (batch.source[0], batch.driving, batch.reconstruction)
    )
    for index in range(batch.count):
        yield compose(source, driving[index], reconstruction[index])
