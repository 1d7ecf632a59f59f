"""One version of a catalog opened for reading, with the side tables of its embedding space."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from showcases.catalog import filters
from showcases.catalog.filters import CatalogError, IdTakenError
from showcases.catalog.live import LiveTables
from showcases.catalog.local_copy import KEYS, hidden, merged, summed
from showcases.catalog.schema import EMBEDDING_SPACE
from showcases.catalog.tables import connect, find
from showcases.catalog.versions import Versions
from showcases.extras import imports_of

with imports_of("serve", "ray"):
    from cachetools import LRUCache, cachedmethod

if TYPE_CHECKING:
    from lancedb.table import Table

NOTHING: dict[str, Any] = {"photos": 0, "reviews": 0, "rating": None, "snippet": "", "photo_ids": []}


@dataclass(frozen=True)
class Opened:
    """Tables of one version by name; looks up published rows and a tenant's uploads."""

    version: str
    tables: "Mapping[str, Table]"
    live: LiveTables
    space: str
    dim: int
    cache: "LRUCache[Any, pa.Table]"  # by lookup; `maxsize` in bytes
    lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def open(cls, versions: Versions, version: str, keep_bytes: int = 0) -> "Opened":
        database = connect(versions.at(version), versions.storage_options)
        tables = {name: database.open_table(name) for name in ("photos", "reviews", "businesses", "users")}
        schema = tables["photos"].schema
        space = (schema.metadata or {})[EMBEDDING_SPACE.encode()].decode()
        live = LiveTables.open(versions.uri, space, versions.storage_options)
        cache: LRUCache[Any, pa.Table] = LRUCache(keep_bytes, lambda table: table.nbytes)
        return cls(version, tables, live, space, schema.field("vector").type.list_size, cache)

    def rows(self, name: str, column: str, values: Sequence[str], columns: list[str], tenant: str | None) -> pa.Table:
        """Photos or reviews whose `column` is one of `values` (at least one id)."""
        where = filters.among(column, values, column.removesuffix("_id"))
        published = self._found(name, where, *columns)
        if tenant is None or not self.live.existence[f"live_{name}"].has(tenant):
            return published
        return merged(published, self.uploads(name, tenant, column, values, columns), name)

    def uploads(self, name: str, tenant: str, column: str, values: Sequence[str], columns: list[str]) -> pa.Table:
        """A tenant's uploaded photos or reviews whose `column` is one of `values`; photos as in `unpublished`."""
        found = self.live.find(f"live_{name}", tenant, column, values, columns)
        return self.unpublished(found) if name == "photos" else found

    def unpublished(self, photos: pa.Table) -> pa.Table:
        """A tenant's photos without those whose ids were published after the upload."""
        taken = self.published_ids(photos["photo_id"].to_pylist())
        return photos.filter(pa.array([name not in taken for name in photos["photo_id"].to_pylist()], pa.bool_()))

    def published_ids(self, photo_ids: Sequence[str]) -> set[str]:
        """The subset of the ids that belong to published photos."""
        if not photo_ids:
            return set()
        where = filters.among("photo_id", sorted(photo_ids), "photo")
        return set(self._found("photos", where, "photo_id")["photo_id"].to_pylist())

    @cachedmethod(lambda self: self.cache, lock=lambda self: self.lock)
    def _found(self, name: str, where: str, *columns: str) -> pa.Table:
        """Published rows; cached, because they never change within a version."""
        return find(self.tables[name], where, list(columns))

    def require_free(self, photo_ids: Sequence[str], business_id: str, tenant: str) -> None:
        """Check that the tenant may use these photo ids for the business; other tenants' ids don't matter.

        Raises:
            IdTakenError: one of the ids belongs to a published photo, or to one that the tenant uploaded for another
                business.
        """
        if taken := sorted(self.published_ids(photo_ids)):
            raise IdTakenError(f"photo {taken[0]!r}: a published photo has this id; choose another one")
        uploaded = self.live.find("live_photos", tenant, "photo_id", photo_ids, ["photo_id", "business_id"]).to_pylist()
        if other := next((row for row in uploaded if row["business_id"] != business_id), None):
            raise IdTakenError(
                f"photo {other['photo_id']!r}: you uploaded it for the business {other['business_id']!r}; choose "
                "another id, or delete it there first"
            )

    def summary(self, name: str, columns: list[str], value: str, tenant: str | None) -> dict[str, Any]:
        """Columns of a business or user; zeros if neither the corpus nor the tenant has this id."""
        key = columns[0]
        found = find(self.tables[name], _equals(key, value), columns).to_pylist()
        summary = found[0] if found else {column: NOTHING.get(column, value) for column in columns}
        if tenant is None or not any(index.has(tenant) for index in self.live.existence.values()):
            return summary
        photos = self.uploads("photos", tenant, key, [value], KEYS["photos"])
        reviews = self.uploads("reviews", tenant, key, [value], [*KEYS["reviews"], "text", "rating"])
        counted = summary | {"reviews": summary["reviews"] - self._replaced(key, value, reviews)}
        return summed(counted, photos, reviews)

    def _replaced(self, key: str, value: str, uploads: pa.Table) -> int:
        """Number of published reviews of a business or user that the uploads replace."""
        if not uploads.num_rows:
            return 0
        same = filters.among("review_id", uploads["review_id"].to_pylist(), "review")
        return hidden(find(self.tables["reviews"], f"{_equals(key, value)} AND {same}", KEYS["reviews"]), uploads)


def open_served(versions: Versions, keep_bytes: int = 0) -> Opened:
    """Open the served version; looks it up again if it was replaced and removed in between.

    Args:
        keep_bytes: size of the LRU cache of published rows.

    Raises:
        CatalogError: there is no served version, or it can't be opened.
    """
    version = versions.current()
    while True:
        try:
            return Opened.open(versions, version, keep_bytes)
        except (ValueError, KeyError, OSError, RuntimeError) as error:
            before, version = version, versions.current()
            if before == version:
                raise CatalogError(f"{versions.at(version)}: can't be opened ({error}); run jobs.publish") from error


def _equals(column: str, value: str) -> str:
    return filters.equals(column, value, column.removesuffix("_id"))
