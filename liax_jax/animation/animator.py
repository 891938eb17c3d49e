"""The animator with its weights: encode once, then edit, move and render, all under `jax.jit`."""

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from liax_jax import ops
from liax_jax.animation.portrait import Portrait, transferred_alpha
from liax_jax.directions import DirectionCard, Edits
from liax_jax.model_files import ModelRecord, load_model
from liax_jax.models import AnimatorModule, ModelConfig


@flax.struct.dataclass
class Animator:
    """A LIA-X or LIA model with its parameters. A pytree: it can be an argument of `jax.jit`.

    Pictures in are (b, R, R, 3), float in [-1, 1] or uint8 in [0, 255]; R is `resolution`. Pictures
    out are float32, not squashed (clip to [-1, 1] when writing), or clipped uint8 with
    `uint8=True`. Every method is a pure function; the ones that compute are compiled on first use
    for each shape.

    Attributes:
      params: parameters of `AnimatorModule`.
      basis: (D, M) float32, the orthonormal motion vectors Q, computed once.
      module: the network without its parameters.
      record: where the weights come from, and the direction card.
    """

    params: Any
    basis: jax.Array
    module: AnimatorModule = flax.struct.field(pytree_node=False)
    record: ModelRecord = flax.struct.field(pytree_node=False)

    @classmethod
    def create(cls, record: ModelRecord, params: Any) -> "Animator":
        """From a model record and the parameters of its network, e.g. those of a training state."""
        module = AnimatorModule(record.config)
        params = jax.tree.map(jnp.asarray, params)
        return cls(params, _directions(module, params), module, record)

    @property
    def config(self) -> ModelConfig:
        return self.record.config

    @property
    def resolution(self) -> int:
        """R, the side of pictures in pixels."""
        return self.config.resolution

    @property
    def card(self) -> DirectionCard:
        """Names, signs and useful ranges of the directions."""
        return self.record.card

    def encode(self, image: jax.Array | np.ndarray) -> Portrait:
        """Encodes a source picture: (R, R, 3) or (1, R, R, 3).

        Raises:
          ValueError: another shape, or integers other than uint8.
        """
        image = _as_batch(image)
        if image.shape[0] != 1:
            raise ValueError(
                f"a portrait is one picture; got a batch of {image.shape[0]}. Encode them one by "
                "one, or use `coefficients` for driving frames"
            )
        return _encode(self, image)

    def coefficients(self, frames: jax.Array | np.ndarray) -> jax.Array:
        """Motion coefficients α of driving frames: (b, R, R, 3) → (b, M) float32."""
        return _coefficients(self, _as_batch(frames))

    def render(
        self,
        portrait: Portrait,
        alpha: jax.Array | np.ndarray | None = None,
        *,
        opacity: jax.Array | np.ndarray | None = None,
        uint8: bool = False,
    ) -> jax.Array:
        """Paints the portrait at motion coefficients: G_r(𝒯(G_f(z_{s→r} + α Qᵀ), features)).

        Args:
          portrait: of `encode` or `edit`.
          alpha: (b, M) or (M,); by default the portrait's own, with its edit (eq. 11).
          opacity: (R, R) alpha channel of the source in [0, 1]; it is warped along as a fourth
            channel.
          uint8: return clipped uint8 in [0, 255].

        Returns:
          (b, R, R, 3), or 4 with `opacity`. The fourth channel has the range of the others.
        """
        alpha = portrait.edited_alpha if alpha is None else jnp.asarray(alpha, jnp.float32)
        return _render(self, portrait, jnp.atleast_2d(alpha), opacity, uint8)

    def render_with(
        self, portrait: Portrait, alpha: jax.Array | np.ndarray, names: tuple[str, ...]
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """As `render`, with intermediates of flow generator and renderer by name.

        Args:
          portrait: of `encode` or `edit`.
          alpha: (b, M) or (M,).
          names: e.g. "grid/64": the sampling positions of that level, 1 = half the picture.

        Returns:
          Pictures (b, R, R, 3) and {name: (b, ...)}.

        Raises:
          KeyError: a name that the model doesn't have.
        """
        return _render_with(self, portrait, jnp.atleast_2d(jnp.asarray(alpha, jnp.float32)), names)

    def edit(
        self,
        portrait: Portrait,
        edits: Edits | jax.Array | np.ndarray,
        *,
        strict: bool = False,
    ) -> Portrait:
        """Adds to the portrait's coefficients: α_s[i] += v (eq. 11). Edits add up.

        `render` shows the edited portrait, `animate` moves it (edit, warp, render).

        Args:
          edits: {name or index: value}, or the change of all coefficients (M,).
          strict: a value outside its useful range is an error rather than a warning.

        Raises:
          DirectionError: unknown direction, or out of range with `strict`.
        """
        change = self._change(edits, strict)
        return dataclasses.replace(portrait, edit=portrait.edit + change)

    def animate(
        self,
        portrait: Portrait,
        driving_alpha: jax.Array | np.ndarray,
        *,
        reference: jax.Array | np.ndarray | None = None,
        absolute: str | Iterable[str | int] = (),
        strength: float = 1.0,
        opacity: jax.Array | np.ndarray | None = None,
        uint8: bool = False,
    ) -> jax.Array:
        """Moves the portrait as the driving moves (eq. 6, 8, 10).

        Args:
          driving_alpha: (b, M) of `coefficients`, a chunk of any length.
          reference: (M,) coefficients of the driving's first frame; by default `driving_alpha[0]`.
            Give it when the chunk doesn't begin with that frame.
          absolute: names, indices or groups of directions that are taken over as they are; "all"
            for the whole motion.
          strength: 1 as driven, 0 no motion.
          opacity, uint8: as of `render`.

        Returns:
          (b, R, R, 3 or 4).
        """
        driving = jnp.atleast_2d(jnp.asarray(driving_alpha, jnp.float32))
        first = driving[0] if reference is None else jnp.asarray(reference, jnp.float32)
        mask = jnp.asarray(self.card.mask(absolute))
        alpha = transferred_alpha(portrait, driving, first, mask, strength)
        return self.render(portrait, alpha, opacity=opacity, uint8=uint8)

    def edit_frames(
        self,
        frames: jax.Array | np.ndarray,
        edits: Edits | jax.Array | np.ndarray,
        *,
        uint8: bool = False,
    ) -> jax.Array:
        """Edits frames one by one, each with its own code and features (eq. 11 per frame).

        Args:
          frames: (b, R, R, 3).
          edits: as of `edit`; the same for all. None at all reconstructs the frames.

        Returns:
          (b, R, R, 3).
        """
        return _edit_frames(self, _as_batch(frames), self._change(edits), uint8)

    def _change(self, edits: Edits | jax.Array | np.ndarray, strict: bool = False) -> jax.Array:
        """Edits of either form as the change of the coefficients, (M,)."""
        values = self.card.vector(edits, strict) if isinstance(edits, Mapping) else edits
        change = jnp.asarray(values, jnp.float32)
        if change.shape != (self.config.num_vectors,):
            raise ValueError(
                f"an edit has shape ({self.config.num_vectors},) for this model; got {change.shape}"
            )
        return change

    def traverse(
        self,
        portrait: Portrait,
        direction: str | int,
        values: Sequence[float] | None = None,
        *,
        uint8: bool = False,
    ) -> jax.Array:
        """The portrait edited along one direction, a picture a value: (len(values), R, R, 3).

        Without values: eleven over the direction's useful range, `card.find(direction).sweep()`;
        -0.5 to 0.5 by 0.1 where the card has none.
        """
        found = self.card.find(direction)
        stops = np.asarray(found.sweep() if values is None else values, np.float32)
        steps = np.zeros((len(stops), self.config.num_vectors), np.float32)
        steps[:, found.index] = found.sign * stops
        return self.render(portrait, portrait.edited_alpha + steps, uint8=uint8)


def load(path: str | os.PathLike[str], dtype: str = "float32") -> Animator:
    """Loads an animator.

    Args:
      path: a model directory, a workdir of training, a `.safetensors`, or a published `.pt`.
      dtype: arithmetic of the convolutions, "float32" or "bfloat16".

    Raises:
      FileNotFoundError: nothing there.
      ValueError: not a model; says what is missing or wrong.
    """
    record, params = load_model(path)
    config = dataclasses.replace(record.config, dtype=dtype)
    return Animator.create(dataclasses.replace(record, config=config), params)


def to_float(image: jax.Array) -> jax.Array:
    """uint8 [0, 255] → float32 [-1, 1]; floats are kept."""
    if image.dtype == jnp.uint8:
        return image.astype(jnp.float32) / 127.5 - 1.0
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise ValueError(f"pictures are uint8 or float in [-1, 1]; got {image.dtype}")
    return image.astype(jnp.float32)


def to_uint8(image: jax.Array) -> jax.Array:
    """float [-1, 1], clipped → uint8 [0, 255], rounded."""
    return jnp.round((jnp.clip(image, -1, 1) + 1) * 127.5).astype(jnp.uint8)


def _as_batch(image: jax.Array | np.ndarray) -> jax.Array | np.ndarray:
    if image.ndim not in (3, 4):
        raise ValueError(f"pictures have shape (R, R, 3) or (b, R, R, 3); got {image.shape}")
    return image if image.ndim == 4 else image[None]


@jax.jit(static_argnums=0)
def _directions(module: AnimatorModule, params: Any) -> jax.Array:
    basis: Any = module.apply({"params": params}, method="directions")
    return basis


def _encoded(animator: Animator, images: jax.Array) -> Any:
    return animator.module.apply({"params": animator.params}, to_float(images), method="encode")


@jax.jit
def _encode(animator: Animator, image: jax.Array) -> Portrait:
    z, features, alpha = _encoded(animator, image)
    return Portrait(z, features, alpha[0], jnp.zeros_like(alpha[0]))


@jax.jit
def _coefficients(animator: Animator, frames: jax.Array) -> jax.Array:
    return _encoded(animator, frames)[2]


def _decode(animator: Animator, z: jax.Array, features: dict, alpha: jax.Array) -> Any:
    # Full float32 on every device: rounding here would move every pixel.
    motion = jnp.matmul(alpha, animator.basis.T, precision=jax.lax.Precision.HIGHEST)
    return animator.module.apply({"params": animator.params}, z + motion, features, method="decode")


@jax.jit(static_argnums=3)
def _edit_frames(
    animator: Animator, frames: jax.Array, change: jax.Array, uint8: bool
) -> jax.Array:
    z, features, alpha = _encoded(animator, frames)
    image, _ = _decode(animator, z, features, alpha + change)
    return to_uint8(image) if uint8 else image


@jax.jit(static_argnums=4)
def _render(
    animator: Animator,
    portrait: Portrait,
    alpha: jax.Array,
    opacity: jax.Array | np.ndarray | None,
    uint8: bool,
) -> jax.Array:
    image, out = _decode(animator, portrait.z_s2r, portrait.features, alpha)
    if opacity is not None:
        grid = out[f"grid/{animator.resolution}"]
        source = jnp.asarray(opacity, jnp.float32)[None, :, :, None]
        warped = ops.bilinear_warp(source, grid, animator.config.align_corners)
        image = jnp.concatenate([image, 2 * warped - 1], axis=-1)
    return to_uint8(image) if uint8 else image


@jax.jit(static_argnums=3)
def _render_with(
    animator: Animator, portrait: Portrait, alpha: jax.Array, names: tuple[str, ...]
) -> tuple[jax.Array, dict[str, jax.Array]]:
    image, out = _decode(animator, portrait.z_s2r, portrait.features, alpha)
    return image, {name: out[name] for name in names}
