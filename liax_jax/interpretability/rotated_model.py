"""A rotation folded into a model: the same pictures from other axes."""

import copy
import dataclasses
from pathlib import Path

import numpy as np

from liax_jax.convert import COLUMN_SIGNS
from liax_jax.directions import DirectionCard
from liax_jax.model_files import ModelFile
from liax_jax.model_record import fingerprint
from liax_jax.motion_ranges import card_with_ranges, useful_ranges
from liax_jax.weights import TORCH_SUFFIXES


def rotated_model(
    model: ModelFile, matrix: np.ndarray, how: str, coefficients: list[np.ndarray] | None = None
) -> ModelFile:
    """The model with dictionary Q R and motion head Rᵀ A z + Rᵀ b: w = Q α stays as it is.

    Names of directions don't carry over, as the directions are others.

    Args:
      model: LIA-X or LIA.
      matrix: (M, M) orthogonal, R.
      how: what the rotation is, for the new model's origin.
      coefficients: of the model as it was, one array (t, M) a clip: the new directions' ranges are
        measured on them. Without, they have the default range.

    Raises:
      ValueError: another shape, or not orthogonal.
    """
    size = model.record.config.num_vectors
    matrix = np.asarray(matrix, np.float64)
    if matrix.shape != (size, size):
        raise ValueError(f"a rotation of this model has shape ({size}, {size}); got {matrix.shape}")
    if not np.allclose(matrix.T @ matrix, np.eye(size), atol=1e-6):
        raise ValueError("the matrix is not orthogonal, so it would change the pictures")
    params = copy.copy(model.params)
    params["encoder"] = dict(params["encoder"])
    # The last layer of the head in both families: LIA's hidden ones come before it.
    head = params["encoder"]["motion"]
    params["encoder"]["motion"] = {
        name: (np.asarray(head[name], np.float64) @ matrix).astype(np.float32)
        for name in ("kernel", "bias")
    }
    params["dictionary"] = {"weight": _weight_with_basis(_basis(params) @ matrix)}
    card = DirectionCard(size)
    if coefficients is not None:
        card = card_with_ranges(card, useful_ranges([alpha @ matrix for alpha in coefficients]))
    before = model.record
    record = dataclasses.replace(
        before,
        card=card,
        origin=f"{how} rotation of {before.fingerprint} ({before.origin})",
        fingerprint=fingerprint(before.config, params),
    )
    extras = {name: value for name, value in model.extras.items() if name != COLUMN_SIGNS}
    return ModelFile(record, params, extras, model.kind)


def _basis(params: dict) -> np.ndarray:
    """Q (D, M) float64, by the convention of `models.motion_dictionary.orthonormal_basis`."""
    weight = np.asarray(params["dictionary"]["weight"], np.float32) + np.float32(1e-8)
    q, r = np.linalg.qr(weight.astype(np.float64))
    return q * np.where(np.diagonal(r) < 0, -1.0, 1.0)


def _weight_with_basis(basis: np.ndarray) -> np.ndarray:
    """W (D, M) float32 of which the model makes this basis: QR of orthonormal columns is itself."""
    return (basis - 1e-8).astype(np.float32)


def refuse_published_names(path: Path) -> None:
    """Raises ValueError for a .pt or .pth, which can't say where the model is from."""
    if path.suffix in TORCH_SUFFIXES:
        raise ValueError(
            f"{path}: write a directory or a .safetensors, and make the {path.suffix} of it with "
            "`liax convert`"
        )
