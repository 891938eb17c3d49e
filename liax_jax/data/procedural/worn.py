"""What sits on the head: ears, earrings, glasses."""

from __future__ import annotations

import numpy as np

from liax_jax.data.procedural.features import cover
from liax_jax.data.procedural.identity import STRAIGHT_DOWN
from liax_jax.data.procedural.numerics import ramp
from liax_jax.data.procedural.scene import DepthMap, Frame
from liax_jax.data.procedural.surfaces import Vector, is_empty
from liax_jax.data.procedural.textures import rgb


def draw_ears(frame: Frame, head: DepthMap) -> None:
    """Paint both ears where the head does not hide them, and earrings."""
    who, size = frame.who, frame.who.ear_size
    radii = (0.10 * size, 0.215 * size, 0.145 * size)
    for side in (-1.0, 1.0):
        centre = (side * (who.face_width + 0.005), 0.10, -0.10)
        part = frame.view.box(centre, radii)
        if is_empty(part):
            continue
        hit = frame.meet(part, centre, radii)
        behind = head.over(part)
        alpha = cover(hit.inside, frame.sharp)
        alpha *= ramp((hit.depth - behind) * (0.5 * frame.sharp) + 0.5)
        ex, ey, ez = hit.unit
        facing = ex * frame.light[0] + ey * frame.light[1] * 0.6 + ez * frame.light[2]
        lit = who.ambient + (1.05 - who.ambient) * ramp(0.7 * facing + 0.2)
        # The hollow within the rim.
        hollow = ramp((0.62 - ey * ey - (ez - 0.15) * (ez - 0.15)) * 2.6) * ramp(
            ex * side * 2.0 + 0.6
        )
        colour = rgb(who.skin) * rgb((1.0, 0.88, 0.85)) * (lit * (1.0 - 0.38 * hollow))
        frame.paint(part, alpha, colour * rgb(who.light_colour))
        if who.earrings:
            lobe = (centre[0] * 1.06, centre[1] + 1.15 * radii[1], -0.06)
            _draw_earring(frame, lobe, head)


def _draw_earring(frame: Frame, place: Vector, head: DepthMap) -> None:
    part = frame.view.box(place, (0.05, 0.05, 0.05))
    if is_empty(part):
        return
    hit = frame.meet(part, place, (0.05, 0.06, 0.05))
    alpha = cover(hit.inside, frame.sharp)
    alpha *= ramp((hit.depth - head.over(part)) * (0.5 * frame.sharp) + 0.5)  # or behind the cheek
    shine = 0.75 + 0.5 * ramp(-hit.unit[1])
    metal = (0.95, 0.80, 0.40) if frame.who.light_colour[0] > 1 else (0.86, 0.88, 0.92)
    frame.paint(part, alpha, rgb(metal) * shine)


def draw_glasses(frame: Frame) -> None:
    """Paint the frame and the glass, flat before the eyes, and the sides."""
    view, who = frame.view, frame.who
    front = frame.egg.front(0.1) - 0.02
    box = view.box((0.0, 0.03, front), (0.80, 0.30, 0.02))
    if is_empty(box):
        return
    x, y = frame.x[:, box[1]], frame.y[box[0]]
    rows = view.start
    depth = (front - rows[2][2]) / view.toward[2]
    slope = [-rows[2][k] / view.toward[2] for k in range(2)]
    u, v = (
        x * (r[0] + t * slope[0]) + (y * (r[1] + t * slope[1]) + (r[2] + t * depth))
        for r, t in zip(rows[:2], view.toward[:2], strict=True)
    )
    sharp = max(0.4, view.toward[2]) * frame.sharp
    dx, dy = np.abs(np.abs(u) - who.eye_x * 1.02), v - 0.035
    if who.glasses == "round":
        outside = np.sqrt(dx * dx + dy * dy * 1.15) - 0.245
    else:
        outside = np.maximum(dx - 0.265, np.abs(dy) - 0.175)
        corner_x, corner_y = np.maximum(dx - 0.20, 0.0), np.maximum(np.abs(dy) - 0.11, 0.0)
        outside = np.maximum(outside, np.sqrt(corner_x * corner_x + corner_y * corner_y) - 0.075)
    wire = max(0.020, 0.40 * view.pixel)
    rims = cover(wire - np.abs(outside), sharp)
    bridge = np.minimum(0.11 - np.abs(u), wire - np.abs(v + 0.01 - 0.8 * u * u))
    rims = np.maximum(rims, cover(bridge, sharp))
    glare = ramp(1.0 - np.abs(u * 0.8 + v - 0.12) * 9.0) * cover(-outside, sharp)
    frame.paint(box, 0.06 * cover(-outside, sharp) + 0.16 * glare, rgb((0.95, 0.97, 1.0)))
    frame.paint(box, 0.95 * rims, rgb(who.glasses_colour))
    for side in (-1.0, 1.0):
        _draw_arm(frame, side, front, wire)


def _draw_arm(frame: Frame, side: float, front: float, wire: float) -> None:
    """The side of the glasses, in an upright plane from the rim to the ear."""
    view, who = frame.view, frame.who
    ear, rim = who.face_width - 0.03, who.eye_x + 0.27
    slope = (ear - rim) / (front + 0.05)
    across = side * view.toward[0] + slope * view.toward[2]
    if across < 0.10:
        return  # on the side that is turned away
    back = 0.35 if who.hair in STRAIGHT_DOWN else -0.05
    middle = (side * 0.5 * (ear + rim), 0.0, 0.5 * (front + back))
    box = view.box(middle, (0.5 * (ear - rim) + 0.05, 0.06, 0.5 * (front - back)))
    if is_empty(box):
        return
    x, y = frame.x[:, box[1]], frame.y[box[0]]
    start = [x * r[0] + (y * r[1] + r[2]) for r in view.start]
    depth = (ear - slope * 0.05 - slope * start[2] - side * start[0]) * (1.0 / across)
    height = start[1] + view.toward[1] * depth
    ahead = start[2] + view.toward[2] * depth
    sharp = frame.sharp
    arm = cover(wire - np.abs(height), sharp)
    arm *= cover(np.minimum(ahead - back, front - ahead), across * sharp)
    frame.paint(box, 0.95 * arm, rgb(who.glasses_colour))
