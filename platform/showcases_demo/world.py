"""Simulate the town: visits, orders, photos, reviews. `build_world` returns the ground truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from showcases_demo.config import MiniConfig
from showcases_demo.faults import plan_faults, plant_copies, plant_photo_faults, plant_row_faults
from showcases_demo.menu import Subject
from showcases_demo.model import Photo, Restaurant, Review, Shot, User, World
from showcases_demo.people import make_restaurants, make_users, photo_id_of, pick, token
from showcases_demo.phrases import VOICES
from showcases_demo.sentences import write_sentences

SINGLE_SHARE = 0.4  # of users write one review
MOST_PHOTOS = 5  # per review, except for planted ones


def build_world(config: MiniConfig) -> World:
    """The whole corpus in memory, photos as records, without drawing any."""
    rng = np.random.default_rng([config.seed, 3])
    restaurants = make_restaurants(config.restaurants, config.seed)
    users = make_users(config.users, list(VOICES), config.seed)
    faults = plan_faults(config)
    visits = _visits(rng, users, restaurants, config.reviews - faults["duplicate_rows"])
    crowded, bare = faults["over_10_photos"], faults["no_photos"]
    counts = _photo_counts(rng, len(visits), config.photos, crowded, bare)
    ordered = [_order(rng, users[u], restaurants[r]) for u, r in visits]
    photos, serial = [], 0
    for (u, r), count, dishes in zip(visits, counts, ordered, strict=True):
        photos.append([_photo(rng, users[u], restaurants[r], dishes, config.seed, serial + i) for i in range(count)])
        serial += count
    plant_copies(rng, visits, photos, faults["duplicate_photos"])
    plant_photo_faults(rng, photos, faults)
    reviews = []
    for (u, r), shots, dishes in zip(visits, photos, ordered, strict=True):
        rating = _rating(rng, users[u], restaurants[r])
        sentences = write_sentences(rng, users[u], restaurants[r].decor, rating, [p.subject for p in shots], dishes)
        text = " ".join(sentence.text for sentence in sentences)
        reviews.append(Review(u, r, rating, tuple(shots), tuple(sentences), text))
    reviews = plant_row_faults(rng, reviews, faults)
    return World(config, restaurants, users, tuple(reviews), faults)


def _visits(
    rng: np.random.Generator, users: tuple[User, ...], restaurants: tuple[Restaurant, ...], total: int
) -> list[tuple[int, int]]:
    """`total` distinct (user, restaurant) pairs, shuffled; users prefer restaurants that serve their favourites."""
    pairs = []
    for index, count in enumerate(_review_counts(rng, len(users), len(restaurants), total)):
        pull = [r.popularity * sum(users[index].tastes[dish] for dish in r.menu) for r in restaurants]
        weights = np.array(pull) / sum(pull)
        for restaurant in rng.choice(len(restaurants), size=count, replace=False, p=weights):
            pairs.append((index, int(restaurant)))
    return [pairs[i] for i in rng.permutation(len(pairs))]


def _review_counts(rng: np.random.Generator, users: int, most: int, total: int) -> list[int]:
    """Reviews of each user: a share of ones, the rest long-tailed, at most `most`, exactly `total` in all."""
    room = 0.85 * most
    singles = int(max(0, min(SINGLE_SHARE * users, (room * users - total) / (room - 1))))
    appetite = rng.lognormal(0.0, 0.8, users)
    appetite[rng.permutation(users)[:singles]] = 0.0
    counts = np.where(appetite > 0, 2, 1)
    cap = np.where(appetite > 0, most, 1)
    while counts.sum() > total:  # a small town of few reviews: second reviews go first
        counts[rng.choice(np.flatnonzero(counts > 1))] -= 1
    while (missing := total - counts.sum()) > 0:
        open_ = np.where(counts < cap, appetite, 0.0)
        counts = np.minimum(counts + rng.multinomial(missing, open_ / open_.sum()), cap)
    return [int(count) for count in counts]


def _photo_counts(rng: np.random.Generator, reviews: int, total: int, crowded: int, bare: int) -> list[int]:
    """Photos of each review, 1 to 5 but for `crowded` reviews of 11 to 13 and `bare` ones of none."""
    counts = np.ones(reviews, dtype=int)
    order = rng.permutation(reviews)
    counts[order[:crowded]] = 11 + np.arange(crowded) % 3
    counts[order[crowded : crowded + bare]] = 0
    plain = order[crowded + bare :]
    appetite = rng.gamma(1.2, 1.0, len(plain))
    while (missing := total - counts.sum()) > 0:
        open_ = np.where(counts[plain] < MOST_PHOTOS, appetite, 0.0)
        if not open_.any():  # the requested mean is at the cap
            counts[order[0]] += missing
            break
        more = rng.multinomial(min(missing, max(1, missing // 2)), open_ / open_.sum())
        counts[plain] = np.minimum(counts[plain] + more, MOST_PHOTOS)
    return [int(count) for count in counts]


def _order(rng: np.random.Generator, user: User, restaurant: Restaurant) -> list[Subject]:
    """One to three different dishes of the menu, in the user's preferred variants."""
    wanted = dish_weights(user, restaurant)
    dishes = []
    for _ in range(min(int(rng.integers(1, 4)), len(wanted))):
        dish = pick(rng, wanted)
        del wanted[dish]
        dishes.append(Subject("dish", dish, pick(rng, user.variants[dish])))
    return dishes


def dish_weights(user: User, restaurant: Restaurant) -> dict[str, float]:
    """The user's preference for each dish of the menu; not normalised."""
    return {dish: user.tastes[dish] * popularity**0.5 for dish, popularity in restaurant.menu.items()}


def _photo(
    rng: np.random.Generator, user: User, restaurant: Restaurant, dishes: list[Subject], seed: int, serial: int
) -> Photo:
    if rng.random() < user.scene_share:
        subject = Subject("scene", pick(rng, user.scenes), restaurant.decor.accent)
    else:
        subject = dishes[min(int(rng.geometric(0.86)) - 1, len(dishes) - 1)]
    photo_seed = int.from_bytes(token(seed, "drawing", serial)[:6], "big")
    return Photo(photo_id_of(seed, serial), subject, _vary(rng, user.shot), photo_seed)


def _vary(rng: np.random.Generator, shot: Shot) -> Shot:
    """The user's way of taking photos on one evening."""
    return replace(
        shot,
        warmth=float(np.clip(shot.warmth + rng.normal(0, 0.2), -1, 1)),
        brightness=float(np.clip(shot.brightness + rng.normal(0, 0.06), 0.7, 1.25)),
        overhead=float(np.clip(shot.overhead + rng.normal(0, 0.1), 0, 1)),
        zoom=float(np.clip(shot.zoom * rng.lognormal(0, 0.08), 0.75, 1.5)),
        prop=shot.prop if rng.random() < 0.7 else "",
    )


def _rating(rng: np.random.Generator, user: User, restaurant: Restaurant) -> int:
    return int(np.clip(round(4.4 + user.mildness + restaurant.quality + rng.normal(0, 0.7)), 1, 5))
