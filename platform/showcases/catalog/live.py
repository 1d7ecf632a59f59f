"""What users sent to the service: two side tables beside the versions, read anew at every lookup of a tenant that sent.

A PUT is one append, so a reader sees all of its rows or none. Its rows carry a number above all that its group (a
business' photos, a user's reviews, of one tenant) had before, and a reader takes only those of the highest number: two
writers may go at once, and one of the two wins whole. What lost is deleted afterwards.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from showcases.catalog import filters
from showcases.catalog.locks import Locks
from showcases.catalog.presence import Presence
from showcases.catalog.schema import LIVE_GROUP, LIVE_INDEXED, live_folder, live_schemas
from showcases.catalog.tables import connect, find, open_or_create, retry_conflicts, tidy

if TYPE_CHECKING:
    from lancedb.table import Table

TRIES = 5


@dataclass(frozen=True)
class LiveTables:
    """The side tables of one embedding space, by name; safe to use from several threads and processes."""

    tables: "Mapping[str, Table]"
    presence: Mapping[str, Presence]
    locks: Locks

    @classmethod
    def create(cls, uri: str, space: str, dim: int, storage_options: Mapping[str, str]) -> None:
        """Make the tables and indices that are missing; safe to repeat."""
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
        presence = {name: Presence(table) for name, table in tables.items()}
        return cls(tables, presence, Locks(uri, storage_options))

    def put(
        self, name: str, tenant: str, group: str, rows: pa.Table, confirm: Callable[[], None] | None = None
    ) -> None:
        """Replace all rows of a tenant's group by these, perhaps none; every process sees them when it returns.

        Args:
            name: of the table.
            group: the business or user.
            rows: columns of the table without `tenant` and `put`.
            confirm: called when the rows are written and the ones before not yet deleted; if it raises, the new rows
                are deleted instead.
        """
        table, mine = self.tables[name], self._mine(name, tenant, LIVE_GROUP[name], [group])
        seen, unknown_s = pc.max(find(table, mine, ["put"])["put"]).as_py() or 0, 0.0
        number = max(time.time_ns(), seen + 1)  # clocks of two writers may differ
        if rows.num_rows:
            own = {"tenant": pa.repeat(tenant, rows.num_rows), "put": pa.repeat(number, rows.num_rows)}
            columns = own | {column: rows[column] for column in rows.column_names}
            sent = pa.table([columns[field.name] for field in table.schema], schema=table.schema)
            table.add(sent, on_bad_vectors="null")  # a review may have no feature; what is wrong was refused before
            unknown_s = self.presence[name].note(tenant)
        try:
            if confirm is not None:
                confirm()
        except BaseException:
            retry_conflicts(lambda: table.delete(f"{mine} AND put = {number}"))
            raise
        retry_conflicts(lambda: table.delete(f"{mine} AND put < {number}"))
        tidy(table)
        time.sleep(unknown_s)

    def find(self, name: str, tenant: str, column: str, values: Sequence[str], columns: list[str]) -> pa.Table:
        """A tenant's rows whose `column` is one of these ids, of the last PUT of each group."""
        group = LIVE_GROUP[name]
        if not self.presence[name].has(tenant):
            return self.tables[name].schema.empty_table().select(columns)
        where, wanted = self._mine(name, tenant, column, values), sorted({*columns, group, "put"})
        for _ in range(TRIES):
            rows = find(self.tables[name], where, wanted)
            kept = self.newest(name, tenant, rows, whole=column == group)
            if len(kept) == len(rows) or column == group:
                break  # else a PUT may have come between the two reads, whose rows the first one lacks
        return kept.select(columns)

    def newest(self, name: str, tenant: str, rows: pa.Table, whole: bool = False) -> pa.Table:
        """Those rows that no later PUT of their group has replaced.

        Args:
            rows: a tenant's, with `put` and the group's column.
            whole: they are all rows of their groups.
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
