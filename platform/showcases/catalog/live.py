"""Uploads to the service: two side tables beside the versions, read at every lookup of a tenant that has uploads.

A PUT is one append, so a reader sees all of its rows or none. Its rows carry a sequence number above all earlier ones
of their group (a business' photos or a user's reviews, of one tenant), and readers use only the rows with the highest
number: of two concurrent writers one wins as a whole. The loser's rows are deleted afterwards.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from showcases.catalog import filters
from showcases.catalog.existence_index import ExistenceIndex
from showcases.catalog.locks import Locks
from showcases.catalog.schema import LIVE_GROUP, LIVE_INDEXED, live_folder, live_schemas
from showcases.catalog.tables import connect, find, open_or_create, retry_conflicts, tidy

if TYPE_CHECKING:
    from lancedb.table import Table

TRIES = 5


@dataclass(frozen=True)
class LiveTables:
    """The side tables of one embedding space, by name; safe for concurrent threads and processes."""

    tables: "Mapping[str, Table]"
    existence: Mapping[str, ExistenceIndex]
    locks: Locks

    @classmethod
    def create(cls, uri: str, space: str, dim: int, storage_options: Mapping[str, str]) -> None:
        """Create missing tables and indices; idempotent."""
        from lancedb.index import Bitmap, BTree

        database = connect(f"{uri}/{live_folder(space)}", storage_options)
        for name, schema in live_schemas(dim, space).items():
            table = open_or_create(database, name, schema.empty_table())
            indexed = {column for index in table.list_indices() for column in index.columns}
            if "tenant" not in indexed:
                table.create_index("tenant", config=Bitmap())
            for column in LIVE_INDEXED[name]:
                if column not in indexed:
                    table.create_index(column, config=BTree())

    @classmethod
    def open(cls, uri: str, space: str, storage_options: Mapping[str, str]) -> "LiveTables":
        database = connect(f"{uri}/{live_folder(space)}", storage_options, live=True)
        tables = {name: database.open_table(name) for name in LIVE_GROUP}
        existence = {name: ExistenceIndex(table) for name, table in tables.items()}
        return cls(tables, existence, Locks(uri, storage_options))

    def put(
        self, name: str, tenant: str, group: str, rows: pa.Table, confirm: Callable[[], None] | None = None
    ) -> None:
        """Replace all rows of a tenant's group; visible to every process on return.

        Args:
            name: name of the table.
            group: id of the business or user.
            rows: the new rows, possibly none: the table's columns without `tenant` and `put`.
            confirm: called after the new rows are written and before the old ones are deleted; if it raises, the new
                rows are deleted instead.
        """
        table, of_group = self.tables[name], self._mine(name, tenant, LIVE_GROUP[name], [group])
        seen, unknown_s = pc.max(find(table, of_group, ["put"])["put"]).as_py() or 0, 0.0
        number = max(time.time_ns(), seen + 1)  # the clocks of two writers may differ
        if rows.num_rows:
            labels = {"tenant": pa.repeat(tenant, rows.num_rows), "put": pa.repeat(number, rows.num_rows)}
            columns = labels | {column: rows[column] for column in rows.column_names}
            added = pa.table([columns[field.name] for field in table.schema], schema=table.schema)
            table.add(added, on_bad_vectors="null")  # a review may have no feature; rows were validated before
            unknown_s = self.existence[name].note(tenant)
        try:
            if confirm is not None:
                confirm()
        except BaseException:
            retry_conflicts(lambda: table.delete(f"{of_group} AND put = {number}"))
            raise
        retry_conflicts(lambda: table.delete(f"{of_group} AND put < {number}"))
        tidy(table)
        time.sleep(unknown_s)

    def find(self, name: str, tenant: str, column: str, values: Sequence[str], columns: list[str]) -> pa.Table:
        """A tenant's rows whose `column` is one of `values`, from the latest PUT of each group."""
        group = LIVE_GROUP[name]
        if not self.existence[name].has(tenant):
            return self.tables[name].schema.empty_table().select(columns)
        where, wanted = self._mine(name, tenant, column, values), sorted({*columns, group, "put"})
        for _ in range(TRIES):
            rows = find(self.tables[name], where, wanted)
            latest = self.newest(name, tenant, rows, whole=column == group)
            if len(latest) == len(rows) or column == group:
                break  # otherwise a PUT may have landed between the two reads, and the first read lacks its rows
        return latest.select(columns)

    def newest(self, name: str, tenant: str, rows: pa.Table, whole: bool = False) -> pa.Table:
        """The rows that no later PUT of their group has replaced.

        Args:
            rows: rows of one tenant, with `put` and the group's column.
            whole: whether `rows` holds all rows of their groups.
        """
        group = LIVE_GROUP[name]
        if not rows.num_rows:
            return rows
        latest = rows
        if not whole:
            where = self._mine(name, tenant, group, rows[group].unique().to_pylist())
            latest = find(self.tables[name], where, [group, "put"])
        highest = latest.group_by(group).aggregate([("put", "max")])
        place = pc.index_in(rows[group], value_set=highest[group])
        return rows.filter(pc.equal(rows["put"], highest["put_max"].take(place)))

    @staticmethod
    def _mine(name: str, tenant: str, column: str, values: Sequence[str]) -> str:
        kind = column.removesuffix("_id")
        return f"({filters.equals('tenant', tenant, 'tenant')}) AND ({filters.among(column, values, kind)})"
