"""The summaries count and choose what a plain loop over all rows counts and chooses."""

from collections import defaultdict
from pathlib import Path

import numpy as np

from showcases.catalog import Catalog, photos_schema, reviews_schema
from tests.unit.catalog.made_up import DIM, SPACE, batches


def made_up(count: int) -> tuple[list[dict], list[dict]]:
    """Photos and reviews in no order, with ties, empty texts, missing ratings, and users of one kind only."""
    random = np.random.default_rng(0)
    vector = np.eye(DIM, dtype=np.float16)[0]
    photos, reviews = [], []
    for number in range(count):
        user, place = f"u{random.integers(0, 40)}", f"b{random.integers(0, 12)}"
        ids = {"user_id": user, "business_id": place, "review_id": f"{user}_{place}"}
        photos.append({**ids, "photo_id": f"p{number}", "vector": vector, "bytes": b"", "width": 1, "height": 1})
    for number in range(count):
        user, place = f"u{random.integers(20, 60)}", f"b{random.integers(5, 20)}"
        rating = None if number % 3 == 0 else float(random.integers(1, 6))
        text = "é" * int(random.choice([0, 3, 139, 140, 141, 300, 500]))
        ids = {"user_id": user, "business_id": place, "review_id": f"{user}_{place}_{number}"}
        reviews.append({**ids, "text": text and f"{number:03d}{text}", "rating": rating, "feature": None})
    return photos, reviews


def by_hand(photos: list[dict], reviews: list[dict], key: str) -> dict[str, tuple]:
    """(photos, reviews, rating, snippet, photo ids) by id."""
    found = {}
    posted, said = defaultdict(list), defaultdict(list)
    for row in photos:
        posted[row[key]].append(row)
    for row in reviews:
        said[row[key]].append(row)
    for name in {*posted, *said}:
        firsts, others, seen = [], [], set()
        for row in posted[name]:
            (others if row["review_id"] in seen else firsts).append(row["photo_id"])
            seen.add(row["review_id"])
        snippet = ""
        for row in said[name]:
            if not snippet or abs(len(row["text"]) - 140) < abs(len(snippet) - 140):
                snippet = row["text"]
        ratings = [row["rating"] for row in said[name] if row["rating"] is not None]
        mean = np.float32(sum(ratings) / len(ratings)) if ratings else None
        found[name] = (len(posted[name]), len(said[name]), mean, snippet, (firsts + others)[:4])
    return found


def test_summaries_are_those_of_a_loop(tmp_path: Path) -> None:
    photos, reviews = made_up(400)
    Catalog.write(
        str(tmp_path), batches(photos, photos_schema(DIM), 70), batches(reviews, reviews_schema(DIM), 90), SPACE
    )
    catalog = Catalog.open(str(tmp_path))
    users = by_hand(photos, reviews, "user_id")
    order = sorted(users, key=lambda name: (-users[name][0], -users[name][1], name))
    assert [row.user_id for row in catalog.users(limit=1000).rows] == order
    for row in catalog.users(limit=1000).rows:
        count, said, _, snippet, samples = users[row.user_id]
        assert (row.photos, row.reviews, row.snippet, row.photo_ids) == (count, said, snippet, samples)
    places = {name: row for name, row in by_hand(photos, reviews, "business_id").items() if row[0]}
    order = sorted(places, key=lambda name: (-places[name][0], -places[name][1], name))
    assert [row.business_id for row in catalog.businesses(limit=1000).rows] == order
    for place in catalog.businesses(limit=1000).rows:
        shown = (place.photos, place.reviews, place.rating, place.snippet, place.photo_ids)
        assert shown == places[place.business_id]
