"""Where in a video one face can be followed, and one square for each such stretch.

The first of two passes over a source: it keeps a few numbers a frame and no picture. Stretches end
where the picture is cut, where the face is lost, jumps, or has drifted away from where it was.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

from liax_jax.data.crop_options import CropOptions
from liax_jax.data.items import Annotation
from liax_jax.faces import detection, tracking
from liax_jax.faces.crops import Box, Square, keep_inside, square_around
from liax_jax.faces.detection import Detector

# Cuts are looked for in thumbnails of this side.
_THUMBNAIL = 32
# A cut's change is so many times the median change of the frames around it, so many each way:
# a fast motion or a flicker changes its neighbours too.
_CUT_RATIO = 4.0
_CUT_NEIGHBOURS = 12


@dataclasses.dataclass(frozen=True)
class Span:
    """A stretch of a source and the square that is cut out of it.

    Attributes:
        start, stop: first frame, and the frame after the last one; None for the end.
        square: in pixels of the source.
        problem, detail: why it is left out, "" if it isn't.
    """

    start: int
    stop: int | None
    square: Square
    problem: str = ""
    detail: str = ""


@dataclasses.dataclass(frozen=True)
class Look:
    """A frame that was searched, and the face found there."""

    frame: int
    box: Box | None


def find_spans(
    frames: Iterable[tuple[float, np.ndarray]],
    options: CropOptions,
    detector: Detector,
    hint: Annotation | None = None,
) -> list[Span]:
    """Follows the largest face of each shot, or the one that a data set's box points at.

    Args:
        frames: (seconds, (h, w, 3) uint8 RGB), in order, all of one size.
        options: how.
        detector: finds faces.
        hint: only faces whose centre is in this box are followed.

    Returns:
        The stretches in order, good ones and others; none if no face was found.
    """
    times: list[float] = []
    changes: list[float] = []
    looks: list[Look] = []
    last: Box | None = None
    before = None
    size = (0, 0)
    for index, (time, frame) in enumerate(frames):
        size = frame.shape[:2]
        thumbnail = _thumbnail(frame)
        change = 0.0 if before is None else float(np.abs(thumbnail - before).mean())
        before = thumbnail
        times.append(time)
        changes.append(change)
        suspected = options.cut_threshold > 0 and change > options.cut_threshold
        if suspected:
            last = None
        if suspected or index % options.detect_every == 0:
            box = tracking.find_near(detector, frame, last) if last else None
            box = box or _choose(detector(frame, detection.MIN_SIZE, 1.0), hint, size)
            looks.append(Look(index, box))
            last = box or last
    cuts = find_cuts(changes, options.cut_threshold)
    spans = []
    for start, stop in itertools.pairwise((0, *cuts, len(times))):
        shot = [look for look in looks if start <= look.frame < stop]
        for first, end, track in _tracks(shot, start, stop, times, options):
            spans.append(_judge(first, end, track, times, size, options))
    return spans


def _thumbnail(frame: np.ndarray) -> np.ndarray:
    # Every k-th pixel first: what aliases is the same in both frames of a shot, and much faster.
    step = max(1, min(frame.shape[:2]) // (4 * _THUMBNAIL))
    image = Image.fromarray(np.ascontiguousarray(frame[::step, ::step])).resize(
        (_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX
    )
    return np.asarray(image, np.float32) / 255


def find_cuts(changes: Sequence[float], threshold: float) -> list[int]:
    """The frames that begin a new shot.

    Args:
        changes: mean change of each frame from the one before it, 0 to 1; of the first, 0.
        threshold: smallest change of a cut; 0 for none.
    """
    if threshold <= 0:
        return []
    cuts = []
    for index, change in enumerate(changes):
        if index and change > threshold:
            around = changes[max(1, index - _CUT_NEIGHBOURS) : index]
            around = [*around, *changes[index + 1 : index + 1 + _CUT_NEIGHBOURS]]
            if change > _CUT_RATIO * (float(np.median(around)) if around else 0.0):
                cuts.append(index)
    return cuts


def _choose(boxes: list[Box], hint: Annotation | None, size: tuple[int, int]) -> Box | None:
    if hint is not None:
        square = hint.square(*size)
        boxes = [
            box
            for box in boxes
            if square.left <= box.center_x <= square.right
            and square.top <= box.center_y <= square.bottom
        ]
    return max(boxes, key=lambda box: box.width * box.height, default=None)


def _tracks(
    looks: list[Look], start: int, stop: int, times: Sequence[float], options: CropOptions
) -> list[tuple[int, int, list[Look]]]:
    """The stretches of one shot: (first frame, frame after the last, the looks in it)."""
    found = [look for look in looks if look.box is not None]
    if len(found) >= 3:
        path = np.array([_center_and_side(look.box) for look in found])
        wrong = tracking.find_spikes(path)
        found = [look for look, is_wrong in zip(found, wrong, strict=True) if not is_wrong]
    groups: list[list[Look]] = []
    ends: list[int] = []  # where each group ends, as far as what follows says
    for look in found:
        if not groups:
            groups.append([look])
            continue
        previous, first = groups[-1][-1], groups[-1][0]
        if times[look.frame] - times[previous.frame] > options.max_gap or _jumps(
            previous, look, options.detect_every
        ):
            # Nobody knows what was in between.
            ends.append(previous.frame + 1)
            groups.append([look])
        elif _overlap(first, look) < options.min_iou:
            ends.append(look.frame)
            groups.append([look])
        else:
            groups[-1].append(look)
    result = []
    for number, group in enumerate(groups):
        first_frame, last_frame = group[0].frame, group[-1].frame
        # To the ends of the shot, where no look in between says otherwise.
        if number == 0 and first_frame - start < options.detect_every:
            first_frame = start
        end = ends[number] if number < len(ends) else last_frame + 1
        if number == len(groups) - 1 and stop - last_frame <= options.detect_every:
            end = stop
        inside = [look for look in looks if group[0].frame <= look.frame < end]
        kept = {look.frame for look in group}
        # What the detector took for a face elsewhere was no find of this face.
        result.append(
            (
                first_frame,
                end,
                [look if look.frame in kept else Look(look.frame, None) for look in inside],
            )
        )
    return result


def _center_and_side(box: Box | None) -> tuple[float, float, float]:
    assert box is not None
    return box.center_x, box.center_y, max(box.width, box.height)


def _jumps(before: Look, after: Look, every: int) -> bool:
    x, y, side = _center_and_side(before.box)
    new_x, new_y, _ = _center_and_side(after.box)
    steps = max(1.0, (after.frame - before.frame) / every)
    return math.hypot(new_x - x, new_y - y) > side * min(steps, tracking.MOST_STEPS)


def _overlap(a: Look, b: Look) -> float:
    return detection.overlap(a.box, b.box) if a.box and b.box else 0.0


def _judge(
    start: int,
    stop: int,
    looks: list[Look],
    times: Sequence[float],
    size: tuple[int, int],
    options: CropOptions,
) -> Span:
    """The common square of a stretch, and whether it is good enough."""
    boxes = [look.box for look in looks if look.box is not None]
    squares = [square_around(box, options.effective_scale) for box in boxes]
    common = tracking.hold_all(squares)
    spread = common.side / float(np.median([square.side for square in squares]))
    square = keep_inside(common, *size)
    interval = (times[-1] - times[0]) / max(len(times) - 1, 1)
    seconds = times[stop - 1] - times[start] + interval
    found = len(boxes) / len(looks)
    if seconds < options.min_seconds:
        problem = "too short", f"{seconds:.2f} s where {options.min_seconds:g} s are needed"
    elif found < options.min_found:
        problem = "unstable track", f"the face was found in {found:.0%} of the looks"
    elif spread > options.max_spread:
        problem = "unstable track", f"one square for all frames is {spread:.2f} times each one's"
    else:
        problem = "", ""
    return Span(start, stop, square, *problem)


def outside_share(square: Square, height: int, width: int) -> float:
    """The share of a square's area that lies outside a picture, from 0 to 1."""
    across = max(0.0, min(square.right, width) - max(square.left, 0.0))
    down = max(0.0, min(square.bottom, height) - max(square.top, 0.0))
    return 1.0 - across * down / square.side**2
