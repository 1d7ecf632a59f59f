"""One version of a catalog as a reader holds it, with the side tables that belong to its embedding space."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from showcases.catalog import filters
from showcases.catalog.filters import CatalogError, IdTakenError
from showcases.catalog.live import LiveTables
from showcases.catalog.own import KEYS, hidden, merged, summed
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
    """Tables by name, all of one version; lookups of published rows and of a tenant's own."""

    version: str
    tables: "Mapping[str, Table]"
    live: LiveTables
    space: str
    dim: int
    cache: "LRUCache[Any, pa.Table]"  # by what was looked up; of at most `maxsize` bytes
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
        """Photos or reviews whose `column` is one of these ids, at least one."""
        where = filters.among(column, values, column.removesuffix("_id"))
        published = self._found(name, where, *columns)
        if tenant is None or not self.live.presence[f"live_{name}"].has(tenant):
            return published
        return merged(published, self.own(name, tenant, column, values, columns), name)

    def own(self, name: str, tenant: str, column: str, values: Sequence[str], columns: list[str]) -> pa.Table:
        """A tenant's own photos or reviews whose `column` is one of these ids; of photos see `unpublished`."""
        found = self.live.find(f"live_{name}", tenant, column, values, columns)
        return self.unpublished(found) if name == "photos" else found

    def unpublished(self, own: pa.Table) -> pa.Table:
        """A tenant's photos without those whose ids were published since they were sent."""
        taken = self.published_ids(own["photo_id"].to_pylist())
        return own.filter(pa.array([name not in taken for name in own["photo_id"].to_pylist()], pa.bool_()))

    def published_ids(self, photo_ids: Sequence[str]) -> set[str]:
        """Those of the ids that name a published photo."""
        if not photo_ids:
            return set()
        where = filters.among("photo_id", sorted(photo_ids), "photo")
        return set(self._found("photos", where, "photo_id")["photo_id"].to_pylist())

    @cachedmethod(lambda self: self.cache, lock=lambda self: self.lock)
    def _found(self, name: str, where: str, *columns: str) -> pa.Table:
        """Published rows, cached: they never change within a version."""
        return find(self.tables[name], where, list(columns))

    def require_free(self, photo_ids: Sequence[str], business_id: str, tenant: str) -> None:
        """A photo's id names one photo of a tenant; nobody else's ids count.

        Raises:
            IdTakenError: one of these ids is that of a published photo, or of one that the tenant has sent for another
                business.
        """
        if taken := sorted(self.published_ids(photo_ids)):
            raise IdTakenError(f"photo {taken[0]!r}: a published photo has this id; choose another one")
        sent = self.live.find("live_photos", tenant, "photo_id", photo_ids, ["photo_id", "business_id"]).to_pylist()
        if other := next((row for row in sent if row["business_id"] != business_id), None):
            raise IdTakenError(
                f"photo {other['photo_id']!r}: you sent it for the business {other['business_id']!r}; choose another "
                "id, or take it back there first"
            )

    def summary(self, name: str, columns: list[str], value: str, tenant: str | None) -> dict[str, Any]:
        """Columns of a business or user; zeros where neither the corpus nor the tenant knows this id."""
        key = columns[0]
        found = find(self.tables[name], _equals(key, value), columns).to_pylist()
        summary = found[0] if found else {column: NOTHING.get(column, value) for column in columns}
        if tenant is None or not any(presence.has(tenant) for presence in self.live.presence.values()):
            return summary
        photos = self.own("photos", tenant, key, [value], KEYS["photos"])
        reviews = self.own("reviews", tenant, key, [value], [*KEYS["reviews"], "text", "rating"])
        counted = summary | {"reviews": summary["reviews"] - self._replaced(key, value, reviews)}
        return summed(counted, photos, reviews)

    def _replaced(self, key: str, value: str, own: pa.Table) -> int:
        """How many of a business' or user's published reviews a tenant's own ones replace."""
        if not own.num_rows:
            return 0
        same = filters.among("review_id", own["review_id"].to_pylist(), "review")
        return hidden(find(self.tables["reviews"], f"{_equals(key, value)} AND {same}", KEYS["reviews"]), own)


def open_served(versions: Versions, keep_bytes: int = 0) -> Opened:
    """The served version; looked up again where it was replaced and removed in between.

    Args:
        keep_bytes: of published rows that were looked up lately, kept in memory.

    Raises:
        CatalogError: there is none, or it can't be opened.
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
