"""One version of a catalog as a reader holds it, with the side tables that belong to its embedding space."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from showcases.catalog import filters
from showcases.catalog.filters import CatalogError
from showcases.catalog.kept import Kept
from showcases.catalog.live import LiveTables
from showcases.catalog.own import KEYS, hidden, merged, summed
from showcases.catalog.schema import EMBEDDING_SPACE
from showcases.catalog.tables import connect, find
from showcases.catalog.versions import Versions

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
    kept: Kept

    @classmethod
    def open(cls, versions: Versions, version: str, keep_bytes: int = 0) -> "Opened":
        database = connect(versions.at(version), versions.storage_options)
        tables = {name: database.open_table(name) for name in ("photos", "reviews", "businesses", "users")}
        schema = tables["photos"].schema
        space = (schema.metadata or {})[EMBEDDING_SPACE.encode()].decode()
        live = LiveTables.open(versions.uri, space, versions.storage_options)
        return cls(version, tables, live, space, schema.field("vector").type.list_size, Kept(keep_bytes))

    def rows(self, name: str, column: str, values: Sequence[str], columns: list[str], tenant: str | None) -> pa.Table:
        """Photos or reviews whose `column` is one of these ids, at least one."""
        where = filters.among(column, values, column.removesuffix("_id"))
        published = self.kept.get((name, where, *columns), lambda: find(self.tables[name], where, columns))
        if tenant is None or not self.live.presence[f"live_{name}"].has(tenant):
            return published
        return merged(published, self.live.find(f"live_{name}", tenant, column, values, columns), name)

    def summary(self, name: str, columns: list[str], value: str, tenant: str | None) -> dict[str, Any]:
        """Columns of a business or user; zeros where neither the corpus nor the tenant knows this id."""
        key = columns[0]
        found = find(self.tables[name], _equals(key, value), columns).to_pylist()
        summary = found[0] if found else {column: NOTHING.get(column, value) for column in columns}
        if tenant is None or not any(presence.has(tenant) for presence in self.live.presence.values()):
            return summary
        photos = self.live.find("live_photos", tenant, key, [value], KEYS["photos"])
        reviews = self.live.find("live_reviews", tenant, key, [value], [*KEYS["reviews"], "text", "rating"])
        twice = {
            "photos": self._published("photos", key, value, photos),
            "reviews": self._published("reviews", key, value, reviews),
        }
        return summed(summary | {kind: summary[kind] - count for kind, count in twice.items()}, photos, reviews)

    def _published(self, name: str, key: str, value: str, own: pa.Table) -> int:
        """How many of a business' or user's published rows stand among a tenant's own as well."""
        if not own.num_rows:
            return 0
        column = KEYS[name][0]
        same = filters.among(column, own[column].to_pylist(), column.removesuffix("_id"))
        return hidden(find(self.tables[name], f"{_equals(key, value)} AND {same}", KEYS[name]), own, name)


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
