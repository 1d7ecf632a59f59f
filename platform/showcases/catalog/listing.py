"""Keyset pagination of the summaries, those with most photos first."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from showcases.catalog import filters
from showcases.catalog.tables import search

if TYPE_CHECKING:
    from lancedb.table import Table

Place = tuple[int, int, str]  # photos, reviews and id of a row: the sort key of the summaries
_T = TypeVar("_T")


@dataclass(frozen=True)
class Page(Generic[_T]):
    """One page of a listing.

    Attributes:
        total: number of rows in the whole listing.
        after: sort key of the last row, to request the next page; None on the last page.
    """

    rows: list[_T]
    total: int
    after: Place | None


def page(table: "Table", kind: type[_T], names: list[str], limit: int, query: str, after: Place | None) -> Page[_T]:
    """The first `limit` rows of a summary that follow `after`.

    `after` is a sort key, not a row: paging continues correctly if that row was removed or republished in between.

    Args:
        kind: class to build from each row.
        names: columns, the id first.
        query: substring of an id or snippet, ignoring case.
    """
    key = names[0]
    wanted = filters.contains((key, "snippet"), query) if query else None
    later = filters.follows(("photos", "reviews"), key, after) if after else None
    both = " AND ".join(f"({one})" for one in (wanted, later) if one) or None
    rows = search(table, names, limit + 1, both)
    last = rows[limit - 1] if len(rows) > limit else None
    place = (last["photos"], last["reviews"], last[key]) if last else None
    return Page([kind(**row) for row in rows[:limit]], table.count_rows(wanted), place)
