"""The catalog: what serving asks for, each answered by one indexed lookup."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from showcases.catalog import filters
from showcases.catalog.filters import CatalogError, NotFoundError
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
from showcases.catalog.schema import BUSINESSES, EMBEDDING_SPACE, USERS
from showcases.catalog.write import write_tables

if TYPE_CHECKING:
    import lancedb

PHOTO_COLUMNS = ["photo_id", "business_id", "vector"]
REVIEW_COLUMNS = ["review_id", "business_id", "text", "rating", "feature"]


class Catalog:
    """Photos and reviews by business and by user; safe to use from several threads.

    Attributes:
        uri: folder, or s3://bucket/prefix.
        embedding_space: EmbeddingTable.model_id of every vector in it.
        dim: length of the vectors.
    """

    def __init__(self, uri: str, tables: "Mapping[str, lancedb.table.Table]") -> None:
        self.uri = uri
        self._tables = tables
        schema = tables["photos"].schema
        self.embedding_space: str = (schema.metadata or {})[EMBEDDING_SPACE.encode()].decode()
        self.dim: int = schema.field("vector").type.list_size

    @classmethod
    def open(cls, uri: str, storage_options: Mapping[str, str] | None = None) -> "Catalog":
        """Open what `write` wrote.

        Args:
            uri: folder, or s3://bucket/prefix.
            storage_options: LanceDB's, for object stores (see `located`).

        Raises:
            CatalogError: there is no catalog.
        """
        try:
            database = _connect(uri, storage_options)
            return cls(uri, {name: database.open_table(name) for name in ("photos", "reviews", "businesses", "users")})
        except (ValueError, KeyError, OSError) as error:
            raise CatalogError(f"{uri}: no catalog there ({error}); it is written by jobs.publish, run that") from error

    @classmethod
    def write(
        cls,
        uri: str,
        photos: Iterable[pa.RecordBatch],
        reviews: Iterable[pa.RecordBatch],
        embedding_space: str,
        storage_options: Mapping[str, str] | None = None,
    ) -> dict[str, int]:
        """Write a catalog in place of the one that stands.

        Args:
            uri: folder, or s3://bucket/prefix.
            photos: batches of `photos_schema`, at least one (it may be empty); streamed.
            reviews: batches of `reviews_schema`, likewise.
            embedding_space: EmbeddingTable.model_id of all vectors.
            storage_options: LanceDB's, for object stores (see `located`).

        Returns:
            Rows by table.
        """
        database = _connect(uri, storage_options)
        return write_tables(database, photos, reviews, embedding_space)

    def photos_of_business(self, business_id: str) -> PhotoRows:
        """All photos of a business.

        Raises:
            NotFoundError: it has none; the catalog keeps no business without photos.
        """
        table = self._find("photos", filters.equals("business_id", business_id, "business"), PHOTO_COLUMNS)
        if not table.num_rows:
            raise NotFoundError(f"no business {business_id!r} in the catalog")
        return photo_rows(table)

    def photos(self, photo_ids: Sequence[str]) -> PhotoRows:
        """Photos by id, each once, in the order asked for.

        Raises:
            NotFoundError: there is no such photo; the message names it.
        """
        found = self._find("photos", filters.one_of("photo_id", photo_ids, "photo"), PHOTO_COLUMNS)
        rows = photo_rows(in_order(found, photo_ids))
        missing = [name for name in photo_ids if name not in set(rows.ids)]
        if missing:
            raise NotFoundError(f"no photo {missing[0]!r} in the catalog")
        return rows

    def photos_of_user(self, user_id: str) -> PhotoRows:
        """All photos that a user posted, perhaps none.

        Raises:
            NotFoundError: no such user.
        """
        table = self._find("photos", filters.equals("user_id", user_id, "user"), PHOTO_COLUMNS)
        if not table.num_rows:
            self.user(user_id)
        return photo_rows(table)

    def reviews_of_user(self, user_id: str) -> ReviewRows:
        """All reviews of a user, perhaps none (there are photos without words).

        Raises:
            NotFoundError: no such user.
        """
        table = self._find("reviews", filters.equals("user_id", user_id, "user"), REVIEW_COLUMNS)
        if not table.num_rows:
            self.user(user_id)
        return review_rows(table)

    def photo(self, photo_id: str) -> Photo:
        """One photo with its bytes.

        Raises:
            NotFoundError: no such photo.
        """
        columns = ["photo_id", "business_id", "bytes", "width", "height"]
        table = self._find("photos", filters.equals("photo_id", photo_id, "photo"), columns, limit=1)
        if not table.num_rows:
            raise NotFoundError(f"no photo {photo_id!r} in the catalog")
        return Photo(**table.to_pylist()[0])

    def business(self, business_id: str) -> BusinessSummary:
        """Summary of one business.

        Raises:
            NotFoundError: no such business, or one without photos.
        """
        table = self._find("businesses", filters.equals("business_id", business_id, "business"), BUSINESSES.names)
        if not table.num_rows:
            raise NotFoundError(f"no business {business_id!r} in the catalog")
        return BusinessSummary(**table.to_pylist()[0])

    def user(self, user_id: str) -> UserSummary:
        """Summary of one user.

        Raises:
            NotFoundError: no such user.
        """
        table = self._find("users", filters.equals("user_id", user_id, "user"), USERS.names)
        if not table.num_rows:
            raise NotFoundError(f"no user {user_id!r} in the catalog")
        return UserSummary(**table.to_pylist()[0])

    def businesses(self, limit: int = 50, query: str = "") -> list[BusinessSummary]:
        """Businesses with most photos first; with a query, those whose id or snippet contains it."""
        rows = self._search("businesses", ("business_id", "snippet"), BUSINESSES.names, limit, query)
        return [BusinessSummary(**row) for row in rows]

    def users(self, limit: int = 50, query: str = "") -> list[UserSummary]:
        """Users with most photos first; with a query, those whose id or snippet contains it."""
        return [UserSummary(**row) for row in self._search("users", ("user_id", "snippet"), USERS.names, limit, query)]

    def counts(self) -> dict[str, int]:
        """Rows by table; fails where the store can't be reached."""
        return {name: table.count_rows() for name, table in self._tables.items()}

    def _find(self, table: str, where: str, columns: list[str], limit: int | None = None) -> pa.Table:
        query = self._tables[table].search().where(where).select(columns)
        return query.limit(limit).to_arrow() if limit else query.to_arrow()

    def _search(
        self, table: str, columns: tuple[str, ...], names: list[str], limit: int, query: str
    ) -> list[dict[str, Any]]:
        found = self._tables[table].search().select(names)
        if query:
            found = found.where(filters.contains(columns, query))
        return found.limit(limit).to_arrow().to_pylist()


def _connect(uri: str, storage_options: Mapping[str, str] | None) -> "lancedb.DBConnection":
    import lancedb  # here, because its runtime warns at every fork, and Ray forks when it starts

    return lancedb.connect(uri, storage_options=dict(storage_options or {}))
