"""The sizes of the generated corpus, validated before generation."""

from __future__ import annotations

from dataclasses import dataclass

from showcases.errors import ConfigError


@dataclass(frozen=True)
class MiniConfig:
    """How large the generated corpus is; the defaults make about 40 MB in well under a minute.

    Args:
        restaurants: businesses in the town.
        users: people who write reviews; about two in five write only one, as in GEST-raw.
        reviews: rows of image_review_all.json, including planted duplicate rows.
        photos: distinct photo ids over all rows, including planted copies and expired ones.
        photo_size: length of a photo's shorter side, in pixels.
        annotated_reviews: reviews of which every (sentence, photo) pair is labelled.
        annotators: simulated people who label each pair.
        seed: the same seed writes the same bytes.
    """

    restaurants: int = 80
    users: int = 500
    reviews: int = 3000
    photos: int = 6000
    photo_size: int = 128
    annotated_reviews: int = 1000
    annotators: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        """Reject impossible sizes."""
        _require(self.restaurants >= 4, f"restaurants={self.restaurants}", "at least 4")
        _require(self.users >= 10, f"users={self.users}", "at least 10")
        _require(self.photo_size >= 32, f"photo_size={self.photo_size} px", "at least 32 px")
        _require(self.annotators >= 1, f"annotators={self.annotators}", "at least 1")
        _require(self.annotated_reviews >= 0, f"annotated_reviews={self.annotated_reviews}", "0 or more")
        _require(self.seed >= 0, f"seed={self.seed}", "0 or more")
        _require(
            2 * self.users <= self.reviews <= 0.7 * self.users * self.restaurants,
            f"reviews={self.reviews} for {self.users} users and {self.restaurants} restaurants",
            "2 to 0.7 * restaurants reviews per user",
        )
        _require(
            1.4 * self.reviews <= self.photos <= 4 * self.reviews,
            f"photos={self.photos} for {self.reviews} reviews",
            "1.4 to 4 photos per review",
        )


def _require(holds: bool, found: str, allowed: str) -> None:
    if not holds:
        raise ConfigError(f"mini corpus: {found}; allowed: {allowed}")
