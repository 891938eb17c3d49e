"""The parts of a face that move: eyes and lids, brows, nose, mouth. Painted where the head is hit.

Everything is painted by signed distances in head units with edges one pixel wide, so a face is
antialiased at any resolution without being drawn larger.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liax_jax.data.procedural.identity import Identity
from liax_jax.data.procedural.numerics import ramp, smoothstep
from liax_jax.data.procedural.surfaces import Box, Egg, View, is_empty, meet_ellipsoid
from liax_jax.data.procedural.textures import blend, rgb, wave


@dataclass(frozen=True)
class Pose:
    """Factor values in physical units: angles in radians, lengths in head units, lids 0 to 1."""

    yaw: float
    pitch: float
    roll: float
    shift_x: float
    shift_y: float
    scale: float
    jaw: float
    lip_width: float
    pout: float
    lid_left: float
    lid_right: float
    brows: float
    gaze_x: float
    gaze_y: float


@dataclass
class Canvas:
    """The head's part of the frame: (h w) maps of `box`, colours and normals (3 h w)."""

    view: View
    box: Box
    x: np.ndarray
    y: np.ndarray
    u: np.ndarray
    v: np.ndarray
    depth: np.ndarray
    colour: np.ndarray
    normal: list[np.ndarray]

    def around(self, point: tuple[float, float, float], radii: tuple[float, float, float]) -> Box:
        """Part of the canvas near a place on the head; may be empty."""
        box = self.view.box(point, radii)
        parts = []
        for whole, part in zip(self.box, box, strict=True):
            start = min(max(part.start - whole.start, 0), whole.stop - whole.start)
            stop = min(max(part.stop - whole.start, 0), whole.stop - whole.start)
            parts.append(slice(start, stop))
        return parts[0], parts[1]


def cover(distance: np.ndarray, sharp: float) -> np.ndarray:
    """Coverage of a pixel by a shape, from the signed distance to its edge; `sharp` is 1/width."""
    return ramp(distance * sharp + 0.5)


def stroke(distance: np.ndarray, half: float, sharp: float) -> np.ndarray:
    """Coverage of a pixel by a line of half-width `half`, also where that is below a pixel."""
    return np.minimum(cover(half - np.abs(distance), sharp), min(1.0, 2.0 * half * sharp))


def raise_nose(canvas: Canvas, who: Identity, egg: Egg) -> tuple[Box, np.ndarray]:
    """Join the nose, four ellipsoids, to the face; returns its box and its mask (h w)."""
    tip, width, deep = who.nose_length, who.nose_width, who.nose_depth
    front = egg.front(tip)
    part = canvas.around((0.0, 0.22, front), (0.30 * width, 0.42, 0.30))
    mask = np.zeros_like(canvas.u[part])
    if is_empty(part):
        return part, mask
    view, x, y = canvas.view, canvas.x[:, part[1]], canvas.y[part[0]]
    depth, normal = canvas.depth[part], [n[part] for n in canvas.normal]
    parts = [
        (
            (0.0, 0.5 * tip, egg.front(0.5 * tip) - 0.02),
            (0.105 * width, 0.62 * tip, 0.13 * deep),
            0.22,
        ),
        ((0.105 * width, tip, front - 0.015), (0.085 * width, 0.080, 0.11 * deep), 0.0),
        ((-0.105 * width, tip, front - 0.015), (0.085 * width, 0.080, 0.11 * deep), 0.0),
        ((0.0, tip - 0.02, front + 0.075 * deep), (0.110 * width, 0.105, 0.125 * deep), 0.0),
    ]
    for centre, radii, tilt in parts:
        hit = meet_ellipsoid(view, x, y, centre, radii, tilt)
        outer = np.minimum(hit.inside, 0.0) * 2.5
        ahead = hit.depth + outer - depth
        weight = smoothstep(ahead * (1 / 0.09) + 0.5)
        depth = depth + ahead * weight + 0.045 * weight * (1.0 - weight)
        gains = [1.0 / r for r in radii]
        for k in range(3):
            normal[k] = normal[k] + 0.85 * weight * (hit.unit[k] * gains[k] * 0.16 - normal[k])
        mask = mask + (1.0 - mask) * weight
    for k in range(3):
        canvas.normal[k][part] = normal[k]
    canvas.depth[part] = depth
    return part, mask


def paint_nostrils(canvas: Canvas, who: Identity, egg: Egg) -> None:
    """Two dark openings under the tip, and the shade of the wings."""
    view = canvas.view
    tip, width = who.nose_length, who.nose_width
    front = egg.front(tip) + 0.06 * who.nose_depth
    # The openings look down: seen more of when the head looks up.
    show = min(max(0.50 - 1.6 * view.toward[1], 0.12), 1.0)
    shift = front - egg.front(tip)
    du = shift * view.toward[0] / view.toward[2]
    dv = shift * view.toward[1] / view.toward[2]
    for side in (-1.0, 1.0):
        place = (side * 0.066 * width, tip + 0.070, front)
        part = canvas.around(place, (0.07, 0.06, 0.02))
        if is_empty(part):
            continue
        u = canvas.u[part] + du - place[0]
        v = canvas.v[part] + dv - place[1] - side * 0.25 * u
        radius_u, radius_v = 0.044 * width, 0.016 + 0.018 * show
        size = u * u * (1 / (radius_u * radius_u)) + v * v * (1 / (radius_v * radius_v))
        alpha = ramp((1.25 - size) * min(0.6, 0.9 * radius_v / view.pixel))
        blend(
            canvas.colour[(slice(None), *part)],
            0.50 * show * alpha,
            rgb(who.skin) * np.float32(0.36),
        )


def paint_eye(
    canvas: Canvas, who: Identity, egg: Egg, side: float, lid: float, gaze: tuple[float, float]
) -> None:
    """One eye: white, iris, pupil and highlight, upper lid and lashes. `side` -1 is the left."""
    width, height = who.eye_width, who.eye_height
    deep = egg.front(0.0) * (1.0 - 0.75 * (who.eye_x / egg.width) * (who.eye_x / egg.width))
    part = canvas.around((side * who.eye_x, 0.0, deep), (1.45 * width, 2.0 * height, 0.06))
    if is_empty(part):
        return
    view = canvas.view
    colour = canvas.colour[(slice(None), *part)]
    across = canvas.u[part] - side * who.eye_x
    out = across * side
    down = canvas.v[part] + who.eye_tilt * out
    # On the side that turns away a pixel spans more of the face.
    sharp = max(0.35, view.toward[2] + 0.5 * side * view.toward[0]) / view.pixel
    ratio = out * (1 / width)
    arch = np.maximum(1.0 - ratio * ratio, -0.25)
    lower = arch * (0.58 * height)
    top = arch * -height
    upper = top + lid * (lower - top)
    opening = np.minimum(down - upper, lower - down)
    inside = cover(np.minimum(opening, (width - np.abs(out)) * 0.7), sharp)

    # The lid: a ball under the skin, brighter in the middle of its drop.
    lid_area = cover(np.minimum(down - top + 0.03, upper - down), sharp)
    lid_tone = rgb(who.skin) * np.float32(0.86)
    if who.eye_shadow:
        lid_tone += (rgb(who.shadow_colour) - lid_tone) * np.float32(0.6 * who.eye_shadow)
    glow = 1.0 + 0.16 * ramp(1.0 - np.abs(down + 0.2 * height) * (1 / height))
    blend(colour, 0.9 * lid_area * ramp(arch * 5.0), lid_tone * glow)
    crease = stroke(down - 1.28 * top - 0.01, 0.013, sharp) * ramp(arch * 3)
    blend(colour, (0.42 - 0.22 * lid) * crease, rgb(who.skin) * np.float32(0.45))
    bag = stroke(down - 1.45 * lower - 0.015, 0.014, sharp) * ramp(arch * 2)
    blend(colour, (0.16 + 0.12 * who.wrinkles) * bag, rgb(who.skin) * np.float32(0.55))

    white = 1.0 - 0.42 * ramp(1.0 - (down - upper) * (1 / (0.75 * height)))
    white = white * (1.0 - 0.25 * ramp(np.abs(ratio) * 2.2 - 1.2))
    eye = rgb((0.97, 0.95, 0.94)) * white
    iris_radius = 0.50 * width
    dx = across - gaze[0] * width
    dy = down + 0.12 * height - gaze[1] * height
    distance = np.sqrt(dx * dx + dy * dy)
    iris = rgb(who.iris) * (0.62 + 0.75 * ramp(dy * (1 / iris_radius) + 0.5))
    iris = iris * (1.0 - 0.55 * ramp((distance - 0.74 * iris_radius) * (4 / iris_radius)))
    blend(eye, cover(iris_radius - distance, sharp), iris)
    blend(eye, cover(0.46 * iris_radius - distance, sharp), rgb((0.03, 0.03, 0.03)))
    gx = dx - (0.34 if who.light[0] > 0 else -0.34) * iris_radius
    gy = dy + 0.36 * iris_radius
    spark = ramp(
        1.35
        - (gx * gx + gy * gy)
        * (1 / (0.085 * iris_radius * iris_radius))
        / (1 + 5.0 * view.pixel * view.pixel / (iris_radius * iris_radius))
    )
    blend(eye, 0.9 * spark, rgb((1.35, 1.35, 1.35)))
    blend(colour, inside, eye)

    lash = 0.014 + 0.014 * who.lash + 0.008 * lid
    line = ramp((lash - np.abs(down - upper + 0.4 * lash)) * sharp + 0.65)
    ends = cover(1.10 * width - np.abs(out), 0.5 * sharp)
    blend(colour, min(1.0, 0.55 + 0.4 * who.lash) * line * ends, rgb((0.07, 0.05, 0.05)))
    under = stroke(down - lower, 0.010, sharp) * ramp(arch * 4)
    blend(colour, (0.25 + 0.2 * who.lash) * under, rgb(who.skin) * np.float32(0.40))


def paint_brow(canvas: Canvas, who: Identity, egg: Egg, side: float, lift: float) -> None:
    """One brow, lifted by head units; drawn down it also comes inwards, as in a frown."""
    frown = max(-lift, 0.0)
    height = who.brow_y - lift
    deep = 0.88 * egg.front(height)
    part = canvas.around((side * 0.33, height, deep), (0.30, 0.20, 0.10))
    if is_empty(part):
        return
    view = canvas.view
    out = canvas.u[part] * side - 0.105 + 0.35 * frown
    t = out * (1 / 0.43)
    middle = (
        height
        + 0.9 * frown * (0.6 - t)
        - who.brow_arch * 4.0 * t * (1.0 - t)
        + who.brow_tilt * (t - 0.5) * 0.5
        + 0.05 * t * t
        - 0.06 * t
    )
    thick = who.brow_thickness * (1.15 - 0.75 * t)
    sharp = max(0.35, view.toward[2] + 0.5 * side * view.toward[0]) / view.pixel
    off = canvas.v[part] - middle
    body = cover(thick - np.abs(off), min(sharp, 26.0))
    body *= ramp(out * 14.0) * ramp((1.0 - t) * 7.0)
    strands = 0.80 + 0.28 * wave((out - 0.7 * off) * 22.0)
    blend(canvas.colour[(slice(None), *part)], 0.90 * body * strands, rgb(who.brow_colour))


def paint_mouth(canvas: Canvas, who: Identity, egg: Egg, pose: Pose) -> None:
    """Lips, and inside them teeth, tongue and dark, opened by the jaw."""
    view, gap, pout = canvas.view, pose.jaw, pose.pout
    wide = who.mouth_width * (1 + pose.lip_width) * (1 - 0.45 * gap) * (1 - 0.35 * max(pout, 0.0))
    front = egg.front(who.mouth_y)
    part = canvas.around(
        (0.0, who.mouth_y + 0.5 * gap, front - 0.06), (wide + 0.14, 0.5 * gap + 0.24, 0.12)
    )
    if is_empty(part):
        return
    colour = canvas.colour[(slice(None), *part)]
    # Lips stand before the face: what is seen of them at a pixel lies along its ray.
    ahead = 0.05 + 0.11 * pout
    u = canvas.u[part] + ahead * view.toward[0] / view.toward[2]
    v = canvas.v[part] + ahead * view.toward[1] / view.toward[2] - who.mouth_y
    sharp = max(0.4, view.toward[2]) / view.pixel
    ratio = u * (1 / wide)
    square = np.minimum(ratio * ratio, 1.6)
    arch = 1.0 - square
    v = v + (0.045 + 0.30 * pose.lip_width) * (square - 0.25)
    round_arch = arch * (1.0 + 0.45 * square)
    upper_edge = round_arch * (-0.14 * gap)
    lower_edge = round_arch * (0.86 * gap)
    full = 1.0 + pout
    upper_lip = who.lip_upper * full
    lower_lip = who.lip_lower * full
    bow = np.maximum(1.0 - u * u * (1 / (0.06 * wide * wide)), 0.0)
    top = upper_edge - upper_lip * (arch * (1.0 + 0.35 * square) - 0.22 * bow)
    bottom = lower_edge + lower_lip * round_arch

    shade = ramp(1.0 - np.abs(v - bottom - 0.035) * (1 / 0.055)) * ramp(arch * 2)
    blend(colour, (0.22 + 0.25 * max(pout, 0.0)) * shade, rgb(who.skin) * np.float32(0.50))
    lips = cover(np.minimum(v - top, bottom - v), sharp) * ramp(arch * 6.0 + 0.3)
    tone = rgb(who.lip_colour)
    in_lower = cover(v - 0.5 * (upper_edge + lower_edge), sharp)
    light = 0.80 + 0.26 * in_lower
    middle = lower_edge + 0.42 * lower_lip
    light = light + (0.20 + 0.15 * pout) * ramp(
        1.0 - np.abs(v - middle) * (1 / (0.45 * lower_lip + 0.01))
    ) * ramp(arch * 1.4)
    light = light * (0.94 + 0.10 * wave(u * 16.0))
    blend(colour, 0.88 * lips, tone * light)

    corner = np.maximum(square - 0.80, 0.0)
    line = stroke(v - 0.5 * (upper_edge + lower_edge), 0.013, sharp)
    line = line * ramp((1.12 - square) * 5.0)
    blend(colour, (0.70 + 0.2 * corner) * line, rgb(who.lip_colour) * np.float32(0.30))
    if gap > 0.003:
        space = np.minimum(v - upper_edge, lower_edge - v)
        hole = cover(space, sharp) * ramp(arch * 8.0)
        inside = rgb((0.17, 0.05, 0.06)) * (1.0 + 0 * v)
        tongue = ramp((v - lower_edge + 0.36 * gap) * 12.0) * ramp(1.1 - square * 2.2)
        blend(inside, 0.85 * tongue, rgb((0.66, 0.27, 0.29)))
        reach = 0.032 + 0.16 * gap
        teeth = cover(upper_edge + reach - v, sharp) * ramp(1.7 - square * 1.9)
        seams = 1.0 - 0.22 * smoothstep((wave(u * 13.0 + 0.5) - 0.80) * 5.0)
        blend(inside, teeth, rgb((0.97, 0.94, 0.89)) * seams * (1.0 - 0.35 * square))
        lower_teeth = cover(v - lower_edge + 0.10 * gap, sharp) * ramp(1.2 - square * 2.4)
        blend(inside, 0.6 * lower_teeth, rgb((0.85, 0.81, 0.76)))
        blend(colour, hole, inside)
