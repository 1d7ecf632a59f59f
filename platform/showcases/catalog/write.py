"""Write the tables of one version: two streamed tables, two summaries computed from them, an index on every id.

If the object store fails, a table is rewritten from its first row, provided its batches can be read again.
"""

import itertools
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from showcases.catalog.failures import retry_store_failures
from showcases.catalog.schema import EMBEDDING_SPACE, INDEXED
from showcases.catalog.summary import summaries

if TYPE_CHECKING:
    from lancedb import DBConnection
    from lancedb.table import Table


def write_tables(
    database: "DBConnection",
    photos: Iterable[pa.RecordBatch],
    reviews: Iterable[pa.RecordBatch],
    space: str,
) -> dict[str, int]:
    """Write and index all tables in an empty folder.

    Args:
        photos: batches of `photos_schema`, at least one; streamed, never all in memory. Unless it is an iterator,
            it is read again if the object store fails.
        reviews: batches of `reviews_schema`, likewise.
        space: the embedding space of all vectors.

    Returns:
        Rows by table.

    Raises:
        ObjectStoreError: the store rejected a request, or failed too often.
    """
    from lancedb.index import BTree  # lazy for the reason given in tables.py

    tables = {"photos": _create(database, "photos", photos, space)}
    tables["reviews"] = _create(database, "reviews", reviews, space)
    for name, batch in summaries(tables["photos"], tables["reviews"]).items():
        tables[name] = _create(database, name, [batch], space)
    for name, columns in INDEXED.items():
        for column in columns:
            index = partial(tables[name].create_index, column, config=BTree(), replace=True)
            retry_store_failures(_uri(database, name), index)
    return {name: table.count_rows() for name, table in tables.items()}


def _create(database: "DBConnection", name: str, batches: Iterable[pa.RecordBatch], space: str) -> "Table":
    # LanceDB treats nulls in a column of 10 or more numbers as errors, but a review may have no feature.
    nulls: Literal["null", "error"] = "null" if name == "reviews" else "error"

    modes = itertools.chain(["create"], itertools.repeat("overwrite"))  # LanceDB warns when "overwrite" finds no table

    def write() -> "Table":
        return database.create_table(name, data=_reader(batches, space), mode=next(modes), on_bad_vectors=nulls)

    if isinstance(batches, Iterator):  # can't be read again
        return write()
    return retry_store_failures(_uri(database, name), write)


def _reader(batches: Iterable[pa.RecordBatch], space: str) -> pa.RecordBatchReader:
    """Stream of the batches, with the embedding space in the schema's metadata."""
    rest = iter(batches)
    first = next(rest)
    schema = first.schema.with_metadata({EMBEDDING_SPACE: space})
    named = (batch.replace_schema_metadata(schema.metadata) for batch in itertools.chain([first], rest))
    return pa.RecordBatchReader.from_batches(schema, named)


def _uri(database: "DBConnection", name: str) -> str:
    return f"{database.uri}/{name}.lance"
