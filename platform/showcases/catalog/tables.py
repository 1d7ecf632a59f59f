"""The few words of LanceDB that reading needs."""

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

FRAGMENTS = 64  # small files of a table; a write that finds more joins them
OLD = datetime.timedelta(hours=1)  # states of a table that are older are removed then
TRIES = 5
CREATE_S = 20.0  # that another process may take from a table's folder to its first commit
_T = TypeVar("_T")


def connect(uri: str, storage_options: Mapping[str, str] | None, live: bool = False) -> "lancedb.DBConnection":
    """A folder of tables; with `live` each read looks whether another process has written since the last one."""
    with imports_of("serve", "ray"):
        import lancedb  # here, because its runtime warns at every fork, and Ray forks when it starts

    interval = datetime.timedelta(0) if live else None
    return lancedb.connect(uri, storage_options=dict(storage_options or {}), read_consistency_interval=interval)


def open_or_create(database: "lancedb.DBConnection", name: str, rows: pa.Table) -> "Table":
    """The table of that name; made with `rows` in one commit where there is none.

    Of several processes that create it at once one does, and the others open its table. The folder of a table is
    listed before its first commit, so neither its name in the list nor a failed creation says that it can be opened.

    Raises:
        ValueError: after CREATE_S, LanceDB's last answer.
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
    """The rows that a filter of `filters` lets through; all of them without a limit."""
    query = table.search().where(where).select(columns)
    return query.limit(limit).to_arrow() if limit else query.to_arrow()


def search(table: "Table", names: list[str], limit: int, where: str | None) -> list[dict[str, Any]]:
    """The first rows, in the order of the table; with a filter, of those that it lets through."""
    found = table.search().select(names)
    if where:
        found = found.where(where)
    return found.limit(limit).to_arrow().to_pylist()


def retry_conflicts(work: Callable[[], _T]) -> _T:
    """What `work` returns; tried again where another writer's commit came first.

    Raises:
        CatalogError: it did every time.
    """
    for number in range(TRIES):
        try:
            return work()
        except (RuntimeError, OSError, ValueError) as error:
            if not _is_conflict(error):
                raise
            if number == TRIES - 1:
                raise CatalogError(f"too many writers at once, tried {TRIES} times: send it again ({error})") from error
            time.sleep(0.05 * 2**number)
    raise AssertionError  # the last try returns or raises


def tidy(table: "Table") -> None:
    """If there are many small files: join them, index what is new, remove old states.

    If another writer is at it, leave it to that one.
    """
    stats: Any = table.stats()  # said to be an object, is a dict
    if stats["fragment_stats"]["num_small_fragments"] <= FRAGMENTS:
        return
    try:
        table.optimize(cleanup_older_than=OLD)
    except (RuntimeError, OSError, ValueError) as error:
        if not _is_conflict(error):
            raise


def _is_conflict(error: BaseException) -> bool:
    return "conflict" in str(error).lower()
