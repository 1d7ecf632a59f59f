"""Planted faults of real data, in known numbers: copies, expired URLs, broken files, invalid rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from showcases_demo.config import MiniConfig
from showcases_demo.foreign import foreign_text
from showcases_demo.model import Photo, Review

PHOTO_RATES = {"duplicate_photos": 0.015, "expired_urls": 0.004, "truncated_jpegs": 0.001}  # of all photos
ROW_RATES = {  # of all reviews
    "duplicate_rows": 0.002,
    "over_10_photos": 0.003,
    "no_photos": 0.003,
    "empty_texts": 0.005,
    "under_5_words": 0.01,
    "spanish": 0.006,
    "french": 0.003,
    "japanese": 0.003,
    "translated_by_google": 0.006,
}
SHORT_TEXTS = ("Good.", "Nice place!", "Loved it.", "Ok food", "So yummy!", "Great!", "Will come back.")


def plan_faults(config: MiniConfig) -> dict[str, int]:
    """Number of faults of each kind, at least one."""
    photos = {name: max(1, round(rate * config.photos)) for name, rate in PHOTO_RATES.items()}
    rows = {name: max(1, round(rate * config.reviews)) for name, rate in ROW_RATES.items()}
    return photos | rows


def plant_copies(
    rng: np.random.Generator, visits: list[tuple[int, int]], photos: list[list[Photo]], count: int
) -> None:
    """Turn `count` photos into byte-for-byte copies of an earlier photo of the same restaurant, in place."""
    earlier: dict[int, list[Photo]] = {}
    slots = []
    for row, (_, restaurant) in enumerate(visits):
        slots += [(row, column) for column in range(len(photos[row])) if column or restaurant in earlier]
        earlier.setdefault(restaurant, []).extend(photos[row])
    chosen = {slots[i] for i in rng.permutation(len(slots))[:count]}
    originals: dict[int, list[Photo]] = {}
    for row, (_, restaurant) in enumerate(visits):
        for column, photo in enumerate(photos[row]):
            known = originals.setdefault(restaurant, [])
            if (row, column) in chosen and known:
                source = known[-1] if rng.random() < 0.5 else known[int(rng.integers(len(known)))]
                photos[row][column] = replace(source, photo_id=photo.photo_id, copy_of=source.photo_id)
            else:
                known.append(photo)


def plant_photo_faults(rng: np.random.Generator, photos: list[list[Photo]], faults: dict[str, int]) -> None:
    """Mark photos as expired (no file) or truncated (half a file), in place; copies and originals stay whole."""
    copied = {photo.copy_of for row in photos for photo in row if photo.copy_of}
    slots = [
        (row, column)
        for row, shots in enumerate(photos)
        for column, photo in enumerate(shots)
        if not photo.copy_of and photo.photo_id not in copied
    ]
    kinds = ["expired"] * faults["expired_urls"] + ["truncated"] * faults["truncated_jpegs"]
    for kind, index in zip(kinds, rng.permutation(len(slots)), strict=False):
        row, column = slots[index]
        photos[row][column] = replace(photos[row][column], fault=kind)


def plant_row_faults(rng: np.random.Generator, reviews: list[Review], faults: dict[str, int]) -> list[Review]:
    """Spoil some texts and repeat some rows; a spoiled row keeps its photos and loses its sentences' truth."""
    rows = [_named(review) for review in reviews]
    plain = [index for index in rng.permutation(len(rows)) if not rows[index].fault]
    for name, rewrite in REWRITES.items():
        for _ in range(faults[name]):
            index = plain.pop()
            text = rewrite(rng, rows[index])
            rows[index] = replace(rows[index], text=text, sentences=(), fault=name)
    for _ in range(faults["duplicate_rows"]):
        copy = replace(rows[plain.pop()], fault="duplicate_rows")
        rows.insert(int(rng.integers(len(rows) + 1)), copy)
    return rows


def _named(review: Review) -> Review:
    if not review.photos:
        return replace(review, fault="no_photos")
    return replace(review, fault="over_10_photos") if len(review.photos) > 10 else review


def _short(rng: np.random.Generator, review: Review) -> str:
    return SHORT_TEXTS[int(rng.integers(len(SHORT_TEXTS)))]


def _translated(rng: np.random.Generator, review: Review) -> str:
    original = foreign_text(rng, "spanish", review.photos)
    return f"(Translated by Google) {review.text}\n\n(Original)\n{original}"


REWRITES: dict[str, Callable[[np.random.Generator, Review], str]] = {
    "empty_texts": lambda rng, review: "",
    "under_5_words": _short,
    "spanish": lambda rng, review: foreign_text(rng, "spanish", review.photos),
    "french": lambda rng, review: foreign_text(rng, "french", review.photos),
    "japanese": lambda rng, review: foreign_text(rng, "japanese", review.photos),
    "translated_by_google": _translated,
}
