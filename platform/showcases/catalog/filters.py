"""Filters for LanceDB's SQL, which has no bound parameters: every filter is built, and every value escaped, here."""

from collections.abc import Iterable, Sequence

from showcases.errors import ShowcasesError
from showcases.ids import RULE, is_id


class CatalogError(ShowcasesError):
    """The catalog is missing or incomplete, or a request is invalid for it."""


class NotFoundError(CatalogError):
    """The catalog has no such user, business or photo."""


class IdTakenError(CatalogError):
    """The id of an uploaded photo is already in use: by a published photo, or for another business."""


def literal(value: str) -> str:
    """A SQL string literal; doubling quotes is the only escape in standard SQL strings."""
    return "'" + value.replace("'", "''") + "'"


def checked_id(value: str, kind: str) -> str:
    """Return the id if it is valid.

    Args:
        value: 1 to MAX_ID_LENGTH printable characters, not only blanks.
        kind: for the message, e.g. user.

    Raises:
        CatalogError: the id is empty, too long, or contains control characters.
    """
    if not is_id(value):
        raise CatalogError(f"{kind} id of {len(value)} characters: an id has {RULE}")
    return value


def equals(column: str, value: str, kind: str) -> str:
    """Filter for the rows whose `column` is this id.

    Raises:
        CatalogError: the value is not a valid id.
    """
    return f"{column} = {literal(checked_id(value, kind))}"


def among(column: str, values: Iterable[str], kind: str) -> str:
    """Filter for the rows whose `column` is one of these ids, at least one.

    Raises:
        CatalogError: a value is not a valid id.
    """
    return f"{column} IN ({', '.join(literal(checked_id(value, kind)) for value in values)})"


def contains(columns: tuple[str, ...], query: str) -> str:
    """Filter for the rows where one of the columns contains the query, ignoring case; wildcards are literal."""
    wanted = literal(query.lower())
    return " OR ".join(f"strpos(lower({column}), {wanted}) > 0" for column in columns)


def follows(counts: tuple[str, str], column: str, place: Sequence[int | str]) -> str:
    """Filter for the rows after a position in a table ordered by two counts, descending, then by id.

    Args:
        counts: the two count columns.
        column: the id column.
        place: their values at the position.

    Raises:
        CatalogError: `place` is invalid.
    """
    first, second = counts
    *numbers, last = place
    if len(numbers) != 2 or not all(type(number) is int and 0 <= number < 2**63 for number in numbers):
        raise CatalogError("a position in a listing has two counts of 0 or more, and an id")
    name = literal(checked_id(str(last), column.removesuffix("_id")))
    tied = f"{second} < {numbers[1]} OR ({second} = {numbers[1]} AND {column} > {name})"
    return f"{first} < {numbers[0]} OR ({first} = {numbers[0]} AND ({tied}))"
