"""Which square of a source becomes the frames, and which stretches of it are good enough."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

from liax_jax.faces.crops import PORTRAIT_SCALE

CROPS = ("face", "center", "box")

_MIN_SHARPNESS = 10.0


@dataclasses.dataclass(frozen=True)
class CropOptions:
    """How frames are cropped, and the filters. Those marked * need a tracked face.

    Attributes:
        mode: "face": the face is found and followed, the source is split where the picture is cut
            or the face is lost, and each stretch is cropped by one square that holds the face all
            through. "center": the centre square of the whole source. "box": the square around the
            box that the data set gives.
        scale: side of the crop over that of the face box; with "box", over that of the box given,
            where the default is 1.
        face_model: a YuNet model (.onnx) to find faces; by default OpenCV's cascades. *
        detect_every: a face is looked for in every so many frames. *
        min_size: smallest side of the square, in pixels of the source; None for half the
            resolution with "face" and "box", and any size with "center".
        min_sharpness: smallest median variance of the Laplacian of the crop's luma at 256 px
            (grey levels squared); 0 for any, None for 10 with "face" and "box". Measured on 17
            portrait clips: 25 to 1,300 as they are; shrunk to 64 px before, half are below 8.
        min_seconds: shortest stretch. *
        max_gap: a face may be out of sight for so many seconds. *
        min_found: share of the looks at which the face has to be found. *
        min_iou: a stretch ends where the face box's overlap (intersection over union) with the
            stretch's first one falls below. *
        max_spread: the common square may be so many times larger than the median of each frame's
            own: beyond, the face is small in it or moves far. *
        max_outside: share of the square that may lie outside the picture (its edge is repeated
            there).
        cut_threshold: smallest mean change of a thumbnail, from 0 to 1, that is taken for a cut
            when it also stands out among its neighbours; 0 for no cuts. *
    """

    mode: str = "face"
    scale: float | None = None
    face_model: str | None = None
    detect_every: int = 5
    min_size: float | None = None
    min_sharpness: float | None = None
    min_seconds: float = 0.5
    max_gap: float = 1.0
    min_found: float = 0.7
    min_iou: float = 0.25
    max_spread: float = 1.6
    max_outside: float = 0.1
    cut_threshold: float = 0.08

    def __post_init__(self) -> None:
        if self.mode not in CROPS:
            raise ValueError(f"crop must be one of {', '.join(CROPS)}, got {self.mode!r}")
        if self.scale is not None and not self.scale > 0:
            raise ValueError(f"scale must be positive, got {self.scale}")
        if self.detect_every < 1:
            raise ValueError(f"detect-every must be at least 1, got {self.detect_every}")
        if not self.max_spread >= 1:
            raise ValueError(f"max-spread must be at least 1, got {self.max_spread}")
        for name in ("min_size", "min_sharpness", "min_seconds", "max_gap"):
            if (getattr(self, name) or 0) < 0:
                raise ValueError(f"{name.replace('_', '-')} must not be negative")
        for name in ("min_found", "min_iou", "max_outside", "cut_threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"{name.replace('_', '-')} must be between 0 and 1, got {getattr(self, name)}"
                )
        if self.face_model is not None and not Path(self.face_model).is_file():
            raise ValueError(f"{self.face_model}: no such face model")

    @property
    def effective_scale(self) -> float:
        """The scale, or its default for the mode."""
        if self.scale is not None:
            return self.scale
        return PORTRAIT_SCALE if self.mode == "face" else 1.0

    def smallest_side(self, resolution: int) -> float:
        """`min_size`, or its default for the mode; in pixels of the source."""
        if self.min_size is not None:
            return self.min_size
        return 0.0 if self.mode == "center" else resolution / 2

    @property
    def smallest_sharpness(self) -> float:
        """`min_sharpness`, or its default for the mode."""
        if self.min_sharpness is not None:
            return self.min_sharpness
        return 0.0 if self.mode == "center" else _MIN_SHARPNESS

    def to_json(self) -> dict[str, Any]:
        """What the result depends on: the face model by its content, not by where it lies."""
        fields = dataclasses.asdict(self)
        if self.face_model is not None:
            content = Path(self.face_model).read_bytes()
            fields["face_model"] = f"sha256:{hashlib.sha256(content).hexdigest()}"
        return fields
