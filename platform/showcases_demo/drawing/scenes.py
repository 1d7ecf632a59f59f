"""Places: dining room, front, menu board, terrace, bar, kitchen; drawn flat in a unit square, x right, y down."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from showcases_demo.drawing.lettering import write
from showcases_demo.drawing.stage import Color, Stage, jitter, mix, shade
from showcases_demo.drawing.tableware import HUES
from showcases_demo.model import Decor


class Flat:
    """Rectangles and ovals in a unit square that covers the picture, zoomed about its middle."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        side, zoom = max(stage.width, stage.height), stage.unit / (0.40 * min(stage.width, stage.height))
        self.scale = side * max(1.0, 0.9 + 0.14 * zoom)
        self.origin = (stage.center[0] - self.scale / 2, stage.center[1] - self.scale / 2)

    def at(self, x: float, y: float) -> tuple[float, float]:
        return self.origin[0] + x * self.scale, self.origin[1] + y * self.scale

    def rect(self, x0: float, y0: float, x1: float, y1: float, color: Color, alpha: int = 255) -> None:
        self.stage.pen.rectangle([*self.at(x0, y0), *self.at(x1, y1)], fill=(*color, alpha))

    def oval(self, x: float, y: float, rx: float, ry: float, color: Color, alpha: int = 255) -> None:
        self.stage.pen.ellipse([*self.at(x - rx, y - ry), *self.at(x + rx, y + ry)], fill=(*color, alpha))

    def shape(self, points: Sequence[tuple[float, float]], color: Color, alpha: int = 255) -> None:
        self.stage.pen.polygon([v for x, y in points for v in self.at(x, y)], fill=(*color, alpha))

    def fade(self, y0: float, y1: float, top: Color, bottom: Color) -> None:
        """A vertical gradient over the whole width."""
        for k in range(10):
            step = (y1 - y0) / 10
            self.rect(-0.5, y0 + k * step, 1.5, y0 + (k + 1.2) * step, mix(top, bottom, k / 9))

    def glow(self, x: float, y: float, r: float, color: Color = (255, 226, 150)) -> None:
        for k in range(5):
            self.oval(x, y, r * (1 - 0.18 * k), r * (1 - 0.18 * k), color, 26)


def room(stage: Stage, rng: np.random.Generator, decor: Decor) -> None:
    """Tables and chairs in rows under hanging lamps."""
    flat, wall, accent = Flat(stage), HUES[decor.wall], HUES[decor.accent]
    flat.fade(-0.5, 0.55, mix(wall, (250, 240, 222), 0.55), mix(wall, (250, 240, 222), 0.35))
    flat.fade(0.55, 1.5, (150, 106, 70), (104, 70, 46))
    for k in range(9):
        flat.shape(
            [
                (0.5 + (k - 4) * 0.1, 0.55),
                (0.5 + (k - 4) * 0.104, 0.55),
                (0.5 + (k - 4) * 0.4, 1.5),
                (0.5 + (k - 4) * 0.38, 1.5),
            ],
            (90, 60, 40),
            120,
        )
    for x in (0.12, 0.62):
        flat.rect(x, 0.2, x + 0.26, 0.44, (92, 66, 46))
        flat.rect(x + 0.015, 0.215, x + 0.245, 0.425, jitter(rng, (178, 208, 222), 0.1))
        flat.rect(x + 0.125, 0.215, x + 0.135, 0.425, (92, 66, 46))
    for x in (0.25, 0.5, 0.75):
        flat.rect(x - 0.004, -0.5, x + 0.004, 0.12, (50, 40, 34))
        flat.glow(x, 0.17, 0.14)
        flat.shape([(x - 0.07, 0.17), (x + 0.07, 0.17), (x + 0.03, 0.1), (x - 0.03, 0.1)], shade(accent, 0.85))
        flat.oval(x, 0.17, 0.035, 0.02, (255, 244, 200))
    for y, size, xs in ((0.56, 0.1, (0.2, 0.5, 0.8)), (0.76, 0.17, (0.22, 0.78))):
        for x in xs:
            for side in (-1, 1):
                cx = x + side * size * 1.05
                flat.rect(
                    cx - size * 0.28,
                    y - size * 0.75,
                    cx + size * 0.28,
                    y + size * 0.25,
                    shade(accent, 0.9 + 0.1 * side),
                )
                flat.rect(cx - size * 0.34, y + size * 0.2, cx + size * 0.34, y + size * 0.4, shade(accent, 0.7))
                for leg in (-0.28, 0.22):
                    flat.rect(cx + leg * size, y + size * 0.4, cx + (leg + 0.08) * size, y + size * 0.95, (62, 42, 30))
            flat.rect(x - size * 0.07, y + size * 0.1, x + size * 0.07, y + size, (70, 48, 34))
            flat.oval(x, y + size * 0.08, size * 0.85, size * 0.26, (196, 182, 160))
            flat.oval(x, y + size * 0.02, size * 0.85, size * 0.26, (250, 244, 232))
            flat.oval(x, y, size * 0.2, size * 0.07, (226, 214, 196))
            flat.rect(x + size * 0.4, y - size * 0.2, x + size * 0.48, y, (170, 204, 180))


def front(stage: Stage, rng: np.random.Generator, decor: Decor) -> None:
    """The facade with awning, sign, window and door."""
    flat, wall, accent = Flat(stage), mix(HUES[decor.wall], (226, 208, 184), 0.55), HUES[decor.accent]
    flat.rect(-0.5, -0.5, 1.5, 1.5, wall)
    for row in range(24):
        y = -0.2 + row * 0.05
        flat.rect(-0.5, y, 1.5, y + 0.006, shade(wall, 0.86))
    flat.fade(0.88, 1.5, (168, 164, 160), (128, 124, 120))
    flat.rect(0.1, 0.1, 0.9, 0.27, shade(accent, 0.5))
    flat.rect(0.115, 0.115, 0.885, 0.255, shade(accent, 0.36))
    write(stage, decor.sign, flat.at(0.5, 0.185), 0.105 * flat.scale, (255, 238, 200))
    flat.rect(0.1, 0.38, 0.6, 0.84, (70, 52, 40))
    flat.rect(0.12, 0.4, 0.58, 0.82, (255, 220, 150))
    for x in (0.2, 0.35, 0.5):
        flat.oval(x, 0.7, 0.07, 0.025, (120, 84, 58))
        flat.glow(x, 0.5, 0.08, (255, 246, 200))
    flat.shape([(0.12, 0.82), (0.3, 0.4), (0.38, 0.4), (0.2, 0.82)], (255, 255, 255), 60)
    flat.rect(0.66, 0.38, 0.88, 0.9, shade(accent, 0.55))
    flat.rect(0.69, 0.42, 0.85, 0.68, (255, 226, 166))
    flat.oval(0.855, 0.72, 0.014, 0.014, (232, 198, 92))
    for k in range(10):
        x0, x1 = 0.05 + 0.09 * k, 0.05 + 0.09 * (k + 1)
        color = accent if k % 2 else (250, 246, 238)
        flat.shape([(x0 * 0.94 + 0.03, 0.3), (x1 * 0.94 + 0.03, 0.3), (x1, 0.42), (x0, 0.42)], color)
        flat.oval((x0 + x1) / 2, 0.42, 0.045, 0.03, shade(color, 0.9))
    for x in (0.06, 0.62, 0.93):
        flat.rect(x - 0.035, 0.84, x + 0.035, 0.92, (168, 90, 58))
        for _ in range(7):
            flat.oval(
                x + float(rng.uniform(-0.05, 0.05)),
                0.8 + float(rng.uniform(-0.05, 0.03)),
                0.03,
                0.03,
                jitter(rng, (74, 134, 64), 0.2),
            )


def menu(stage: Stage, rng: np.random.Generator, decor: Decor) -> None:
    """A chalk board or a printed card with lines of dishes and prices."""
    flat, accent = Flat(stage), HUES[decor.accent]
    chalk = rng.random() < 0.5
    flat.fade(-0.5, 1.5, (176, 140, 102), (128, 94, 66))
    flat.rect(0.12, 0.06, 0.88, 0.96, (20, 14, 10), 90)
    flat.rect(0.1, 0.03, 0.9, 0.95, accent)
    paper, ink = ((44, 52, 50), (238, 238, 230)) if chalk else ((252, 246, 232), (72, 54, 44))
    flat.rect(0.135, 0.065, 0.865, 0.915, paper)
    write(stage, "MENU", flat.at(0.5, 0.16), 0.13 * flat.scale, accent if not chalk else (255, 222, 120))
    flat.rect(0.25, 0.235, 0.75, 0.243, ink)
    for row in range(9):
        y = 0.285 + 0.066 * row
        if row % 5 == 0:
            flat.rect(0.38, y, 0.62, y + 0.026, accent if not chalk else (160, 210, 190))
            continue
        x = 0.19
        while x < 0.55 + float(rng.uniform(-0.08, 0.08)):
            w = float(rng.uniform(0.04, 0.11))
            flat.rect(x, y, x + w, y + 0.02, ink, 220)
            x += w + 0.02
        flat.rect(0.74, y, 0.81, y + 0.02, ink, 220)


def terrace(stage: Stage, rng: np.random.Generator, decor: Decor) -> None:
    """Umbrellas over tables, sky and trees."""
    flat, accent = Flat(stage), HUES[decor.accent]
    flat.fade(-0.5, 0.5, (116, 176, 228), (206, 230, 244))
    for _ in range(26):
        x, y = float(rng.uniform(-0.1, 1.1)), float(rng.uniform(0.36, 0.5))
        flat.oval(x, y, 0.09, 0.08, jitter(rng, (84, 142, 72), 0.2))
    flat.fade(0.52, 1.5, (214, 196, 168), (176, 152, 124))
    for k in range(7):
        flat.rect(-0.5, 0.54 + 0.03 * k * (1 + 0.35 * k), 1.5, 0.545 + 0.03 * k * (1 + 0.35 * k), (160, 138, 112), 130)
    for x, y, s in ((0.28, 0.52, 0.75), (0.78, 0.56, 0.8), (0.5, 0.72, 1.15)):
        flat.oval(x, y + 0.19 * s, 0.24 * s, 0.05 * s, (60, 46, 36), 90)
        flat.rect(x - 0.01 * s, y - 0.32 * s, x + 0.01 * s, y + 0.18 * s, (236, 228, 214))
        for side in (-1, 1):
            cx = x + 0.2 * s * side
            flat.rect(cx - 0.05 * s, y - 0.08 * s, cx + 0.05 * s, y + 0.06 * s, (128, 88, 56))
            flat.rect(cx - 0.055 * s, y + 0.05 * s, cx + 0.055 * s, y + 0.075 * s, (104, 70, 44))
            flat.rect(cx - 0.045 * s, y + 0.07 * s, cx - 0.03 * s, y + 0.18 * s, (80, 54, 36))
            flat.rect(cx + 0.03 * s, y + 0.07 * s, cx + 0.045 * s, y + 0.18 * s, (80, 54, 36))
        flat.oval(x, y + 0.02 * s, 0.15 * s, 0.042 * s, (250, 246, 238))
        for k in range(6):
            x0, x1 = x + (-0.3 + 0.1 * k) * s, x + (-0.2 + 0.1 * k) * s
            flat.shape(
                [(x, y - 0.44 * s), (x0, y - 0.26 * s), (x1, y - 0.26 * s)], accent if k % 2 else shade(accent, 1.5)
            )
            flat.oval(
                (x0 + x1) / 2, y - 0.26 * s, 0.05 * s, 0.02 * s, shade(accent, 0.85) if k % 2 else shade(accent, 1.4)
            )


def bar(stage: Stage, rng: np.random.Generator, decor: Decor) -> None:
    """Shelves of bottles behind a counter, stools before it."""
    flat, accent = Flat(stage), HUES[decor.accent]
    flat.fade(-0.5, 0.65, (62, 44, 40), (88, 60, 48))
    for shelf in range(3):
        y = 0.2 + 0.18 * shelf
        flat.rect(0.04, y - 0.15, 0.96, y, (252, 206, 130), 60)
        x = 0.07
        while x < 0.92:
            w, h = float(rng.uniform(0.028, 0.045)), float(rng.uniform(0.08, 0.11))
            tone = ((52, 112, 70), (166, 84, 36), (206, 220, 226), (132, 36, 50), (222, 172, 60), (60, 92, 150))[
                int(rng.integers(6))
            ]
            flat.rect(x, y - h, x + w, y, tone)
            flat.rect(x + w * 0.3, y - h - 0.035, x + w * 0.7, y - h, shade(tone, 0.8))
            flat.rect(x, y - h * 0.65, x + w, y - h * 0.3, (246, 236, 214))
            flat.rect(x + w * 0.12, y - h, x + w * 0.28, y, (255, 255, 255), 80)
            x += w + 0.016
        flat.rect(0.02, y, 0.98, y + 0.018, (136, 92, 58))
    for x in (0.2, 0.5, 0.8):
        flat.glow(x, 0.06, 0.16)
        flat.oval(x, 0.04, 0.035, 0.035, (255, 240, 190))
    flat.rect(-0.5, 0.64, 1.5, 0.7, (184, 126, 78))
    flat.fade(0.7, 1.5, (112, 72, 48), (66, 42, 32))
    for x in (0.16, 0.39, 0.62, 0.85):
        flat.rect(x - 0.008, 0.8, x + 0.008, 1.1, (190, 186, 180))
        flat.oval(x, 0.8, 0.085, 0.03, shade(accent, 0.65))
        flat.oval(x, 0.785, 0.085, 0.03, accent)


def kitchen(stage: Stage, rng: np.random.Generator, decor: Decor) -> None:
    """Tiles, a hood, a cook in white, pots on the fire."""
    flat, accent = Flat(stage), HUES[decor.accent]
    tile = mix(HUES[decor.wall], (232, 226, 214), 0.6)
    flat.rect(-0.5, -0.5, 1.5, 0.7, tile)
    for k in range(16):
        flat.rect(-0.5, 0.07 * k, 1.5, 0.07 * k + 0.006, shade(tile, 0.82))
        flat.rect(0.09 * k - 0.2, -0.5, 0.09 * k - 0.194, 0.7, shade(tile, 0.82))
    flat.shape([(0.52, 0.1), (0.96, 0.1), (1.06, 0.25), (0.42, 0.25)], (118, 126, 134))
    flat.rect(0.42, 0.25, 1.06, 0.28, (92, 98, 106))
    flat.rect(0.63, -0.5, 0.85, 0.11, (140, 148, 156))
    flat.glow(0.74, 0.32, 0.26)
    for k, hook in enumerate((0.48, 0.6, 0.74, 0.88)):
        flat.rect(hook, 0.28, hook + 0.01, 0.36, (70, 70, 74))
        flat.oval(hook + 0.005, 0.385, 0.034, 0.034, ((176, 96, 58), (66, 68, 74))[k % 2])
    _cook(flat, 0.24 + float(rng.uniform(-0.04, 0.06)), accent)
    flat.fade(0.7, 1.5, (150, 156, 162), (78, 84, 92))
    flat.rect(-0.5, 0.69, 1.5, 0.72, (206, 210, 214))
    for px, tone in ((0.54, (62, 66, 74)), (0.82, (188, 98, 58))):
        for k in range(6):
            x = px - 0.1 + 0.035 * k
            flat.shape([(x, 0.71), (x + 0.035, 0.71), (x + 0.018, 0.65)], ((246, 150, 40), (86, 140, 240))[k % 2])
        flat.rect(px - 0.11, 0.54, px + 0.11, 0.67, tone)
        flat.rect(px - 0.085, 0.54, px - 0.055, 0.67, shade(tone, 1.4))
        flat.rect(px - 0.15, 0.57, px + 0.15, 0.59, shade(tone, 0.7))
        flat.oval(px, 0.54, 0.11, 0.028, shade(tone, 1.25))
        flat.oval(px, 0.54, 0.09, 0.02, (206, 122, 50))
        for k in range(4):
            flat.oval(px + 0.02 * (-1) ** k, 0.48 - 0.06 * k, 0.05, 0.04, (255, 255, 255), 64)


def _cook(flat: Flat, x: float, accent: Color) -> None:
    white, skin = (250, 250, 246), (226, 172, 134)
    flat.shape([(x - 0.15, 0.8), (x - 0.13, 0.48), (x + 0.13, 0.48), (x + 0.15, 0.8)], white)
    flat.shape([(x + 0.07, 0.49), (x + 0.14, 0.5), (x + 0.29, 0.6), (x + 0.25, 0.66)], (232, 232, 228))
    flat.oval(x + 0.28, 0.635, 0.032, 0.032, skin)
    flat.rect(x - 0.005, 0.54, x + 0.005, 0.8, (206, 206, 202))
    for y in (0.58, 0.65):
        flat.oval(x - 0.045, y, 0.011, 0.011, accent)
        flat.oval(x + 0.045, y, 0.011, 0.011, accent)
    flat.oval(x, 0.4, 0.068, 0.088, skin)
    flat.shape([(x - 0.07, 0.48), (x + 0.07, 0.48), (x, 0.56)], accent)
    flat.oval(x - 0.026, 0.4, 0.009, 0.011, (50, 34, 28))
    flat.oval(x + 0.026, 0.4, 0.009, 0.011, (50, 34, 28))
    flat.shape([(x - 0.03, 0.44), (x + 0.03, 0.44), (x, 0.458)], (150, 70, 60))
    flat.rect(x - 0.068, 0.24, x + 0.068, 0.345, white)
    flat.rect(x - 0.068, 0.325, x + 0.068, 0.345, (216, 216, 212))
    for dx in (-0.055, 0.0, 0.055):
        flat.oval(x + dx, 0.225, 0.055, 0.055, white)
