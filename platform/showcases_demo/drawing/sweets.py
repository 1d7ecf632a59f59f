"""What is sweet or poured: cake, pancakes, ice cream, donuts, croissant, coffee, cocktail, beer."""

from __future__ import annotations

import math

import numpy as np

from showcases_demo.drawing.garnish import slices
from showcases_demo.drawing.stage import Stage, jitter, mix, scatter, shade, turned
from showcases_demo.drawing.tableware import HUES, PLATES, plate
from showcases_demo.model import Decor

CHOCOLATE, PINK, CREAM = (84, 48, 32), (244, 150, 170), (254, 246, 230)
STRAWBERRY, BLUEBERRY, MINT = (216, 36, 48), (62, 70, 128), (80, 166, 72)


def strawberry(stage: Stage, x: float, y: float, z: float, r: float = 0.12) -> None:
    """A berry with its green top."""
    stage.ball(x, y, r, STRAWBERRY, z)
    for k in range(4):
        stage.leaf(x, y, r * 1.2, k * 0.8, (78, 150, 56), z + 1.9 * r, 0.3)


def cake(stage: Stage, rng: np.random.Generator, variant: str, decor: Decor) -> None:
    """A layered slice, its cut side to the viewer."""
    z = plate(stage, PLATES[decor.plate])
    sponge, icing = {
        "chocolate": ((104, 60, 38), CHOCOLATE),
        "strawberry": ((250, 206, 190), PINK),
        "lemon": ((252, 226, 132), (252, 220, 76)),
    }[variant]
    filling = (178, 120, 84) if variant == "chocolate" else CREAM
    wedge = turned([(-0.72, 0.26), (0.5, 0.44), (0.56, -0.36)], 0.05, 0.02, float(rng.uniform(-0.15, 0.15)))
    outline = [tuple(p) for p in wedge]
    stage.polygon(wedge * 1.06 + (0.05, 0.06), (40, 24, 16), z + 0.002, 110)
    h = z
    for color, thick in (
        (sponge, 0.16),
        (filling, 0.06),
        (sponge, 0.16),
        (filling, 0.06),
        (sponge, 0.14),
        (icing, 0.11),
    ):
        stage.slab(outline, h, h + thick, color, shade(color, 1.12))
        h += thick
    for k in range(3):
        x, y = wedge[1] * (0.9 - 0.42 * k) + wedge[2] * (0.1 + 0.1 * k) + wedge[0] * (0.32 * k)
        stage.dome(
            float(x) * 0.8, float(y) * 0.6, 0.11, 0.1, mix(icing, CREAM, 0.6 if variant != "chocolate" else 0.15), h, 5
        )
    if variant == "strawberry":
        strawberry(stage, 0.3, 0.06, h + 0.04, 0.16)
    elif variant == "lemon":
        slices(stage, 0.28, 0.08, 0.18, (240, 196, 30), (254, 240, 150), h + 0.1, 8)
    else:
        for x, y in scatter(rng, 7, 0.2, 0.06):
            stage.tube(turned([(-0.1, 0), (0.1, 0)], 0.26 + x, 0.06 + y, x * 20), 0.05, (60, 32, 22), h + 0.06)


def pancakes(stage: Stage, rng: np.random.Generator, variant: str, decor: Decor) -> None:
    """A stack with syrup."""
    z = plate(stage, PLATES[decor.plate])
    for _ in range(5):
        x, y = float(rng.uniform(-0.05, 0.05)), float(rng.uniform(-0.04, 0.04))
        stage.cylinder(x, y, 0.62, z, 0.64, z + 0.13, (246, 212, 142), (196, 124, 54))
        z += 0.135
    stage.pool(0, 0, 0.62, (204, 130, 56), z, edge=0.9, lit=1.12)
    stage.wobble(rng, 0, 0.02, 0.46, (146, 70, 18), z + 0.005, 0.2, alpha=220)
    for x in (-0.36, -0.05, 0.3):
        drop = float(rng.uniform(0.12, 0.4))
        front = math.sqrt(max(0.0, 0.4 - x * x))
        line = np.stack([stage.project([(x, front)], z)[0], stage.project([(x, front)], z - drop)[0]])
        stage.pen.line(line.ravel().tolist(), fill=(150, 76, 20, 235), width=max(3, int(0.1 * stage.unit)))
    if variant == "butter":
        stage.box(0.0, 0.0, 0.34, 0.3, z, z + 0.14, (244, 206, 96), (255, 236, 150), 0.4)
        return
    for x, y in scatter(rng, 16 if variant == "blueberry" else 6, 0.36, 0.13 if variant == "blueberry" else 0.2):
        if variant == "blueberry":
            stage.ball(x, y, 0.088, jitter(rng, BLUEBERRY, 0.15), z)
        else:
            strawberry(stage, x, y, z, 0.14)


def icecream(stage: Stage, rng: np.random.Generator, variant: str, decor: Decor) -> None:
    """Three scoops in a glass cup with a wafer."""
    color = {
        "vanilla": (252, 236, 190),
        "chocolate": (96, 56, 38),
        "pistachio": (172, 202, 120),
        "strawberry": (246, 158, 176),
    }[variant]
    stage.shadow(0, 0.1, 0.5, 0.5)
    stage.cylinder(0, 0, 0.4, 0, 0.36, 0.05, (206, 222, 228), (222, 234, 238))
    stage.cylinder(0, 0, 0.08, 0.05, 0.1, 0.3, (196, 214, 222))
    stage.cylinder(0, 0, 0.24, 0.3, 0.64, 0.72, (200, 220, 228), (224, 236, 240))
    wafer = [
        stage.project([(0.3, -0.1)], 0.7)[0],
        stage.project([(0.52, -0.1)], 0.7)[0],
        stage.project([(0.82, -0.1)], 1.5)[0],
        stage.project([(0.56, -0.1)], 1.56)[0],
    ]
    stage.paint(np.array(wafer), (214, 160, 86))
    for x, y, z in ((-0.28, -0.02, 0.74), (0.3, 0.0, 0.74), (0.0, 0.12, 0.98)):
        stage.ball(x, y, 0.36, jitter(rng, color, 0.05), z - 0.22, 90)
        for u, v in scatter(rng, 7, 0.22):
            cx, cy = stage.project([(x + u, y)], z + 0.12 + v)[0]
            stage.pen.ellipse([cx - 3, cy - 2, cx + 3, cy + 2], fill=(*shade(color, 0.8), 200))
    stage.wobble(rng, 0, 0.12, 0.2, (92, 46, 26) if variant != "chocolate" else CREAM, 1.44, 0.3)
    stage.ball(0.0, 0.12, 0.1, (204, 26, 40), 1.44)


def donuts(stage: Stage, rng: np.random.Generator, variant: str, decor: Decor) -> None:
    """Three glazed rings."""
    z = plate(stage, PLATES[decor.plate], 1.05)
    glaze = {"chocolate": CHOCOLATE, "pink": (246, 126, 164), "sugar": (252, 250, 244)}[variant]
    for x, y, h in ((-0.42, -0.24, z), (0.42, -0.24, z), (0.0, 0.36, z + 0.03)):
        stage.disc(x + 0.04, y + 0.06, 0.46, (40, 24, 14), h + 0.005, alpha=110)
        stage.dome(x, y, 0.46, 0.2, (214, 150, 78), h, 6)
        stage.wobble(rng, x, y, 0.41, shade(glaze, 0.82), h + 0.17, 0.06)
        stage.wobble(rng, x - 0.01, y - 0.01, 0.37, glaze, h + 0.2, 0.05)
        stage.disc(x - 0.1, y - 0.12, 0.2, shade(glaze, 1.3), h + 0.205, ry=0.1, angle=-0.7, alpha=130)
        stage.disc(x, y, 0.15, (176, 116, 56), h + 0.206)
        stage.disc(x + 0.01, y + 0.015, 0.115, (88, 52, 28), h + 0.207)
        for u, v in scatter(rng, 22, 0.36, 0.05) if variant != "sugar" else []:
            if math.hypot(u, v) > 0.2:
                tone = (
                    HUES[("yellow", "teal", "blue", "red", "green")[int(rng.integers(5))]]
                    if variant == "pink"
                    else (240, 214, 170)
                )
                stage.tube(turned([(-0.025, 0), (0.025, 0)], x + u, y + v, u * 30), 0.032, tone, h + 0.21)


def croissant(stage: Stage, rng: np.random.Generator, variant: str, decor: Decor) -> None:
    """A flaky crescent, ridge by ridge."""
    z = plate(stage, PLATES[decor.plate])
    ridges = 9
    angles = np.linspace(math.pi * 1.1, -0.1 * math.pi, ridges + 1)
    stage.polygon(turned(_crescent(angles, 0.0, ridges, 1.1), 0.04, 0.07, 0), (50, 28, 12), z + 0.002, 120)
    for k in sorted(range(ridges), key=lambda k: -abs(k - (ridges - 1) / 2)):
        for step in range(5):
            share = step / 4
            tone = shade(jitter(rng, (212, 130, 50), 0.04), 0.62 + 0.62 * share)
            inset = 0.32 * share
            stage.polygon(
                _crescent(angles, k + inset - 0.14, k + 1 - inset + 0.14, 1 - 0.6 * share), tone, z + 0.24 * share
            )
    for k in range(ridges):
        middle = _crescent(angles, k + 0.48, k + 0.52, 0.8).mean(axis=0)
        lean = float(-(angles[k] + angles[k + 1]) / 2)
        if variant == "chocolate":
            stage.tube(_crescent(angles, k + 0.25, k + 0.75, 0.75)[[0, -8]], 0.06, CHOCOLATE, z + 0.24)
        elif variant == "almond":
            for u, v in scatter(rng, 4, 0.13):
                stage.leaf(middle[0] + u, middle[1] + v, 0.16, lean + u * 40, (252, 232, 192), z + 0.26, 0.45)


def _crescent(angles: np.ndarray, start: float, end: float, plump: float) -> np.ndarray:
    """(16, 2) outline of the crescent between two ridges, counted from its left tip."""
    count = len(angles) - 1
    at = np.linspace(start, end, 8)
    a = np.interp(at, np.arange(count + 1), angles)
    half = plump * (0.07 + 0.22 * np.sin(math.pi * np.clip(at / count, 0, 1)))
    radius = 0.56
    ring = [
        np.stack([(radius + s * half) * np.cos(a), 0.22 - (radius + s * half) * np.sin(a)], axis=1) for s in (1, -1)
    ]
    return np.concatenate([ring[0], ring[1][::-1]])


def coffee(stage: Stage, rng: np.random.Generator, variant: str, decor: Decor) -> None:
    """A cup and saucer."""
    color = PLATES[decor.plate]
    stage.shadow(0, 0, 0.8, 0.5)
    stage.cylinder(0, 0, 0.55, 0, 0.86, 0.08, shade(color, 0.9), shade(color, 1.05))
    stage.disc(0, 0, 0.5, shade(color, 0.8), 0.081)
    stage.tube(np.array([(0.55, 0.0), (0.8, -0.12), (0.84, 0.06), (0.58, 0.16)]), 0.1, shade(color, 0.95), 0.35)
    stage.cylinder(0, 0, 0.36, 0.08, 0.6, 0.58, color, shade(color, 1.12))
    z = 0.56
    stage.disc(0, 0, 0.55, (70, 38, 22), z)
    stage.pool(0, 0, 0.53, (196, 136, 82) if variant == "latte" else (64, 34, 20), z, edge=0.9, lit=1.08)
    if variant == "latte":
        for size, tone in ((0.4, CREAM), (0.31, (196, 136, 82)), (0.23, CREAM), (0.14, (196, 136, 82)), (0.08, CREAM)):
            t = np.linspace(0, 2 * math.pi, 24)
            heart = np.stack(
                [16 * np.sin(t) ** 3, -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))], axis=1
            )
            stage.polygon(heart / 17 * size, tone, z + 0.002)
    elif variant == "mocha":
        for x, y, r in ((-0.16, -0.1, 0.26), (0.18, -0.08, 0.25), (0.0, 0.14, 0.27), (0.0, -0.02, 0.22)):
            stage.dome(x, y, r, 0.22 if r > 0.23 else 0.42, (255, 250, 240), z, 6)
        for x, y in scatter(rng, 16, 0.3):
            stage.disc(x, y, 0.03, (92, 52, 32), z + 0.24)
    else:
        for x, y in scatter(rng, 9, 0.4):
            stage.disc(x * 1.1, y * 1.1, 0.03, (150, 98, 56), z + 0.002)
        stage.disc(-0.2, -0.2, 0.2, (170, 120, 84), z + 0.003, ry=0.07, angle=-0.7, alpha=150)


def cocktail(stage: Stage, rng: np.random.Generator, variant: str, decor: Decor) -> None:
    """A tall glass with layers, ice, a straw and a garnish."""
    low, high = {
        "mojito": ((126, 176, 72), (206, 228, 158)),
        "sunrise": ((216, 52, 36), (250, 176, 42)),
        "berry": ((92, 30, 94), (186, 70, 140)),
    }[variant]
    stage.shadow(0, 0.1, 0.5, 0.5)
    _glass(stage, 0.34, 0.46, 1.5, low, high, 1.3)
    for x, y in ((-0.14, -0.06), (0.16, 0.02), (0.0, 0.14)):
        stage.box(
            x, y, 0.22, 0.2, 1.24, 1.38, mix(high, (255, 255, 255), 0.45), mix(high, (255, 255, 255), 0.75), x * 5
        )
    straw = np.stack([stage.project([(0.1, -0.05)], 1.25)[0], stage.project([(0.36, -0.2)], 2.1)[0]])
    stage.pen.line(straw.ravel().tolist(), fill=(*HUES[decor.accent], 255), width=max(3, int(0.07 * stage.unit)))
    if variant == "mojito":
        for k in range(5):
            stage.leaf(-0.2 + 0.07 * k, 0.05, 0.34, 3.6 + 0.6 * k, MINT, 1.5, 0.42)
    elif variant == "sunrise":
        slices(stage, -0.4, 0.2, 0.26, (238, 130, 24), (252, 184, 70), 1.5, 8)
    else:
        for x, y in ((-0.2, 0.1), (0.0, 0.2), (0.14, 0.05)):
            stage.ball(x, y, 0.12, BLUEBERRY if x else STRAWBERRY, 1.4)


def beer(stage: Stage, rng: np.random.Generator, variant: str, decor: Decor) -> None:
    """A mug with a head of foam and a handle."""
    low = {"lager": (240, 176, 36), "stout": (44, 24, 18), "amber": (184, 84, 28)}[variant]
    stage.shadow(0, 0.1, 0.6, 0.5)
    handle = np.stack(
        [
            stage.project([(0.48, 0)], 1.1)[0],
            stage.project([(0.88, 0)], 1.0)[0],
            stage.project([(0.88, 0)], 0.5)[0],
            stage.project([(0.48, 0)], 0.35)[0],
        ]
    )
    stage.pen.line(
        handle.ravel().tolist(), fill=(208, 220, 226, 255), width=max(4, int(0.14 * stage.unit)), joint="curve"
    )
    _glass(stage, 0.5, 0.52, 1.4, shade(low, 0.85), shade(low, 1.15), 1.2)
    for x, y in scatter(rng, 20, 0.4, 0.02):
        cx, cy = stage.project([(x, 0.42)], 0.55 + y)[0]
        stage.pen.ellipse([cx - 2, cy - 2, cx + 2, cy + 2], fill=(255, 244, 206, 150))
    for x, y in scatter(rng, 15, 0.4, 0.14):
        stage.ball(
            x, y, float(rng.uniform(0.12, 0.19)), (255, 250, 236) if variant != "stout" else (236, 214, 176), 1.22, 60
        )


def _glass(
    stage: Stage,
    r0: float,
    r1: float,
    height: float,
    low: tuple[int, int, int],
    high: tuple[int, int, int],
    full: float,
) -> None:
    """A tumbler filled to `full`, colour running from low to high, with a streak of light."""
    stage.cylinder(0, 0, r0, 0, r1, height, (186, 204, 210))
    steps = 7
    for k in range(steps):
        a, b = full * k / steps, full * (k + 1) / steps
        ra, rb = r0 + (r1 - r0) * a / height - 0.03, r0 + (r1 - r0) * b / height - 0.03
        color = mix(low, high, k / (steps - 1))
        stage.cylinder(0, 0, ra, a + 0.04, rb, b + 0.04, shade(color, 1.12), color)
    streak = [
        stage.project([(-0.7 * r0, 0.5 * r0)], 0.15)[0],
        stage.project([(-0.5 * r0, 0.55 * r0)], 0.15)[0],
        stage.project([(-0.5 * r1, 0.55 * r1)], height - 0.1)[0],
        stage.project([(-0.7 * r1, 0.5 * r1)], height - 0.1)[0],
    ]
    stage.paint(np.array(streak), (255, 255, 255), 110)
