"""Pages of the summaries: those with most photos first, each page after the last row of the one before."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from showcases.catalog import filters
from showcases.catalog.tables import search

if TYPE_CHECKING:
    from lancedb.table import Table

Place = tuple[int, int, str]  # photos, reviews and id of a row: what the summaries are ordered by
_T = TypeVar("_T")


@dataclass(frozen=True)
class Page(Generic[_T]):
    """Some rows of a listing.

    Attributes:
        total: rows of the whole listing.
        after: place of the last row here, to get the next page; None if this is the last page.
    """

    rows: list[_T]
    total: int
    after: Place | None


def page(table: "Table", kind: type[_T], names: list[str], limit: int, query: str, after: Place | None) -> Page[_T]:
    """Rows of a summary, the first `limit` of those that follow `after`.

    A place says where a row stands, not which row it is: a page goes on well if the row is gone, or was published
    anew, in between.

    Args:
        kind: what a row becomes.
        names: columns, the id first.
        query: part of an id or snippet, in any case.
    """
    key = names[0]
    wanted = filters.contains((key, "snippet"), query) if query else None
    later = filters.follows(("photos", "reviews"), key, after) if after else None
    both = " AND ".join(f"({one})" for one in (wanted, later) if one) or None
    rows = search(table, names, limit + 1, both)
    last = rows[limit - 1] if len(rows) > limit else None
    place = (last["photos"], last["reviews"], last[key]) if last else None
    return Page([kind(**row) for row in rows[:limit]], table.count_rows(wanted), place)
