"""The few words of LanceDB that reading needs."""

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from showcases.catalog import filters

if TYPE_CHECKING:
    import lancedb
    from lancedb.table import Table


def connect(uri: str, storage_options: Mapping[str, str] | None, live: bool = False) -> "lancedb.DBConnection":
    """A folder of tables; with `live` each read looks whether another process has written since the last one."""
    import lancedb  # here, because its runtime warns at every fork, and Ray forks when it starts

    interval = datetime.timedelta(0) if live else None
    return lancedb.connect(uri, storage_options=dict(storage_options or {}), read_consistency_interval=interval)


def find(table: "Table", where: str, columns: list[str], limit: int | None = None) -> pa.Table:
    """The rows that a filter of `filters` lets through; all of them without a limit."""
    query = table.search().where(where).select(columns)
    return query.limit(limit).to_arrow() if limit else query.to_arrow()


def search(table: "Table", columns: tuple[str, ...], names: list[str], limit: int, query: str) -> list[dict[str, Any]]:
    """The first rows; with a query, of those where one of the columns contains it."""
    found = table.search().select(names)
    if query:
        found = found.where(filters.contains(columns, query))
    return found.limit(limit).to_arrow().to_pylist()
