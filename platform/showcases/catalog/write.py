"""Write the tables of one version: two streamed in, two summaries counted from them, an index on every id."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

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
        photos: batches of `photos_schema`, at least one; they are streamed, never all in memory.
        reviews: batches of `reviews_schema`, at least one.
        space: the embedding space of all vectors.

    Returns:
        Rows by table.
    """
    from lancedb.index import BTree  # here for the reason given in tables.py

    tables = {"photos": _create(database, "photos", photos, space)}
    tables["reviews"] = _create(database, "reviews", reviews, space)
    for name, batch in summaries(tables["photos"], tables["reviews"]).items():
        tables[name] = _create(database, name, [batch], space)
    for name, columns in INDEXED.items():
        for column in columns:
            tables[name].create_index(column, config=BTree(), replace=True)
    return {name: table.count_rows() for name, table in tables.items()}


def _create(database: "DBConnection", name: str, batches: Iterable[pa.RecordBatch], space: str) -> "Table":
    batches = iter(batches)
    first = next(batches)
    schema = first.schema.with_metadata({EMBEDDING_SPACE: space})

    def all_batches() -> Iterator[pa.RecordBatch]:
        yield first.replace_schema_metadata(schema.metadata)
        for batch in batches:
            yield batch.replace_schema_metadata(schema.metadata)

    reader = pa.RecordBatchReader.from_batches(schema, all_batches())
    # LanceDB takes nulls in a column of 10 numbers or more for faults: a review may have no feature.
    nulls: Literal["null", "error"] = "null" if name == "reviews" else "error"
    return database.create_table(name, data=reader, mode="create", on_bad_vectors=nulls)
