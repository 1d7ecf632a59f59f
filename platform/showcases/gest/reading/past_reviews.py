"""Whose review, and of which business, an id in GEST-s2's `history_reviews` names.

The official file joins user and business by `_` without escaping, so an id with several `_` has several readings.
"""

from collections.abc import Callable
from dataclasses import dataclass

from showcases.ids import review_id, split_review_id


@dataclass(frozen=True)
class PastReview:
    """A review that a row names.

    Attributes:
        is_ambiguous: another reading of its id would do as well.
    """

    user_id: str
    business_id: str
    is_ambiguous: bool = False

    @property
    def review_id(self) -> str:
        return review_id(self.user_id, self.business_id)


def resolve(name: str, user_id: str, is_row: Callable[[str], bool]) -> PastReview:
    """The review that an id means: one by the row's user, else one that is a row of the file, else the first reading.

    Args:
        name: `<user_id>_<business_id>` as published, or as `showcases.ids.review_id` writes it.
        user_id: of the row that names it.
        is_row: whether a review id (as `showcases.ids.review_id` writes it) is a row of the file.
    """
    found = readings(name)
    if len(found) == 1:
        return PastReview(*found[0])
    rows = [reading for reading in found if is_row(review_id(*reading))]
    by_user = [reading for reading in found if reading[0] == user_id]
    chosen = (by_user or rows or found)[0]
    doubtful = any(reading != chosen for reading in rows) or not (by_user or rows)
    return PastReview(*chosen, is_ambiguous=doubtful)


def readings(name: str) -> list[tuple[str, str]]:
    """All (user, business) that an id may stand for, the one with the shortest user first."""
    places = [place for place, character in enumerate(name) if character == "_" and 0 < place < len(name) - 1]
    found = [(name[:place], name[place + 1 :]) for place in places]
    escaped = split_review_id(name)
    if all(escaped) and review_id(*escaped) == name:
        found.append(escaped)
    return list(dict.fromkeys(found))
