"""What moved between two pictures of one portrait: dense optical flow, and eyes that disappear."""

import dataclasses

import cv2
import numpy as np

from liax_jax.interpretability.canonical import (
    FaceFrame,
    canonical_positions,
    motion_to_canonical,
    to_canonical,
)
from liax_jax.interpretability.motion_fit import head_motion
from liax_jax.interpretability.motion_templates import eyes_weight, hill

# Pictures are scaled to this side before flow is estimated: the method wants some pixels a feature.
_FLOW_SIDE = 256
# Skin is looked at on both cheeks and on the nose.
_SKIN = (((-0.4, 0.4), (0.25, 0.2)), ((0.4, 0.4), (0.25, 0.2)), ((0.0, 0.25), (0.2, 0.2)))
_SKIN_EDGE = 0.2
# Skin's tint (red less blue) is taken to be at least so many of 255, for pictures without colour.
_LEAST_TINT = 5.0
# A closing eye keeps its dark lashes, and these pixels are not only of the eye: from wide open to
# shut, so much of the white measured goes. Measured on drawn portraits of 64 and 128 pixels.
_WHITE_OF_EYE = 0.55


@dataclasses.dataclass(frozen=True)
class SeenMotion:
    """What changed from one picture to another, in canonical coordinates.

    Attributes:
      flow: (SIDE, SIDE, 2) displacement in canonical units.
      closing: (2,) share of the left and of the right eye that disappeared; negative: appeared.
      eye_change: (2,) share of the change in each eye's pixels that is left once the head's motion
        is taken out, in [0, 1].
    """

    flow: np.ndarray
    closing: np.ndarray
    eye_change: np.ndarray


def optical_flow(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Displacement (S, S, 2) in pixels of an S = 256 grid, at the middle between two pictures.

    Dense inverse search (Kroeger 2016, OpenCV's) both ways; the mean is less biased than either.

    Args:
      before, after: (h, h, 3) uint8.
    """
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    size = (_FLOW_SIDE, _FLOW_SIDE)
    enlarge = cv2.INTER_CUBIC if before.shape[0] < _FLOW_SIDE else cv2.INTER_AREA
    first, second = (
        cv2.cvtColor(cv2.resize(picture, size, interpolation=enlarge), cv2.COLOR_RGB2GRAY)
        for picture in (before, after)
    )
    there = method.calc(first, second, np.zeros((*size, 2), np.float32))
    back = method.calc(second, first, np.zeros((*size, 2), np.float32))
    return (there - back) / 2


def eyes_closing(
    before: np.ndarray, after: np.ndarray, frame: FaceFrame, head_motion: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How much of the white of each eye disappeared.

    White is brightness without the skin's tint: a closing lid takes it away, and neither a gaze
    nor a moving brow does. Both pictures are moved to the middle of the head's motion first.

    Args:
      before, after: (h, h, 3) uint8.
      head_motion: (SIDE, SIDE, 2) of the head as a whole, canonical units.

    Returns:
      `closing` and `eye_change` of `SeenMotion`.
    """
    x, y = canonical_positions()
    eyes = eyes_weight(x, y)
    eyes = eyes / eyes.sum(axis=(1, 2), keepdims=True)
    skin_area = np.max([hill(x, y, *ellipse) for ellipse in _SKIN], axis=0) > _SKIN_EDGE
    aligned = [
        to_canonical(picture, frame, part * head_motion)
        for picture, part in ((before, -0.5), (after, 0.5))
    ]
    white = [(_white(picture, skin_area) * eyes).sum(axis=(1, 2)) for picture in aligned]
    closing = (white[0] - white[1]) / np.maximum(np.maximum(*white), 1e-6) / _WHITE_OF_EYE
    left = _weighted_energy(aligned[1] - aligned[0], eyes)
    whole = _weighted_energy(to_canonical(after, frame) - to_canonical(before, frame), eyes)
    return np.clip(closing, -1, 1), np.minimum(left / np.maximum(whole, 1e-6), 1.0)


def _white(picture: np.ndarray, skin_area: np.ndarray) -> np.ndarray:
    """Brightness (h, w) in [0, 1] of what has less of a tint than the skin."""
    skin = np.median(picture[skin_area], axis=0)
    tint = (picture[..., 0] - picture[..., 2]) / max(skin[0] - skin[2], _LEAST_TINT)
    brightness: np.ndarray = picture.mean(-1) / 255
    return np.clip(1 - tint, 0, 1) * brightness


def _weighted_energy(difference: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return (np.square(difference).mean(-1) * weights).sum(axis=(1, 2))


def seen_motion(before: np.ndarray, after: np.ndarray, frame: FaceFrame) -> SeenMotion:
    """What moved between two pictures (h, h, 3) uint8 of one portrait."""
    flow = motion_to_canonical(optical_flow(before, after), frame)
    closing, eye_change = eyes_closing(before, after, frame, head_motion(flow))
    return SeenMotion(flow, closing, eye_change)
