"""Pagination cursors: opaque to clients; they encode the last row's sort key and a digest of the listing."""

import base64
import binascii
import hashlib
import json
from typing import Annotated, Any

from fastapi import Query

from serve_apps.http.asgi import RefusedError
from serve_apps.http.schema import FieldError

Cursor = Annotated[
    str,
    Query(
        pattern="^[A-Za-z0-9_-]*$",
        description="`next_cursor` of the previous page, with the same query; empty: the first page.",
    ),
]


def encode(listing: str, place: tuple[Any, ...] | None) -> str | None:
    """A cursor; None if this is the last page.

    Args:
        listing: path and query of the listing, e.g. "/v1/users?ramen"; the cursor is only valid for the same listing.
        place: strings and whole numbers.
    """
    if place is None:
        return None
    data = json.dumps([_mark(listing), *place], ensure_ascii=False, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(listing: str, cursor: str, *kinds: type) -> tuple[Any, ...] | None:
    """The sort key in a cursor, one value of each kind; None for an empty cursor.

    Raises:
        RefusedError: 422, it isn't a cursor of this listing.
    """
    if not cursor:
        return None
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        mark, *place = json.loads(data)
    except (binascii.Error, ValueError, TypeError, RecursionError):
        mark, place = None, []
    fits = len(place) == len(kinds) and all(type(one) is kind for one, kind in zip(place, kinds, strict=True))
    if mark != _mark(listing) or not fits:
        message = "not a cursor of this listing and query; omit it to get the first page"
        error = FieldError(location="query", pointer="/cursor", code="cursor_foreign", message=message)
        raise RefusedError(422, f"cursor: {message}", errors=[error])
    return tuple(place)


def _mark(listing: str) -> str:
    return hashlib.sha256(listing.encode()).hexdigest()[:12]
