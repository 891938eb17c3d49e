"""The networks of the paper, one file each; `Animator` wires them."""

from liax_jax.models.animator import Animator
from liax_jax.models.config import ModelConfig
from liax_jax.models.discriminator import Discriminator

__all__ = ["Animator", "Discriminator", "ModelConfig"]
