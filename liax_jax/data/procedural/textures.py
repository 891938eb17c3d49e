"""What a clip paints once of the head itself: skin and hair, from the identity."""

from __future__ import annotations

import itertools

import numpy as np

from liax_jax.data.procedural import numerics
from liax_jax.data.procedural.identity import Colour, Identity
from liax_jax.data.procedural.numerics import Texture, ramp, smoothstep, value_noise

FACE_LOW, FACE_HIGH = (-0.95, -1.15), (0.95, 1.35)


def rgb(colour: Colour) -> np.ndarray:
    """A colour as float32 (3 1 1)."""
    return np.array(colour, np.float32).reshape(3, 1, 1)


def blend(image: np.ndarray, alpha: np.ndarray, colour: np.ndarray) -> None:
    """Paint `colour` (3 1 1 or 3 h w) over `image` (3 h w), in place, by alpha (h w)."""
    image += alpha * (colour - image)


def bump(u: np.ndarray, v: np.ndarray, cu: float, cv: float, ru: float, rv: float) -> np.ndarray:
    """A smooth hill of height 1 with elliptic support."""
    x, y = (u - cu) * (1 / ru), (v - cv) * (1 / rv)
    inside = np.maximum(1.0 - x * x - y * y, 0.0)
    return inside * inside * (3.0 - 2.0 * inside)


def wave(x: np.ndarray) -> np.ndarray:
    """A triangle wave of period 1 in [0, 1]."""
    return np.abs(2.0 * (x - np.floor(x)) - 1.0)


def grid(
    low: tuple[float, float], high: tuple[float, float], per_unit: float
) -> tuple[np.ndarray, np.ndarray]:
    width = int((high[0] - low[0]) * per_unit) + 2
    height = int((high[1] - low[1]) * per_unit) + 2
    u = low[0] + np.arange(width, dtype=np.float32) * np.float32((high[0] - low[0]) / (width - 1))
    v = low[1] + np.arange(height, dtype=np.float32) * np.float32((high[1] - low[1]) / (height - 1))
    return u[None, :], v[:, None]


def paint_face(who: Identity, per_unit: float) -> Texture:
    """Skin over the frontal plane (u = x, v = y): RGB and the slope of its relief in u and v."""
    u, v = grid(FACE_LOW, FACE_HIGH, per_unit)
    shape = (v.size, u.size)
    rng = numerics.stream(*who.seed, 2)
    side = np.abs(u)

    relief = -0.075 * bump(side, v, who.eye_x - 0.02, -0.01, 0.30, 0.20)
    relief += 0.040 * bump(side, v, 0.27, -0.20, 0.30, 0.12)
    relief += 0.050 * bump(side, v, 0.46, 0.34, 0.30, 0.26)
    relief -= (0.006 + 0.010 * who.wrinkles) * bump(
        side - 0.55 * (v - 0.40), v, 0.20, 0.52, 0.07, 0.22
    )
    relief += 0.055 * bump(u, v, 0.0, 0.93 * who.chin, 0.28, 0.20)
    relief -= 0.045 * bump(u, v, 0.0, who.mouth_y + 0.17, 0.26, 0.09)
    relief += 0.030 * bump(u, v, 0.0, who.mouth_y, 0.42, 0.24)
    relief -= 0.014 * bump(u, v, 0.0, who.mouth_y - 0.14, 0.05, 0.12)
    relief -= 0.030 * bump(side, v, 0.62, 0.52, 0.22, 0.40)
    fine = value_noise(rng, shape, (44, 34))
    relief += 0.004 * fine
    slope_u, slope_v = np.zeros_like(relief), np.zeros_like(relief)
    slope_u[:, 1:-1] = (relief[:, 2:] - relief[:, :-2]) * (1 / float(2 * (u[0, 1] - u[0, 0])))
    slope_v[1:-1] = (relief[2:] - relief[:-2]) * (1 / float(2 * (v[1, 0] - v[0, 0])))

    mottle = value_noise(rng, shape, (9, 8)) + 0.7 * value_noise(rng, shape, (20, 16)) + 0.5 * fine
    # Less of it at the sides, which the frontal plane shows stretched.
    skin = rgb(who.skin) * (1.0 + 0.08 * (mottle - 1.1) * ramp((who.face_width - side) * 4.0))
    red = rgb((1.04, 0.80, 0.78))
    flush = 0.55 * who.blush * bump(side, v, 0.42, 0.36, 0.28, 0.24)
    flush += 0.35 * who.blush * bump(u, v, 0.0, who.nose_length, 0.22, 0.20)
    flush += 0.20 * bump(u, v, 0.0, who.chin * 0.92, 0.25, 0.2)
    skin *= 1.0 + flush * (red - 1.0)
    hollow = 0.24 * bump(side, v, who.eye_x - 0.03, -0.03, 0.28, 0.17)
    hollow += 0.16 * bump(side, v, who.eye_x - 0.06, 0.15, 0.18, 0.10)
    hollow += 0.10 * bump(u, v, 0.0, who.nose_length + 0.17, 0.24, 0.13)
    hollow += 0.08 * bump(u, v, 0.0, who.mouth_y + 0.17, 0.28, 0.08)
    hollow += 0.10 * bump(side, v, 0.15, -0.02, 0.08, 0.16)
    skin *= 1.0 - hollow * rgb((0.85, 1.0, 1.0))
    if who.wrinkles > 0.5:
        lines = smoothstep(1 - 3.5 * wave(v * 9.0 + 0.6 * u * u))
        skin *= 1.0 - 0.11 * (who.wrinkles - 0.3) * lines * bump(u, v, 0.0, -0.46, 0.55, 0.20)
        fold = bump(side - 0.55 * (v - 0.40), v, 0.205, 0.54, 0.035, 0.22)
        skin *= 1.0 - 0.13 * who.wrinkles * fold
    if who.eye_shadow:
        blend(
            skin,
            0.6 * who.eye_shadow * bump(side, v, who.eye_x, -0.09, 0.26, 0.16),
            rgb(who.shadow_colour),
        )
    if who.freckles:
        spots = smoothstep((value_noise(rng, shape, (62, 48)) - 0.66) * 6)
        where = bump(side, v, 0.24, 0.26, 0.38, 0.36)
        blend(skin, 0.55 * who.freckles * spots * where, skin * rgb((0.72, 0.55, 0.45)))
    if rng.random() < 0.4:  # a mole
        place = (0.9 * float(rng.random()) - 0.45, 0.25 + 0.55 * float(rng.random()))
        blend(skin, 0.8 * bump(u, v, place[0], place[1], 0.05, 0.05), rgb((0.25, 0.15, 0.12)))
    _paint_beard(who, skin, u, v, rng)
    # The underside of the jaw is in its own shade.
    skin *= 1.0 - 0.30 * smoothstep((v - who.chin + 0.05) * 5)
    return Texture(np.concatenate([skin, slope_u[None], slope_v[None]]), FACE_LOW, FACE_HIGH)


def _paint_beard(
    who: Identity, skin: np.ndarray, u: np.ndarray, v: np.ndarray, rng: np.random.Generator
) -> None:
    if who.beard == "none":
        return
    side, shape = np.abs(u), (v.size, u.size)
    strands = 0.5 + (value_noise(rng, shape, (30, 90)) - 0.5) * ramp((who.face_width - side) * 3.0)
    line = 0.50 - 0.62 * smoothstep((side - 0.34) * 2.9)
    ragged = 0.05 * (value_noise(rng, shape, (12, 24)) - 0.5)
    full = smoothstep((v - line + ragged) * 10)
    moustache = bump(u, v, 0.0, who.mouth_y - 0.09, 0.40, 0.11) * 1.6
    goatee = smoothstep((0.33 - side + ragged) * 12) * smoothstep((v - who.mouth_y + 0.10) * 9)
    area = {
        "stubble": 0.42 * full,
        "full": 0.92 * full,
        "moustache": 0.95 * ramp(moustache),
        "goatee": 0.9 * np.maximum(ramp(moustache), goatee),
    }[who.beard]
    tone = rgb(who.hair_colour) * 0.85 * (0.65 + 0.7 * strands)
    grain = 0.55 + 0.45 * smoothstep((strands - 0.25) * 2.5) if who.beard == "stubble" else 1.0
    blend(skin, area * grain, tone)


def hair_edge(who: Identity, turn: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Height (head units) to which hair reaches down, at longitudes `turn` in [-1, 1] (0 front)."""
    front = who.hairline
    recede = front - who.recede
    if who.hair in ("bob", "long"):
        lower = (1.15 if who.hair == "long" else 0.88) + 0.25 * who.hair_volume
        knots = [
            (0.0, front),
            (0.12, front + 0.03),
            (0.20, front + 0.16),
            (0.28, front + 0.45),
            (0.335, 0.30),
            (0.375, lower),
            (1.0, lower),
        ]
    elif who.hair == "fringe":
        low = -0.36
        knots = [
            (0.0, low),
            (0.20, low + 0.03),
            (0.28, low + 0.10),
            (0.33, 0.30),
            (0.37, 0.92),
            (1.0, 1.0),
        ]
    elif who.hair == "bun":
        knots = [
            (0.0, front),
            (0.14, front + 0.04),
            (0.25, front + 0.20),
            (0.33, -0.20),
            (0.38, 0.04),
            (0.42, 0.02),
            (0.48, -0.10),
            (0.56, -0.02),
            (0.64, 0.45),
            (1.0, 0.6),
        ]
    else:
        knots = [
            (0.0, front),
            (0.10, 0.5 * (front + recede)),
            (0.17, recede + 0.02),
            (0.25, recede + 0.14),
            (0.33, -0.32),
            (0.375, -0.05),
            (0.41, 0.10),
            (0.44, 0.08),
            (0.48, -0.12),
            (0.54, -0.08),
            (0.60, 0.30),
            (0.70, 0.62),
            (1.0, 0.70),
        ]
    place, edge = np.abs(turn), np.zeros_like(turn)
    for (left, low), (right, high) in itertools.pairwise(knots):
        inside = (place >= left) & (place <= right)
        edge = np.where(inside, low + (high - low) * ((place - left) / (right - left)), edge)
    if who.hair in ("parted", "bob", "long", "quiff"):
        # Swept from the parting: lifted there, falling over the other temple.
        sign = 1.0 if who.parting > 0 else -1.0
        away = (0.5 * who.parting - turn) * sign
        sweep = 0.22 * smoothstep(away * 4.0) - 0.04 * bump(
            turn, 0 * turn, 0.4 * who.parting, 0, 0.1, 1
        )
        edge = edge + sweep * smoothstep((0.36 - place) * 12)
    if who.hair == "fringe":
        sign = 1.0 if who.parting > 0 else -1.0
        edge = edge - sign * 0.35 * turn * smoothstep((0.30 - place) * 10)
    cells = {"fringe": 46, "curly": 30}.get(who.hair, 64)
    jag = {"fringe": 0.11, "curly": 0.14, "buzz": 0.04, "bun": 0.03}.get(who.hair, 0.07)
    return edge + jag * (value_noise(rng, (1, turn.size), (1, cells))[0] - 0.5)


def paint_hair(who: Identity, per_unit: float) -> Texture:
    """Hair over (longitude / pi, height of the unit sphere): brightness, strand height, edge."""
    columns, rows = int(6.0 * per_unit), int(2.2 * per_unit)
    rng = numerics.stream(*who.seed, 3)
    turn = -1.0 + np.arange(columns, dtype=np.float32) * np.float32(2.0 / (columns - 1))
    edge = hair_edge(who, turn, rng)
    shape = (rows, columns)
    if who.hair == "curly":
        grain = 0.35 * value_noise(rng, shape, (14, 40)) + 0.45 * value_noise(rng, shape, (28, 90))
        grain += 0.30 * value_noise(rng, shape, (56, 180))
    elif who.hair == "buzz":
        grain = 0.3 * value_noise(rng, shape, (8, 20)) + 0.7 * value_noise(rng, shape, (60, 180))
    else:
        grain = 0.45 * value_noise(rng, shape, (2.5, 40)) + 0.40 * value_noise(
            rng, shape, (3.5, 110)
        )
        grain += 0.25 * value_noise(rng, shape, (5, 240))
    brightness = 1.0 + 2.0 * who.hair_contrast * (grain - 0.54)
    if who.hair in ("parted", "bob", "long", "bun"):
        line = bump(turn, 0 * turn, 0.25 * who.parting, 0.0, 0.03, 1.0)[None]
        high = ramp(-2.0 * (np.arange(rows, dtype=np.float32)[:, None] / rows - 0.40) * 3)
        brightness *= 1.0 - 0.45 * line * high
    channels = np.stack([brightness, grain, np.broadcast_to(edge[None], shape)])
    return Texture(channels, (-1.0, -1.0), (1.0, 1.0))
