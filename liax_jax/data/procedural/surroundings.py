"""What a clip paints once around the head: neck, clothes and the room, from the identity."""

from __future__ import annotations

import numpy as np

from liax_jax.data.procedural import numerics
from liax_jax.data.procedural.identity import PLAIN_BACKDROP, Identity
from liax_jax.data.procedural.numerics import Texture, ramp, smoothstep, value_noise
from liax_jax.data.procedural.textures import blend, bump, grid, rgb, wave

BODY_LOW, BODY_HIGH = (-2.9, 0.45), (2.9, 2.75)


def paint_body(who: Identity, per_unit: float) -> Texture:
    """Neck, shoulders and clothes, lit: RGB, coverage, and how much of it is neck (for shadow)."""
    u, v = grid(BODY_LOW, BODY_HIGH, per_unit)
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
    lit = who.ambient + (1.12 - who.ambient) * ramp(
        0.15 + 0.85 * (across * light[0] + facing * light[2])
    )
    skin = rgb(who.skin) * (0.94 + 0.10 * value_noise(rng, shape, (10, 24))) * lit
    tendon = bump(side - 0.30 * (base - v), v, 0.10, base - 0.05, 0.06, 0.35)
    skin *= 1.0 - 0.12 * tendon
    colour = np.broadcast_to(skin, (3, *shape)).copy()

    cloth = _paint_cloth(who, u, v, rng)
    slope = np.minimum(np.maximum(u * 0.45, -0.9), 0.9)
    folds = value_noise(rng, shape, (4, 13)) + 0.5 * value_noise(rng, shape, (9, 30)) - 0.75
    shade = who.ambient + (1.05 - who.ambient) * ramp(
        0.30 + 0.7 * (slope * light[0] + 0.75 * light[2]) + 0.30 * folds
    )
    shade = shade * (1.0 - 0.25 * smoothstep((line + 0.05 - v) * 8))
    opening = {
        "crew": 0.17 * (1 - (u / (1.15 * neck)) * (u / (1.15 * neck))),
        "vee": 0.62 * (1 - side / (1.2 * neck)),
        "shirt": 0.40 * (1 - side / (1.15 * neck)),
        "jacket": 0.42 * (1 - side / (1.1 * neck)),
        "high": -0.34 + 0.0 * side,
    }[who.collar]
    neckline = base + 0.05 + opening
    worn = ramp(0.5 + (v - neckline) / soft)
    second = rgb(who.cloth_second)
    if who.collar in ("shirt", "jacket"):
        flap = np.minimum(
            v - neckline + 0.06, 0.30 - np.abs(side - neck * 0.95 - 0.10) - 0.5 * (v - base)
        )
        blend(cloth, 0.9 * ramp(0.5 + flap / soft), second * np.float32(0.9) + np.float32(0.08))
    if who.collar == "jacket":
        lapel = ramp(
            0.5 + np.minimum(0.55 - np.abs(side - 0.16 - 0.38 * (2.5 - v)) * 2.2, v - base) / soft
        )
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
    knit = 0.93 + 0.14 * value_noise(rng, shape, (48, 120))
    cloth = np.broadcast_to(rgb(who.cloth), (3, *shape)) * knit
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
    first, second, third = (
        rgb(c) for c in (who.backdrop_first, who.backdrop_second, who.backdrop_third)
    )
    tilt = 0.6 * float(rng.random()) - 0.3
    gradient = ramp(0.5 + 0.35 * y + tilt * x)
    image = first * (1.0 - 0.35 * gradient) + np.zeros((3, *shape), np.float32)
    pitch, phase = 1.0 + 1.6 * float(rng.random()), float(rng.random())
    if who.backdrop == "blobs":
        for colour, cells in ((second, (3, 3)), (third, (5, 5))):
            blend(image, 0.9 * smoothstep((value_noise(rng, shape, cells) - 0.45) * 3), colour)
    elif who.backdrop == "bokeh":
        image *= 0.5
        for _ in range(14):
            place, radius, glow = (
                2 * rng.random(2) - 1,
                0.07 + 0.16 * float(rng.random()),
                rng.random(),
            )
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
        blend(image, 0.5 * smoothstep((joint - 0.84) * 12), second)
    elif who.backdrop == "outdoors":
        skyline = 0.1 + 0.7 * (value_noise(rng, (1, resolution), (1, 6))[0] - 0.5)
        sky = rgb((0.62, 0.76, 0.92)) * (1.0 + 0.15 * y)
        image = sky * np.ones((3, *shape), np.float32)
        leaves = 0.45 + 0.9 * value_noise(rng, shape, (14, 14)) * value_noise(rng, shape, (26, 26))
        green = (0.5 * first + 0.5 * rgb((0.22, 0.36, 0.16))) * leaves
        blend(image, smoothstep((y - skyline[None]) * 14 + 0.5), green)
    elif who.backdrop != PLAIN_BACKDROP:  # a lit wall with a picture or a window
        left, top = 0.9 * float(rng.random()) - 0.45, -0.55 + 0.4 * float(rng.random())
        size = 0.30 + 0.3 * float(rng.random())
        edge = size - np.maximum(np.abs(x - left * 1.6), np.abs(y - top))
        blend(image, smoothstep(edge * 30), third)
        blend(
            image,
            smoothstep((edge - 0.06) * 30),
            second * (0.7 + 0.6 * value_noise(rng, shape, (5, 5))),
        )
    grain = value_noise(rng, shape, (24, 24))
    image *= 0.96 + 0.08 * grain
    return np.minimum(image, 1.0).astype(np.float32)
