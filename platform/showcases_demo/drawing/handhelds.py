"""What is eaten with the hands: burger, hot dog, sandwich, tacos, fries, sushi."""

from __future__ import annotations

import math

import numpy as np

from showcases_demo.drawing.garnish import chives, shrimps, zigzag
from showcases_demo.drawing.stage import Color, Stage, jitter, scatter, shade, turned
from showcases_demo.drawing.tableware import PLATES, board, plate
from showcases_demo.model import Decor

BUN, LETTUCE, TOMATO, CHEESE = (218, 148, 70), (120, 178, 66), (216, 54, 40), (252, 190, 44)


def burger(stage: Stage, rng: np.random.Generator, variant: str, decor: Decor) -> None:
    """A tall burger on a board."""
    z = board(stage, 1.9, 1.2)
    stage.disc(0.06, 0.08, 0.72, (60, 36, 20), z + 0.001, alpha=110)
    stage.cylinder(0, 0, 0.62, z, 0.66, z + 0.2, BUN, (246, 214, 150))
    stage.wobble(rng, 0, 0.02, 0.74, shade(LETTUCE, 0.75), z + 0.22, 0.16)
    stage.wobble(rng, 0, 0, 0.72, LETTUCE, z + 0.26, 0.18)
    stage.cylinder(0, 0, 0.66, z + 0.27, 0.66, z + 0.46, (104, 58, 36), (116, 68, 44))
    z += 0.47
    if variant == "cheese":
        stage.polygon(
            turned([(-0.62, -0.62), (0.62, -0.62), (0.62, 0.62), (-0.62, 0.62)], 0, 0, 0.78),
            shade(CHEESE, 0.85),
            z - 0.03,
        )
        stage.polygon(turned([(-0.58, -0.58), (0.58, -0.58), (0.58, 0.58), (-0.58, 0.58)], 0, 0, 0.78), CHEESE, z)
        for x in (-0.42, 0.02, 0.4):
            stage.tube(
                np.array([(x, math.sqrt(max(0.0, 0.42 - x * x)) + 0.02), (x, 0.8)]), 0.13, CHEESE, z - 0.06, 0.85
            )
    elif variant == "bacon":
        for k in range(4):
            t = np.linspace(-0.86, 0.86, 9)
            y = 0.52 - 0.26 * k
            path = np.stack([t, y + 0.05 * np.sin(9 * t + k)], axis=1)
            stage.tube(path, 0.17, (168, 52, 38), z, 0.65)
            stage.tube(path, 0.05, (244, 190, 160), z + 0.02, 0.9)
    else:
        for x, y in ((-0.36, -0.2), (0.36, -0.2), (-0.32, 0.28), (0.34, 0.26)):
            stage.cylinder(x, y, 0.38, z, 0.38, z + 0.1, TOMATO, (238, 104, 80))
        z += 0.06
    stage.wobble(rng, 0, 0, 0.66, LETTUCE, z + 0.07, 0.14)
    stage.dome(0, 0, 0.69, 0.5, BUN, z + 0.1, 11)
    for x, y in scatter(rng, 24, 0.5, 0.1):
        h = 0.5 * math.sqrt(max(0.0, 1 - (math.hypot(x, y) / 0.7) ** 2))
        stage.disc(x, y, 0.036, (255, 240, 204), z + 0.12 + h, ry=0.022, angle=x * 9)


def hotdog(stage: Stage, rng: np.random.Generator, variant: str, decor: Decor) -> None:
    """A sausage in a split bun."""
    z = board(stage, 2.1, 1.0)
    for y, width in ((-0.17, 0.4), (0.19, 0.44)):
        stage.tube(np.array([(-0.72, y), (0.72, y)]), width, BUN, z + 0.16, 0.72)
    t = np.linspace(-0.84, 0.84, 9)
    stage.tube(np.stack([t, 0.03 * np.cos(2 * t)], axis=1), 0.32, (186, 76, 46), z + 0.28, 0.6)
    if variant == "onions":
        for x, y in scatter(rng, 60, 0.7):
            stage.wobble(rng, x, 0.2 * y, 0.06, jitter(rng, (214, 158, 76), 0.2), z + 0.4, 0.4)
    else:
        zigzag(stage, 1.4, 0.12, 6, (246, 196, 32) if variant == "mustard" else (204, 28, 22), z + 0.42)


def sandwich(stage: Stage, rng: np.random.Generator, variant: str, decor: Decor) -> None:
    """Two toasted triangles."""
    z = plate(stage, PLATES[decor.plate])
    filling = {"ham": (236, 140, 142), "egg": (250, 206, 70), "tomato": TOMATO}[variant]
    for x, y, angle in ((-0.16, -0.26, 0.0), (0.1, 0.3, 0.16)):
        corner = turned([(-0.62, -0.3), (0.62, -0.3), (0.0, 0.36)], x, y, angle)
        layers = [
            ((222, 166, 96), 0.12),
            (LETTUCE, 0.05),
            (filling, 0.15),
            ((252, 236, 196), 0.04),
            (filling, 0.08),
            ((222, 166, 96), 0.12),
        ]
        h = z
        for k, (color, thick) in enumerate(layers):
            grown = turned((corner - (x, y)) * (1.0 if k in (0, 5) else 1.06), x, y, 0)
            stage.slab([tuple(p) for p in grown], h, h + thick, color, shade(color, 1.05))
            h += thick
        stage.polygon(turned((corner - (x, y)) * 0.86, x, y, 0), (240, 200, 134), h + 0.002)
        for u, v in scatter(rng, 8, 0.26):
            stage.wobble(rng, x + u, y - 0.08 + v * 0.7, 0.05, (206, 150, 84), h + 0.004, 0.4)
        stage.ball(x, y - 0.05, 0.07, (124, 148, 52), h)


def tacos(stage: Stage, rng: np.random.Generator, variant: str, decor: Decor) -> None:
    """Three half-moon shells one behind the other, filled to the brim."""
    z = board(stage, 2.1, 1.4)
    for x, y in ((-0.28, -0.42), (0.3, -0.02), (-0.22, 0.4)):
        stage.disc(x + 0.05, y + 0.06, 0.66, (60, 36, 18), z + 0.001, ry=0.2, alpha=120)
        _shell(stage, x, y - 0.12, z, 0.62, (196, 132, 54))
        _fill_taco(stage, rng, variant, x, y, z)
        _shell(stage, x, y + 0.12, z, 0.5, (230, 174, 82))
        for u, v in scatter(rng, 9, 0.42):
            px = stage.project([(x + u, y + 0.12)], z + 0.06 + abs(v) * 0.6)[0]
            size = stage.unit * float(rng.uniform(0.015, 0.035))
            stage.pen.ellipse([*(px - size), *(px + size)], fill=(190, 124, 44, 190))


def _shell(stage: Stage, x: float, y: float, z: float, height: float, color: Color) -> None:
    """One upright half of a taco, with a lit rim."""
    angles = np.linspace(0, math.pi, 16)
    for size, tone in ((1.0, 0.72), (0.95, 1.12), (0.88, 1.0)):
        arc = [stage.project([(x + 0.64 * size * math.cos(a), y)], z + height * size * math.sin(a))[0] for a in angles]
        stage.paint(np.array(arc), shade(color, tone))


def _fill_taco(stage: Stage, rng: np.random.Generator, variant: str, x: float, y: float, z: float) -> None:
    spots = [(x + float(u), z + 0.56 * math.sqrt(1 - (float(u) / 0.62) ** 2)) for u in np.linspace(-0.5, 0.5, 9)]
    for u, h in spots:
        stage.leaf(u, y, 0.34, float(rng.uniform(0, 6.28)), jitter(rng, (112, 172, 60), 0.2), h - 0.04, 0.45)
    for k, (u, h) in enumerate(spots):
        if variant == "beef":
            for _ in range(3):
                v = float(rng.uniform(-0.07, 0.07))
                stage.ball(u + v, y + v, 0.08, jitter(rng, (122, 66, 40), 0.2), h - 0.04, 60)
        elif variant == "corn":
            for _ in range(5):
                v = float(rng.uniform(-0.08, 0.08))
                stage.ball(u + v, y + float(rng.uniform(-0.1, 0.1)), 0.06, jitter(rng, (254, 208, 48)), h - 0.04)
        if k % 3 == 1:
            stage.ball(u + 0.05, y + 0.03, 0.065, TOMATO, h + 0.02)
    if variant == "shrimp":
        shrimps(stage, [(x - 0.32, y), (x, y), (x + 0.32, y)], z + 0.56)


def fries(stage: Stage, rng: np.random.Generator, variant: str, decor: Decor) -> None:
    """A heap of golden sticks on a plate, the version's sauce on or by it."""
    z = plate(stage, PLATES[decor.plate])
    for k in range(58):
        r, a = 0.5 * math.sqrt(rng.random()), rng.uniform(0, 6.28)
        x, y, turn = r * math.cos(a), r * math.sin(a) * 0.9, rng.uniform(0, 3.14)
        length = rng.uniform(0.24, 0.4)
        ends = turned([(-length, 0), (length, 0)], x, y, turn)
        stage.tube(ends, 0.095, jitter(rng, (244, 190, 74), 0.14), z + 0.05 + 0.32 * k / 58, 0.66)
    if variant == "ketchup":
        stage.cylinder(0.42, 0.44, 0.22, z, 0.27, z + 0.24, (236, 232, 226), (250, 248, 244))
        stage.pool(0.42, 0.44, 0.23, (206, 28, 20), z + 0.24)
    elif variant == "cheese":
        for x, y in scatter(rng, 9, 0.4, 0.16):
            stage.wobble(rng, x, y, 0.17, (248, 176, 30), z + 0.38, 0.35)
            stage.wobble(rng, x - 0.02, y - 0.02, 0.11, (255, 206, 80), z + 0.4, 0.3)
    else:
        chives(stage, rng, z + 0.38, 0.6, 30)
        for x, y in scatter(rng, 30, 0.6):
            stage.leaf(x, y, 0.11, x * 30, (56, 128, 46), z + 0.36, 0.5)


def sushi(stage: Stage, rng: np.random.Generator, variant: str, decor: Decor) -> None:
    """Two rows of nigiri and rolls on a wooden tray."""
    z = board(stage, 2.1, 1.4, (66, 46, 40))
    fish = {"salmon": (250, 132, 70), "tuna": (192, 40, 52), "avocado": (150, 190, 82)}[variant]
    for x in (-0.72, -0.24, 0.24, 0.72):
        stage.tube(np.array([(x, -0.52), (x, -0.16)]), 0.3, (250, 248, 242), z + 0.12, 0.78)
        stage.tube(np.array([(x, -0.56), (x, -0.08)]), 0.34, fish, z + 0.26, 0.8)
        for k in range(4):
            y = -0.52 + 0.13 * k
            ends = [(x - 0.13, y + 0.05), (x + 0.11, y - 0.04)]
            stage.pen.line(
                stage.project(ends, z + 0.3).ravel().tolist(),
                fill=(*shade(fish, 1.45), 235),
                width=max(2, int(0.03 * stage.unit)),
            )
    for x in (-0.72, -0.3, 0.12, 0.54):
        stage.cylinder(x, 0.36, 0.2, z, 0.2, z + 0.24, (26, 44, 34), (252, 250, 246))
        stage.disc(x, 0.36, 0.2, (26, 44, 34), z + 0.24)
        stage.disc(x, 0.36, 0.165, (252, 250, 246), z + 0.242)
        stage.disc(x, 0.36, 0.085, fish, z + 0.244)
    stage.dome(0.9, 0.34, 0.12, 0.14, (150, 196, 90), z)
    stage.wobble(rng, 0.88, 0.56, 0.12, (248, 190, 190), z + 0.03, 0.3)
