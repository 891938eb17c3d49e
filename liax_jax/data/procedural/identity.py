"""Who a procedural portrait shows: everything about a clip that does not move.

Lengths are in head units (1 = about half the height of the face; x right, y down, z to the
viewer, origin between the eyes). Colours are RGB in [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from liax_jax.data.procedural import numerics

Colour = tuple[float, float, float]

_SKIN: tuple[Colour, ...] = (
    (0.97, 0.83, 0.75),
    (0.94, 0.77, 0.66),
    (0.89, 0.69, 0.55),
    (0.80, 0.59, 0.44),
    (0.66, 0.46, 0.33),
    (0.51, 0.34, 0.24),
    (0.38, 0.25, 0.18),
)
_HAIR: tuple[Colour, ...] = (
    (0.09, 0.08, 0.09),
    (0.13, 0.10, 0.09),
    (0.22, 0.14, 0.10),
    (0.36, 0.23, 0.14),
    (0.47, 0.21, 0.11),
    (0.70, 0.37, 0.16),
    (0.80, 0.64, 0.38),
    (0.90, 0.82, 0.66),
    (0.62, 0.61, 0.61),
    (0.86, 0.85, 0.84),
)
_DYED: tuple[Colour, ...] = ((0.25, 0.35, 0.75), (0.80, 0.35, 0.55), (0.25, 0.60, 0.50))
_IRIS: tuple[Colour, ...] = (
    (0.22, 0.13, 0.08),
    (0.36, 0.22, 0.11),
    (0.45, 0.36, 0.18),
    (0.28, 0.46, 0.28),
    (0.25, 0.45, 0.70),
    (0.45, 0.53, 0.58),
)
HAIR_STYLES = ("bald", "buzz", "short", "quiff", "parted", "fringe", "curly", "bob", "long", "bun")
STRAIGHT_DOWN = ("bob", "long", "fringe")  # styles that cover the ears
BEARDS = ("none", "stubble", "moustache", "goatee", "full")
GLASSES = ("none", "round", "square")
COLLARS = ("crew", "vee", "shirt", "jacket", "high")
PATTERNS = ("plain", "stripes", "bands", "checks", "dots")
# Who the people of a set are: "varied", or "plain", who differ in colours and in short hair alone.
PEOPLE = ("varied", "plain")
# Of a plain room, one colour lit from above; never drawn for varied people.
PLAIN_BACKDROP = "plain"
BACKDROPS = ("wall", "blobs", "bokeh", "panels", "shelves", "tiles", "outdoors")
_PLAIN_LIGHT = (0.36, -0.48, 0.80)  # a unit vector


@dataclass(frozen=True)
class Identity:
    """One person, their clothes, the room and the light. See the module for units."""

    seed: tuple[int, ...]  # key of the streams of the textures
    # position and size at rest: head units to frame half-widths, frame coordinates in [-1, 1]
    size: float
    position: tuple[float, float]
    # skull and face
    skin: Colour
    face_width: float
    face_depth: float
    skull_height: float
    chin: float
    jaw_taper: float
    jaw_square: float
    ear_size: float
    neck_width: float
    freckles: float
    blush: float
    wrinkles: float
    # eyes
    iris: Colour
    eye_x: float
    eye_width: float
    eye_height: float
    eye_tilt: float
    lash: float
    eye_shadow: float
    shadow_colour: Colour
    # brows
    brow_y: float
    brow_thickness: float
    brow_arch: float
    brow_tilt: float
    brow_colour: Colour
    # nose and mouth
    nose_width: float
    nose_length: float
    nose_depth: float
    mouth_y: float
    mouth_width: float
    lip_upper: float
    lip_lower: float
    lip_colour: Colour
    # hair
    hair: str
    hair_colour: Colour
    hair_volume: float
    hair_contrast: float
    hairline: float
    parting: float
    recede: float
    beard: str
    # things worn
    glasses: str
    glasses_colour: Colour
    earrings: bool
    cloth: Colour
    cloth_second: Colour
    collar: str
    pattern: str
    # room and light
    backdrop: str
    backdrop_first: Colour
    backdrop_second: Colour
    backdrop_third: Colour
    light: tuple[float, float, float]
    light_colour: Colour
    ambient: float


def mix(first: Sequence[float], second: Sequence[float], weight: float) -> Colour:
    """Linear mixture of two colours, `weight` of the second, limited to [0, 1]."""
    red, green, blue = (
        min(max(a + (b - a) * weight, 0.0), 1.0) for a, b in zip(first, second, strict=True)
    )
    return red, green, blue


def sample_identity(*key: int) -> Identity:
    """The identity of a key of non-negative integers; equal keys give equal identities."""
    rng = numerics.stream(*key, 1)

    def between(low: float, high: float) -> float:
        return low + (high - low) * float(rng.random())

    def pick(options: Sequence[str], weights: Sequence[float] | None = None) -> str:
        weights = weights or [1.0] * len(options)
        point = float(rng.random()) * sum(weights)
        for option, weight in zip(options, weights, strict=True):
            point -= weight
            if point < 0:
                return option
        return options[-1]

    def colour(low: float, high: float, saturation: float) -> Colour:
        """A random hue at a random lightness."""
        hue, light = 6 * float(rng.random()), between(low, high)
        channels = []
        for offset in (0.0, 2.0, 4.0):
            distance = abs((hue - offset + 3) % 6 - 3)
            channels.append(min(max(2 - distance, 0.0), 1.0))
        weight = saturation * float(rng.random())
        grey = (light, light, light)
        return mix(grey, tuple(light * (0.35 + 0.95 * c) for c in channels), weight)

    rugged = between(0.0, 1.0)  # one latent ties jaw, brows, beard and hair loosely together
    age = between(0.0, 1.0)
    tone = between(0.0, len(_SKIN) - 1.001)
    skin = mix(_SKIN[int(tone)], _SKIN[int(tone) + 1], tone - int(tone))
    warm = between(-0.03, 0.03)
    skin = mix((skin[0] + warm * 0.4, skin[1], skin[2] - warm), skin, 0.0)

    if rng.random() < 0.07:
        hair_colour = _DYED[int(rng.integers(len(_DYED)))]
    else:
        last = 3 if tone > 3.5 else (8 if age < 0.7 else 10)
        hair_colour = _HAIR[int(rng.integers(last))]
        if age > 0.8 and rng.random() < 0.6:
            hair_colour = _HAIR[8 + int(rng.integers(2))]
    hair_colour = mix(hair_colour, (between(0, 1), between(0, 1), between(0, 1)), 0.05)
    style_weights = (
        (1.0, 1.3, 2.5, 2.0, 1.6, 0.8, 1.4, 0.2, 0.5, 0.2)
        if rugged > 0.5
        else (0.1, 0.2, 0.6, 0.4, 1.0, 1.6, 1.3, 2.2, 2.8, 1.8)
    )
    hair = pick(HAIR_STYLES, style_weights)
    beard = pick(BEARDS, (4.0, 1.6, 0.8, 0.9, 1.8)) if rugged > 0.5 else "none"
    iris = _IRIS[int(rng.integers(2 if tone > 3.5 else len(_IRIS)))]
    lips = mix(skin, (0.72, 0.28, 0.30), between(0.40, 0.60))
    if rugged < 0.45 and rng.random() < 0.55:
        lips = mix(lips, (between(0.6, 0.85), between(0.08, 0.25), between(0.15, 0.35)), 0.65)
    brow_colour = mix(mix(hair_colour, (0.10, 0.07, 0.06), 0.45), skin, 0.10)
    cloth = colour(0.12, 0.92, 0.9)
    cloth_second = colour(0.12, 0.92, 0.9)
    first, second, third = (colour(0.15, 0.85, 0.55) for _ in range(3))
    # The light comes from above, in front, and from one side.
    side = between(0.25, 0.75) * (1 if rng.random() < 0.5 else -1)
    x, y, z = side, -between(0.25, 0.65), between(0.55, 0.95)
    length = math.sqrt(x * x + y * y + z * z)
    warmth = between(-0.08, 0.08)

    return Identity(
        seed=tuple(int(k) for k in key),
        size=between(0.555, 0.64),
        position=(between(-0.08, 0.08), between(-0.10, 0.0)),
        skin=skin,
        face_width=between(0.68, 0.80) + 0.03 * rugged,
        face_depth=between(0.80, 0.92),
        skull_height=between(0.95, 1.06),
        chin=between(0.98, 1.14),
        jaw_taper=between(0.16, 0.38) - 0.10 * rugged,
        jaw_square=between(0.0, 0.35) + 0.35 * rugged,
        ear_size=between(0.85, 1.25),
        neck_width=between(0.34, 0.40) + 0.12 * rugged,
        freckles=between(0.5, 1.0) if tone < 2.5 and rng.random() < 0.3 else 0.0,
        blush=between(0.2, 1.0),
        wrinkles=between(0.1, 0.4) + 0.8 * age * age,
        iris=iris,
        eye_x=between(0.305, 0.355),
        eye_width=between(0.185, 0.225),
        eye_height=between(0.105, 0.145),
        eye_tilt=between(-0.08, 0.14),
        lash=between(0.45, 0.75) + 0.25 * (1 - rugged),
        eye_shadow=between(0.3, 0.8) if rugged < 0.4 and rng.random() < 0.35 else 0.0,
        shadow_colour=colour(0.2, 0.6, 0.8),
        brow_y=between(-0.29, -0.22),
        brow_thickness=between(0.028, 0.045) + 0.025 * rugged,
        brow_arch=between(0.0, 0.07),
        brow_tilt=between(-0.12, 0.12),
        brow_colour=brow_colour,
        nose_width=between(0.74, 1.16),
        nose_length=between(0.34, 0.46),
        nose_depth=between(0.85, 1.25),
        mouth_y=between(0.62, 0.69),
        mouth_width=between(0.26, 0.34),
        lip_upper=between(0.052, 0.095) - 0.012 * rugged,
        lip_lower=between(0.068, 0.120) - 0.012 * rugged,
        lip_colour=lips,
        hair=hair,
        hair_colour=hair_colour,
        hair_volume=between(0.0, 1.0),
        hair_contrast=between(0.35, 0.75),
        hairline=between(-0.70, -0.56),
        parting=between(0.12, 0.40) * (1 if rng.random() < 0.5 else -1),
        recede=between(0.0, 0.12) * rugged + (0.12 if age > 0.75 and rugged > 0.5 else 0.0),
        beard=beard,
        glasses=pick(GLASSES, (3.6, 0.7, 0.8)),
        glasses_colour=mix((0.08, 0.08, 0.09), colour(0.2, 0.8, 1.0), between(0.0, 0.7)),
        earrings=bool(rugged < 0.45 and rng.random() < 0.5),
        cloth=cloth,
        cloth_second=cloth_second,
        collar=pick(COLLARS),
        pattern=pick(PATTERNS, (1.6, 1.0, 1.2, 1.0, 0.7)),
        backdrop=pick(BACKDROPS),
        backdrop_first=first,
        backdrop_second=second,
        backdrop_third=third,
        light=(x / length, y / length, z / length),
        light_colour=(1.0 + 0.5 * warmth, 1.0, 1.0 - warmth),
        ambient=between(0.42, 0.60),
    )


def as_plain(who: Identity) -> Identity:
    """The person with everybody's face, light and place at rest, nothing worn, in a plain room.

    What is left are colours and short hair. So a factor has the same effect on everybody's picture,
    and a code of the picture can tell it: among varied people a head that moved up isn't told from
    one that rests higher.
    """
    hair = who.hair if who.hair in ("bald", "buzz", "short") else "parted"
    return replace(
        who,
        size=0.6,
        position=(0.0, -0.05),
        face_width=0.755,
        face_depth=0.86,
        skull_height=1.0,
        chin=1.06,
        jaw_taper=0.22,
        jaw_square=0.35,
        ear_size=1.05,
        neck_width=0.43,
        freckles=0.0,
        wrinkles=0.2,
        eye_x=0.33,
        eye_width=0.205,
        eye_height=0.125,
        eye_tilt=0.03,
        lash=0.7,
        eye_shadow=0.0,
        brow_y=-0.25,
        brow_thickness=0.05,
        brow_arch=0.03,
        brow_tilt=0.0,
        nose_width=0.95,
        nose_length=0.40,
        nose_depth=1.05,
        mouth_y=0.655,
        mouth_width=0.30,
        lip_upper=0.07,
        lip_lower=0.09,
        hair=hair,
        hair_volume=0.5,
        hairline=-0.63,
        parting=0.25,
        recede=0.0,
        beard="none",
        glasses="none",
        earrings=False,
        collar="crew",
        pattern="plain",
        backdrop=PLAIN_BACKDROP,
        light=_PLAIN_LIGHT,
        light_colour=(1.0, 1.0, 1.0),
        ambient=0.5,
    )
