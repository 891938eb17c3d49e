"""Identity distance: how far a generated face is from the person of the source portrait.

The paper's ID (Table 2), without saying by which network; here ArcFace's, see `arcface`.
"""

import dataclasses
import hashlib
import os
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from liax_jax.faces.alignment import FaceAligner
from liax_jax.log import logger
from liax_jax.metrics import arcface
from liax_jax.metrics.base import FrameMetric, MetricInputError, StoredWeights, check_frames


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class IdentityMetric(FrameMetric):
    """Aligns faces on the host, frame by frame, and compares their embeddings on the device.

    Frames without a face score NaN. Without one in the source, so do all of the clip's, and a
    warning says so. `apply` and `prepare_source` take what the aligner made: (b, 112, 112, 3).

    Attributes:
      aligner: finds and aligns the faces.
    """

    aligner: FaceAligner

    def __call__(self, images: jax.Array, prepared: Any = None) -> jax.Array:
        """Distances (b,) float32 of images (b, h, w, 3) in [0, 1] from the prepared source.

        Raises:
          MetricInputError: frames that aren't finite, or of another range; or a network that
            gives NaN for a face, as damaged weights do.
        """
        self.check_size(*images.shape[-3:-1])
        crops, found = self._align(images)
        distances = super().__call__(crops, prepared)
        # Without a face in the source, all are left out.
        if np.isfinite(prepared).all():
            self._check_finite(distances, found)
        return jnp.where(jnp.asarray(found), distances, jnp.nan)

    def prepare(self, source: jax.Array) -> jax.Array:
        """Embedding (1, 512) of the source picture (1, h, w, 3) in [0, 1]; NaN without a face.

        Raises:
          MetricInputError: as above.
        """
        self.check_size(*source.shape[-3:-1])
        crops, found = self._align(source)
        if not found.all():
            logger.warning(
                "%s: found no face in a source picture; the clip's frames are left out of it",
                self.name,
            )
        embedding = super().prepare(crops)
        self._check_finite(embedding.sum(-1), found)
        return jnp.where(jnp.asarray(found)[:, None], embedding, jnp.nan)

    def _check_finite(self, values: jax.Array, found: np.ndarray) -> None:
        if not (np.isfinite(values) | ~found).all():
            raise MetricInputError(
                f"{self.name}: the network gives NaN for a face; import its weights again"
            )

    def _align(self, images: jax.Array) -> tuple[jax.Array, np.ndarray]:
        check_frames(f"{self.name}: frame", images)
        pixels = np.rint(255 * np.clip(np.asarray(images, np.float32), 0, 1)).astype(np.uint8)
        crops, found = self.aligner(pixels)
        return jnp.asarray(crops, jnp.float32) / 255, found

    def with_face_model(self, path: str | os.PathLike[str]) -> "IdentityMetric":
        """This metric with faces aligned by the landmarks of a YuNet model (.onnx).

        Raises:
          FaceError: the model can't be read.
        """
        path = Path(path)
        aligner = FaceAligner("landmarks", path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        weights = {**self.weights, "yunet": {"sha256": digest, "sources": {path.name: digest}}}
        return dataclasses.replace(
            self,
            aligner=aligner,
            weights=weights,
            convention=_convention(self.params, aligner),
        )


def identity_metric(stored: StoredWeights, aligner: FaceAligner | None = None) -> IdentityMetric:
    """The metric with a network's weights.

    Args:
      stored: of "arcface".
      aligner: by default upright crops of the face's box, which need no further model; see
        `IdentityMetric.with_face_model` for landmarks.
    """
    aligner = aligner or FaceAligner("box")
    return IdentityMetric(
        name="identity",
        params=stored.params,
        weights={stored.name: stored.provenance},
        aligner=aligner,
        apply=_distance_of_crops,
        prepare_source=_embed_unit_range,
        against="source",
        skips_frames=True,
        higher_is_better=False,
        convention=_convention(stored.params, aligner),
        decimals=4,
        min_size=32,
    )


def _convention(params: arcface.ArcFaceParams, aligner: FaceAligner) -> str:
    return (
        f"1 - cosine of iresnet-{arcface.depth_of(params)} embeddings of a generated frame and the "
        f"source picture; {aligner.convention}; {arcface.CROP_SIZE} x {arcface.CROP_SIZE} pixels "
        "on [-1, 1], sampled antialiased from 8 bits; frames without a face found are left out and "
        "counted"
    )


def _embed_unit_range(params: arcface.ArcFaceParams, crops: jax.Array) -> jax.Array:
    return arcface.embed(params, 2 * crops - 1)


def _distance_of_crops(
    params: arcface.ArcFaceParams, crops: jax.Array, source_embedding: jax.Array
) -> jax.Array:
    return arcface.cosine_distance(_embed_unit_range(params, crops), source_embedding)
