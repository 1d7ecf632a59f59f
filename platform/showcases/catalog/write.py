"""Write the tables of one version: two streamed in, two summaries counted from them, an index on every id.

A table that an object store did not take is written anew from its first row, if its batches can be read again.
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
        photos: batches of `photos_schema`, at least one; streamed, never all in memory. Unless it is an iterator, it
            is read again where the object store failed.
        reviews: batches of `reviews_schema`, likewise.
        space: the embedding space of all vectors.

    Returns:
        Rows by table.

    Raises:
        ObjectStoreError: the store refused, or failed too often.
    """
    from lancedb.index import BTree  # here for the reason given in tables.py

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
    # LanceDB takes nulls in a column of 10 numbers or more for faults: a review may have no feature.
    nulls: Literal["null", "error"] = "null" if name == "reviews" else "error"

    modes = itertools.chain(["create"], itertools.repeat("overwrite"))  # LanceDB warns of overwriting nothing

    def write() -> "Table":
        return database.create_table(name, data=_reader(batches, space), mode=next(modes), on_bad_vectors=nulls)

    if isinstance(batches, Iterator):  # what has been read of it is gone
        return write()
    return retry_store_failures(_uri(database, name), write)


def _reader(batches: Iterable[pa.RecordBatch], space: str) -> pa.RecordBatchReader:
    """The batches as a stream whose schema names the embedding space."""
    rest = iter(batches)
    first = next(rest)
    schema = first.schema.with_metadata({EMBEDDING_SPACE: space})
    named = (batch.replace_schema_metadata(schema.metadata) for batch in itertools.chain([first], rest))
    return pa.RecordBatchReader.from_batches(schema, named)


def _uri(database: "DBConnection", name: str) -> str:
    return f"{database.uri}/{name}.lance"
