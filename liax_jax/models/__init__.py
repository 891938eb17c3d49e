"""The networks of the paper, one file each; `AnimatorModule` wires them."""

from liax_jax.models.animator import AnimatorModule
from liax_jax.models.config import ModelConfig
from liax_jax.models.discriminator import Discriminator

__all__ = ["AnimatorModule", "Discriminator", "ModelConfig"]
