"""Helpers for opening, reading and tidying LanceDB tables."""

import datetime
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

from showcases.catalog.filters import CatalogError
from showcases.extras import imports_of

if TYPE_CHECKING:
    import lancedb
    from lancedb.table import Table

FRAGMENTS = 64  # small files per table; a write that finds more compacts them
OLD = datetime.timedelta(hours=1)  # table versions older than this are removed at compaction
TRIES = 5
CREATE_S = 20.0  # another process may take this long between creating a table's folder and its first commit
_T = TypeVar("_T")


def connect(uri: str, storage_options: Mapping[str, str] | None, live: bool = False) -> "lancedb.DBConnection":
    """Connect to a folder of tables; with `live` each read checks for commits of other processes."""
    with imports_of("serve", "ray"):
        import lancedb  # lazy: its runtime warns at every fork, and Ray forks when it starts

    interval = datetime.timedelta(0) if live else None
    return lancedb.connect(uri, storage_options=dict(storage_options or {}), read_consistency_interval=interval)


def open_or_create(database: "lancedb.DBConnection", name: str, rows: pa.Table) -> "Table":
    """Open a table, or create it with `rows` in one commit.

    If several processes create it concurrently, one succeeds and the others open its table. A table's folder is
    visible before its first commit, so neither a listing nor a failed creation proves that it can be opened.

    Raises:
        ValueError: LanceDB's last error, after CREATE_S.
    """
    deadline = time.monotonic() + CREATE_S
    while True:
        try:
            return database.open_table(name)
        except ValueError as error:
            if "not found" not in str(error):
                raise
        try:
            return database.create_table(name, rows)
        except (ValueError, OSError, RuntimeError) as error:
            reason = str(error).lower()
            if ("exist" not in reason and "conflict" not in reason) or time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def find(table: "Table", where: str, columns: list[str], limit: int | None = None) -> pa.Table:
    """Rows that match a filter from `filters`; all of them if `limit` is None."""
    query = table.search().where(where).select(columns)
    return query.limit(limit).to_arrow() if limit else query.to_arrow()


def search(table: "Table", names: list[str], limit: int, where: str | None) -> list[dict[str, Any]]:
    """The first `limit` rows in table order, of those that match the filter, if any."""
    found = table.search().select(names)
    if where:
        found = found.where(where)
    return found.limit(limit).to_arrow().to_pylist()


def retry_conflicts(work: Callable[[], _T]) -> _T:
    """Return `work()`, retried on commit conflicts with other writers.

    Raises:
        CatalogError: every try conflicted.
    """
    for number in range(TRIES):
        try:
            return work()
        except (RuntimeError, OSError, ValueError) as error:
            if not _is_conflict(error):
                raise
            if number == TRIES - 1:
                raise CatalogError(f"write conflicts in all {TRIES} tries; retry the request ({error})") from error
            time.sleep(0.05 * 2**number)
    raise AssertionError  # the last try returns or raises


def tidy(table: "Table") -> None:
    """If there are many small files, compact them, index new rows and remove old versions.

    Does nothing if another writer is doing the same.
    """
    stats: Any = table.stats()  # annotated as an object, but is a dict
    if stats["fragment_stats"]["num_small_fragments"] <= FRAGMENTS:
        return
    try:
        table.optimize(cleanup_older_than=OLD)
    except (RuntimeError, OSError, ValueError) as error:
        if not _is_conflict(error):
            raise


def _is_conflict(error: BaseException) -> bool:
    return "conflict" in str(error).lower()
