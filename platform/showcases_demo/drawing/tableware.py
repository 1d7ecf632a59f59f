"""What lies under and beside the food: tables, plates, bowls, and the small things people leave in the frame."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from showcases_demo.drawing.stage import Color, Stage, mix, shade

PLATES: dict[str, Color] = {
    "white": (244, 243, 238),
    "cream": (236, 221, 190),
    "black": (52, 50, 54),
    "blue": (66, 110, 158),
    "terracotta": (190, 102, 66),
    "green": (112, 148, 106),
}
HUES: dict[str, Color] = {
    "red": (196, 52, 46),
    "blue": (52, 96, 168),
    "green": (62, 132, 78),
    "yellow": (236, 188, 56),
    "teal": (38, 142, 142),
    "purple": (122, 72, 150),
    "orange": (232, 124, 44),
    "pink": (230, 128, 158),
}
TABLES: dict[str, Color] = {
    "oak": (198, 152, 100),
    "walnut": (104, 66, 44),
    "marble": (226, 224, 220),
    "linen": (214, 202, 182),
    "checkered": (238, 232, 224),
    "slate": (74, 80, 88),
}


def table(stage: Stage, rng: np.random.Generator, kind: str, accent: str) -> None:
    """Fill the picture with a table top, from a small noise image that is stretched along the grain."""
    base = np.array(TABLES[kind], dtype=float)
    h, w = 64, 64
    if kind in ("oak", "walnut"):
        grain = rng.normal(0, 1, (h, 4)).repeat(w // 4, axis=1) * 0.05 + rng.normal(0, 0.02, (h, w))
        planks = np.repeat(rng.normal(0, 0.09, 4), h // 4)[:, None]
        light = 1 + grain + planks
        light[:: h // 4] *= 0.7
    elif kind == "checkered":
        step = int(rng.integers(5, 8))
        light = np.ones((h, w))
    elif kind == "marble":
        y, x = np.mgrid[0:h, 0:w]
        veins = np.abs(np.sin(x / rng.uniform(5, 9) + y / rng.uniform(6, 12) + 1.5 * np.sin(y / 7 + rng.uniform(0, 6))))
        light = 1 - 0.16 * (veins < 0.12) + rng.normal(0, 0.01, (h, w))
    else:
        light = 1 + rng.normal(0, 0.035, (h, w))
    pixels = base * light[..., None]
    if kind == "checkered":
        y, x = np.mgrid[0:h, 0:w]
        cells = ((x // step) % 2).astype(float) + ((y // step) % 2)
        pixels = pixels * (1 - cells[..., None] / 2) + np.array(HUES[accent]) * cells[..., None] / 2
    small = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    if rng.random() < 0.5:
        small = small.transpose(Image.Transpose.ROTATE_90)
    resample = Image.Resampling.NEAREST if kind == "checkered" else Image.Resampling.BILINEAR
    side = max(stage.width, stage.height)
    stage.image.paste(small.resize((side, side), resample))


def plate(stage: Stage, color: Color, r: float = 1.0, square: bool = False) -> float:
    """A plate; returns the height of its well."""
    stage.shadow(0, 0, r, 0.55)
    if square:
        stage.box(0, 0, 1.8 * r, 1.5 * r, 0, 0.07, shade(color, 0.85), shade(color, 0.97))
        stage.box(0, 0, 1.6 * r, 1.3 * r, 0.07, 0.071, color, shade(color, 1.06))
        return 0.07
    stage.cylinder(0, 0, 0.7 * r, 0, r, 0.11, shade(color, 0.85), shade(color, 1.1))
    stage.disc(0, 0, 0.965 * r, shade(color, 0.94), 0.11)
    stage.disc(0, 0, 0.73 * r, shade(color, 0.78), 0.09)
    stage.pool(0, 0.01, 0.71 * r, color, 0.07, edge=0.92, lit=1.12)
    return 0.07


def bowl(stage: Stage, color: Color, r: float = 0.92, depth: float = 0.55) -> float:
    """A deep bowl; returns the height of the surface of its content (radius 0.86 r)."""
    stage.shadow(0, 0, 0.8 * r, 0.6)
    stage.cylinder(0, 0, 0.5 * r, 0, r, depth, color, shade(color, 1.12))
    stage.disc(0, 0, 0.94 * r, shade(color, 0.62), depth)
    stage.disc(0, 0.02, 0.9 * r, shade(color, 0.8), depth - 0.05)
    return depth - 0.07


def board(stage: Stage, w: float = 2.0, d: float = 1.3, color: Color = (158, 108, 66)) -> float:
    """A wooden serving board; returns the height of its top."""
    stage.shadow(0, 0, 0.55 * w, 0.55, ry=0.6 * d)
    stage.box(0, 0, w, d, 0, 0.09, color, shade(color, 1.1))
    for k in range(1, 6):
        y = -d / 2 + d * k / 6
        stage.polygon([(-w / 2, y), (w / 2, y), (w / 2, y + 0.02), (-w / 2, y + 0.015)], shade(color, 0.85), 0.09)
    return 0.09


# --- props ------------------------------------------------------------------------------------------------------


def fork(stage: Stage, x: float) -> None:
    """A steel fork beside the plate."""
    steel = (200, 202, 206)
    stage.tube(np.array([(x, 0.9), (x, -0.2)]), 0.07, steel, 0.02)
    for k in (-1, 0, 1):
        stage.tube(np.array([(x + 0.055 * k, -0.18), (x + 0.06 * k, -0.62)]), 0.035, steel, 0.02)


def chopsticks(stage: Stage, x: float) -> None:
    """Two lacquered sticks."""
    for k in (0, 1):
        stage.tube(np.array([(x + 0.1 * k, 0.95), (x - 0.06 + 0.05 * k, -0.85)]), 0.05, (150, 42, 36), 0.03)


def napkin(stage: Stage, x: float, color: Color) -> None:
    """A folded napkin."""
    stage.polygon([(x - 0.22, -0.6), (x + 0.25, -0.5), (x + 0.2, 0.62), (x - 0.26, 0.5)], shade(color, 0.85))
    stage.polygon([(x - 0.2, -0.56), (x + 0.22, -0.47), (x + 0.0, 0.5), (x - 0.24, 0.46)], shade(color, 1.15), 0.02)


def glass(stage: Stage, x: float) -> None:
    """A glass of water with a slice of lemon."""
    stage.shadow(x, -0.75, 0.25, 0.35)
    stage.cylinder(x, -0.75, 0.2, 0, 0.25, 0.6, (176, 204, 214), (206, 226, 232))
    stage.disc(x, -0.75, 0.2, (150, 188, 204), 0.58)
    stage.disc(x + 0.03, -0.73, 0.1, (242, 216, 84), 0.6)


def phone(stage: Stage, x: float) -> None:
    """A phone, face up."""
    stage.box(x, 0.45, 0.42, 0.85, 0, 0.05, (30, 30, 34), (34, 36, 44), 0.15)
    stage.box(x, 0.45, 0.36, 0.74, 0.05, 0.051, (70, 92, 130), (78, 104, 150), 0.15)


def plant(stage: Stage, x: float) -> None:
    """A little pot with leaves."""
    stage.shadow(x, -0.8, 0.25, 0.35)
    stage.cylinder(x, -0.8, 0.18, 0, 0.24, 0.3, (186, 98, 64), (90, 60, 40))
    for k in range(9):
        a = k * 0.7
        stage.leaf(x + 0.16 * math.cos(a), -0.8 + 0.16 * math.sin(a), 0.34, a, (84, 146, 74), 0.34)


def lay_prop(stage: Stage, rng: np.random.Generator, prop: str, accent: str) -> None:
    """Put the prop left or right of the plate."""
    side = -1.0 if rng.random() < 0.5 else 1.0
    x = side * float(rng.uniform(1.12, 1.25))
    if prop == "napkin":
        napkin(stage, x, mix(HUES[accent], (240, 235, 225), 0.25))
    elif prop:
        {"fork": fork, "chopsticks": chopsticks, "glass": glass, "phone": phone, "plant": plant}[prop](stage, x)
