"""Summaries of businesses and users, computed from the written tables column by column.

Ids are dictionary-encoded; texts and photo ids are read only for the few rows that a summary shows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from showcases.catalog.schema import BUSINESSES, USERS
from showcases.gest.building.ragged import lists, spans

if TYPE_CHECKING:
    from lancedb.table import Table

SAMPLE_PHOTOS = 4  # photo ids in a summary
SNIPPET_LENGTH = 140  # characters; the snippet is the review closest to this length


@dataclass(frozen=True)
class _Coded:
    """A dictionary-encoded column of ids: the unique `names`, and each row's index into them."""

    names: pa.Array
    rows: np.ndarray

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> "_Coded":
        whole = column.unify_dictionaries().combine_chunks()
        return cls(whole.dictionary, whole.indices.to_numpy(zero_copy_only=False).astype(np.int64))

    def within(self, names: pa.Array) -> np.ndarray:
        """(n,) each row's index into `names`, a superset of this column's names."""
        place = pc.index_in(self.names, value_set=names).to_numpy(zero_copy_only=False)
        return place.astype(np.int64)[self.rows] if len(self.rows) else self.rows


def summaries(photos: "Table", reviews: "Table") -> dict[str, pa.RecordBatch]:
    """Batches of BUSINESSES and USERS by table name.

    One row per id, most photos first; businesses without photos are left out, because they can't be shown.
    """
    posted = _columns(photos, ["business_id", "user_id", "review_id"], ["photo_id"])
    said = _columns(reviews, ["business_id", "user_id"], ["length", "rating"])
    return {
        name: _summary(schema, posted, said, reviews) for name, schema in (("businesses", BUSINESSES), ("users", USERS))
    }


def _columns(table: "Table", coded: list[str], plain: list[str]) -> pa.Table:
    """Columns of a table in row order, ids dictionary-encoded; `length` is the text's length in characters."""
    stored = ["text" if name == "length" else name for name in plain]
    batches = []
    for batch in _scan(table, [*coded, *stored]):
        columns = {name: batch[name].dictionary_encode() for name in coded}
        columns |= {name: pc.utf8_length(batch["text"]) if name == "length" else batch[name] for name in plain}
        batches.append(pa.table(columns))
    return pa.concat_tables(batches)


def _scan(table: "Table", columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Batches in row order, after an empty one that carries the schema."""
    schema = pa.schema([table.schema.field(name) for name in columns])
    yield pa.RecordBatch.from_pylist([], schema=schema)
    for batch in table.search().select(columns).to_batches():
        yield batch.select(columns)


def _summary(schema: pa.Schema, posted: pa.Table, said: pa.Table, reviews: "Table") -> pa.RecordBatch:
    key = schema.names[0]
    poster, speaker = _Coded.of(posted[key]), _Coded.of(said[key])
    names = pc.unique(pa.concat_arrays([poster.names, speaker.names]))
    post, speak = poster.within(names), speaker.within(names)
    photos, count = (np.bincount(rows, minlength=len(names)) for rows in (post, speak))
    order = pc.sort_indices(
        pa.table({"photos": photos, "reviews": count, key: names}),
        sort_keys=[("photos", "descending"), ("reviews", "descending"), (key, "ascending")],
    ).to_numpy()
    if key == "business_id":
        order = order[photos[order] > 0]
    columns = {
        key: names.take(pa.array(order)),
        "photos": pa.array(photos[order]),
        "reviews": pa.array(count[order]),
        "rating": _means(speak, said["rating"], len(names)).take(pa.array(order)),
        "snippet": _snippets(speak, said["length"], reviews, len(names)).take(pa.array(order)),
        "photo_ids": _samples(post, posted, order),
    }
    return pa.RecordBatch.from_arrays([columns[field.name].cast(field.type) for field in schema], schema=schema)


def _means(key: np.ndarray, ratings: pa.ChunkedArray, size: int) -> pa.Array:
    """(size,) mean rating of each key, null if it has none."""
    given = ratings.is_valid().to_numpy()
    values = ratings.fill_null(0).to_numpy().astype(np.float64)[given]
    count = np.bincount(key[given], minlength=size)
    total = np.bincount(key[given], weights=values, minlength=size)
    return pa.array(total / np.maximum(count, 1), mask=count == 0)


def _snippets(key: np.ndarray, lengths: pa.ChunkedArray, reviews: "Table", size: int) -> pa.Array:
    """(size,) each key's text closest to SNIPPET_LENGTH, the first on ties; "" if it has no text."""
    length = lengths.to_numpy().astype(np.int64)
    order = np.lexsort((np.abs(length - SNIPPET_LENGTH), length == 0, key))  # stable: the first on ties
    best = order[_firsts(key[order])]
    texts, start = [pa.array([""])], 0
    chosen = np.sort(best)
    for batch in _scan(reviews, ["text"]):
        stop = start + batch.num_rows
        low, high = np.searchsorted(chosen, (start, stop))
        texts.append(batch["text"].take(pa.array(chosen[low:high] - start)))
        start = stop
    place = np.zeros(size, np.int64)  # index of "" for keys without a review
    place[key[chosen]] = 1 + np.arange(len(chosen))
    return pa.concat_arrays(texts).take(pa.array(place))


def _samples(key: np.ndarray, posted: pa.Table, order: np.ndarray) -> pa.Array:
    """Up to SAMPLE_PHOTOS photo ids for each key of `order`: one per review first, then others, in row order."""
    review = _Coded.of(posted["review_id"]).rows
    by_review = np.lexsort((review, key))
    again = np.ones(len(key), bool)
    again[by_review[_firsts(key[by_review], review[by_review])]] = False
    ranked = np.lexsort((again, key))
    group = key[ranked]
    is_sample = np.arange(len(group)) - np.searchsorted(group, group) < SAMPLE_PHOTOS
    ranked, group = ranked[is_sample], group[is_sample]
    first, last = (np.searchsorted(group, order, side) for side in ("left", "right"))
    ids = posted["photo_id"].take(pa.array(ranked[spans(first, last - first)])).combine_chunks()
    return lists(ids, last - first)


def _firsts(*columns: np.ndarray) -> np.ndarray:
    """Start indices of the runs of equal rows."""
    changed = np.ones(len(columns[0]), bool)
    changed[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return np.flatnonzero(changed)
