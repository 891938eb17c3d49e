"""Evaluation: the paper's protocols, one file each, for a model or for anybody's videos."""

from liax_jax.evaluation.errors import (
    ClipError,
    ClipsFailed,
    EvaluationError,
    explain_full_disk,
)
from liax_jax.evaluation.protocols.self_reenactment import self_reenactment
from liax_jax.evaluation.reenactment import (
    ReenactedBatch,
    ReenactmentFns,
    make_reenactment_fns,
    reenact_clip,
    write_reenactment_video,
)
from liax_jax.evaluation.summary import Context
from liax_jax.evaluation.text_table import format_table

__all__ = [
    "ClipError",
    "ClipsFailed",
    "Context",
    "EvaluationError",
    "ReenactedBatch",
    "ReenactmentFns",
    "explain_full_disk",
    "format_table",
    "make_reenactment_fns",
    "reenact_clip",
    "self_reenactment",
    "write_reenactment_video",
]
