"""Sample restaurants with menus and looks, and users with tastes that are consistent across restaurants."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from showcases_demo.menu import CUISINES, DISHES, EXTRAS, SCENES
from showcases_demo.model import Decor, Restaurant, Shot, User

COLORS = ("red", "blue", "green", "yellow", "teal", "purple", "orange", "pink")  # walls and awnings
PLATES = ("white", "cream", "black", "blue", "terracotta", "green")
TABLES = ("oak", "walnut", "marble", "linen", "checkered", "slate")
PROPS = ("fork", "chopsticks", "napkin", "glass", "phone", "plant", "")
SIGNS = {
    "italian": ("Bella", "Roma", "Luna", "Nonna", "Vesuvio", "Trattoria"),
    "japanese": ("Sakura", "Hana", "Miso", "Kumo", "Nami", "Tora"),
    "american": ("Joe's", "Route 9", "Diner", "Big Sal", "Liberty", "Rusty's"),
    "mexican": ("El Sol", "Cactus", "Frida", "La Luz", "Oaxaca", "Azul"),
    "chinese": ("Jade", "Lotus", "Dragon", "Panda", "Golden", "Bamboo"),
    "thai": ("Siam", "Orchid", "Basil", "Tuk Tuk", "Lanna", "Mango"),
    "indian": ("Saffron", "Raja", "Masala", "Spice", "Delhi", "Tandoor"),
    "french": ("Le Coin", "Bistro", "Chez Lou", "Amelie", "Petit", "Lyon"),
    "cafe": ("Crumb", "Bean", "Daisy", "Corner", "Petal", "Morning"),
    "grill": ("Ember", "Smoke", "Char", "Hearth", "Flame", "Oak"),
}


def pick(rng: np.random.Generator, weights: Mapping[str, float]) -> str:
    """One key, drawn in proportion to its weight."""
    names = list(weights)
    cumulative = np.cumsum(list(weights.values()))
    return names[int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))]


def choose(rng: np.random.Generator, options: Sequence[str]) -> str:
    """One option, uniformly."""
    return options[int(rng.integers(len(options)))]


def token(*parts: object) -> bytes:
    """32 bytes that depend only on the parts: the source of every id and photo seed."""
    return hashlib.sha256("/".join(map(str, parts)).encode()).digest()


def photo_id_of(seed: int, index: int) -> str:
    """44 characters that look like Google's photo ids."""
    return "AF1Qip" + base64.urlsafe_b64encode(token(seed, "photo", index)).decode()[:38]


def make_restaurants(count: int, seed: int) -> tuple[Restaurant, ...]:
    """`count` restaurants; popularity is lognormal, so a few have many times the photos of others."""
    rng = np.random.default_rng([seed, 1])
    cuisines = list(CUISINES)
    offset = int(rng.integers(len(cuisines)))
    return tuple(_restaurant(rng, cuisines[(offset + i) % len(cuisines)], seed, i) for i in range(count))


def _restaurant(rng: np.random.Generator, cuisine: str, seed: int, index: int) -> Restaurant:
    own = list(rng.permutation(CUISINES[cuisine]))[: int(rng.integers(5, 8))]
    extras = [dish for dish in rng.permutation(EXTRAS) if dish not in own][: int(rng.integers(0, 3))]
    menu = {str(dish): float(rng.lognormal(0.0, 0.4)) for dish in own + extras}
    wall, accent = (str(color) for color in rng.choice(COLORS, 2, replace=False))
    decor = Decor(choose(rng, SIGNS[cuisine]), wall, accent, choose(rng, PLATES), choose(rng, TABLES))
    popularity, quality = float(rng.lognormal(0.0, 0.68)), float(rng.normal(0.0, 0.45))
    return Restaurant(token(seed, "business", index).hex()[:24], cuisine, menu, popularity, quality, decor)


def make_users(count: int, voices: Sequence[str], seed: int) -> tuple[User, ...]:
    """`count` users, each from its own random stream, so that adding users does not change the others."""
    return tuple(_user(np.random.default_rng([seed, 2, i]), voices, seed, i) for i in range(count))


def _user(rng: np.random.Generator, voices: Sequence[str], seed: int, index: int) -> User:
    scene_share = float(rng.choice([0.04, 0.25, 0.75], p=[0.5, 0.3, 0.2]))
    favourite = choose(rng, SCENES)
    scenes = {scene: 0.8 if scene == favourite else 0.2 / (len(SCENES) - 1) for scene in SCENES}
    shot = Shot(
        warmth=float(rng.uniform(-1, 1)),
        brightness=float(rng.uniform(0.8, 1.15)),
        overhead=float(rng.choice([0.08, 0.45, 0.95])),
        zoom=float(rng.uniform(0.82, 1.3)),
        prop=choose(rng, PROPS),
    )
    return User(
        user_id=str(10**20 + int.from_bytes(token(seed, "user", index)[:12], "big") % (9 * 10**20)),
        tastes=_tastes(rng),
        variants={dish: _leaning(rng, list(DISHES[dish].variants)) for dish in DISHES},
        scene_share=scene_share,
        scenes=scenes,
        shot=shot,
        voice=choose(rng, voices),
        habits=int(rng.integers(2**31)),
        mildness=float(rng.normal(0.0, 0.4)),
    )


def _tastes(rng: np.random.Generator) -> dict[str, float]:
    """A sharp taste: five favourites far above the rest."""
    order = [str(dish) for dish in rng.permutation(list(DISHES))]
    weights = [16.0, 8.0, 5.0, 3.0, 2.0] + [0.06] * (len(order) - 5)
    return dict(zip(order, weights, strict=True))


def _leaning(rng: np.random.Generator, variants: list[str]) -> dict[str, float]:
    favourite = choose(rng, variants)
    return {name: 0.9 if name == favourite else 0.1 / (len(variants) - 1) for name in variants}
