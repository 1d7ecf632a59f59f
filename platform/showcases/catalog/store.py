"""The catalog: what serving asks for, each answered by one indexed lookup, and with a tenant by one more."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from showcases.catalog import filters
from showcases.catalog.failures import retry_store_failures
from showcases.catalog.filters import CatalogError, NotFoundError
from showcases.catalog.listing import Page, Place, page
from showcases.catalog.live import LiveTables
from showcases.catalog.opened import Opened, open_served
from showcases.catalog.rows import (
    BusinessSummary,
    Photo,
    PhotoRows,
    ReviewRows,
    UserSummary,
    in_order,
    photo_rows,
    review_rows,
)
from showcases.catalog.schema import BUSINESSES, USERS, photos_schema, reviews_schema
from showcases.catalog.sent import rows_of
from showcases.catalog.tables import connect, find
from showcases.catalog.versions import Versions
from showcases.catalog.write import write_tables

PHOTO_COLUMNS = ["photo_id", "business_id", "vector"]
REVIEW_COLUMNS = ["review_id", "user_id", "business_id", "text", "rating", "feature"]
BYTES_COLUMNS = ["photo_id", "business_id", "bytes", "width", "height"]


class Catalog:
    """Photos and reviews by business and by user; safe to use from several threads.

    It reads the version that was served when it was opened until `refresh`. A lookup with a `tenant` returns that
    tenant's own rows besides (`put_reviews`, `put_photos`), as they are at that moment, and never those of another.
    Ids that can't be ids are a CatalogError in every lookup.

    Attributes:
        uri: folder, or s3://bucket/prefix.
    """

    def __init__(self, versions: Versions, opened: Opened) -> None:
        self.uri = versions.uri
        self._versions, self._opened = versions, opened
        self._refreshing = threading.Lock()

    @classmethod
    def open(cls, uri: str, storage_options: Mapping[str, str] | None = None, keep_bytes: int = 0) -> "Catalog":
        """Open what `write` wrote.

        Args:
            uri: folder, or s3://bucket/prefix.
            storage_options: LanceDB's, for object stores (see `located`).
            keep_bytes: of published rows that were looked up lately, kept in memory; photos' bytes never are.

        Raises:
            CatalogError: there is no catalog.
        """
        versions = Versions(uri, dict(storage_options or {}))
        return cls(versions, open_served(versions, keep_bytes))

    @classmethod
    def write(
        cls,
        uri: str,
        photos: Iterable[pa.RecordBatch],
        reviews: Iterable[pa.RecordBatch],
        embedding_space: str,
        storage_options: Mapping[str, str] | None = None,
    ) -> dict[str, int]:
        """Publish a version: who opens the catalog sees the one before until this one is whole.

        Args:
            uri: folder, or s3://bucket/prefix.
            photos: batches of `photos_schema`, at least one (it may be empty); streamed. Unless it is an iterator, it
                is read again where the object store failed.
            reviews: batches of `reviews_schema`, likewise.
            embedding_space: EmbeddingTable.model_id of all vectors.
            storage_options: LanceDB's, for object stores (see `located`).

        Returns:
            Rows by table.

        Raises:
            CatalogError: another publish has begun in the meantime.
            ObjectStoreError: the store refused, or failed too often.
        """
        versions = Versions(uri, dict(storage_options or {}))
        with versions.publishing() as version:
            database = connect(versions.at(version), storage_options)
            rows = write_tables(database, photos, reviews, embedding_space)
            dim = database.open_table("photos").schema.field("vector").type.list_size
            live = partial(LiveTables.create, uri, embedding_space, dim, versions.storage_options)
            retry_store_failures(uri, live)
        return rows

    @property
    def version(self) -> str:
        """Name of the version that it reads."""
        return self._opened.version

    @property
    def embedding_space(self) -> str:
        """EmbeddingTable.model_id of every vector in it."""
        return self._opened.space

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return self._opened.dim

    def is_current(self) -> bool:
        """Whether the version that it reads is the served one; reads one small file."""
        return self._versions.current() == self.version

    def refresh(self) -> bool:
        """Go over to the served version, between two lookups; lookups under way end on the old one.

        Returns:
            Whether there was another one.

        Raises:
            CatalogError: its vectors are another encoder's, which the models that use this object don't know; it goes
                on with the old version.
        """
        with self._refreshing:
            if self.is_current():
                return False
            opened = open_served(self._versions, int(self._opened.cache.maxsize))
            if opened.space != self.embedding_space:
                raise CatalogError(
                    f"{self.uri}: {opened.version} has vectors of {opened.space!r}, not {self.embedding_space!r}: "
                    "start the service anew, with models that were trained on those"
                )
            self._opened = opened
            return True

    def put_reviews(self, user_id: str, reviews: Iterable[Mapping[str, Any]], tenant: str) -> None:
        """Replace what a tenant had put as a user's reviews; the next lookup of any process sees these.

        Args:
            reviews: review_id, business_id, text and, if known, rating and feature (a unit vector), perhaps none.

        Raises:
            CatalogError: an id can't be one or comes twice, a value is missing or does not fit.
        """
        rows = self._checked(reviews, reviews_schema(self.dim), "user", user_id, tenant)
        self._opened.live.put("live_reviews", tenant, user_id, rows)

    def put_photos(self, business_id: str, photos: Iterable[Mapping[str, Any]], tenant: str) -> None:
        """Replace what a tenant had put as a business' photos; the next lookup of any process sees these.

        Of several processes that put one photo id into different businesses at once, one does.

        Args:
            photos: photo_id, vector (a unit vector), bytes (JPEG), width, height (px) and, if known, user_id and
                review_id; perhaps none.

        Raises:
            IdTakenError: a photo's id is a published one's, or in another business of the tenant.
            BusyError: the tenant's other PUTs took too long.
            CatalogError: an id can't be one or comes twice; a value is missing or does not fit.
        """
        opened = self._opened
        rows = self._checked(photos, photos_schema(opened.dim), "business", business_id, tenant)
        ids = rows["photo_id"].to_pylist()
        if not ids:
            opened.live.put("live_photos", tenant, business_id, rows)
            return
        with opened.live.locks.hold(f"photos of {tenant}") as held:
            opened.require_free(ids, business_id, tenant)

            def confirm() -> None:  # where this process slept for as long as the lock lasts, another may have come
                if not held.is_safe():
                    opened.require_free(ids, business_id, tenant)

            opened.live.put("live_photos", tenant, business_id, rows, confirm)

    def photos_of_business(self, business_id: str, tenant: str | None = None) -> PhotoRows:
        """All photos of a business.

        Raises:
            NotFoundError: it has none; the catalog keeps no business without photos.
        """
        table = self._opened.rows("photos", "business_id", [business_id], PHOTO_COLUMNS, tenant)
        if not table.num_rows:
            raise NotFoundError(f"no business {business_id!r} in the catalog")
        return photo_rows(table)

    def photos(self, photo_ids: Sequence[str], tenant: str | None = None) -> PhotoRows:
        """Photos by id, each once, in the order asked for.

        Raises:
            NotFoundError: there is no such photo; the message names it.
        """
        found = self._opened.rows("photos", "photo_id", photo_ids, PHOTO_COLUMNS, tenant)
        rows = photo_rows(in_order(found, photo_ids))
        missing = [name for name in photo_ids if name not in set(rows.ids)]
        if missing:
            raise NotFoundError(f"no photo {missing[0]!r} in the catalog")
        return rows

    def photos_of_user(self, user_id: str, tenant: str | None = None) -> PhotoRows:
        """All photos that a user posted, perhaps none.

        Raises:
            NotFoundError: no such user.
        """
        table = self._opened.rows("photos", "user_id", [user_id], PHOTO_COLUMNS, tenant)
        if not table.num_rows:
            self.user(user_id, tenant)
        return photo_rows(table)

    def reviews_of_user(self, user_id: str, tenant: str | None = None) -> ReviewRows:
        """All reviews of a user, perhaps none (there are photos without words).

        Raises:
            NotFoundError: no such user.
        """
        table = self._opened.rows("reviews", "user_id", [user_id], REVIEW_COLUMNS, tenant)
        if not table.num_rows:
            self.user(user_id, tenant)
        return review_rows(table)

    def photo(self, photo_id: str, tenant: str | None = None) -> Photo:
        """One photo with its bytes: the published one of this id, else the tenant's own.

        Raises:
            NotFoundError: no such photo.
        """
        opened, where = self._opened, filters.equals("photo_id", photo_id, "photo")
        table, own = find(opened.tables["photos"], where, BYTES_COLUMNS, limit=1), False
        if not table.num_rows and tenant is not None:
            table, own = opened.live.find("live_photos", tenant, "photo_id", [photo_id], BYTES_COLUMNS), True
        if not table.num_rows:
            raise NotFoundError(f"no photo {photo_id!r} in the catalog")
        return Photo(**table.slice(0, 1).to_pylist()[0], own=own)

    def business(self, business_id: str, tenant: str | None = None) -> BusinessSummary:
        """Summary of one business.

        Raises:
            NotFoundError: no such business, or one without photos.
        """
        summary = self._opened.summary("businesses", BUSINESSES.names, business_id, tenant)
        if not summary["photos"]:
            raise NotFoundError(f"no business {business_id!r} in the catalog")
        return BusinessSummary(**summary)

    def user(self, user_id: str, tenant: str | None = None) -> UserSummary:
        """Summary of one user.

        Raises:
            NotFoundError: no such user.
        """
        summary = self._opened.summary("users", USERS.names, user_id, tenant)
        if not summary["photos"] + summary["reviews"]:
            raise NotFoundError(f"no user {user_id!r} in the catalog")
        return UserSummary(**summary)

    def businesses(self, limit: int = 50, query: str = "", after: Place | None = None) -> Page[BusinessSummary]:
        """Published businesses with most photos first; with a query, those whose id or snippet contains it.

        Args:
            limit: rows of the page, at least 1.
            after: of the page before.
        """
        return page(self._opened.tables["businesses"], BusinessSummary, BUSINESSES.names, limit, query, after)

    def users(self, limit: int = 50, query: str = "", after: Place | None = None) -> Page[UserSummary]:
        """Published users with most photos first, otherwise as `businesses`."""
        return page(self._opened.tables["users"], UserSummary, USERS.names, limit, query, after)

    def served(self) -> tuple[str, dict[str, int]]:
        """The version that it reads and its published rows by table; fails where the store can't be reached."""
        opened = self._opened
        return opened.version, {name: table.count_rows() for name, table in opened.tables.items()}

    def _checked(
        self, sent: Iterable[Mapping[str, Any]], schema: pa.Schema, kind: str, group: str, tenant: str
    ) -> pa.Table:
        """What somebody sent as rows of the schema, with checked ids."""
        filters.checked_id(tenant, "tenant")
        return rows_of(sent, schema, {f"{kind}_id": filters.checked_id(group, kind)})
