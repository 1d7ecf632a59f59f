"""Bits that many dishes share: herbs, chives, shrimp, round slices, sauce in a zigzag."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from showcases_demo.drawing.stage import Color, Stage, jitter, scatter, shade, turned

Point = tuple[float, float]


def herbs(
    stage: Stage, rng: np.random.Generator, z: float, radius: float, count: int, length: float = 0.2, at: Point = (0, 0)
) -> None:
    """Green leaves strewn within a radius."""
    for x, y in scatter(rng, count, radius, length * 0.5):
        stage.leaf(at[0] + x, at[1] + y, length, float(rng.uniform(0, 6.28)), jitter(rng, (58, 138, 48)), z, 0.42)


def chives(stage: Stage, rng: np.random.Generator, z: float, radius: float, count: int, at: Point = (0, 0)) -> None:
    """Small green rings."""
    for x, y in scatter(rng, count, radius, 0.06):
        stage.disc(at[0] + x, at[1] + y, 0.05, jitter(rng, (92, 172, 60), 0.2), z)
        stage.disc(at[0] + x, at[1] + y, 0.022, (190, 222, 140), z + 0.005)


def shrimps(stage: Stage, spots: Sequence[Point], z: float) -> None:
    """Pink curls with darker rings."""
    t = np.linspace(0, 3.9, 10)
    for x, y in spots:
        curl = np.stack([0.12 * np.cos(t), 0.12 * np.sin(t)], axis=1)
        curl = turned(curl, x, y, 7 * x + 3 * y)
        stage.tube(curl, 0.115, (246, 142, 108), z, 0.72)
        for p in curl[1:-1:2]:
            stage.disc(float(p[0]), float(p[1]), 0.03, (255, 206, 180), z + 0.03)
        tip = curl[-1]
        stage.leaf(float(tip[0]), float(tip[1]), 0.14, 7 * x + 3 * y + 5.4, (226, 84, 60), z, 0.5)


def slices(stage: Stage, x: float, y: float, r: float, rim: Color, flesh: Color, z: float, spokes: int = 0) -> None:
    """A round slice: tomato, beet; with spokes, lemon or cucumber."""
    stage.disc(x, y, r, shade(rim, 0.7), z - 0.03)
    stage.disc(x, y, r, rim, z)
    stage.disc(x, y, r * 0.78, flesh, z + 0.004)
    for k in range(spokes):
        a = 2 * math.pi * k / spokes
        c, s = r * 0.78 * math.cos(a), r * 0.78 * math.sin(a)
        stage.pen.line(
            stage.project([(x, y), (x + c, y + s)], z + 0.005).ravel().tolist(), fill=(*shade(flesh, 1.5), 255), width=2
        )


def zigzag(stage: Stage, length: float, swing: float, turns: int, color: Color, z: float, at: Point = (0, 0)) -> None:
    """Sauce squeezed from a bottle."""
    t = np.linspace(-1, 1, 4 * turns + 1)
    wave = np.where(np.arange(len(t)) % 2 == 0, 0.0, np.where(np.arange(len(t)) % 4 == 1, 1.0, -1.0))
    stage.tube(np.stack([at[0] + t * length / 2, at[1] + swing * wave], axis=1), 0.075, color, z, 0.75)


def tomatoes(stage: Stage, spots: Sequence[Point], z: float, r: float = 0.1) -> None:
    """Cherry tomatoes."""
    for x, y in spots:
        stage.ball(x, y, r, (220, 46, 34), z)
        stage.disc(x - 0.01, y - 0.01, 0.035, (72, 128, 48), z + 1.8 * r)


def mushrooms(stage: Stage, rng: np.random.Generator, spots: Sequence[Point], z: float, size: float = 0.15) -> None:
    """Sliced mushrooms: a cap and a stem."""
    for x, y in spots:
        a = float(rng.uniform(0, 6.28))
        stem = turned(
            [(-0.25 * size, 0), (0.25 * size, 0), (0.3 * size, 1.1 * size), (-0.3 * size, 1.1 * size)], x, y, a
        )
        cap = turned(
            [(size * math.cos(t), -0.85 * size * math.sin(t)) for t in np.linspace(-0.25, math.pi + 0.25, 12)], x, y, a
        )
        stage.polygon(turned(cap - (x, y), x, y, 0) * 1.0 + (0.012, 0.012), (84, 56, 38), z)
        stage.polygon(cap, (150, 108, 76), z + 0.01)
        stage.polygon(stem, (238, 222, 196), z + 0.012)
        stage.disc(x, y, size * 0.5, (222, 200, 168), z + 0.013, ry=size * 0.3, angle=a)
