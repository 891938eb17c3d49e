"""Portraits drawn from seeds: the data set for a machine that has none."""

from liax_jax.data.procedural.clips import ProceduralClips
from liax_jax.data.procedural.factors import (
    DESCRIPTION,
    DISTRIBUTIONS,
    FACTORS,
    ONE_SIDED,
    REACH,
    UNIT,
    factor_range,
)
from liax_jax.data.procedural.identity import Identity, sample_identity
from liax_jax.data.procedural.kept_frames import KeptClips
from liax_jax.data.procedural.render import PortraitRenderer

__all__ = [
    "DESCRIPTION",
    "DISTRIBUTIONS",
    "FACTORS",
    "ONE_SIDED",
    "REACH",
    "UNIT",
    "Identity",
    "KeptClips",
    "PortraitRenderer",
    "ProceduralClips",
    "factor_range",
    "sample_identity",
]
