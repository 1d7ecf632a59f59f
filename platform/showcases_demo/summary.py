"""Statistics of the generated corpus, beside those of GEST."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from showcases_demo.model import World

# method.md, section 1 (GEST-raw); photos a business is that of GEST-s1.
GEST = {
    "photos": 4_435_565,
    "reviews": 1_771_160,
    "users": 1_010_511,
    "businesses": 65_113,
    "words a review": 36.26,
    "photos a business": 35.63,
    "photos a review": 4_435_565 / 1_771_160,
}


@dataclass(frozen=True)
class MiniSummary:
    """Counts and means over the written rows."""

    reviews: int
    photos: int  # distinct photo ids
    photo_files: int
    users: int
    businesses: int
    words_per_review: float
    photos_per_business: float
    photos_per_review: float
    single_review_users: float  # share, 0 to 1
    label_tasks: int
    faults: dict[str, int] = field(default_factory=dict)  # name -> planted

    def as_table(self) -> str:
        """Lines of "name, mini, GEST", then the planted faults."""
        mine: dict[str, float] = {
            "photos": self.photos,
            "reviews": self.reviews,
            "users": self.users,
            "businesses": self.businesses,
            "words a review": self.words_per_review,
            "photos a business": self.photos_per_business,
            "photos a review": self.photos_per_review,
            "one-review users": self.single_review_users,
        }
        lines = [f"{'':<20}{'mini':>12}{'GEST':>14}"]
        for name, value in mine.items():
            theirs = _number(GEST[name]) if name in GEST else "not published"
            lines.append(f"{name:<20}{_number(value):>12}{theirs:>14}")
        planted = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in self.faults.items())
        return "\n".join([*lines, f"labelled pairs {self.label_tasks:,}", f"planted: {planted}"])


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def summarize(world: World, photo_files: int, label_tasks: int) -> MiniSummary:
    """Counts over the rows; duplicates count as in the file, photo ids once."""
    rows = world.reviews
    photo_ids = {photo.photo_id for review in rows for photo in review.photos}
    per_user = Counter(user for user, _ in {(review.user, review.restaurant) for review in rows})
    businesses = len({review.restaurant for review in rows})
    return MiniSummary(
        reviews=len(rows),
        photos=len(photo_ids),
        photo_files=photo_files,
        users=len(per_user),
        businesses=businesses,
        words_per_review=sum(len(review.text.split()) for review in rows) / len(rows),
        photos_per_business=len(photo_ids) / businesses,
        photos_per_review=sum(len(review.photos) for review in rows) / len(rows),
        single_review_users=sum(count == 1 for count in per_user.values()) / len(per_user),
        label_tasks=label_tasks,
        faults=world.faults,
    )
