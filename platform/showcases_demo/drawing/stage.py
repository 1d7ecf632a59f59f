"""A little table-top in 2.5 dimensions: points (x, y, z) on the table are seen by a camera and filled with Pillow.

Units: 1 is the radius of a plate; z is up; light falls from the upper left. Everything is drawn at twice the photo's
size and averaged down at the end, which is the only anti-aliasing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Color = tuple[int, int, int]
SUPERSAMPLING = 2
_ARC = np.linspace(0, 2 * math.pi, 29)[:-1]
_CIRCLE = np.stack([np.cos(_ARC), np.sin(_ARC)], axis=1)  # (28, 2)


def shade(color: Color, factor: float) -> Color:
    """Darker below 1; above 1 it moves towards a warm white."""
    if factor <= 1:
        return (int(color[0] * factor), int(color[1] * factor), int(color[2] * factor))
    return mix(color, (255, 250, 235), min(1.0, factor - 1))


def mix(first: Color, second: Color, share: float) -> Color:
    """`share` 0 is the first colour, 1 the second."""
    r, g, b = (round(a + (c - a) * share) for a, c in zip(first, second, strict=True))
    return (r, g, b)


def jitter(rng: np.random.Generator, color: Color, amount: float = 0.12) -> Color:
    """The colour, somewhat lighter or darker."""
    return shade(color, 1 + float(rng.uniform(-amount, amount)))


class Stage:
    """A picture in the making.

    Args:
        width, height: of the finished photo, in pixels.
        tilt: sine of the camera's height: 1 straight above, 0.3 low.
        zoom: 1 lets a plate fill most of the frame.
        turn: rotation of the table under the camera, in radians.
        shift: where the plate's centre is, as a share of the frame, from its middle.
    """

    def __init__(
        self,
        width: int,
        height: int,
        *,
        tilt: float = 1.0,
        zoom: float = 1.0,
        turn: float = 0.0,
        shift: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self.width, self.height = width * SUPERSAMPLING, height * SUPERSAMPLING
        self.image = Image.new("RGB", (self.width, self.height))
        self.pen = ImageDraw.Draw(self.image, "RGBA")
        self.unit = 0.40 * min(self.width, self.height) * zoom  # pixels
        self.tilt, self.rise = tilt, math.sqrt(max(0.0, 1 - tilt * tilt))
        self.cos, self.sin = math.cos(turn), math.sin(turn)
        self.center = (self.width * (0.5 + shift[0]), self.height * (0.5 + shift[1]))

    # --- projection -----------------------------------------------------------------------------------------

    def project(self, points: np.ndarray | Sequence[tuple[float, float]], z: float = 0.0) -> np.ndarray:
        """(N, 2) points on the plane at height z -> (N, 2) pixels."""
        xy = np.asarray(points, dtype=float)
        x = self.cos * xy[:, 0] - self.sin * xy[:, 1]
        y = self.sin * xy[:, 0] + self.cos * xy[:, 1]
        px = self.center[0] + self.unit * x
        py = self.center[1] + self.unit * (self.tilt * y - self.rise * z)
        return np.stack([px, py], axis=1)

    def paint(self, pixels: np.ndarray, color: Color, alpha: int = 255) -> None:
        """Fill a polygon given in pixels."""
        self.pen.polygon(pixels.ravel().tolist(), fill=(*color, alpha))

    # --- flat shapes ----------------------------------------------------------------------------------------

    def polygon(
        self, points: Sequence[tuple[float, float]] | np.ndarray, color: Color, z: float = 0.0, alpha: int = 255
    ) -> None:
        """Fill a polygon that lies flat at height z."""
        self.paint(self.project(points, z), color, alpha)

    def disc(
        self,
        x: float,
        y: float,
        r: float,
        color: Color,
        z: float = 0.0,
        *,
        ry: float | None = None,
        angle: float = 0.0,
        alpha: int = 255,
    ) -> None:
        """An ellipse lying flat, of half-axes r and ry, turned by `angle` radians."""
        circle = _CIRCLE if r > 0.12 else _CIRCLE[::3]
        u, v = circle[:, 0] * r, circle[:, 1] * (r if ry is None else ry)
        c, s = math.cos(angle), math.sin(angle)
        self.polygon(np.stack([x + c * u - s * v, y + s * u + c * v], axis=1), color, z, alpha)

    def pool(
        self, x: float, y: float, r: float, color: Color, z: float = 0.0, *, edge: float = 0.75, lit: float = 1.15
    ) -> None:
        """A disc that is darker at its edge and lit towards the upper left: broth, dough, a plate's well."""
        for step in range(6):
            share = step / 5
            offset = -0.12 * r * share
            dx, dy = self._towards_light(offset)
            self.disc(x + dx, y + dy, r * (1 - 0.75 * share), shade(color, edge + (lit - edge) * share), z)

    def _towards_light(self, length: float) -> tuple[float, float]:
        """A table vector of `length` that points right and down on the picture (negative: to the light)."""
        return length * (self.cos + self.sin), length * (self.cos - self.sin)

    def wobble(
        self,
        rng: np.random.Generator,
        x: float,
        y: float,
        r: float,
        color: Color,
        z: float = 0.0,
        rough: float = 0.12,
        alpha: int = 255,
    ) -> None:
        """A flat blot with an uneven edge."""
        radii = r * (1 + rough * rng.uniform(-1, 1, 14))
        radii = (radii + np.roll(radii, 1)) / 2
        self.polygon(_CIRCLE[::2] * radii[:, None] + (x, y), color, z, alpha)

    # --- solid shapes ---------------------------------------------------------------------------------------

    def cylinder(
        self, x: float, y: float, r0: float, z0: float, r1: float, z1: float, side: Color, top: Color | None = None
    ) -> None:
        """An upright cup, tower or frustum from radius r0 at z0 to r1 at z1, lit from the left."""
        low, high = self.project([(x, y)], z0)[0], self.project([(x, y)], z1)[0]
        angles = np.linspace(0, math.pi, 13)
        flat = np.stack([np.cos(angles), self.tilt * np.sin(angles)], axis=1) * self.unit
        self.disc(x, y, r0, shade(side, 0.6), z0)
        self.disc(x, y, r1, shade(side, 0.8), z1)
        for k in range(12):
            light = 0.62 + 0.55 * max(0.0, math.cos(angles[k] - 2.3))
            quad = np.stack([low + flat[k] * r0, low + flat[k + 1] * r0, high + flat[k + 1] * r1, high + flat[k] * r1])
            self.paint(quad, shade(side, light))
        if top is not None:
            self.disc(x, y, r1, top, z1)

    def dome(self, x: float, y: float, r: float, height: float, color: Color, z: float = 0.0, steps: int = 8) -> None:
        """A rounded heap: a bun, a scoop, a mound of rice."""
        for step in range(steps):
            share = step / (steps - 1)
            radius = r * math.sqrt(max(0.0, 1 - (0.94 * share) ** 2))
            dx, dy = self._towards_light(-0.10 * r * share)
            self.disc(x + dx, y + dy, radius, shade(color, 0.66 + 0.56 * share), z + height * share)

    def ball(self, x: float, y: float, r: float, color: Color, z: float = 0.0, gloss: int = 150) -> None:
        """A small round thing, seen as a circle from anywhere."""
        cx, cy = self.project([(x, y)], z + r)[0]
        p = r * self.unit
        for size, move, light in ((1.0, 0.0, 0.68), (0.84, 0.10, 0.95), (0.55, 0.22, 1.12)):
            box = [cx - p * (size + move), cy - p * (size + move), cx + p * (size - move), cy + p * (size - move)]
            self.pen.ellipse(box, fill=(*shade(color, light), 255))
        self.pen.ellipse([cx - p * 0.5, cy - p * 0.55, cx - p * 0.18, cy - p * 0.25], fill=(255, 255, 255, gloss))

    def slab(
        self, points: Sequence[tuple[float, float]] | np.ndarray, z0: float, z1: float, side: Color, top: Color
    ) -> None:
        """A flat solid with a convex outline: cake, toast, tofu. Faces towards the viewer are shaded by direction."""
        low, high = self.project(points, z0), self.project(points, z1)
        middle = low.mean(axis=0)
        self.paint(low, shade(side, 0.5))
        for k in range(len(low)):
            n = (k + 1) % len(low)
            outward = (low[k] + low[n]) / 2 - middle
            if outward[1] > 0 or self.tilt < 0.999:
                light = 0.72 - 0.25 * outward[0] / (np.hypot(*outward) + 1e-9)
                if outward[1] > -1e-6:
                    self.paint(np.stack([low[k], low[n], high[n], high[k]]), shade(side, light))
        self.paint(high, top)

    def box(
        self, x: float, y: float, w: float, d: float, z0: float, z1: float, side: Color, top: Color, angle: float = 0.0
    ) -> None:
        """A slab of width w and depth d."""
        self.slab(
            turned([(-w / 2, -d / 2), (w / 2, -d / 2), (w / 2, d / 2), (-w / 2, d / 2)], x, y, angle), z0, z1, side, top
        )

    def tube(self, points: np.ndarray, width: float, color: Color, z: float = 0.0, outline: float = 0.6) -> None:
        """A noodle, chip or spear along (N, 2) points, with a dark edge and a lit back; width in table units."""
        pixels = self.project(points, z)
        w = max(1.0, width * self.unit)
        for size, move, tone in ((1.0, 0.0, outline), (0.72, 0.06, 1.0), (0.26, 0.16, 1.28)):
            line = (pixels - move * w).ravel().tolist()
            self.pen.line(line, fill=(*shade(color, tone), 255), width=max(1, round(w * size)), joint="curve")
            if size > 0.5:
                for cx, cy in (pixels[0] - move * w, pixels[-1] - move * w):
                    h = w * size / 2
                    self.pen.ellipse([cx - h, cy - h, cx + h, cy + h], fill=(*shade(color, tone), 255))

    def leaf(
        self, x: float, y: float, length: float, angle: float, color: Color, z: float = 0.0, plump: float = 0.36
    ) -> None:
        """A pointed leaf with a vein."""
        t = np.linspace(0, 1, 7)
        edge = plump * length * np.sin(math.pi * t) ** 0.8
        upper, lower = np.stack([t * length, edge], 1), np.stack([t[::-1] * length, -edge[::-1]], 1)
        outline = turned(np.concatenate([upper, lower]) - (length / 2, 0), x, y, angle)
        self.polygon(outline, shade(color, 0.75), z)
        self.polygon(
            turned(np.concatenate([upper * (0.92, 0.75), lower * (0.92, 0.2)]) - (length / 2, 0), x, y, angle),
            shade(color, 1.12),
            z + 0.01,
        )

    # --- soft things ----------------------------------------------------------------------------------------

    def shadow(
        self, x: float, y: float, r: float, strength: float = 0.5, *, ry: float | None = None, angle: float = 0.0
    ) -> None:
        """A soft dark blot on the table, thrown to the lower right."""
        quarter = Image.new("L", (self.width // 4, self.height // 4))
        dx, dy = self._towards_light(0.09 * r)
        ring = _CIRCLE * (r * 1.04, (r if ry is None else ry) * 1.04)
        pixels = self.project(turned(ring, x + dx, y + dy, angle)) / 4
        ImageDraw.Draw(quarter).polygon(pixels.ravel().tolist(), fill=int(255 * strength))
        soft = quarter.filter(ImageFilter.GaussianBlur(0.012 * self.unit)).resize(
            self.image.size, Image.Resampling.BILINEAR
        )
        self.image.paste((18, 12, 10), (0, 0), soft)

    def soften(self, radius: float) -> None:
        """Blur what was drawn so far (pixels of the finished photo): the background falls out of focus."""
        self.image.paste(self.image.filter(ImageFilter.BoxBlur(radius * SUPERSAMPLING)))

    def finished(self) -> Image.Image:
        """The picture at its final size."""
        return self.image.reduce(SUPERSAMPLING)


def turned(points: Sequence[tuple[float, float]] | np.ndarray, x: float, y: float, angle: float) -> np.ndarray:
    """The points turned by `angle` radians about the origin, then moved to (x, y)."""
    xy = np.asarray(points, dtype=float)
    c, s = math.cos(angle), math.sin(angle)
    return np.stack([x + c * xy[:, 0] - s * xy[:, 1], y + s * xy[:, 0] + c * xy[:, 1]], axis=1)


def scatter(rng: np.random.Generator, count: int, radius: float, apart: float = 0.0) -> list[tuple[float, float]]:
    """Up to `count` random points within `radius`, no two nearer than `apart`."""
    found: list[tuple[float, float]] = []
    for _ in range(count * 6):
        r, a = radius * math.sqrt(rng.random()), rng.uniform(0, 2 * math.pi)
        point = (r * math.cos(a), r * math.sin(a))
        if all(math.dist(point, other) >= apart for other in found):
            found.append(point)
        if len(found) == count:
            break
    return sorted(found, key=lambda p: p[1])
