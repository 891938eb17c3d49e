"""How the frames of a source become records."""

import dataclasses
from typing import Any

from liax_jax.data.crop_options import CropOptions

DEFAULT_QUALITY = 95


@dataclasses.dataclass(frozen=True)
class FrameOptions:
    """How the frames of a source become records.

    Attributes:
        resolution: height and width of the frames written, a power of two >= 32.
        stride: every stride-th frame is kept.
        min_frames: clips with fewer frames are left out; at least 2, as training takes pairs.
        max_frames: at most this many frames of a clip, from its start; None for all.
        quality: of the JPEG frames, 1 to 100; None for lossless WebP.
        frame_folder_fps: frames per second of folders of images, which do not say.
        crop: which square becomes the frames, and the filters.
    """

    resolution: int
    stride: int = 1
    min_frames: int = 2
    max_frames: int | None = None
    quality: int | None = DEFAULT_QUALITY
    frame_folder_fps: float = 25.0
    crop: CropOptions = CropOptions()

    def __post_init__(self) -> None:
        if self.resolution < 32 or self.resolution & (self.resolution - 1):
            raise ValueError(
                f"resolution must be a power of two from 32 on, as the models need "
                f"it; got {self.resolution}"
            )
        if self.stride < 1:
            raise ValueError(f"stride must be at least 1, got {self.stride}")
        if self.min_frames < 2:
            raise ValueError(
                "min-frames must be at least 2, since training takes two frames of "
                f"a clip; got {self.min_frames}"
            )
        if self.max_frames is not None and self.max_frames < self.min_frames:
            raise ValueError(
                f"max-frames ({self.max_frames}) is below min-frames ({self.min_frames})"
            )
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise ValueError(f"quality must be between 1 and 100, got {self.quality}")
        if not self.frame_folder_fps > 0:
            raise ValueError(f"fps must be positive, got {self.frame_folder_fps}")

    def to_json(self) -> dict[str, Any]:
        """What the records depend on."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {**fields, "crop": self.crop.to_json()}
