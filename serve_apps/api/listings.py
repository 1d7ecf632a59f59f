"""The catalog routes: a user or business by id, and paginated listings."""

import hashlib
from bisect import bisect_right
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, Query, Request

from serve_apps.api.openapi import refusals
from serve_apps.api.requests import BusinessId, UserId
from serve_apps.api.responses import Business, BusinessPage, BusinessPhotos, Review, ReviewPage, User, UserPage
from serve_apps.http import cursors
from serve_apps.http.cursors import Cursor
from serve_apps.http.strict_query import WholeNumber
from showcases.catalog import Catalog, Page

MOST = 200  # rows of a page
ID_PART = 64  # characters of an id in a cursor: path and cursor together must fit into `Limits.target_bytes`
Limit = Annotated[WholeNumber, Query(ge=1, le=MOST, description="Maximum rows per page.")]
Search = Annotated[str, Query(max_length=100, description="Substring of an id or of a text; case-insensitive.")]
_T = TypeVar("_T")


def install(api: FastAPI, catalog: Catalog) -> None:
    """Add the routes."""
    unknown = refusals(404)

    @api.get("/v1/businesses", response_model=BusinessPage, tags=["catalog"])
    def list_businesses(limit: Limit = 50, query: Search = "", cursor: Cursor = "") -> BusinessPage:
        """Published businesses that have photos, ordered by number of photos, descending."""
        return BusinessPage(**_page("/v1/businesses", catalog.businesses, Business, limit, query, cursor))

    @api.get("/v1/businesses/{business_id}", response_model=Business, responses=unknown, tags=["catalog"])
    def get_business(business_id: BusinessId, request: Request) -> Business:
        """A business that has photos; the counts include your uploads."""
        return Business(**vars(catalog.business(business_id, request.state.tenant)))

    @api.get("/v1/businesses/{business_id}/photos", response_model=BusinessPhotos, responses=unknown, tags=["catalog"])
    def list_business_photos(
        business_id: BusinessId, request: Request, limit: Limit = MOST, cursor: Cursor = ""
    ) -> BusinessPhotos:
        """Photos of a business, the candidates for a showcase, ordered by id."""
        ids = sorted(catalog.photos_of_business(business_id, request.state.tenant).ids, key=_sort_key)
        shown, following = _slice(request.url.path, ids, limit, cursor)
        return BusinessPhotos(business_id=business_id, photo_ids=ids[shown], total=len(ids), next_cursor=following)

    @api.get("/v1/users", response_model=UserPage, tags=["catalog"])
    def list_users(limit: Limit = 50, query: Search = "", cursor: Cursor = "") -> UserPage:
        """Published users, ordered by number of photos, descending."""
        return UserPage(**_page("/v1/users", catalog.users, User, limit, query, cursor))

    @api.get("/v1/users/{user_id}", response_model=User, responses=unknown, tags=["catalog"])
    def get_user(user_id: UserId, request: Request) -> User:
        """A user; the counts include your uploads."""
        return User(**vars(catalog.user(user_id, request.state.tenant)))

    @api.get("/v1/users/{user_id}/reviews", response_model=ReviewPage, responses=unknown, tags=["catalog"])
    def list_user_reviews(user_id: UserId, request: Request, limit: Limit = MOST, cursor: Cursor = "") -> ReviewPage:
        """A user's reviews, ordered by id."""
        found = catalog.reviews_of_user(user_id, request.state.tenant)
        rows = zip(found.ids, found.business_ids, found.ratings, found.texts, strict=True)
        columns = sorted(rows, key=lambda row: _sort_key(row[0]))
        shown, following = _slice(request.url.path, [row[0] for row in columns], limit, cursor)
        items = [Review(review_id=a, business_id=b, rating=c, text=d) for a, b, c, d in columns[shown]]
        return ReviewPage(items=items, total=len(columns), next_cursor=following)


def _page(
    path: str, find: Callable[..., Page[Any]], kind: type[_T], limit: int, query: str, cursor: str
) -> dict[str, Any]:
    """Fields of a page of summaries."""
    listing = f"{path}?{query}"
    found = find(limit, query, cursors.decode(listing, cursor, int, int, str))
    items = [kind(**vars(row)) for row in found.rows]
    return {"items": items, "total": found.total, "next_cursor": cursors.encode(listing, found.after)}


def _slice(listing: str, ids: list[str], limit: int, cursor: str) -> tuple[slice, str | None]:
    """The slice of the ids (sorted by `_sort_key`) on this page, and the cursor of the next page."""
    after = cursors.decode(listing, cursor, str, str)
    start = bisect_right(ids, after, key=_sort_key) if after else 0
    stop = start + limit
    return slice(start, stop), cursors.encode(listing, _sort_key(ids[stop - 1]) if stop < len(ids) else None)


def _sort_key(name: str) -> tuple[str, str]:
    """Sort key of an id: its prefix, then a digest."""
    return name[:ID_PART], hashlib.sha256(name.encode()).hexdigest()[:16]
