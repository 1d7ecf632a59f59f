"""Write the catalog: two tables streamed in, two summaries counted from them, an index on every id."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from showcases.catalog.schema import BUSINESSES, EMBEDDING_SPACE, INDEXED, USERS

if TYPE_CHECKING:
    from lancedb import DBConnection
    from lancedb.table import Table

SAMPLE_PHOTOS = 4  # photo ids in a summary
SNIPPET_LENGTH = 140  # characters; the review nearest to it in length stands for the others


def write_tables(
    database: "DBConnection", photos: Iterable[pa.RecordBatch], reviews: Iterable[pa.RecordBatch], space: str
) -> dict[str, int]:
    """Write and index all tables in place of those that stand.

    Args:
        photos: batches of `photos_schema`, at least one; they are streamed, never all in memory.
        reviews: batches of `reviews_schema`, at least one.
        space: the embedding space of all vectors.

    Returns:
        Rows by table.
    """
    from lancedb.index import BTree  # here for the reason given in store.py

    tables = {"photos": _create(database, "photos", photos, space)}
    tables["reviews"] = _create(database, "reviews", reviews, space)
    posted = tables["photos"].search().select(["photo_id", "review_id", "business_id", "user_id"]).to_arrow()
    said = tables["reviews"].search().select(["business_id", "user_id", "text", "rating"]).to_arrow()
    for name, schema in (("businesses", BUSINESSES), ("users", USERS)):
        tables[name] = _create(database, name, [_summary(posted, said, schema)], space)
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
    mode = "overwrite" if name in database.list_tables().tables else "create"
    return database.create_table(name, data=reader, mode=mode)


@dataclass(slots=True)
class _Tally:
    """What a summary row is made of."""

    photos: int = 0
    reviews: int = 0
    ratings: list[float] = field(default_factory=list)
    snippet: str = ""
    photo_ids: list[str] = field(default_factory=list)  # one a review
    more_photo_ids: list[str] = field(default_factory=list)  # for those with fewer reviews than samples
    photographed: set[str] = field(default_factory=set)  # review ids

    def post(self, photo_id: str, review_id: str) -> None:
        self.photos += 1
        known = review_id in self.photographed
        samples = self.more_photo_ids if known else self.photo_ids
        if len(samples) < SAMPLE_PHOTOS:
            self.photographed.add(review_id)
            samples.append(photo_id)

    def say(self, text: str, rating: float | None) -> None:
        self.reviews += 1
        if rating is not None:
            self.ratings.append(rating)
        if not self.snippet or abs(len(text) - SNIPPET_LENGTH) < abs(len(self.snippet) - SNIPPET_LENGTH):
            self.snippet = text


def _summary(photos: pa.Table, reviews: pa.Table, schema: pa.Schema) -> pa.RecordBatch:
    """One row an id, those with most photos first; a business without photos is left out: it can't be shown."""
    key = schema.names[0]
    tallies: defaultdict[str, _Tally] = defaultdict(_Tally)
    posted = (photos[column].to_pylist() for column in (key, "photo_id", "review_id"))
    for name, photo_id, review_id in zip(*posted, strict=True):
        tallies[name].post(photo_id, review_id)
    said = (reviews[column].to_pylist() for column in (key, "text", "rating"))
    for name, text, rating in zip(*said, strict=True):
        tallies[name].say(text, rating)
    ordered = sorted(tallies.items(), key=lambda item: (-item[1].photos, -item[1].reviews, item[0]))
    rows = [
        {
            key: name,
            "photos": tally.photos,
            "reviews": tally.reviews,
            "rating": sum(tally.ratings) / len(tally.ratings) if tally.ratings else None,
            "snippet": tally.snippet,
            "photo_ids": (tally.photo_ids + tally.more_photo_ids)[:SAMPLE_PHOTOS],
        }
        for name, tally in ordered
        if tally.photos or key == "user_id"
    ]
    return pa.RecordBatch.from_pylist(rows, schema=schema)
