"""Renders one photo: draws the table and the subject, then applies the shot's light, focus and noise."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from showcases_demo.drawing import bowls, handhelds, plates, scenes, sweets
from showcases_demo.drawing.stage import Stage
from showcases_demo.drawing.tableware import lay_prop, table
from showcases_demo.menu import Subject
from showcases_demo.model import Decor, Shot

Painter = Callable[[Stage, np.random.Generator, str, Decor], None]
PAINTERS: dict[str, Painter] = {
    painter.__name__: painter
    for painter in (
        *(bowls.ramen, bowls.curry, bowls.soup, bowls.salad, bowls.noodles, bowls.friedrice),
        *(plates.pizza, plates.steak, plates.omelette, plates.fish, plates.pasta, plates.kebab),
        *(plates.dumplings, plates.oysters, handhelds.burger, handhelds.hotdog, handhelds.sandwich),
        *(handhelds.tacos, handhelds.fries, handhelds.sushi, sweets.cake, sweets.pancakes, sweets.icecream),
        *(sweets.donuts, sweets.croissant, sweets.coffee, sweets.cocktail, sweets.beer),
    )
}
SCENE_PAINTERS: dict[str, Callable[[Stage, np.random.Generator, Decor], None]] = {
    painter.__name__: painter
    for painter in (scenes.room, scenes.front, scenes.menu, scenes.terrace, scenes.bar, scenes.kitchen)
}
# Tilt range, low to high view: tall things are never rendered from straight above, where all of them are discs.
TILTS: dict[str, tuple[float, float]] = {
    "burger": (0.3, 0.52),
    "pancakes": (0.36, 0.62),
    "cake": (0.45, 0.68),
    "icecream": (0.26, 0.45),
    "cocktail": (0.24, 0.42),
    "beer": (0.24, 0.42),
    "coffee": (0.5, 0.95),
    "tacos": (0.42, 0.62),
    "sandwich": (0.5, 0.8),
}
ANY_TILT = (0.55, 0.99)
# Zoom and downward shift (share of the frame) that fit a tall thing into the picture.
FRAMES: dict[str, tuple[float, float]] = {
    "burger": (0.92, 0.2),
    "pancakes": (0.95, 0.13),
    "cake": (1.0, 0.1),
    "icecream": (0.95, 0.28),
    "cocktail": (0.8, 0.36),
    "beer": (0.88, 0.28),
    "coffee": (1.0, 0.06),
    "tacos": (1.0, 0.1),
}


@dataclass(frozen=True)
class PhotoOrder:
    """All parameters of a photo. `size` is its shorter side in pixels."""

    photo_id: str
    subject: Subject
    shot: Shot
    decor: Decor
    seed: int
    size: int


def take_photo(order: PhotoOrder) -> Image.Image:
    """Draw one photo; deterministic."""
    rng = np.random.default_rng(order.seed)
    width, height = _frame(rng, order.size)
    if order.subject.kind == "scene":
        shift = tuple(rng.uniform(-0.05, 0.05, 2))
        stage = Stage(width, height, zoom=order.shot.zoom, shift=(float(shift[0]), float(shift[1])))
        SCENE_PAINTERS[order.subject.name](stage, rng, order.decor)
    else:
        stage = _served(order, rng, width, height)
    return develop(stage.finished(), order.shot, rng)


def photo_bytes(order: PhotoOrder) -> bytes:
    """The photo as a JPEG of quality 88."""
    buffer = io.BytesIO()
    take_photo(order).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def _frame(rng: np.random.Generator, size: int) -> tuple[int, int]:
    """Square, landscape or portrait, in pixels."""
    long = size * 5 // 4
    return ((size, size), (size, size), (long, size), (size, long))[int(rng.integers(4))]


def _served(order: PhotoOrder, rng: np.random.Generator, width: int, height: int) -> Stage:
    dish, shot = order.subject.name, order.shot
    low, high = TILTS.get(dish, ANY_TILT)
    fit, down = FRAMES.get(dish, (1.0, 0.03))
    stage = Stage(
        width,
        height,
        tilt=low + (high - low) * shot.overhead,
        zoom=shot.zoom * fit,
        turn=float(rng.uniform(-0.3, 0.3)),
        shift=(float(rng.uniform(-0.06, 0.06)), down * shot.zoom**0.5 + float(rng.uniform(-0.03, 0.03))),
    )
    table(stage, rng, order.decor.table, order.decor.accent)
    lay_prop(stage, rng, shot.prop, order.decor.accent)
    if shot.overhead < 0.75:
        stage.soften(1.0)
    PAINTERS[dish](stage, rng, order.subject.variant, order.decor)
    return stage


def develop(image: Image.Image, shot: Shot, rng: np.random.Generator) -> Image.Image:
    """Light from one side, colour temperature, vignette, sometimes a shaky hand, and sensor noise."""
    if rng.random() < 0.12:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.5, 1.0))))
    pixels = np.asarray(image, dtype=np.float32) / 255
    height, width = pixels.shape[:2]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    slope = 0.14 * float(rng.uniform(0.3, 1.0))
    light = shot.brightness * (1.04 - slope * (x + y)) * (1 - 0.17 * (x * x + y * y))
    tint = np.array([1 + 0.13 * shot.warmth, 1 + 0.02 * shot.warmth, 1 - 0.19 * shot.warmth], dtype=np.float32)
    pixels = pixels * light[..., None] * tint
    pixels = pixels + rng.standard_normal((height, width, 1), dtype=np.float32) * float(rng.uniform(0.006, 0.03))
    pixels = np.clip(pixels, 0, 1)
    pixels = pixels + 0.12 * pixels * (1 - pixels) * (2 * pixels - 1) * 2  # a gentle S-curve
    return Image.fromarray((np.clip(pixels, 0, 1) * 255).astype(np.uint8))
