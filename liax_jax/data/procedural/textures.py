"""What a portrait's clip paints once: skin, hair, clothes and the room, from its identity."""

from __future__ import annotations

import numpy as np

from liax_jax.data.procedural import numerics
from liax_jax.data.procedural.identity import Colour, Identity
from liax_jax.data.procedural.numerics import Texture, ramp, smoothstep, value_noise

FACE_LOW, FACE_HIGH = (-0.95, -1.15), (0.95, 1.35)
BODY_LOW, BODY_HIGH = (-2.9, 0.45), (2.9, 2.75)


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


def _grid(
    low: tuple[float, float], high: tuple[float, float], per_unit: float
) -> tuple[np.ndarray, np.ndarray]:
    width = int((high[0] - low[0]) * per_unit) + 2
    height = int((high[1] - low[1]) * per_unit) + 2
    u = low[0] + np.arange(width, dtype=np.float32) * np.float32((high[0] - low[0]) / (width - 1))
    v = low[1] + np.arange(height, dtype=np.float32) * np.float32((high[1] - low[1]) / (height - 1))
    return u[None, :], v[:, None]


def paint_face(who: Identity, per_unit: float) -> Texture:
    """Skin over the frontal plane (u = x, v = y): RGB and the slope of its relief in u and v."""
    u, v = _grid(FACE_LOW, FACE_HIGH, per_unit)
    shape = (v.size, u.size)
    rng = numerics.stream(*who.seed, 2)
    side = np.abs(u)

    relief = -0.075 * bump(side, v, who.eye_x - 0.02, -0.01, 0.30, 0.20)
    relief += 0.040 * bump(side, v, 0.27, -0.20, 0.30, 0.12)
    relief += 0.050 * bump(side, v, 0.46, 0.34, 0.30, 0.26)
    relief -= (0.020 + 0.025 * who.wrinkles) * bump(side - 0.55 * (v - 0.40), v, 0.20, 0.52, 0.07, 0.22)
    relief += 0.055 * bump(u, v, 0.0, 0.93 * who.chin, 0.28, 0.20)
    relief -= 0.045 * bump(u, v, 0.0, who.mouth_y + 0.17, 0.26, 0.09)
    relief += 0.030 * bump(u, v, 0.0, who.mouth_y, 0.42, 0.24)
    relief -= 0.014 * bump(u, v, 0.0, who.mouth_y - 0.14, 0.05, 0.12)
    relief -= 0.030 * bump(side, v, 0.62, 0.52, 0.22, 0.40)
    fine = value_noise(rng, shape, (44, 34))
    relief += 0.007 * fine
    slope_u, slope_v = np.zeros_like(relief), np.zeros_like(relief)
    slope_u[:, 1:-1] = (relief[:, 2:] - relief[:, :-2]) * (1 / float(2 * (u[0, 1] - u[0, 0])))
    slope_v[1:-1] = (relief[2:] - relief[:-2]) * (1 / float(2 * (v[1, 0] - v[0, 0])))

    mottle = value_noise(rng, shape, (9, 8)) + 0.7 * value_noise(rng, shape, (20, 16)) + 0.5 * fine
    skin = rgb(who.skin) * (1.0 + 0.10 * (mottle - 1.1))
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
        skin *= 1.0 - 0.16 * (who.wrinkles - 0.3) * lines * bump(u, v, 0.0, -0.46, 0.55, 0.20)
        fold = bump(side - 0.55 * (v - 0.40), v, 0.205, 0.54, 0.035, 0.22)
        skin *= 1.0 - 0.22 * who.wrinkles * fold
    if who.eye_shadow:
        blend(skin, 0.6 * who.eye_shadow * bump(side, v, who.eye_x, -0.09, 0.26, 0.16),
              rgb(who.shadow_colour))
    if who.freckles:
        spots = smoothstep((value_noise(rng, shape, (62, 48)) - 0.66) * 6)
        where = bump(side, v, 0.28, 0.26, 0.55, 0.40)
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
    strands = value_noise(rng, shape, (30, 90))
    line = 0.50 - 0.62 * smoothstep((side - 0.34) * 2.9)
    ragged = 0.05 * (value_noise(rng, shape, (12, 24)) - 0.5)
    full = smoothstep((v - line + ragged) * 10)
    moustache = bump(u, v, 0.0, who.mouth_y - 0.09, 0.40, 0.11) * 1.6
    goatee = smoothstep((0.33 - side + ragged) * 12) * smoothstep((v - who.mouth_y + 0.10) * 9)
    area = {
        "stubble": 0.42 * full, "full": 0.92 * full, "moustache": 0.95 * ramp(moustache),
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
        lower = 3.0 if who.hair == "long" else 0.88 + 0.25 * who.hair_volume
        knots = [(0.0, front), (0.12, front + 0.03), (0.20, front + 0.16), (0.28, front + 0.45),
                 (0.335, 0.30), (0.375, lower), (1.0, lower)]
    elif who.hair == "fringe":
        low = -0.36
        knots = [(0.0, low), (0.20, low + 0.03), (0.28, low + 0.10), (0.33, 0.30), (0.37, 0.92),
                 (1.0, 1.0)]
    elif who.hair == "bun":
        knots = [(0.0, front), (0.14, front + 0.04), (0.25, front + 0.20), (0.33, -0.20),
                 (0.38, 0.04), (0.42, 0.02), (0.48, -0.10), (0.56, -0.02), (0.64, 0.45), (1.0, 0.6)]
    else:
        knots = [(0.0, front), (0.10, 0.5 * (front + recede)), (0.17, recede + 0.02),
                 (0.25, recede + 0.14), (0.33, -0.32), (0.375, -0.05), (0.42, 0.20), (0.45, 0.18),
                 (0.49, -0.10), (0.56, -0.05), (0.61, 0.35), (0.70, 0.62), (1.0, 0.70)]
    place, edge = np.abs(turn), np.zeros_like(turn)
    for (left, low), (right, high) in zip(knots[:-1], knots[1:], strict=True):
        inside = (place >= left) & (place <= right)
        edge = np.where(inside, low + (high - low) * ((place - left) / (right - left)), edge)
    if who.hair in ("parted", "bob", "long", "quiff"):
        # Swept from the parting: lifted there, falling over the other temple.
        sign = 1.0 if who.parting > 0 else -1.0
        away = (0.5 * who.parting - turn) * sign
        sweep = 0.22 * smoothstep(away * 4.0) - 0.10 * bump(turn, 0 * turn, 0.4 * who.parting, 0, 0.1, 1)
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
        grain = 0.6 * value_noise(rng, shape, (16, 44)) + 0.5 * value_noise(rng, shape, (30, 90))
    elif who.hair == "buzz":
        grain = 0.3 * value_noise(rng, shape, (8, 20)) + 0.7 * value_noise(rng, shape, (60, 180))
    else:
        grain = 0.45 * value_noise(rng, shape, (2.5, 40)) + 0.40 * value_noise(rng, shape, (3.5, 110))
        grain += 0.25 * value_noise(rng, shape, (5, 240))
    brightness = 1.0 + 2.0 * who.hair_contrast * (grain - 0.54)
    if who.hair in ("parted", "bob", "long", "bun"):
        line = bump(turn, 0 * turn, 0.25 * who.parting, 0.0, 0.03, 1.0)[None]
        high = ramp(-2.0 * (np.arange(rows, dtype=np.float32)[:, None] / rows - 0.40) * 3)
        brightness *= 1.0 - 0.45 * line * high
    channels = np.stack([brightness, grain, np.broadcast_to(edge[None], shape)])
    return Texture(channels, (-1.0, -1.0), (1.0, 1.0))


def paint_body(who: Identity, per_unit: float) -> Texture:
    """Neck, shoulders and clothes, lit: RGB, coverage, and how much of it is neck (for shadow)."""
    u, v = _grid(BODY_LOW, BODY_HIGH, per_unit)
    shape, soft = (v.size, u.size), 0.8 / per_unit
    rng = numerics.stream(*who.seed, 4)
    side, neck = np.abs(u), who.neck_width
    base = who.chin + 0.28
    flare = np.maximum(side - neck, 0.0)
    line = base + 0.24 * flare / (0.3 + flare) * 1.2 + 0.06 * flare
    over = np.maximum(side - 1.40, 0.0)
    line = line + 1.6 * over * over
    torso = ramp(0.5 + (v - line) / soft)
    width = neck + 0.25 * smoothstep((v - base + 0.18) * 3.2) * 0.5
    throat = ramp(0.5 + (width - side) / soft)

    light = who.light
    across = u / (neck * 1.25)
    facing = np.sqrt(np.maximum(1.0 - across * across, 0.0))
    lit = who.ambient + (1.12 - who.ambient) * ramp(0.15 + 0.85 * (across * light[0] + facing * light[2]))
    skin = rgb(who.skin) * (0.94 + 0.10 * value_noise(rng, shape, (10, 24))) * lit
    tendon = bump(side - 0.30 * (base - v), v, 0.10, base - 0.05, 0.06, 0.35)
    skin *= 1.0 - 0.12 * tendon
    colour = np.broadcast_to(skin, (3,) + shape).copy()

    cloth = _paint_cloth(who, u, v, rng)
    slope = np.minimum(np.maximum(u * 0.45, -0.9), 0.9)
    folds = value_noise(rng, shape, (4, 13)) + 0.5 * value_noise(rng, shape, (9, 30)) - 0.75
    shade = who.ambient + (1.05 - who.ambient) * ramp(
        0.30 + 0.7 * (slope * light[0] + 0.75 * light[2]) + 0.30 * folds)
    shade = shade * (1.0 - 0.25 * smoothstep((line + 0.05 - v) * 8))
    opening = {
        "crew": 0.17 * (1 - (u / (1.15 * neck)) * (u / (1.15 * neck))),
        "vee": 0.62 * (1 - side / (1.2 * neck)), "shirt": 0.40 * (1 - side / (1.15 * neck)),
        "jacket": 0.42 * (1 - side / (1.1 * neck)), "high": -0.34 + 0.0 * side,
    }[who.collar]
    neckline = base + 0.05 + opening
    worn = ramp(0.5 + (v - neckline) / soft)
    second = rgb(who.cloth_second)
    if who.collar in ("shirt", "jacket"):
        flap = np.minimum(v - neckline + 0.06, 0.30 - np.abs(side - neck * 0.95 - 0.10) - 0.5 * (v - base))
        blend(cloth, 0.9 * ramp(0.5 + flap / soft), second * np.float32(0.9) + np.float32(0.08))
    if who.collar == "jacket":
        lapel = ramp(0.5 + np.minimum(0.55 - np.abs(side - 0.16 - 0.38 * (2.5 - v)) * 2.2, v - base) / soft)
        blend(cloth, 0.55 * lapel, rgb(who.cloth) * np.float32(0.55))
    if who.collar == "crew":
        blend(cloth, ramp(1.0 - np.abs(v - neckline - 0.05) / (0.045 + soft * 0.5)), second)
    if who.collar == "high":
        blend(cloth, 0.25 * wave(u * 9.0) * ramp((base + 0.1 - v) * 8), rgb((0.05, 0.05, 0.05)))
    blend(colour, worn * np.maximum(torso, throat * (who.collar == "high")), cloth * shade)
    coverage = np.maximum(torso, throat)
    shadow = np.broadcast_to(1.0 - worn * 0.4, shape)
    colour *= rgb(who.light_colour)
    return Texture(np.concatenate([colour, coverage[None], shadow[None]]), BODY_LOW, BODY_HIGH)


def _paint_cloth(
    who: Identity, u: np.ndarray, v: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    shape = (v.size, u.size)
    bend = v - 0.06 * u * u
    knit = 0.88 + 0.24 * value_noise(rng, shape, (48, 120))
    cloth = np.broadcast_to(rgb(who.cloth), (3,) + shape) * knit
    second, pitch = rgb(who.cloth_second), 2.2 + 2.5 * float(rng.random())
    if who.pattern == "stripes":
        blend(cloth, 0.85 * smoothstep((wave(u * pitch) - 0.55) * 9), second)
    elif who.pattern == "bands":
        blend(cloth, 0.85 * smoothstep((wave(bend * pitch) - 0.5) * 7), second)
    elif who.pattern == "checks":
        both = 0.5 * smoothstep((wave(u * pitch) - 0.55) * 8)
        blend(cloth, both + 0.45 * smoothstep((wave(bend * pitch) - 0.55) * 8), second)
    elif who.pattern == "dots":
        across, down = wave(u * pitch) - 0.5, wave(bend * pitch) - 0.5
        blend(cloth, 0.9 * smoothstep((0.07 - across * across - down * down) * 30), second)
    return cloth


def paint_backdrop(who: Identity, resolution: int) -> np.ndarray:
    """The room behind, float32 (3 h w) in [0, 1]."""
    axis = (np.arange(resolution, dtype=np.float32) + 0.5) * np.float32(2 / resolution) - 1
    x, y = axis[None, :], axis[:, None]
    shape = (resolution, resolution)
    rng = numerics.stream(*who.seed, 5)
    first, second, third = (rgb(c) for c in
                            (who.backdrop_first, who.backdrop_second, who.backdrop_third))
    tilt = 0.6 * float(rng.random()) - 0.3
    gradient = ramp(0.5 + 0.35 * y + tilt * x)
    image = first * (1.0 - 0.35 * gradient) + np.zeros((3,) + shape, np.float32)
    pitch, phase = 1.0 + 1.6 * float(rng.random()), float(rng.random())
    if who.backdrop == "blobs":
        for colour, cells in ((second, (3, 3)), (third, (5, 5))):
            blend(image, 0.9 * smoothstep((value_noise(rng, shape, cells) - 0.45) * 3), colour)
    elif who.backdrop == "bokeh":
        image *= 0.5
        for _ in range(14):
            place, radius, glow = 2 * rng.random(2) - 1, 0.07 + 0.16 * float(rng.random()), rng.random()
            dx, dy = x - float(place[0]), y - float(place[1])
            disc = smoothstep((radius * radius - dx * dx - dy * dy) * (3 / radius))
            tint = second if glow < 0.5 else third
            blend(image, 0.65 * disc, tint * np.float32(0.6) + np.float32(0.45))
    elif who.backdrop == "panels":
        seam = wave(x * pitch + phase)
        blend(image, 0.55 * smoothstep((wave(x * 0.5 * pitch + phase) - 0.5) * 30), second)
        blend(image, 0.5 * smoothstep((seam - 0.93) * 20), rgb((0.05, 0.05, 0.05)))
        blend(image, smoothstep((y - 0.35) * 30), third * np.float32(0.7))
    elif who.backdrop == "shelves":
        row = np.floor((y + 1) * (1.2 + pitch * 0.4))
        stripe = np.floor(x * 9 + 0.7 * wave(row * 0.37 + x) + phase).astype(np.int32) + 40
        tints = 0.15 + 0.7 * rng.random((3, 128)).astype(np.float32)
        index = (stripe * 7 + row.astype(np.int32) * 29) % 128
        blend(image, np.float32(0.75) + 0 * x * y, tints[:, index] * (0.5 * second + 0.5))
        edge = wave((y + 1) * (1.2 + pitch * 0.4))
        blend(image, smoothstep((edge - 0.80) * 20) + 0 * x, third * np.float32(0.6))
    elif who.backdrop == "tiles":
        offset = 0.5 * (np.floor(y * pitch * 2.2) - 2 * np.floor(y * pitch * 1.1))
        joint = np.maximum(wave(x * pitch * 1.3 + offset), wave(y * pitch * 2.2))
        image *= 0.85 + 0.3 * value_noise(rng, shape, (9, 9))
        blend(image, 0.7 * smoothstep((joint - 0.84) * 12), second)
    elif who.backdrop == "outdoors":
        skyline = 0.1 + 0.7 * (value_noise(rng, (1, resolution), (1, 6))[0] - 0.5)
        sky = rgb((0.62, 0.76, 0.92)) * (1.0 + 0.15 * y)
        image = sky * np.ones((3,) + shape, np.float32)
        leaves = 0.45 + 0.9 * value_noise(rng, shape, (14, 14)) * value_noise(rng, shape, (26, 26))
        green = (0.5 * first + 0.5 * rgb((0.22, 0.36, 0.16))) * leaves
        blend(image, smoothstep((y - skyline[None]) * 14 + 0.5), green)
    else:  # a lit wall with a picture or a window
        place = (0.9 * float(rng.random()) - 0.45, -0.55 + 0.4 * float(rng.random()))
        size = 0.30 + 0.3 * float(rng.random())
        edge = size - np.maximum(np.abs(x - place[0] * 1.6), np.abs(y - place[1]))
        blend(image, smoothstep(edge * 30), third)
        blend(image, smoothstep((edge - 0.06) * 30), second * (0.7 + 0.6 * value_noise(rng, shape, (5, 5))))
    grain = value_noise(rng, shape, (24, 24))
    image *= 0.93 + 0.14 * grain
    return np.minimum(image, 1.0).astype(np.float32)
