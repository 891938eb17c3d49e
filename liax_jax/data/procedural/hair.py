"""Hair: a shell about the skull, open over the face, that turns with the head."""

from __future__ import annotations

import numpy as np

from liax_jax.data.procedural.features import cover
from liax_jax.data.procedural.identity import STRAIGHT_DOWN, Identity
from liax_jax.data.procedural.numerics import ramp
from liax_jax.data.procedural.scene import DepthMap, Frame
from liax_jax.data.procedural.surfaces import Box, Hit, Vector, is_empty
from liax_jax.data.procedural.textures import rgb


def _longitude(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """About the angle of (x, z) from the front over pi, in [-1, 1], by division alone."""
    share = x / (np.abs(x) + np.abs(z) + 1e-6)
    return np.where(
        z > 0, 0.5 * share, np.where(x > 0, np.float32(1), np.float32(-1)) - 0.5 * share
    )


def draw_back_hair(frame: Frame) -> None:
    """Paint what hangs behind the neck, or the bun."""
    who = frame.who
    width = who.face_width + 0.13 + 0.10 * who.hair_volume
    shapes: dict[str, tuple[Vector, Vector]] = {
        "long": ((0.0, 0.62, -0.40), (width, 1.45, 0.45)),
        "bob": ((0.0, 0.22, -0.28), (width, 0.85, 0.50)),
        "fringe": ((0.0, 0.30, -0.30), (width, 0.85, 0.50)),
        "bun": ((0.0, -0.98 - 0.08 * who.hair_volume, -0.42), (0.30, 0.27, 0.30)),
    }
    if who.hair not in shapes:
        return
    centre, radii = shapes[who.hair]
    box = frame.view.box(centre, radii)
    if is_empty(box):
        return
    hit = frame.meet(box, centre, radii)
    shade = 0.85 if who.hair == "bun" else 0.60
    colour = _colour(frame, hit, radii)[0] * np.float32(shade)
    frame.paint(box, cover(hit.inside, frame.sharp), colour)


def _shell(who: Identity) -> tuple[Vector, Vector]:
    """Centre and radii of the ellipsoid that carries the hair."""
    volume = who.hair_volume
    thick = {
        "buzz": 0.015,
        "short": 0.06,
        "quiff": 0.09,
        "parted": 0.09,
        "fringe": 0.12,
        "curly": 0.16,
        "bob": 0.13,
        "long": 0.12,
        "bun": 0.055,
    }[who.hair]
    if who.hair != "buzz":
        thick += {"curly": 0.18, "bun": 0.02}.get(who.hair, 0.08) * volume
    crown = who.skull_height + 1.3 * thick
    lower = {"bob": 1.40, "fringe": 1.30, "long": 2.05, "curly": 0.80}.get(who.hair, 0.62)
    middle, half = 0.5 * (lower - crown), 0.5 * (lower + crown)
    widen = {"bob": 0.06, "long": 0.02, "fringe": 0.05}.get(who.hair, 0.0)
    forward = 0.02 if who.hair == "buzz" else 0.05
    return (
        (0.0, middle, -0.05),
        (who.face_width + thick + widen, half, who.face_depth + 0.05 + forward + 0.4 * thick),
    )


def _colour(frame: Frame, hit: Hit, radii: Vector) -> tuple[np.ndarray, np.ndarray]:
    """Lit colour (3 h w) of hair, and the height (h w) to which it reaches at each hit."""
    who = frame.who
    x, y, z = hit.unit
    brightness, grain, edge = frame.layers.hair.read(_longitude(x, z), y)
    facing = (
        x * (frame.light[0] / radii[0])
        + y * (frame.light[1] / radii[1])
        + z * (frame.light[2] / radii[2])
    )
    facing = facing * min(radii)
    lit = who.ambient * 0.85 + 0.55 * ramp(facing * 0.9 + 0.1)
    shine = ramp(facing + 0.28 * (grain - 0.5) - 0.20)
    shine = shine * ramp(1.0 - np.abs(y + 0.52 + 0.12 * frame.light[1]) * 3.6)
    glossy = 0.05 if who.hair in ("curly", "buzz") else 0.26
    colour = rgb(who.hair_colour) * rgb(who.light_colour) * (lit * brightness)
    colour += (glossy * shine) * (0.6 * rgb(who.hair_colour) + 0.35)
    return colour, edge


def draw_inner_hair(frame: Frame) -> tuple[Box, Hit] | None:
    """Paint the far inside of the hair, seen past the head; returns the hair's hits."""
    who = frame.who
    if who.hair == "bald":
        return None
    centre, radii = _shell(who)
    box = frame.view.box(centre, radii)
    if is_empty(box):
        return None
    hit = frame.meet(box, centre, radii, with_far=True)
    assert hit.far is not None
    x, y, z = hit.far
    brightness, grain, edge = frame.layers.hair.read(_longitude(x, z), y)
    reach = np.maximum(edge, 0.10)
    if who.hair not in STRAIGHT_DOWN:
        reach = np.minimum(reach, 0.14) + 0.30 * (grain - 0.5)
    above = reach - (y * radii[1] + centre[1])
    alpha = cover(hit.inside, frame.sharp) * cover(above, frame.sharp)
    frame.paint(box, alpha, rgb(who.hair_colour) * (0.42 * brightness))
    return box, hit


def draw_hair(frame: Frame, box: Box, hit: Hit, head: DepthMap) -> None:
    """Paint the hair before and beside the head, and its shadow."""
    who = frame.who
    centre, radii = _shell(who)
    colour, edge = _colour(frame, hit, radii)
    outline = hit.inside
    if who.hair == "curly":
        outline = outline + 0.10 * (colour[0] * (0.5 / (who.hair_colour[0] + 0.1)) - 0.35)
    above = edge - (hit.point[1] + centre[1])
    shell = cover(outline, frame.sharp)
    shell *= ramp((hit.depth - head.over(box)) * 12.0 + 1.5)
    target = frame.part(box)
    if who.hair != "buzz":
        shadow = ramp(above * 6.0 + 1.0) * shell
        target *= 1.0 - 0.30 * shadow
    thickness = 0.45 if who.hair == "buzz" else 1.0
    alpha = shell * cover(above, thickness * 0.7 * frame.sharp)
    if who.hair == "buzz":
        alpha = alpha * 0.85
    rim = 1.0 - 0.25 * ramp(1.0 - above * 7.0) if who.hair != "buzz" else 1.0
    frame.paint(box, alpha, colour * rim)
