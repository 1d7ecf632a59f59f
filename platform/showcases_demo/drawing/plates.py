"""Dishes from the oven, pan and grill: pizza, steak, omelette, fish, spaghetti, kebab, dumplings, oysters."""

from __future__ import annotations

import math

import numpy as np

from showcases_demo.drawing.bowls import strands
from showcases_demo.drawing.garnish import chives, herbs, mushrooms, slices, tomatoes
from showcases_demo.drawing.stage import Stage, jitter, scatter, shade, turned
from showcases_demo.drawing.tableware import PLATES, board, plate
from showcases_demo.model import Decor

LEMON, LEMON_FLESH = (244, 206, 48), (252, 236, 140)


def pizza(stage: Stage, rng: np.random.Generator, variant: str, decor: Decor) -> None:
    """A whole pizza with a blistered rim, cut in eight."""
    stage.shadow(0, 0, 1.0, 0.55)
    stage.cylinder(0, 0, 0.98, 0, 1.0, 0.1, (196, 132, 66), (224, 166, 92))
    stage.disc(-0.02, -0.02, 0.96, (236, 188, 116), 0.11)
    for k in range(22):
        a = k * 0.285 + rng.uniform(-0.1, 0.1)
        stage.disc(
            0.92 * math.cos(a),
            0.92 * math.sin(a),
            rng.uniform(0.03, 0.075),
            jitter(rng, (172, 100, 44), 0.2),
            0.115,
            ry=0.035,
            angle=a + 1.57,
        )
    stage.disc(0, 0, 0.84, (186, 46, 24), 0.1)
    stage.wobble(rng, 0, 0, 0.81, (238, 178, 74), 0.105, 0.05)
    for x, y in scatter(rng, 26, 0.74, 0.12):
        stage.wobble(
            rng, x, y, rng.uniform(0.07, 0.15), (250, 222, 136) if rng.random() < 0.65 else (216, 96, 40), 0.11, 0.3
        )
    if variant == "pepperoni":
        for x, y in scatter(rng, 17, 0.7, 0.27):
            stage.disc(x + 0.012, y + 0.015, 0.145, (120, 22, 14), 0.115)
            stage.pool(x, y, 0.14, (196, 44, 30), 0.125, edge=0.85, lit=1.06)
    elif variant == "mushroom":
        mushrooms(stage, rng, scatter(rng, 17, 0.68, 0.27), 0.12, 0.15)
    else:
        for x, y in scatter(rng, 8, 0.6, 0.3):
            stage.wobble(rng, x, y, 0.16, (254, 248, 232), 0.115, 0.2)
        herbs(stage, rng, 0.13, 0.62, 11, 0.3)
    for k in range(4):
        a = k * math.pi / 4 + 0.2
        ends = [(0.97 * math.cos(a), 0.97 * math.sin(a)), (-0.97 * math.cos(a), -0.97 * math.sin(a))]
        stage.pen.line(stage.project(ends, 0.115).ravel().tolist(), fill=(120, 62, 24, 190), width=2)


def steak(stage: Stage, rng: np.random.Generator, variant: str, decor: Decor) -> None:
    """A grilled steak with marks, and its side."""
    z = plate(stage, PLATES[decor.plate])
    outline = [
        (-0.62, -0.12),
        (-0.4, -0.4),
        (0.1, -0.36),
        (0.5, -0.26),
        (0.64, 0.02),
        (0.42, 0.26),
        (0.02, 0.2),
        (-0.38, 0.24),
    ]
    stage.disc(0.05, 0.08, 0.66, (60, 34, 22), z + 0.002, ry=0.38, alpha=120)
    stage.slab(outline, z, z + 0.17, (118, 54, 36), (104, 58, 38))
    stage.polygon(np.array(outline) * 0.92 - (0.01, 0.01), (128, 72, 46), z + 0.172)
    stage.tube(np.array(outline[:4]) * 0.95, 0.06, (226, 188, 142), z + 0.172)
    for k in range(6):
        x = -0.42 + 0.17 * k
        stage.tube(np.array([(x, -0.22), (x + 0.16, 0.14)]), 0.045, (54, 28, 18), z + 0.18, 0.9)
    if variant == "butter":
        stage.disc(0.06, -0.04, 0.24, (250, 214, 100), z + 0.182, ry=0.17, alpha=170)
        stage.box(0.05, -0.06, 0.26, 0.2, z + 0.18, z + 0.29, (236, 196, 84), (255, 232, 140), 0.4)
        chives(stage, rng, z + 0.3, 0.09, 5, (0.05, -0.06))
        for x, y in scatter(rng, 7, 0.2, 0.12):
            stage.dome(0.05 + x * 2.2, 0.46 + y * 0.5, 0.13, 0.12, (234, 190, 96), z)
    elif variant == "asparagus":
        for k in range(6):
            y = 0.32 + 0.075 * k
            stage.tube(np.array([(-0.5 + 0.03 * k, y), (0.36, y + 0.02)]), 0.075, jitter(rng, (92, 150, 58)), z + 0.03)
            stage.leaf(0.4, y + 0.02, 0.2, 0.1, (70, 116, 60), z + 0.06, 0.3)
    else:
        tomatoes(stage, [(-0.4, 0.42), (-0.16, 0.5), (0.1, 0.44), (0.34, 0.46), (-0.02, 0.62), (0.2, 0.62)], z, 0.12)


def omelette(stage: Stage, rng: np.random.Generator, variant: str, decor: Decor) -> None:
    """A folded yellow half moon."""
    z = plate(stage, PLATES[decor.plate])
    angles = np.linspace(0, math.pi, 16)
    moon = np.stack([0.74 * np.cos(angles), 0.66 * np.sin(angles) - 0.3], axis=1)
    stage.polygon(moon * 1.03 + (0.02, 0.04), (90, 60, 20), z + 0.005, 90)
    for step in range(7):
        share = step / 6
        color = shade((240, 182, 44), 0.75 + 0.5 * share)
        stage.polygon(moon * (1 - 0.36 * share) - (0.02 * share, 0.02 * share), color, z + 0.2 * share)
    for x, y in scatter(rng, 14, 0.5):
        stage.wobble(rng, x, 0.4 * y, 0.08, (206, 138, 40), z + 0.12, 0.4, alpha=110)
    if variant == "tomato":
        tomatoes(
            stage,
            [(-0.4, -0.42), (-0.12, -0.5), (0.18, -0.46), (0.44, -0.4), (-0.25, 0.0), (0.2, 0.05)],
            z + 0.1,
            0.115,
        )
    elif variant == "herb":
        chives(stage, rng, z + 0.2, 0.4, 26)
        herbs(stage, rng, z + 0.04, 0.16, 5, 0.3, (-0.36, -0.46))
    else:
        mushrooms(stage, rng, [(-0.36, -0.05), (0.0, 0.04), (0.34, -0.04), (-0.2, -0.48), (0.2, -0.48)], z + 0.2, 0.17)


def fish(stage: Stage, rng: np.random.Generator, variant: str, decor: Decor) -> None:
    """A whole grilled fish, head to the left."""
    z = plate(stage, PLATES[decor.plate], 1.0)
    t = np.linspace(0, 1, 12)
    half = 0.3 * np.sin(math.pi * t**0.8) ** 0.8
    body = np.concatenate([np.stack([-0.8 + 1.25 * t, -half], 1), np.stack([-0.8 + 1.25 * t[::-1], half[::-1]], 1)])
    skin = (150, 140, 124)
    stage.polygon(body * 1.02 + (0.03, 0.05), (60, 40, 24), z + 0.005, 130)
    stage.polygon([(0.36, 0.0), (0.86, -0.3), (0.74, 0.0), (0.86, 0.3)], shade(skin, 0.7), z + 0.05)
    for step in range(5):
        share = step / 4
        stage.polygon(
            body * (1, 1 - 0.6 * share) - (0, 0.03 * share), shade(skin, 0.72 + 0.5 * share), z + 0.15 * share
        )
    for k in range(4):
        x = -0.32 + 0.2 * k
        stage.tube(np.array([(x, -0.17), (x + 0.1, 0.15)]), 0.04, (92, 56, 32), z + 0.14)
    stage.tube(np.array([(-0.5, -0.2), (-0.45, 0.0), (-0.5, 0.19)]), 0.03, (98, 88, 78), z + 0.12)
    stage.ball(-0.64, -0.06, 0.055, (248, 246, 236), z + 0.1)
    stage.ball(-0.64, -0.06, 0.03, (20, 20, 22), z + 0.14)
    if variant == "lemon":
        for x, y in ((-0.1, 0.48), (0.2, 0.44), (0.06, -0.02), (-0.16, -0.02)):
            slices(stage, x, y, 0.17, LEMON, LEMON_FLESH, z + 0.17, 8)
    elif variant == "herb":
        herbs(stage, rng, z + 0.16, 0.2, 8, 0.26)
        herbs(stage, rng, z + 0.06, 0.3, 8, 0.3, (0.0, 0.45))
    else:
        tomatoes(
            stage, [(-0.4, 0.42), (-0.15, 0.5), (0.1, 0.46), (0.35, 0.4), (-0.1, -0.46), (0.2, -0.42)], z + 0.05, 0.13
        )


def pasta(stage: Stage, rng: np.random.Generator, variant: str, decor: Decor) -> None:
    """A nest of spaghetti."""
    z = plate(stage, PLATES[decor.plate])
    color = (166, 176, 70) if variant == "pesto" else (246, 214, 120)
    stage.dome(0, 0, 0.66, 0.2, shade(color, 0.75), z)
    strands(stage, rng, color, z + 0.14, 0.68, 52)
    if variant == "pesto":
        for x, y in scatter(rng, 18, 0.5, 0.08):
            stage.wobble(rng, x, y, 0.07, (72, 118, 36), z + 0.26, 0.4)
        herbs(stage, rng, z + 0.3, 0.14, 4, 0.3)
        return
    stage.wobble(rng, 0, 0, 0.42, (158, 38, 20), z + 0.25, 0.2)
    stage.wobble(rng, -0.02, -0.02, 0.36, (196, 58, 32), z + 0.27, 0.2)
    if variant == "bolognese":
        for x, y in scatter(rng, 42, 0.36, 0.05):
            stage.ball(x, y, 0.05, jitter(rng, (126, 58, 34), 0.2), z + 0.26, 40)
    else:
        for x, y in ((-0.2, -0.14), (0.22, -0.1), (0.0, 0.14), (-0.3, 0.16), (0.32, 0.2)):
            stage.ball(x, y, 0.17, jitter(rng, (126, 70, 42)), z + 0.24, 70)
    herbs(stage, rng, z + 0.5 if variant == "meatballs" else z + 0.34, 0.1, 3, 0.26)


def kebab(stage: Stage, rng: np.random.Generator, variant: str, decor: Decor) -> None:
    """Three skewers on a board."""
    z = board(stage, 2.1, 1.4)
    tones = {
        "chicken": [(226, 158, 70), (208, 132, 50)],
        "lamb": [(112, 62, 40), (88, 46, 32)],
        "vegetable": [(210, 52, 38), (240, 186, 50), (112, 158, 62), (126, 64, 110)],
    }[variant]
    for row, y in enumerate((-0.4, 0.0, 0.4)):
        stage.tube(np.array([(-1.0, y), (1.0, y)]), 0.04, (214, 178, 122), z + 0.08)
        for k in range(6):
            x = -0.68 + 0.27 * k
            color = jitter(rng, tones[(k + row) % len(tones)])
            if variant == "vegetable" and (k + row) % 4 == 2:
                stage.cylinder(x, y, 0.13, z, 0.13, z + 0.16, shade(color, 0.8), (222, 230, 160))
                continue
            stage.box(x, y, 0.23, 0.26, z, z + 0.18, shade(color, 0.8), color, float(rng.uniform(-0.2, 0.2)))
            stage.tube(np.array([(x - 0.05, y - 0.08), (x + 0.04, y + 0.08)]), 0.035, shade(color, 0.45), z + 0.18, 0.9)
    herbs(stage, rng, z + 0.06, 0.1, 4, 0.22, (0.85, 0.45))


def dumplings(stage: Stage, rng: np.random.Generator, variant: str, decor: Decor) -> None:
    """Pleated dumplings in a bamboo steamer, or fried on a plate."""
    color = {"steamed": (246, 238, 222), "fried": (232, 184, 104), "spinach": (142, 184, 104)}[variant]
    if variant == "fried":
        z = plate(stage, PLATES[decor.plate])
    else:
        stage.shadow(0, 0, 0.98, 0.55)
        stage.cylinder(0, 0, 0.96, 0, 0.98, 0.4, (190, 142, 82), (222, 178, 112))
        stage.disc(0, 0, 0.88, (126, 88, 46), 0.4)
        stage.disc(0, 0.02, 0.86, (206, 168, 108), 0.32)
        z = 0.3
    for x, y in [(0.0, -0.5), (-0.46, -0.26), (0.46, -0.26), (0.0, 0.0), (-0.46, 0.28), (0.46, 0.28), (0.0, 0.52)]:
        stage.disc(x + 0.03, y + 0.03, 0.27, (70, 44, 20), z + 0.01, alpha=110)
        if variant == "fried":
            stage.disc(x, y + 0.02, 0.28, (166, 94, 36), z + 0.02, ry=0.2)
        stage.dome(x, y, 0.26, 0.2, jitter(rng, color, 0.05), z + 0.02, 6)
        for k in range(7):
            a = k * 0.9
            ends = [
                (x + 0.05 * math.cos(a) - 0.02, y + 0.05 * math.sin(a) - 0.02),
                (x + 0.19 * math.cos(a), y + 0.19 * math.sin(a)),
            ]
            stage.pen.line(stage.project(ends, z + 0.19).ravel().tolist(), fill=(*shade(color, 0.68), 255), width=2)
        if variant == "fried":
            stage.wobble(rng, x, y, 0.1, (190, 116, 44), z + 0.22, 0.4, alpha=150)


def oysters(stage: Stage, rng: np.random.Generator, variant: str, decor: Decor) -> None:
    """Half shells on crushed ice."""
    z = plate(stage, PLATES[decor.plate], 1.05)
    for x, y in scatter(rng, 60, 0.8, 0.06):
        tone = jitter(rng, (206, 226, 236), 0.12)
        stage.polygon(
            turned([(-0.09, -0.05), (0.08, -0.07), (0.09, 0.06), (-0.06, 0.08)], x, y, x * 11), tone, z + 0.04
        )
    for k in range(7):
        a = 1.05 * k
        x, y = (0.58 * math.cos(a), 0.58 * math.sin(a)) if k < 6 else (0.0, 0.0)
        stage.leaf(x + 0.01, y + 0.02, 0.62, a, (84, 82, 80), z + 0.05, 0.42)
        stage.leaf(x, y, 0.52, a, (222, 218, 208), z + 0.09, 0.42)
        stage.disc(x, y, 0.17, (188, 176, 156), z + 0.1, ry=0.12, angle=a)
        stage.disc(x - 0.03, y - 0.02, 0.1, (232, 224, 206), z + 0.11, ry=0.06, angle=a)
        if variant == "herb":
            chives(stage, rng, z + 0.12, 0.11, 6, (x, y))
    if variant == "lemon":
        for x, y in ((0.3, 0.3), (-0.32, 0.26), (0.02, -0.34)):
            slices(stage, x, y, 0.19, LEMON, LEMON_FLESH, z + 0.18, 8)
