"""Dishes that come in a bowl: ramen, curry, soup, salad, noodles, fried rice."""

from __future__ import annotations

import math

import numpy as np

from showcases_demo.drawing.garnish import chives, herbs, shrimps, slices
from showcases_demo.drawing.stage import Color, Stage, jitter, scatter, shade, turned
from showcases_demo.drawing.tableware import PLATES, bowl, plate
from showcases_demo.model import Decor

RED, CREAM, LEAF = (200, 44, 34), (250, 240, 216), (70, 140, 56)


def strands(stage: Stage, rng: np.random.Generator, color: Color, z: float, r: float, count: int = 26) -> None:
    """A tangle of noodles within radius r."""
    t = np.linspace(0, 1, 9)
    for k in range(count):
        a, bend, size = rng.uniform(0, 6.28), rng.uniform(0.8, 2.6), r * rng.uniform(0.25, 0.62)
        x0, y0 = scatter(rng, 1, r * 0.5)[0]
        path = np.stack([x0 + size * np.cos(a + bend * t), y0 + size * np.sin(a + bend * t)], axis=1)
        norm = np.maximum(1.0, np.hypot(path[:, 0], path[:, 1]) / (0.95 * r))
        stage.tube(path / norm[:, None], 0.055, jitter(rng, color), z + 0.1 * k / count)


def ramen(stage: Stage, rng: np.random.Generator, variant: str, decor: Decor) -> None:
    """Broth, noodles, nori, scallions, and the version's topping."""
    z = bowl(stage, PLATES[decor.plate])
    stage.pool(0, 0.02, 0.8, jitter(rng, (190, 116, 44), 0.08), z)
    strands(stage, rng, (240, 206, 120), z, 0.62, 22)
    stage.slab(
        turned([(-0.2, -0.16), (0.2, -0.16), (0.2, 0.16), (-0.2, 0.16)], -0.45, -0.42, 0.3),
        z,
        z + 0.16,
        (20, 42, 30),
        (34, 62, 44),
    )
    chives(stage, rng, z + 0.12, 0.62, 14)
    if variant == "egg":
        for x, y in ((0.3, -0.22), (-0.08, 0.3), (0.42, 0.22)):
            stage.disc(x, y, 0.25, (214, 186, 150), z + 0.11, ry=0.2, angle=0.5)
            stage.disc(x, y, 0.23, (252, 248, 238), z + 0.13, ry=0.18, angle=0.5)
            stage.pool(x, y, 0.115, (240, 146, 30), z + 0.14)
    elif variant == "pork":
        for x, y in ((0.34, -0.2), (0.1, 0.24), (-0.3, 0.2)):
            stage.disc(x, y, 0.28, (112, 62, 40), z + 0.11)
            stage.disc(x, y, 0.255, (232, 196, 168), z + 0.14)
            stage.disc(x + 0.02, y, 0.17, (190, 122, 96), z + 0.145, ry=0.2)
            stage.disc(x - 0.03, y, 0.06, (238, 206, 182), z + 0.15, ry=0.14, angle=0.6)
    else:
        for x, y in scatter(rng, 46, 0.3, 0.03):
            stage.ball(0.22 + x, 0.08 + y, 0.052, jitter(rng, (252, 208, 50)), z + 0.1)
    stage.disc(-0.36, 0.0, 0.14, (250, 246, 244), z + 0.15)
    stage.disc(-0.36, 0.0, 0.075, (238, 120, 150), z + 0.155, ry=0.05)


def curry(stage: Stage, rng: np.random.Generator, variant: str, decor: Decor) -> None:
    """A wide plate, half sauce, half rice."""
    sauce = {"red": (196, 60, 26), "green": (122, 152, 58), "yellow": (230, 168, 34)}[variant]
    z = plate(stage, PLATES[decor.plate], 1.0)
    stage.wobble(rng, 0.14, 0.08, 0.68, shade(sauce, 0.7), z + 0.01, 0.05)
    stage.pool(0.14, 0.08, 0.64, sauce, z + 0.02, edge=0.85, lit=1.1)
    stage.dome(-0.36, -0.14, 0.42, 0.3, (246, 242, 230), z)
    for x, y in scatter(rng, 40, 0.36):
        stage.disc(-0.38 + x, -0.2 + y, 0.04, jitter(rng, (252, 250, 242), 0.1), z + 0.22, ry=0.016, angle=x * 9)
    chunk = {"red": (222, 132, 90), "green": (232, 214, 178), "yellow": (246, 210, 96)}[variant]
    for x, y in scatter(rng, 9, 0.46, 0.2):
        stage.box(0.2 + x, 0.12 + y, 0.17, 0.15, z, z + 0.12, shade(chunk, 0.8), jitter(rng, chunk), x * 7)
    if variant == "red":
        for x, y in scatter(rng, 6, 0.46, 0.2):
            stage.tube(
                turned([(-0.1, 0), (0, 0.03), (0.1, 0)], 0.2 + x, 0.12 + y, y * 9), 0.055, (222, 30, 26), z + 0.12
            )
    if variant == "green":
        herbs(stage, rng, z + 0.12, 0.44, 8, 0.2, (0.2, 0.12))


def soup(stage: Stage, rng: np.random.Generator, variant: str, decor: Decor) -> None:
    """A smooth soup with a swirl and something scattered."""
    color = {"tomato": (214, 62, 30), "pumpkin": (238, 144, 34), "pea": (128, 168, 62)}[variant]
    z = bowl(stage, PLATES[decor.plate], 0.94, 0.42)
    stage.pool(0, 0.02, 0.83, color, z, edge=0.82, lit=1.08)
    t = np.linspace(0, 4.2 * math.pi, 60)
    spiral = np.stack([t * 0.036 * np.cos(t), t * 0.036 * np.sin(t)], axis=1)
    stage.pen.line(
        stage.project(spiral, z).ravel().tolist(),
        fill=(*CREAM, 235),
        width=max(2, int(0.06 * stage.unit)),
        joint="curve",
    )
    if variant == "pumpkin":
        for x, y in scatter(rng, 12, 0.34, 0.1):
            stage.leaf(x, y, 0.13, x * 9, (96, 122, 50), z + 0.02, 0.4)
    elif variant == "tomato":
        herbs(stage, rng, z + 0.02, 0.2, 4, 0.26)
    else:
        for x, y in scatter(rng, 12, 0.5, 0.12):
            stage.ball(x, y, 0.055, (112, 176, 50), z)


def salad(stage: Stage, rng: np.random.Generator, variant: str, decor: Decor) -> None:
    """Heaps of leaves with the version's bits on top."""
    z = bowl(stage, PLATES[decor.plate], 0.96, 0.36)
    stage.disc(0, 0, 0.84, (52, 96, 40), z)
    for k, (x, y) in enumerate(scatter(rng, 34, 0.68, 0.08)):
        tone = ((96, 164, 60), (134, 188, 76), (66, 132, 48))[k % 3]
        height = z + 0.22 * (1 - math.hypot(x, y))
        stage.leaf(x, y, 0.46, float(rng.uniform(0, 6.28)), jitter(rng, tone, 0.15), height, 0.42)
    spots = scatter(rng, 13, 0.55, 0.19)
    for k, (x, y) in enumerate(spots):
        if variant == "greek":
            if k % 3 == 0:
                stage.ball(x, y, 0.085, (70, 44, 76), z + 0.16)
            elif k % 3 == 1:
                slices(stage, x, y, 0.15, (222, 56, 42), (240, 120, 90), z + 0.22)
            else:
                stage.box(x, y, 0.19, 0.17, z + 0.16, z + 0.3, (226, 224, 214), (255, 254, 250), x * 5)
        elif variant == "caesar":
            if k % 3:
                stage.box(x, y, 0.17, 0.16, z + 0.16, z + 0.28, (176, 116, 50), jitter(rng, (232, 182, 98)), x * 7)
            else:
                stage.wobble(rng, x, y, 0.16, (250, 238, 196), z + 0.26, 0.3)
        else:
            slices(stage, x, y, 0.19, (140, 24, 76), (176, 52, 108), z + 0.22)


def noodles(stage: Stage, rng: np.random.Generator, variant: str, decor: Decor) -> None:
    """Stir-fried noodles heaped on a plate."""
    z = plate(stage, PLATES[decor.plate])
    stage.dome(0, 0, 0.68, 0.22, (160, 92, 34), z)
    strands(stage, rng, (216, 150, 62), z + 0.16, 0.66, 48)
    chives(stage, rng, z + 0.3, 0.5, 12)
    spots = scatter(rng, 9, 0.45, 0.22)
    if variant == "shrimp":
        shrimps(stage, spots[:7], z + 0.26)
    for x, y in spots if variant == "tofu" else []:
        stage.box(x, y, 0.2, 0.18, z + 0.2, z + 0.36, (196, 134, 52), jitter(rng, (246, 214, 140)), x * 6)
    for x, y in spots if variant == "peppers" else []:
        path = turned([(-0.17, 0), (0, 0.07), (0.17, 0)], x, y, x * 8)
        stage.tube(path, 0.075, (214, 40, 32) if x > 0 else (70, 156, 52), z + 0.28)


def friedrice(stage: Stage, rng: np.random.Generator, variant: str, decor: Decor) -> None:
    """A mound of rice grains."""
    z = plate(stage, PLATES[decor.plate])
    stage.dome(0, 0, 0.66, 0.3, (206, 156, 82), z)
    for x, y in scatter(rng, 150, 0.62):
        h = z + 0.3 * math.sqrt(max(0.0, 1 - (math.hypot(x, y) / 0.68) ** 2))
        stage.disc(x, y, 0.05, jitter(rng, (244, 218, 158), 0.18), h, ry=0.021, angle=x * 31)
    for k, (x, y) in enumerate(scatter(rng, 34 if variant == "peas" else 12, 0.56, 0.05)):
        h = z + 0.28 * math.sqrt(max(0.0, 1 - (math.hypot(x, y) / 0.68) ** 2))
        if k % 2:
            stage.ball(x, y, 0.05, (92, 168, 48), h)
        else:
            stage.box(x, y, 0.085, 0.085, h, h + 0.06, (206, 92, 20), (246, 136, 40), x * 9)
    if variant == "egg":
        stage.wobble(rng, 0.02, 0.0, 0.46, (226, 190, 130), z + 0.31, 0.16)
        stage.wobble(rng, 0.02, 0.0, 0.43, (254, 252, 246), z + 0.33, 0.14)
        stage.dome(0.05, 0.0, 0.17, 0.1, (252, 180, 30), z + 0.33)
    if variant == "shrimp":
        shrimps(stage, scatter(rng, 6, 0.4, 0.26), z + 0.3)
