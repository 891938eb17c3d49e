"""Which square of a picture or video the model sees, and how its result goes back."""

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from liax_jax.animation import frames_in
from liax_jax.animation.pictures import Picture
from liax_jax.faces import crops, detection, tracking
from liax_jax.faces.crops import Square


@dataclasses.dataclass(frozen=True)
class Framing:
    """How the square is chosen.

    Attributes:
      crop: "auto" (square pictures whole, others by the face), "face" (always by the face),
        "center" (the largest centred square), "whole" (the smallest square around everything, its
        margins filled with the repeated edge), or a box as `crops.parse_box` reads it.
      face: "largest", "all" (pictures only), or a number from 1, the largest.
      face_model: YuNet's ONNX file, or None for OpenCV's cascades.
      follow: in a video, the square moves with the face. Otherwise one square holds it all through,
        so that the head's own motion stays in the picture.
    """

    crop: str = "auto"
    face: str = "largest"
    face_model: Path | None = None
    follow: bool = False

    def _by_face(self, height: int, width: int) -> bool:
        return self.crop == "face" or (self.crop == "auto" and height != width)

    def _without_face(self, height: int, width: int) -> Square:
        if self.crop in ("auto", "whole"):
            return crops.full_square(height, width)
        if self.crop == "center":
            return crops.center_square(height, width)
        square = crops.parse_box(self.crop)
        crops.check_square(square, height, width)
        return square

    def of_picture(self, rgb: np.ndarray, name: str) -> list[Square]:
        """The squares of a picture (h, w, 3): one, or one a face with face = "all".

        Raises:
          FaceError: no face found, or fewer than asked for; says how to give a box.
        """
        height, width = rgb.shape[:2]
        if not self._by_face(height, width):
            return [self._without_face(height, width)]
        boxes = detection.detect_faces(rgb, model=self.face_model)
        chosen = detection.choose_face(boxes, self.face, name)
        return [crops.keep_inside(crops.square_around(box), height, width) for box in chosen]

    def of_video(self, source: frames_in.FrameSource) -> Iterator[Square]:
        """A square for every frame; reads the video once before, if faces have to be found.

        Raises:
          FaceError: as of `tracking.track_faces`, or several faces asked for.
        """
        height, width = source.height, source.width
        if not self._by_face(height, width):
            yield from itertools.repeat(self._without_face(height, width))
        if self.face == "all":
            raise detection.FaceError(
                f"{source.path}: one face of a video is followed at a time; give --face (or "
                "--driving-face) largest, or its number"
            )
        (squares,) = tracking.track_faces(
            frames_in.read_frames(source),
            which=self.face,
            mode="follow" if self.follow else "fixed",
            detector=detection.open_detector(self.face_model),
            where=str(source.path),
        )
        yield from squares


# The default: square pictures whole, others by the largest face.
WHOLE_OR_FACE = Framing()


@dataclasses.dataclass(frozen=True)
class Cutout:
    """One square of a picture, as the model reads it.

    Attributes:
      square: where it was.
      rgb: (R, R, 3) uint8, transparent parts painted over with the background.
      opacity: (R, R) float32 in [0, 1], or None for an opaque picture.
    """

    square: Square
    rgb: np.ndarray
    opacity: np.ndarray | None


def cut_out(
    picture: Picture, square: Square, resolution: int, background: tuple[int, int, int]
) -> Cutout:
    """Cuts a square out of a picture and scales it to the model's size."""
    if picture.alpha is None:
        return Cutout(square, crops.cut_out(picture.rgb, square, resolution), None)
    rgba = np.concatenate([picture.over(background), picture.alpha[..., None]], axis=-1)
    cut = crops.cut_out(rgba, square, resolution)
    return Cutout(square, cut[..., :3], cut[..., 3].astype(np.float32) / 255)
