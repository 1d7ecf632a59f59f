"""The catalog: each query of the service is one indexed lookup, plus one for the tenant's uploads."""

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
from showcases.catalog.tables import connect, find
from showcases.catalog.upload_log import rows_of
from showcases.catalog.versions import Versions
from showcases.catalog.write import write_tables

PHOTO_COLUMNS = ["photo_id", "business_id", "vector"]
REVIEW_COLUMNS = ["review_id", "user_id", "business_id", "text", "rating", "feature"]
BYTES_COLUMNS = ["photo_id", "business_id", "bytes", "width", "height"]


class Catalog:
    """Photos and reviews by business and by user; thread-safe.

    Reads the version that was served when it was opened, until `refresh`. A lookup with a `tenant` also returns that
    tenant's current uploads (`put_reviews`, `put_photos`), never another tenant's. Every lookup raises CatalogError for
    an invalid id.

    Attributes:
        uri: folder, or s3://bucket/prefix.
    """

    def __init__(self, versions: Versions, opened: Opened) -> None:
        self.uri = versions.uri
        self._versions, self._opened = versions, opened
        self._refreshing = threading.Lock()

    @classmethod
    def open(cls, uri: str, storage_options: Mapping[str, str] | None = None, keep_bytes: int = 0) -> "Catalog":
        """Open a catalog that `write` published.

        Args:
            uri: folder, or s3://bucket/prefix.
            storage_options: LanceDB's, for object stores (see `located`).
            keep_bytes: size of the LRU cache of published rows; JPEGs are never cached.

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
        """Publish a version; readers see the previous one until this one is complete.

        Args:
            uri: folder, or s3://bucket/prefix.
            photos: batches of `photos_schema`, at least one (it may be empty); streamed. Unless it is an iterator,
                it is read again if the object store fails.
            reviews: batches of `reviews_schema`, likewise.
            embedding_space: EmbeddingTable.model_id of all vectors.
            storage_options: LanceDB's, for object stores (see `located`).

        Returns:
            Rows by table.

        Raises:
            CatalogError: another publish has started in the meantime.
            ObjectStoreError: the store rejected a request, or failed too often.
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
        """Name of the opened version."""
        return self._opened.version

    @property
    def embedding_space(self) -> str:
        """EmbeddingTable.model_id of all vectors."""
        return self._opened.space

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return self._opened.dim

    def is_current(self) -> bool:
        """Whether the opened version is the served one; reads one small file."""
        return self._versions.current() == self.version

    def refresh(self) -> bool:
        """Switch to the served version; lookups in progress finish on the old one.

        Returns:
            Whether the version changed.

        Raises:
            CatalogError: its vectors come from another encoder than the one that the loaded models use; the old version
                stays open.
        """
        with self._refreshing:
            if self.is_current():
                return False
            opened = open_served(self._versions, int(self._opened.cache.maxsize))
            if opened.space != self.embedding_space:
                raise CatalogError(
                    f"{self.uri}: {opened.version} has vectors of {opened.space!r}, not {self.embedding_space!r}: "
                    "restart the service with models that were trained on those"
                )
            self._opened = opened
            return True

    def put_reviews(self, user_id: str, reviews: Iterable[Mapping[str, Any]], tenant: str) -> None:
        """Replace a tenant's uploaded reviews of a user; visible to the next lookup of any process.

        Args:
            reviews: review_id, business_id, text and, if known, rating and feature (a unit vector); may be empty.

        Raises:
            CatalogError: an id is invalid or repeated, or a value is missing or invalid.
        """
        rows = self._checked(reviews, reviews_schema(self.dim), "user", user_id, tenant)
        self._opened.live.put("live_reviews", tenant, user_id, rows)

    def put_photos(self, business_id: str, photos: Iterable[Mapping[str, Any]], tenant: str) -> None:
        """Replace a tenant's uploaded photos of a business; visible to the next lookup of any process.

        If several processes put one photo id into different businesses concurrently, one succeeds.

        Args:
            photos: photo_id, vector (a unit vector), bytes (JPEG), width, height (px) and, if known, user_id and
                review_id; may be empty.

        Raises:
            IdTakenError: a photo id is published, or in use for another business of the tenant.
            BusyError: timed out waiting for other PUTs of the tenant.
            CatalogError: an id is invalid or repeated, or a value is missing or invalid.
        """
        opened = self._opened
        rows = self._checked(photos, photos_schema(opened.dim), "business", business_id, tenant)
        ids = rows["photo_id"].to_pylist()
        if not ids:
            opened.live.put("live_photos", tenant, business_id, rows)
            return
        with opened.live.locks.hold(f"photos of {tenant}") as held:
            opened.require_free(ids, business_id, tenant)

            def confirm() -> None:  # if this process was suspended past the lease, another may hold the lock
                if not held.is_safe():
                    opened.require_free(ids, business_id, tenant)

            opened.live.put("live_photos", tenant, business_id, rows, confirm)

    def photos_of_business(self, business_id: str, tenant: str | None = None) -> PhotoRows:
        """All photos of a business.

        Raises:
            NotFoundError: the business has no photos.
        """
        table = self._opened.rows("photos", "business_id", [business_id], PHOTO_COLUMNS, tenant)
        if not table.num_rows:
            raise NotFoundError(f"no business {business_id!r} in the catalog")
        return photo_rows(table)

    def photos(self, photo_ids: Sequence[str], tenant: str | None = None) -> PhotoRows:
        """Photos by id, in the order of `photo_ids`.

        Raises:
            NotFoundError: a photo does not exist; the message names it.
        """
        found = self._opened.rows("photos", "photo_id", photo_ids, PHOTO_COLUMNS, tenant)
        rows = photo_rows(in_order(found, photo_ids))
        missing = [name for name in photo_ids if name not in set(rows.ids)]
        if missing:
            raise NotFoundError(f"no photo {missing[0]!r} in the catalog")
        return rows

    def photos_of_user(self, user_id: str, tenant: str | None = None) -> PhotoRows:
        """All photos that a user posted, possibly none.

        Raises:
            NotFoundError: no such user.
        """
        table = self._opened.rows("photos", "user_id", [user_id], PHOTO_COLUMNS, tenant)
        if not table.num_rows:
            self.user(user_id, tenant)
        return photo_rows(table)

    def reviews_of_user(self, user_id: str, tenant: str | None = None) -> ReviewRows:
        """All reviews of a user, possibly none (a photo can be posted without text).

        Raises:
            NotFoundError: no such user.
        """
        table = self._opened.rows("reviews", "user_id", [user_id], REVIEW_COLUMNS, tenant)
        if not table.num_rows:
            self.user(user_id, tenant)
        return review_rows(table)

    def photo(self, photo_id: str, tenant: str | None = None) -> Photo:
        """One photo with its bytes: the published one with this id, else the tenant's upload.

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
        """Published businesses, most photos first; with a query, only those whose id or snippet contains it.

        Args:
            limit: rows per page, at least 1.
            after: `Page.after` of the previous page.
        """
        return page(self._opened.tables["businesses"], BusinessSummary, BUSINESSES.names, limit, query, after)

    def users(self, limit: int = 50, query: str = "", after: Place | None = None) -> Page[UserSummary]:
        """Published users, most photos first; otherwise like `businesses`."""
        return page(self._opened.tables["users"], UserSummary, USERS.names, limit, query, after)

    def served(self) -> tuple[str, dict[str, int]]:
        """The opened version and its row counts by table; raises if the store is unreachable."""
        opened = self._opened
        return opened.version, {name: table.count_rows() for name, table in opened.tables.items()}

    def _checked(
        self, sent: Iterable[Mapping[str, Any]], schema: pa.Schema, kind: str, group: str, tenant: str
    ) -> pa.Table:
        """Uploaded rows as a table of the schema, ids validated."""
        filters.checked_id(tenant, "tenant")
        return rows_of(sent, schema, {f"{kind}_id": filters.checked_id(group, kind)})
