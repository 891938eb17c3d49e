"""One frame of a procedural portrait, from its identity's layers and a pose.

Back to front: room, hair behind the neck, body, head with its features, ears, hair, glasses. The
head is a solid that is met by each pixel's ray, so turning it moves every point by its own depth
and hides the far side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liax_jax.data.procedural import features, textures
from liax_jax.data.procedural.factors import FACTORS, REACH
from liax_jax.data.procedural.features import Canvas, Pose
from liax_jax.data.procedural.identity import Identity
from liax_jax.data.procedural.numerics import PI, Texture, ramp, smoothstep
from liax_jax.data.procedural.surfaces import (
    Box,
    Egg,
    Hit,
    Vector,
    View,
    is_empty,
    meet_egg,
    meet_ellipsoid,
)
from liax_jax.data.procedural.textures import blend, rgb

_STRAIGHT_DOWN = ("bob", "long", "fringe")


@dataclass(frozen=True)
class Layers:
    """What a clip paints once."""

    who: Identity
    backdrop: np.ndarray
    face: Texture
    hair: Texture
    body: Texture


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
            backdrop=textures.paint_backdrop(who, self.resolution),
            face=textures.paint_face(who, 1.35 * per_unit),
            hair=textures.paint_hair(who, 1.2 * per_unit),
            body=textures.paint_body(who, 1.1 * per_unit),
        )

    def draw(self, layers: Layers, values: np.ndarray) -> np.ndarray:
        """Frame uint8 (h w 3), RGB, of normalised factor values (F,)."""
        who, pose = layers.who, physical(values)
        size = who.size * (1 + pose.scale)
        centre = (who.position[0] + pose.shift_x, who.position[1] + pose.shift_y)
        view = View(self.resolution, centre, size, pose.yaw, pose.pitch, pose.roll)
        egg = Egg(who.face_width, who.face_depth, who.skull_height,
                  who.chin + 0.75 * pose.jaw, who.jaw_taper, who.jaw_square)
        image = layers.backdrop.copy()
        light = view.turn_light(who.light)
        self._draw_back_hair(image, layers, view, light)
        self._draw_body(image, layers, view, pose, egg)
        self._draw_head(image, layers, view, pose, egg, light)
        np.maximum(image, 0.0, out=image)
        np.minimum(image, 1.0, out=image)
        image *= 255.0
        image += 0.5
        return np.ascontiguousarray(image.astype(np.uint8).transpose(1, 2, 0))

    def _draw_back_hair(
        self, image: np.ndarray, layers: Layers, view: View, light: Vector
    ) -> None:
        who = layers.who
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
        box = view.box(centre, radii)
        if is_empty(box):
            return
        hit = meet_ellipsoid(view, self._x[:, box[1]], self._y[box[0]], centre, radii)
        shade = 0.85 if who.hair == "bun" else 0.60
        colour = self._hair_colour(layers, hit, radii, light)[0] * np.float32(shade)
        blend(image[(slice(None),) + box], features.cover(hit.inside, 1 / view.pixel), colour)

    def _draw_body(
        self, image: np.ndarray, layers: Layers, view: View, pose: Pose, egg: Egg
    ) -> None:
        who = layers.who
        # The shoulders follow the head's place only partly; the neck bends between the two.
        left = who.position[0] + 0.55 * pose.shift_x
        top = who.position[1] + 0.80 * pose.shift_y
        first = int(((textures.BODY_LOW[1] + 0.15) * view.size + top + 1) * self.resolution / 2)
        rows = slice(min(max(first, 0), self.resolution), self.resolution)
        if rows.start >= rows.stop:
            return
        x, y = self._x, self._y[rows]
        v = (y - top) * (1 / view.size)
        lean = (0.45 * pose.shift_x / view.size + 0.30 * pose.roll)
        u = (x - left) * (1 / view.size) - lean * smoothstep((who.chin + 0.45 - v) * 1.6)
        v = v + 0.0 * x
        paint = layers.body.read(u, v)
        # The head's shadow on the neck.
        up = view.upright
        hx = (x * up[0][0] + (y * up[0][1] + up[0][2])) * (0.95 / egg.width) - 0.5 * view.toward[0] * -1
        hy = (x * up[1][0] + (y * up[1][1] + up[1][2]) - 0.22) * (0.92 / egg.chin)
        under = ramp((1.05 - hx * hx - hy * hy) * 2.2)
        part = image[:, rows]
        blend(part, paint[3], paint[:3] * (1.0 - 0.50 * under * paint[4]))

    def _hair_shell(self, who: Identity) -> tuple[Vector, Vector]:
        volume = who.hair_volume
        thick = {"buzz": 0.015, "short": 0.06, "quiff": 0.09, "parted": 0.09, "fringe": 0.12,
                 "curly": 0.20, "bob": 0.13, "long": 0.12, "bun": 0.055}[who.hair]
        if who.hair != "buzz":
            thick += {"curly": 0.16, "bun": 0.02}.get(who.hair, 0.08) * volume
        crown = who.skull_height + 1.3 * thick
        lower = {"bob": 1.40, "fringe": 1.30, "long": 2.05}.get(who.hair, 0.95)
        middle, half = 0.5 * (lower - crown), 0.5 * (lower + crown)
        widen = {"bob": 0.06, "long": 0.02, "fringe": 0.05}.get(who.hair, 0.0)
        forward = 0.02 if who.hair == "buzz" else 0.05
        return ((0.0, middle, -0.05),
                (who.face_width + thick + widen, half, who.face_depth + 0.05 + forward + 0.4 * thick))

    def _hair_colour(
        self, layers: Layers, hit: Hit, radii: Vector, light: Vector
    ) -> tuple[np.ndarray, np.ndarray]:
        """Lit colour (3 h w) of hair, and the height (h w) to which it reaches at each hit."""
        who = layers.who
        x, y, z = hit.unit
        share = x / (np.abs(x) + np.abs(z) + 1e-6)
        turn = np.where(z > 0, 0.5 * share, np.where(x > 0, 1.0, -1.0) - 0.5 * share)
        brightness, grain, edge = layers.hair.read(turn, y)
        facing = x * (light[0] / radii[0]) + y * (light[1] / radii[1]) + z * (light[2] / radii[2])
        facing = facing * min(radii)
        lit = who.ambient * 0.85 + 0.55 * ramp(facing * 0.9 + 0.1)
        shine = ramp(facing + 0.28 * (grain - 0.5) - 0.20)
        shine = shine * ramp(1.0 - np.abs(y + 0.52 + 0.12 * light[1]) * 3.6)
        glossy = 0.05 if who.hair in ("curly", "buzz") else 0.26
        colour = rgb(who.hair_colour) * rgb(who.light_colour) * (lit * brightness)
        colour += (glossy * shine) * (0.6 * rgb(who.hair_colour) + 0.35)
        return colour, edge

    def _draw_head(
        self, image: np.ndarray, layers: Layers, view: View, pose: Pose, egg: Egg, light: Vector
    ) -> None:
        who = layers.who
        middle = 0.5 * (egg.chin - egg.top)
        box = view.box((0.0, middle, 0.0), (egg.width * 1.03, 0.5 * (egg.chin + egg.top), egg.depth))
        if is_empty(box):
            return
        x, y = self._x[:, box[1]], self._y[box[0]]
        hit, normal = meet_egg(view, x, y, egg)
        u, v = hit.point[0], hit.point[1]
        # The jaw takes the lower face with it.
        drop = pose.jaw * 0.75
        paint = layers.face.read(u, v - drop * smoothstep((v - 0.42) * (1 / (0.58 + drop))))
        coverage = features.cover(hit.inside, 1 / view.pixel)
        canvas = Canvas(view, box, x, y, u, v, hit.depth.copy(), paint[:3], list(normal))
        relief = ramp(hit.unit[2] * 4.0) * 1.0
        canvas.normal[0] = canvas.normal[0] - paint[3] * relief
        canvas.normal[1] = canvas.normal[1] - paint[4] * relief
        for side, lid in ((-1.0, pose.lid_left), (1.0, pose.lid_right)):
            features.paint_eye(canvas, who, egg, side, lid, (pose.gaze_x, pose.gaze_y))
            features.paint_brow(canvas, who, egg, side, pose.brows)
        features.paint_mouth(canvas, who, egg, pose)
        part, mask = features.raise_nose(canvas, who, egg)
        nose_skin = rgb(who.skin) * np.float32(0.98) * rgb((1.02, 0.95, 0.93))
        blend(canvas.colour[(slice(None),) + part], 0.85 * mask, nose_skin)
        features.paint_nostrils(canvas, who, egg)

        nx, ny, nz = canvas.normal
        length = 1.0 / np.sqrt(nx * nx + ny * ny + nz * nz)
        facing = (nx * light[0] + ny * light[1] + nz * light[2]) * length
        toward = view.toward
        frontal = (nx * toward[0] + ny * toward[1] + nz * toward[2]) * length
        lit = who.ambient + (1.16 - who.ambient) * ramp(0.82 * facing + 0.18)
        lit *= 0.80 + 0.20 * ramp(frontal * 1.6)
        shine = ramp(2.0 * facing * frontal - (light[0] * toward[0] + light[1] * toward[1]
                                               + light[2] * toward[2]))
        shine *= shine
        shine *= shine
        shine *= shine
        head = canvas.colour * (lit * rgb(who.light_colour))
        head += 0.13 * shine
        target = image[(slice(None),) + box]
        blend(target, coverage, head)
        depth = np.where(hit.inside > 0, canvas.depth, np.float32(-9.0))
        ears_hidden = who.hair in _STRAIGHT_DOWN or (who.hair == "curly" and who.hair_volume > 0.5)
        if not ears_hidden:
            self._draw_ears(image, who, view, light, box, depth)
        if who.hair != "bald":
            self._draw_hair(image, layers, view, light)
        if who.glasses != "none":
            self._draw_glasses(image, who, view, egg)

    def _draw_ears(
        self, image: np.ndarray, who: Identity, view: View, light: Vector, box: Box,
        depth: np.ndarray,
    ) -> None:
        size = who.ear_size
        radii = (0.10 * size, 0.215 * size, 0.145 * size)
        for side in (-1.0, 1.0):
            centre = (side * (who.face_width + 0.005), 0.10, -0.10)
            part = view.box(centre, radii)
            if is_empty(part):
                continue
            hit = meet_ellipsoid(view, self._x[:, part[1]], self._y[part[0]], centre, radii)
            behind = np.full(hit.depth.shape, np.float32(-9.0))
            rows = slice(max(part[0].start, box[0].start), min(part[0].stop, box[0].stop))
            columns = slice(max(part[1].start, box[1].start), min(part[1].stop, box[1].stop))
            if rows.stop > rows.start and columns.stop > columns.start:
                behind[rows.start - part[0].start : rows.stop - part[0].start,
                       columns.start - part[1].start : columns.stop - part[1].start] = depth[
                    rows.start - box[0].start : rows.stop - box[0].start,
                    columns.start - box[1].start : columns.stop - box[1].start]
            alpha = features.cover(hit.inside, 1 / view.pixel)
            alpha *= ramp((hit.depth - behind) * (0.5 / view.pixel) + 0.5)
            ex, ey, ez = hit.unit
            facing = ex * light[0] + ey * light[1] * 0.6 + ez * light[2]
            lit = who.ambient + (1.05 - who.ambient) * ramp(0.7 * facing + 0.2)
            # The hollow within the rim.
            hollow = ramp((0.62 - ey * ey - (ez - 0.15) * (ez - 0.15)) * 2.6) * ramp(ex * side * 2.0 + 0.6)
            colour = rgb(who.skin) * rgb((1.0, 0.88, 0.85)) * (lit * (1.0 - 0.38 * hollow))
            blend(image[(slice(None),) + part], alpha, colour * rgb(who.light_colour))
            if who.earrings:
                self._draw_earring(image, who, view, (centre[0] * 1.06, centre[1] + 1.15 * radii[1], -0.06),
                                   depth, box)

    def _draw_earring(
        self, image: np.ndarray, who: Identity, view: View, place: Vector, depth: np.ndarray, box: Box
    ) -> None:
        part = view.box(place, (0.05, 0.05, 0.05))
        if is_empty(part):
            return
        hit = meet_ellipsoid(view, self._x[:, part[1]], self._y[part[0]], place, (0.05, 0.06, 0.05))
        x, y = view.project(place)
        row, column = (min(max(int((p + 1) * self.resolution / 2) - s.start, 0), s.stop - s.start - 1)
                       for p, s in zip((y, x), box, strict=True))
        middle = float(hit.depth[hit.depth.shape[0] // 2, hit.depth.shape[1] // 2])
        if float(depth[row, column]) > middle:
            return  # behind the cheek
        shine = 0.75 + 0.5 * ramp(-hit.unit[1])
        metal = (0.95, 0.80, 0.40) if who.light_colour[0] > 1 else (0.86, 0.88, 0.92)
        blend(image[(slice(None),) + part], features.cover(hit.inside, 1 / view.pixel),
              rgb(metal) * shine)

    def _draw_hair(self, image: np.ndarray, layers: Layers, view: View, light: Vector) -> None:
        who = layers.who
        centre, radii = self._hair_shell(who)
        box = view.box(centre, radii)
        if is_empty(box):
            return
        hit = meet_ellipsoid(view, self._x[:, box[1]], self._y[box[0]], centre, radii)
        colour, edge = self._hair_colour(layers, hit, radii, light)
        outline = hit.inside
        if who.hair == "curly":
            outline = outline + 0.10 * (colour[0] * (0.5 / (who.hair_colour[0] + 0.1)) - 0.35)
        above = edge - (hit.point[1] + centre[1])
        shell = features.cover(outline, 1 / view.pixel)
        target = image[(slice(None),) + box]
        if who.hair != "buzz":
            shadow = ramp(above * 6.0 + 1.0) * shell
            target *= 1.0 - 0.30 * shadow
        thickness = 0.45 if who.hair == "buzz" else 1.0
        alpha = shell * features.cover(above, thickness * 0.7 / view.pixel)
        if who.hair == "buzz":
            alpha = alpha * 0.85
        rim = 1.0 - 0.25 * ramp(1.0 - above * 7.0) if who.hair != "buzz" else 1.0
        blend(target, alpha, colour * rim)

    def _draw_glasses(self, image: np.ndarray, who: Identity, view: View, egg: Egg) -> None:
        front = egg.front(0.1) + 0.06
        box = view.box((0.0, 0.03, front), (0.80, 0.30, 0.02))
        if is_empty(box):
            return
        x, y = self._x[:, box[1]], self._y[box[0]]
        rows = view.start
        depth = (front - rows[2][2]) / view.toward[2]
        slope = [-rows[2][k] / view.toward[2] for k in range(2)]
        u, v = (
            x * (r[0] + t * slope[0]) + (y * (r[1] + t * slope[1]) + (r[2] + t * depth))
            for r, t in zip(rows[:2], view.toward[:2], strict=True)
        )
        sharp = max(0.4, view.toward[2]) / view.pixel
        dx, dy = np.abs(np.abs(u) - who.eye_x * 1.02), v - 0.035
        if who.glasses == "round":
            outside = np.sqrt(dx * dx + dy * dy * 1.15) - 0.245
        else:
            outside = np.maximum(dx - 0.265, np.abs(dy) - 0.175)
            corner_x, corner_y = np.maximum(dx - 0.20, 0.0), np.maximum(np.abs(dy) - 0.11, 0.0)
            outside = np.maximum(outside, np.sqrt(corner_x * corner_x + corner_y * corner_y) - 0.075)
        wire = max(0.020, 0.40 * view.pixel)
        frame = features.cover(wire - np.abs(outside), sharp)
        bridge = np.minimum(0.11 - np.abs(u), wire - np.abs(v + 0.01 - 0.8 * u * u))
        frame = np.maximum(frame, features.cover(bridge, sharp))
        target = image[(slice(None),) + box]
        glare = ramp(1.0 - np.abs(u * 0.8 + v - 0.12) * 9.0) * features.cover(-outside, sharp)
        blend(target, 0.06 * features.cover(-outside, sharp) + 0.16 * glare, rgb((0.95, 0.97, 1.0)))
        blend(target, 0.95 * frame, rgb(who.glasses_colour))
