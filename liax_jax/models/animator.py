"""The animator wires encoder, motion dictionary, flow generator and renderer (Fig. 2)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from liax_jax.models.config import ModelConfig
from liax_jax.models.encoder import Encoder
from liax_jax.models.flow_generator import FlowGenerator
from liax_jax.models.motion_dictionary import MotionDictionary
from liax_jax.models.renderer import Renderer


class AnimatorModule(nn.Module):
    """LIA-X or LIA: moves the portrait in `source` the way the one in `driving` is posed.

    `animator.init(key, source, driving)` makes the parameters;
    `image, out = animator.apply(variables, source, driving)` runs the whole model. The methods
    `encode`, `directions`, `navigate` and `decode` are its parts, for use with `method=`.
    """

    config: ModelConfig

    def setup(self):
        self.encoder = Encoder(self.config)
        self.dictionary = MotionDictionary(self.config.style_dim, self.config.num_vectors)
        self.flow_generator = FlowGenerator(self.config)
        self.renderer = Renderer(self.config)

    def __call__(
        self, source: jax.Array, driving: jax.Array, code_noise: jax.Array | None = None
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Self-reenactment, as in training (eq. 3, 7): z_{s→t} = z_{s→r} + Σ_i α_i d_i.

        Args:
          source: (b, R, R, 3) in [-1, 1], the portrait.
          driving: (b, R, R, 3) in [-1, 1], the motion.
          code_noise: (b, M), added to the coefficients that the image is made from (training).

        Returns:
          image: (b, R, R, 3) float32, not squashed.
          out: every intermediate by name: "z_s2r", "alpha_r2s", "alpha_r2t", "z_s2t", and per
            level "feature/r", "flow/r", "grid/r", "mask/r", "warped/r", "rgb/r".
        """
        # One pass over both, alternating (s₁, d₁, s₂, d₂, …): half the convolutions to compile, and
        # a batch that is sharded over devices stays where it is.
        both = jnp.stack([source, driving], axis=1).reshape(-1, *source.shape[1:])
        z, features, alpha = self.encode(both)
        z_s2r, alpha_r2s, alpha_r2t = z[::2], alpha[::2], alpha[1::2]
        features = {r: feature[::2] for r, feature in features.items()}
        noisy = alpha_r2t if code_noise is None else alpha_r2t + code_noise
        z_s2t = self.navigate(z_s2r, noisy)
        image, out = self.decode(z_s2t, features)
        out |= {"z_s2r": z_s2r, "alpha_r2s": alpha_r2s, "alpha_r2t": alpha_r2t, "z_s2t": z_s2t}
        return image, out | {f"feature/{r}": feature for r, feature in features.items()}

    def encode(self, image: jax.Array) -> tuple[jax.Array, dict[int, jax.Array], jax.Array]:
        """(b, R, R, 3) in [-1, 1] → z (b, D), features {r: (b, r, r, c)}, alpha (b, M).

        Raises:
          ValueError: where the picture has another size than the model.
        """
        side = self.config.resolution
        if image.ndim != 4 or image.shape[1:] != (side, side, 3):
            raise ValueError(
                f"this model reads pictures of shape (batch, {side}, {side}, 3); got "
                f"{image.shape}. Resize them, or use a model of that resolution"
            )
        return self.encoder(image)

    def directions(self) -> jax.Array:
        """Q (D, M): the orthonormal motion vectors as columns."""
        return self.dictionary.directions()

    def navigate(self, z: jax.Array, alpha: jax.Array) -> jax.Array:
        """z + Σ_i α_i d_i (eq. 1, 2): (b, D), (b, M) → (b, D)."""
        return z + self.dictionary(alpha)

    def decode(
        self, z: jax.Array, features: dict[int, jax.Array]
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """G_r(𝒯(G_f(z), features)) (eq. 4).

        Args:
          z: (b, D) navigated code.
          features: {r: (b, r, r, c)} of the source; a batch of 1 serves every code.

        Returns:
          image (b, R, R, 3) float32 and the intermediates of flow generator and renderer.
        """
        flow = self.flow_generator(z, features)
        warped = {r: flow[f"warped/{r}"] for r in self.config.levels}
        image, rendered = self.renderer(warped)
        return image, flow | rendered
