"""Rays against the head: where the ray of each pixel first meets a turned ellipsoid or egg.

The projection is orthographic. In head coordinates the ray of a pixel is a + b z, z the depth
towards the viewer: `a` is affine in the pixel's position, `b` is one vector per frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from liax_jax.data.procedural import numerics

Vector = tuple[float, float, float]
Box = tuple[slice, slice]

TURN_PIVOT: Vector = (0.0, 0.42, -0.32)  # the head turns and nods about the top of the spine
LEAN_PIVOT = (0.0, 0.80)  # and leans about the neck


class View:
    """One frame's mapping between pixels and head coordinates.

    Angles in radians; `centre` in frame coordinates [-1, 1]; `size` is frame half-widths per head
    unit.
    """

    def __init__(
        self,
        resolution: int,
        centre: tuple[float, float],
        size: float,
        yaw: float,
        pitch: float,
        roll: float,
    ) -> None:
        self.resolution = resolution
        self.centre = centre
        self.size = size
        self.pixel = 2.0 / (resolution * size)  # head units per pixel
        sin_yaw, cos_yaw = numerics.sin_cos(yaw)
        sin_pitch, cos_pitch = numerics.sin_cos(pitch)
        sin_roll, cos_roll = numerics.sin_cos(roll)
        # Columns of the rotation: where the head's x, y and z axes point in the view.
        self.axes = (
            (cos_yaw, 0.0, -sin_yaw),
            (sin_yaw * sin_pitch, cos_pitch, cos_yaw * sin_pitch),
            (sin_yaw * cos_pitch, -sin_pitch, cos_yaw * cos_pitch),
        )
        # Frame position -> view position (the lean undone), each row (x, y, 1) coefficients.
        offset_x = centre[0] / size + LEAN_PIVOT[0]
        offset_y = centre[1] / size + LEAN_PIVOT[1]
        self.upright = (
            (
                cos_roll / size,
                sin_roll / size,
                LEAN_PIVOT[0] - cos_roll * offset_x - sin_roll * offset_y,
            ),
            (
                -sin_roll / size,
                cos_roll / size,
                LEAN_PIVOT[1] + sin_roll * offset_x - cos_roll * offset_y,
            ),
        )
        self.start: list[Vector] = []
        self.toward: Vector = (self.axes[0][2], self.axes[1][2], self.axes[2][2])
        for axis, pivot in zip(self.axes, TURN_PIVOT, strict=True):
            row = [axis[0] * self.upright[0][k] + axis[1] * self.upright[1][k] for k in range(3)]
            turned = sum(a * p for a, p in zip(axis, TURN_PIVOT, strict=True))
            self.start.append((row[0], row[1], row[2] - turned + pivot))
        # Head axes in the frame (pixels grow right and down), for bounding boxes.
        self.screen = tuple(
            (
                size * (cos_roll * axis[0] - sin_roll * axis[1]),
                size * (sin_roll * axis[0] + cos_roll * axis[1]),
            )
            for axis in self.axes
        )
        self.lean = (sin_roll, cos_roll)

    def project(self, point: Vector) -> tuple[float, float]:
        """Frame position in [-1, 1] of a point in head coordinates."""
        view = list(TURN_PIVOT)
        for axis, value, pivot in zip(self.axes, point, TURN_PIVOT, strict=True):
            view = [v + a * (value - pivot) for v, a in zip(view, axis, strict=True)]
        sin_roll, cos_roll = self.lean
        x, y = view[0] - LEAN_PIVOT[0], view[1] - LEAN_PIVOT[1]
        return (
            self.centre[0] + self.size * (cos_roll * x - sin_roll * y + LEAN_PIVOT[0]),
            self.centre[1] + self.size * (sin_roll * x + cos_roll * y + LEAN_PIVOT[1]),
        )

    def box(self, centre: Vector, radii: Vector, margin: float = 1.5) -> Box:
        """Rows and columns of the frame that an axis-aligned ellipsoid of the head can touch."""
        middle = self.project(centre)
        slices = []
        for k in (1, 0):
            half = math.sqrt(
                sum((s[k] * r) * (s[k] * r) for s, r in zip(self.screen, radii, strict=True))
            )
            scale = self.resolution / 2
            low = math.floor((middle[k] - half + 1) * scale - margin)
            high = math.ceil((middle[k] + half + 1) * scale + margin)
            slices.append(
                slice(min(max(low, 0), self.resolution), min(max(high, 0), self.resolution))
            )
        return slices[0], slices[1]

    def turn_light(self, light: Vector) -> Vector:
        """A direction of the view in head coordinates."""
        sin_roll, cos_roll = self.lean
        x = cos_roll * light[0] + sin_roll * light[1]
        y = -sin_roll * light[0] + cos_roll * light[1]
        first, second, third = (a[0] * x + a[1] * y + a[2] * light[2] for a in self.axes)
        return first, second, third


def is_empty(box: Box) -> bool:
    """Whether a box holds no pixel."""
    return box[0].stop <= box[0].start or box[1].stop <= box[1].start


@dataclass
class Hit:
    """Front hits (h w).

    `point` is in head coordinates (from an ellipsoid's centre), `unit` the same over the radii and
    `far` the ellipsoid's second meeting over the radii. `inside` is the signed distance to the
    outline in head units, positive within; outside, the other fields hold the ray's closest
    approach.
    """

    depth: np.ndarray
    inside: np.ndarray
    unit: tuple[np.ndarray, np.ndarray, np.ndarray]
    point: tuple[np.ndarray, np.ndarray, np.ndarray]
    far: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None


def meet_ellipsoid(
    view: View,
    x: np.ndarray,
    y: np.ndarray,
    centre: Vector,
    radii: Vector,
    tilt: float = 0.0,
    with_far: bool = False,
) -> Hit:
    """Hits of an ellipsoid; `tilt` (radians) brings its lower end forward.

    x float32 (1 w) and y float32 (h 1) are frame positions. `point` is in the tilted axes.
    """
    start = [(r[0], r[1], r[2] - c) for r, c in zip(view.start, centre, strict=True)]
    toward = list(view.toward)
    if tilt:
        sine, cosine = numerics.sin_cos(tilt)
        down, front = start[1], start[2]
        start[1] = (
            cosine * down[0] + sine * front[0],
            cosine * down[1] + sine * front[1],
            cosine * down[2] + sine * front[2],
        )
        start[2] = (
            cosine * front[0] - sine * down[0],
            cosine * front[1] - sine * down[1],
            cosine * front[2] - sine * down[2],
        )
        toward[1], toward[2] = (
            cosine * toward[1] + sine * toward[2],
            cosine * toward[2] - sine * toward[1],
        )
    start = [(r[0] / s, r[1] / s, r[2] / s) for r, s in zip(start, radii, strict=True)]
    ray = [t / s for t, s in zip(toward, radii, strict=True)]
    quadratic = sum(r * r for r in ray)
    middle = [-sum(r * s[k] for r, s in zip(ray, start, strict=True)) / quadratic for k in range(3)]
    closest = x * middle[0] + (y * middle[1] + middle[2])  # depth of the closest approach
    near = [x * s[0] + (y * s[1] + s[2]) + closest * r for s, r in zip(start, ray, strict=True)]
    within = 1.0 - (near[0] * near[0] + near[1] * near[1] + near[2] * near[2])
    forward = np.sqrt(np.maximum(within, 0.0) * (1.0 / quadratic))
    unit = [n + forward * r for n, r in zip(near, ray, strict=True)]
    point = [u * s for u, s in zip(unit, radii, strict=True)]
    far = [n - forward * r for n, r in zip(near, ray, strict=True)] if with_far else []
    smallest = min(radii)
    return Hit(
        depth=closest + forward,
        inside=within * (0.5 * (smallest + radii[0]) * 0.5),
        unit=(unit[0], unit[1], unit[2]),
        point=(point[0], point[1], point[2]),
        far=(far[0], far[1], far[2]) if with_far else None,
    )


@dataclass(frozen=True)
class Egg:
    """A face: an ellipsoid that narrows towards the chin (`taper`), or less so (`square`)."""

    width: float
    depth: float
    top: float
    chin: float
    taper: float
    square: float

    def front(self, y: float) -> float:
        """z of the surface at x = 0."""
        t = min(max(y, 0.0) / self.chin, 1.0)
        height = (
            y * y / (self.top * self.top)
            if y < 0
            else t * t * (1 - self.square + self.square * t * t)
        )
        return self.depth * (1 - 0.5 * self.taper * t * t) * math.sqrt(max(1 - height, 0.0))


def meet_egg(
    view: View, x: np.ndarray, y: np.ndarray, egg: Egg
) -> tuple[Hit, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Hits of an egg and its unnormalised outward normals.

    The narrowing depends on the height of the hit, so each solution gives the next one's radii;
    from a good guess, two rounds settle to a small part of a pixel.
    """
    start = [x * r[0] + (y * r[1] + r[2]) for r in view.start]
    ray_x, ray_y, ray_z = view.toward
    depth = np.float32(0.55) + 0 * start[2]
    for _ in range(2):
        height = start[1] + ray_y * depth
        below = np.minimum(np.maximum(height, 0.0), egg.chin)
        t2 = below * below * (1.0 / (egg.chin * egg.chin))
        across = 1.0 / (egg.width * (1.0 - egg.taper * t2))
        across *= across
        along = 1.0 / (egg.depth * (1.0 - 0.5 * egg.taper * t2))
        along *= along
        down = np.where(
            height > 0,
            (t2 * egg.square + (1.0 - egg.square)) * (1.0 / (egg.chin * egg.chin)),
            np.float32(1.0 / (egg.top * egg.top)),
        )
        quadratic = across * (ray_x * ray_x) + down * (ray_y * ray_y) + along * (ray_z * ray_z)
        scaled = [across * start[0], down * start[1], along * start[2]]
        linear = scaled[0] * ray_x + scaled[1] * ray_y + scaled[2] * ray_z
        constant = scaled[0] * start[0] + scaled[1] * start[1] + scaled[2] * start[2] - 1.0
        inverse = 1.0 / quadratic
        linear *= inverse
        within = linear * linear - constant * inverse  # squared half-length of the chord
        depth = np.sqrt(np.maximum(within, 0.0)) - linear
    point = (start[0] + ray_x * depth, start[1] + ray_y * depth, start[2] + ray_z * depth)
    normal = (across * point[0], down * point[1], along * point[2])
    hit = Hit(depth=depth, inside=within * quadratic * (0.45 * egg.width), unit=normal, point=point)
    return hit, normal
