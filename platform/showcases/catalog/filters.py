"""Filters for LanceDB's SQL. It binds no parameters, so every value that goes into a filter goes through here,
and nothing else writes one.
"""

from collections.abc import Iterable, Sequence

from showcases.errors import ShowcasesError
from showcases.ids import RULE, is_id


class CatalogError(ShowcasesError):
    """The catalog is missing, unfinished, or is asked for something that it cannot hold."""


class NotFoundError(CatalogError):
    """The catalog holds no such user, business or photo."""


class IdTakenError(CatalogError):
    """The id of a photo that was sent names another photo already: a published one, or one of another business."""


def literal(value: str) -> str:
    """A SQL string literal: quotes are doubled, which is all the escaping that standard SQL strings have."""
    return "'" + value.replace("'", "''") + "'"


def checked_id(value: str, kind: str) -> str:
    """The id itself, if it can be one.

    Args:
        value: 1 to MAX_ID_LENGTH printable characters, not blanks alone.
        kind: for the message, e.g. user.

    Raises:
        CatalogError: it is empty, too long, or holds control characters.
    """
    if not is_id(value):
        raise CatalogError(f"{kind} id of {len(value)} characters: an id has {RULE}")
    return value


def equals(column: str, value: str, kind: str) -> str:
    """Filter for the rows whose `column` is this id.

    Raises:
        CatalogError: the value cannot be an id.
    """
    return f"{column} = {literal(checked_id(value, kind))}"


def among(column: str, values: Iterable[str], kind: str) -> str:
    """Filter for the rows whose `column` is one of these ids, at least one.

    Raises:
        CatalogError: a value cannot be an id.
    """
    return f"{column} IN ({', '.join(literal(checked_id(value, kind)) for value in values)})"


def contains(columns: tuple[str, ...], query: str) -> str:
    """Filter for the rows where one of the columns contains the query, in any case; wildcards mean themselves."""
    wanted = literal(query.lower())
    return " OR ".join(f"strpos(lower({column}), {wanted}) > 0" for column in columns)


def follows(counts: tuple[str, str], column: str, place: Sequence[int | str]) -> str:
    """Filter for the rows behind a place in a table that is ordered by two counts, descending, then by id.

    Args:
        counts: the columns of the counts, 0 or more each.
        column: of the id.
        place: their values at the place.

    Raises:
        CatalogError: a value can't be one.
    """
    first, second = counts
    *numbers, last = place
    if len(numbers) != 2 or not all(type(number) is int and 0 <= number < 2**63 for number in numbers):
        raise CatalogError("a place in a listing has two counts of 0 or more, and an id")
    name = literal(checked_id(str(last), column.removesuffix("_id")))
    tied = f"{second} < {numbers[1]} OR ({second} = {numbers[1]} AND {column} > {name})"
    return f"{first} < {numbers[0]} OR ({first} = {numbers[0]} AND ({tied}))"
