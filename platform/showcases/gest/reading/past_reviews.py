"""Resolve ids in GEST-s2's `history_reviews` to user and business.

The official file joins user and business by `_` without escaping, so an id with several `_` is ambiguous.
"""

from collections.abc import Callable
from dataclasses import dataclass

from showcases.ids import review_id, split_review_id


@dataclass(frozen=True)
class PastReview:
    """A past review of a row.

    Attributes:
        is_ambiguous: whether another reading of its id matches equally well.
    """

    user_id: str
    business_id: str
    is_ambiguous: bool = False

    @property
    def review_id(self) -> str:
        return review_id(self.user_id, self.business_id)


def resolve(name: str, user_id: str, is_row: Callable[[str], bool]) -> PastReview:
    """Resolve an id: to a review by the row's user, else to one that is a row of the file, else to the first reading.

    Args:
        name: `<user_id>_<business_id>` as published, or as `showcases.ids.review_id` writes it.
        user_id: user of the row.
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
    """All (user, business) readings of an id, the one with the shortest user first."""
    places = [place for place, character in enumerate(name) if character == "_" and 0 < place < len(name) - 1]
    found = [(name[:place], name[place + 1 :]) for place in places]
    escaped = split_review_id(name)
    if all(escaped) and review_id(*escaped) == name:
        found.append(escaped)
    return list(dict.fromkeys(found))
