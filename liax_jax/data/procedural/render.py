"""One frame of a procedural portrait, from its identity's layers and a pose.

Back to front: room, hair behind the neck, body, head with its features, ears, hair, glasses. The
head is a solid that is met by each pixel's ray, so turning it moves every point by its own depth
and hides the far side.
"""

from __future__ import annotations

import numpy as np

from liax_jax.data.procedural import features, surroundings, textures
from liax_jax.data.procedural.factors import FACTORS, REACH
from liax_jax.data.procedural.features import Canvas, Pose
from liax_jax.data.procedural.hair import draw_back_hair, draw_hair, draw_inner_hair
from liax_jax.data.procedural.identity import STRAIGHT_DOWN, Identity
from liax_jax.data.procedural.numerics import PI, ramp, smoothstep
from liax_jax.data.procedural.scene import DepthMap, Frame, Layers
from liax_jax.data.procedural.surfaces import Egg, View, is_empty, meet_egg
from liax_jax.data.procedural.textures import blend, rgb
from liax_jax.data.procedural.worn import draw_ears, draw_glasses


def physical(values: np.ndarray) -> Pose:
    """Normalised factor values (F,) in the order of `FACTORS` to physical units."""
    pose = {name: float(value) * REACH[name] for name, value in zip(FACTORS, values, strict=True)}
    for name in ("yaw", "pitch", "roll"):
        pose[name] *= PI / 180
    for name in ("shift_x", "shift_y"):
        pose[name] *= 2  # fractions of the frame to half-frames
    return Pose(**pose)


class PortraitRenderer:
    """Draws portraits at one square resolution (pixels)."""

    def __init__(self, resolution: int) -> None:
        if resolution < 16:
            raise ValueError(f"portraits need a resolution of at least 16 pixels, not {resolution}")
        self.resolution = resolution
        axis = (np.arange(resolution, dtype=np.float32) + 0.5) * np.float32(2 / resolution) - 1
        self._x = axis.astype(np.float32)[None, :]
        self._y = axis.astype(np.float32)[:, None]

    def paint_layers(self, who: Identity) -> Layers:
        """The still layers of an identity at this resolution."""
        per_unit = who.size * self.resolution / 2  # pixels per head unit
        return Layers(
            who=who,
            backdrop=surroundings.paint_backdrop(who, self.resolution),
            face=textures.paint_face(who, 1.35 * per_unit),
            hair=textures.paint_hair(who, 1.2 * per_unit),
            body=surroundings.paint_body(who, 1.1 * per_unit),
        )

    def draw(self, layers: Layers, values: np.ndarray) -> np.ndarray:
        """Frame uint8 (h w 3), RGB, of normalised factor values (F,)."""
        who, pose = layers.who, physical(values)
        size = who.size * (1 + pose.scale)
        centre = (who.position[0] + pose.shift_x, who.position[1] + pose.shift_y)
        view = View(self.resolution, centre, size, pose.yaw, pose.pitch, pose.roll)
        egg = Egg(
            who.face_width,
            who.face_depth,
            who.skull_height,
            who.chin + 0.75 * pose.jaw,
            who.jaw_taper,
            who.jaw_square,
        )
        image = layers.backdrop.copy()
        frame = Frame(image, self._x, self._y, view, egg, view.turn_light(who.light), layers)
        draw_back_hair(frame)
        shell = draw_inner_hair(frame)
        _draw_body(frame, pose)
        head = _draw_head(frame, pose)
        if who.hair not in STRAIGHT_DOWN and not (who.hair == "curly" and who.hair_volume > 0.5):
            draw_ears(frame, head)
        if shell is not None:
            draw_hair(frame, *shell, head)
        if who.glasses != "none":
            draw_glasses(frame)
        np.maximum(image, 0.0, out=image)
        np.minimum(image, 1.0, out=image)
        image *= 255.0
        image += 0.5
        return np.ascontiguousarray(image.astype(np.uint8).transpose(1, 2, 0))


def _draw_body(frame: Frame, pose: Pose) -> None:
    """Paint neck and shoulders, with the head's shadow on them."""
    view, egg, who = frame.view, frame.egg, frame.who
    resolution = view.resolution
    # The shoulders follow the head's place only partly; the neck bends between the two.
    left = who.position[0] + 0.55 * pose.shift_x
    top = who.position[1] + 0.80 * pose.shift_y
    first = int(((surroundings.BODY_LOW[1] + 0.15) * view.size + top + 1) * resolution / 2)
    rows = slice(min(max(first, 0), resolution), resolution)
    if rows.start >= rows.stop:
        return
    x, y = frame.x, frame.y[rows]
    v = (y - top) * (1 / view.size)
    lean = 0.45 * pose.shift_x / view.size + 0.30 * pose.roll
    u = (x - left) * (1 / view.size) - lean * smoothstep((who.chin + 0.45 - v) * 1.6)
    v = v + 0.0 * x
    paint = frame.layers.body.read(u, v)
    # The head's shadow on the neck.
    up = view.upright
    hx = (x * up[0][0] + (y * up[0][1] + up[0][2])) * (0.95 / egg.width)
    hy = (x * up[1][0] + (y * up[1][1] + up[1][2]) - 0.22) * (0.92 / egg.chin)
    under = ramp((1.05 - hx * hx - hy * hy) * 2.2)
    blend(frame.image[:, rows], paint[3], paint[:3] * (1.0 - 0.55 * under * paint[4]))


def _draw_head(frame: Frame, pose: Pose) -> DepthMap:
    """Paint the head and its features; returns its depth."""
    view, egg, who, light = frame.view, frame.egg, frame.who, frame.light
    middle = 0.5 * (egg.chin - egg.top)
    box = view.box((0.0, middle, 0.0), (egg.width * 1.03, 0.5 * (egg.chin + egg.top), egg.depth))
    if is_empty(box):
        return DepthMap(box, np.zeros((box[0].stop - box[0].start, box[1].stop - box[1].start)))
    x, y = frame.x[:, box[1]], frame.y[box[0]]
    hit, normal = meet_egg(view, x, y, egg)
    u, v = hit.point[0], hit.point[1]
    # The jaw takes the lower face with it.
    drop = pose.jaw * 0.75
    paint = frame.layers.face.read(u, v - drop * smoothstep((v - 0.42) * (1 / (0.58 + drop))))
    coverage = features.cover(hit.inside, 1 / view.pixel)
    canvas = Canvas(view, box, x, y, u, v, hit.depth.copy(), paint[:3], list(normal))
    relief = ramp(hit.unit[2] * 4.0)
    canvas.normal[0] = canvas.normal[0] - paint[3] * relief
    canvas.normal[1] = canvas.normal[1] - paint[4] * relief
    for side, lid in ((-1.0, pose.lid_left), (1.0, pose.lid_right)):
        features.paint_eye(canvas, who, egg, side, lid, (pose.gaze_x, pose.gaze_y))
        features.paint_brow(canvas, who, egg, side, pose.brows)
    features.paint_mouth(canvas, who, egg, pose)
    part, mask = features.raise_nose(canvas, who, egg)
    nose_skin = rgb(who.skin) * np.float32(0.98) * rgb((1.02, 0.95, 0.93))
    blend(canvas.colour[(slice(None), *part)], 0.85 * mask, nose_skin)
    features.paint_nostrils(canvas, who, egg)

    nx, ny, nz = canvas.normal
    length = 1.0 / np.sqrt(nx * nx + ny * ny + nz * nz)
    facing = (nx * light[0] + ny * light[1] + nz * light[2]) * length
    toward = view.toward
    frontal = (nx * toward[0] + ny * toward[1] + nz * toward[2]) * length
    lit = who.ambient + (1.16 - who.ambient) * ramp(0.82 * facing + 0.18)
    lit *= 0.80 + 0.20 * ramp(frontal * 1.6)
    along = light[0] * toward[0] + light[1] * toward[1] + light[2] * toward[2]
    # Not below 0.05: its eighth power would leave the normal numbers, which some hosts flush.
    shine = np.maximum(2.0 * facing * frontal - along, 0.05)
    shine *= shine
    shine *= shine
    shine *= shine
    head = canvas.colour * (lit * rgb(who.light_colour))
    head += 0.13 * shine
    frame.paint(box, coverage, head)
    return DepthMap(box, np.where(hit.inside > 0, canvas.depth, np.float32(-9.0)))
