"""Following faces through a video: one steady square crop for every frame."""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np

from liax_jax.faces import detection
from liax_jax.faces.crops import PORTRAIT_SCALE, Box, Square, keep_inside, square_around
from liax_jax.faces.detection import Detector, FaceError, choose_face, open_detector
from liax_jax.log import logger

MODES = ("follow", "fixed")

# Around a known face, a region this many times larger is searched for faces of about its size.
_REGION_SCALE = 2.4
_SMALLEST_CHANGE, _LARGEST_CHANGE = 0.7, 1.4
# A face further away than this from one look to the next, in sides of its box, has jumped: the
# picture was cut there. Out of sight it may have gone so many steps.
_LARGEST_STEP = 1.0
MOST_STEPS = 4
# A single find this far from the middle of its neighbours, which agree, is a mistake.
_SPIKE = 0.3
# The crop's size changes slower than its place: what one notices is the zoom.
_SIDE_SMOOTHING = 2.5
# In mode "fixed" this share of every frame's own crop stays inside the common one.
_KEPT_SHARE = 0.85


def track_faces(
    frames: Iterable[tuple[float, np.ndarray]],
    *,
    which: str | int = "largest",
    mode: str = "follow",
    scale: float = PORTRAIT_SCALE,
    every: int = 5,
    smooth: float = 0.2,
    max_gap: float = 2.0,
    detector: Detector | None = None,
    where: str = "the video",
) -> list[list[Square]]:
    """Follows one face, or several, through a video.

    Reads the frames once and keeps none: memory is a few numbers a frame. Faces are looked for in
    every few frames, close to where they were; between, boxes are interpolated, and smoothed over
    time without delay.

    Args:
      frames: (seconds, (h, w, 3) uint8 RGB), in order, all of one size.
      which: "largest", "all", or a number counted from 1, the largest, in the first frame that
        shows so many.
      mode: "follow": the crop moves with the face. "fixed": one crop for the whole video, which
        holds the face all through, so that the head's own motion stays in the picture.
      scale: side of the crop over that of the face box, as for `square_around`.
      every: a face is looked for in every so many frames, and in the last.
      smooth: standard deviation of the Gaussian over time, seconds; 0 for none.
      max_gap: a face may be out of sight for so many seconds.
      detector: by default OpenCV's cascades; `open_detector(model)` for YuNet.
      where: the video's name, for messages.

    Returns:
      For each face chosen, the largest first: one square for every frame. They are moved and
      shrunk a little where they reach outside, see `keep_inside`.

    Raises:
      FaceError: no such face, or it is lost for longer than max_gap (names the time); no frames.
    """
    detection.check_choice(which)
    if mode not in MODES:
        raise FaceError(f"face tracking {mode!r}: write one of {', '.join(MODES)}")
    if every < 1 or smooth < 0 or max_gap < 0:
        raise FaceError(
            f"face tracking needs every >= 1, smooth >= 0 and max_gap >= 0, got {every}, "
            f"{smooth:g} and {max_gap:g}"
        )
    detector = detector or open_detector()
    times: list[float] = []
    tracks: list[_Track] = []
    frame = None
    for index, (time, frame) in enumerate(frames):
        times.append(time)
        if index % every == 0:
            if tracks:
                _look(detector, frame, index, tracks, times, max_gap, where)
            else:
                tracks = _first_faces(detector, frame, index, which, times, max_gap, where)
    if frame is None:
        raise FaceError(f"{where} has no frames")
    last = len(times) - 1
    if not tracks:
        tracks = _first_faces(detector, frame, last, which, times, 0.0, where)
    elif last % every:
        _look(detector, frame, last, tracks, times, max_gap, where)
    size = frame.shape[:2]
    squares = [_smooth_squares(track, times, size, every, scale, smooth, where) for track in tracks]
    if mode == "fixed":
        return [[keep_inside(hold_all(track), *size)] * len(times) for track in squares]
    return squares


@dataclasses.dataclass
class _Track:
    """Where one face was found: frame indices and boxes."""

    last: Box
    indices: list[int]
    boxes: list[Box]


def _first_faces(
    detector: Detector,
    frame: np.ndarray,
    index: int,
    which: str | int,
    times: Sequence[float],
    max_gap: float,
    where: str,
) -> list[_Track]:
    """Starts the tracks with the faces of one frame; empty where there may still be time."""
    boxes = detector(frame, detection.MIN_SIZE, 1.0)
    boxes.sort(key=lambda box: box.width * box.height, reverse=True)
    waited = times[-1] - times[0]
    try:
        chosen = choose_face(boxes, which, f"the first {waited:.1f} s of {where}")
    except FaceError:
        if waited >= max_gap:
            raise
        return []
    return [_Track(box, [index], [box]) for box in chosen]


def _look(
    detector: Detector,
    frame: np.ndarray,
    index: int,
    tracks: Sequence[_Track],
    times: Sequence[float],
    max_gap: float,
    where: str,
) -> None:
    """Looks for every tracked face in one frame: close to where it was, then everywhere."""
    missing = []
    for track in tracks:
        box = find_near(detector, frame, track.last)
        if box is None:
            missing.append(track)
        else:
            _add(track, index, box)
    if not missing:
        return
    taken = [track.last for track in tracks if track not in missing]
    for box in detector(frame, detection.MIN_SIZE, 1.0):
        if not missing or any(detection.overlap(box, other) > 0.2 for other in taken):
            continue
        nearest = min(missing, key=lambda track: _distance(track.last, box))
        # Several faces at once: a new one is not one that was lost elsewhere.
        if len(tracks) == 1 or _distance(nearest.last, box) <= _LARGEST_STEP:
            missing.remove(nearest)
            _add(nearest, index, box)
    for track in missing:
        seen = times[track.indices[-1]]
        if times[-1] - seen > max_gap:
            raise FaceError(
                f"the face in {where} is lost at {seen:.1f} s and not found again for "
                f"{max_gap:g} s; cut the video there, allow a longer gap, or give the crop by "
                "hand, as a box LEFT,TOP,SIDE in pixels (--crop, or --driving-crop for a driving "
                "video)"
            )


def _add(track: _Track, index: int, box: Box) -> None:
    track.last = box
    track.indices.append(index)
    track.boxes.append(box)


def _distance(a: Box, b: Box) -> float:
    """Between the centres, in sides of the first box."""
    return math.hypot(a.center_x - b.center_x, a.center_y - b.center_y) / max(a.width, a.height)


def find_near(detector: Detector, frame: np.ndarray, last: Box) -> Box | None:
    """Looks for a face of about the same size close to its last place."""
    side = max(last.width, last.height)
    reach = side * _REGION_SCALE / 2
    height, width = frame.shape[:2]
    left, right = (min(max(round(last.center_x + sign * reach), 0), width) for sign in (-1, 1))
    top, bottom = (min(max(round(last.center_y + sign * reach), 0), height) for sign in (-1, 1))
    region = frame[top:bottom, left:right]
    if min(region.shape[:2]) < 2:
        return None
    longer = max(region.shape[:2])
    found = detector(
        region, _SMALLEST_CHANGE * side / longer, min(_LARGEST_CHANGE * side / longer, 1.0)
    )
    boxes = [box.moved(left, top) for box in found]
    boxes = [box for box in boxes if detection.overlap(box, last) > 0]
    return max(boxes, key=lambda box: detection.overlap(box, last), default=None)


def _smooth_squares(
    track: _Track,
    times: Sequence[float],
    size: tuple[int, int],
    every: int,
    scale: float,
    smooth: float,
    where: str,
) -> list[Square]:
    """One square a frame from the boxes found: without mistakes, interpolated, smoothed."""
    indices = np.array(track.indices)
    boxes = np.array([(b.center_x, b.center_y, max(b.width, b.height)) for b in track.boxes])
    right = ~find_spikes(boxes)
    indices, boxes = indices[right], boxes[right]
    steps = np.hypot(*np.diff(boxes[:, :2], axis=0).T) / boxes[:-1, 2]
    looks = np.clip(np.diff(indices) / every, 1, MOST_STEPS)
    # Nobody looked between two finds, so that a cut is taken to be at the later one.
    cuts = indices[1:][steps > _LARGEST_STEP * looks]
    for cut in cuts:
        logger.warning(
            "%s: the face jumps at %.1f s (a cut?), and the crop with it", where, times[cut]
        )
    # Kept inside before they are smoothed: a square that reaches the border slows down softly.
    squares = [
        keep_inside(square_around(box, scale), *size)
        for box, is_right in zip(track.boxes, right, strict=True)
        if is_right
    ]
    # The logarithm of the side, since a zoom is a ratio.
    found = np.array([(s.center_x, s.center_y, math.log(s.side)) for s in squares])
    frame_times = np.asarray(times)
    interval = (times[-1] - times[0]) / max(len(times) - 1, 1)
    sigma = smooth / interval if interval > 0 else 0.0
    result: list[Square] = []
    for start, stop in itertools.pairwise((0, *cuts.tolist(), len(times))):
        inside = (indices >= start) & (indices < stop)
        path = np.stack(
            [
                np.interp(frame_times[start:stop], frame_times[indices[inside]], column[inside])
                for column in found.T
            ],
            axis=1,
        )
        path[:, :2] = _gaussian(path[:, :2], sigma)
        path[:, 2:] = _gaussian(path[:, 2:], sigma * _SIDE_SMOOTHING)
        result += [Square(float(x), float(y), math.exp(log_side)) for x, y, log_side in path]
    return result


def find_spikes(boxes: np.ndarray) -> np.ndarray:
    """Finds (n, 3) of centre and side that stand out alone, mistakes of the detector: (n,) bool."""
    spikes = np.zeros(len(boxes), bool)
    if len(boxes) >= 3:
        before, here, after = boxes[:-2], boxes[1:-1], boxes[2:]
        off = np.linalg.norm(here - (before + after) / 2, axis=1) / before[:, 2]
        apart = np.linalg.norm(after - before, axis=1) / before[:, 2]
        spikes[1:-1] = (off > _SPIKE) & (apart < _SPIKE / 2)
    return spikes


def _gaussian(path: np.ndarray, sigma: float) -> np.ndarray:
    """Smooths (n, c) along time; sigma in frames. Ends are continued by turning the path about
    its end point, so that a steady motion stays as it is."""
    radius = math.ceil(3 * sigma)
    if radius == 0 or len(path) < 2:
        return path
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(path, ((radius, radius), (0, 0)), mode="reflect", reflect_type="odd")
    return np.stack([np.convolve(column, kernel, mode="valid") for column in padded.T], axis=1)


def hold_all(squares: list[Square]) -> Square:
    """One square for all frames, which holds most of each frame's own."""
    values = np.array([(s.center_x, s.center_y, s.side) for s in squares])
    kept = values[:, 2:] * _KEPT_SHARE / 2
    low, high = (values[:, :2] - kept).min(axis=0), (values[:, :2] + kept).max(axis=0)
    side = max(float((high - low).max()), float(np.median(values[:, 2])))
    center_x, center_y = (low + high) / 2
    return Square(float(center_x), float(center_y), side)
