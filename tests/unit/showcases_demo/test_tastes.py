"""The signal is there and not trivial: who knows the tastes finds a user's photos, the most popular dish does not."""

from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from showcases_demo import World
from showcases_demo.model import Photo, Restaurant, Shot, User
from showcases_demo.world import dish_weights

Score = Callable[[User, Restaurant, Photo, Counter], float]


def taste(user: User, restaurant: Restaurant, photo: Photo) -> float:
    """How likely a photo of this user here shows this subject."""
    subject = photo.subject
    if subject.kind == "scene":
        return user.scene_share * user.scenes[subject.name]
    wanted = dish_weights(user, restaurant)
    share = wanted[subject.name] / sum(wanted.values())
    return (1 - user.scene_share) * share * user.variants[subject.name][subject.variant]


def likeness(first: Shot, second: Shot) -> float:
    """How alike two ways of taking photos are, 0 to 1."""
    gaps = (
        (first.warmth - second.warmth) / 0.25,
        (first.brightness - second.brightness) / 0.08,
        (first.overhead - second.overhead) / 0.15,
        np.log(first.zoom / second.zoom) / 0.1,
    )
    return float(np.exp(-0.5 * sum(gap * gap for gap in gaps)))


def precision_at_3(world: World, score: Score) -> float:
    """Mean share of a review's own photos among the three of the business that score best; ties at random."""
    rng = np.random.default_rng(0)
    pools: dict[int, dict[str, Photo]] = defaultdict(dict)
    for review in world.reviews:
        pools[review.restaurant] |= {photo.photo_id: photo for photo in review.photos}
    found = []
    for review in (review for review in world.reviews if review.photos):
        pool = list(pools[review.restaurant].values())
        counts = Counter(photo.subject for photo in pool)
        user, place = world.users[review.user], world.restaurants[review.restaurant]
        scores = [(score(user, place, photo, counts), rng.random(), photo.photo_id) for photo in pool]
        best = {photo_id for _, _, photo_id in sorted(scores, reverse=True)[:3]}
        found.append(len(best & {photo.photo_id for photo in review.photos}) / 3)
    return float(np.mean(found))


def test_an_oracle_outranks_random_and_most_popular(town: World) -> None:
    chance = precision_at_3(town, lambda user, place, photo, counts: 0.0)
    popular = precision_at_3(town, lambda user, place, photo, counts: counts[photo.subject])
    knows_taste = precision_at_3(town, lambda u, place, photo, counts: taste(u, place, photo) / counts[photo.subject])
    knows_style_too = precision_at_3(
        town,
        lambda u, place, photo, counts: taste(u, place, photo) / counts[photo.subject] * likeness(u.shot, photo.shot),
    )
    assert 0.015 < chance < 0.05
    assert popular < 2 * chance  # popularity tells next to nothing about a person
    assert knows_taste > 6 * max(chance, popular)
    assert knows_taste > 0.22
    assert knows_taste < knows_style_too < 0.8  # and nobody can be perfect


def test_tastes_carry_across_restaurants(town: World) -> None:
    ordered: dict[int, list[set[str]]] = defaultdict(list)
    for review in town.reviews:
        dishes = {photo.subject.name for photo in review.photos if photo.subject.kind == "dish"}
        if dishes:
            ordered[review.user].append(dishes)
    pairs = [(a, b) for visits in ordered.values() for a, b in pairwise(visits)]
    rng = np.random.default_rng(0)
    others = [pairs[i][1] for i in rng.permutation(len(pairs))]
    same = np.mean([bool(a & b) for a, b in pairs])
    stranger = np.mean([bool(pair[0] & other) for pair, other in zip(pairs, others, strict=True)])
    assert same > 3 * stranger


def test_voices_carry_across_reviews(town: World) -> None:
    """A user's texts share more words with each other than with other people's."""
    texts: dict[int, list[set[str]]] = defaultdict(list)
    for review in town.reviews:
        if review.sentences:
            texts[review.user].append(set(review.text.lower().split()))
    pairs = [(a, b) for mine in texts.values() for a, b in pairwise(mine)]
    order = np.random.default_rng(0).permutation(len(pairs))

    def overlap(a: set[str], b: set[str]) -> float:
        return len(a & b) / len(a | b)

    own = np.mean([overlap(a, b) for a, b in pairs])
    foreign = np.mean([overlap(a, pairs[i][1]) for (a, _), i in zip(pairs, order, strict=True)])
    assert own > 1.4 * foreign
