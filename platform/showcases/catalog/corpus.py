"""Stream the rows of a catalog from the artifacts of a workspace.

Joins by photo id and by review id over streams in different orders. Vectors are spooled to a temporary file, ids are
indexed by digest, and columns stay in Arrow: about 250 bytes of memory per photo, never all vectors or all JPEGs.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from showcases.catalog.schema import photos_schema, reviews_schema
from showcases.catalog.spool import IdIndex, Spool
from showcases.storage.artifacts import Workspace
from showcases.storage.embeddings import EmbeddingShards
from showcases.storage.shards import read_footer, read_row_group, read_shards

POSTED = ("photo_id", "business_id", "user_id", "review_id")
ROWS = 2048  # per batch of reviews or sums
SHORTEST = 1e-6  # a shorter sum of sentence vectors has no usable direction


@dataclass(frozen=True)
class Batches:
    """Batches that can be read more than once: each pass calls `read`."""

    read: Callable[[], Iterator[pa.RecordBatch]]

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self.read()


def photo_batches(workspace: Workspace, images: EmbeddingShards) -> Iterator[pa.RecordBatch]:
    """Batches of `photos_schema`: one row per posted photo whose image has an embedding, after an empty first batch.

    The rows of exact duplicates follow the photo that stores their bytes.
    """
    schema = photos_schema(images.dim)
    yield _empty(schema)
    posts = _posts(workspace)
    posted = IdIndex(posts["photo_id"].chunks)
    copies, copied = _copies(workspace)
    index, vectors = _spooled(images)
    for stored in _stored(workspace):
        held, twins = copied.join(stored["photo_id"])
        image = np.concatenate([np.arange(stored.num_rows), held])
        names = pa.concat_arrays([_flat(stored["photo_id"]), _flat(copies.take(pa.array(twins)))])
        order = np.argsort(image, kind="stable")  # a photo, then its copies
        image, names = image[order], names.take(pa.array(order))
        vector = index.find(names)
        name, post = posted.join(names)
        known = vector[name] >= 0
        name, post = name[known], post[known]
        rows = posts.take(pa.array(post)), stored.drop_columns("photo_id").take(pa.array(image[name]))
        columns = {field: _flat(table[field]) for table in rows for field in table.column_names}
        columns["vector"] = _lists(vectors[vector[name]], np.ones(len(name), bool))
        yield _batch(columns, schema)


def review_batches(workspace: Workspace, sentences: EmbeddingShards) -> Iterator[pa.RecordBatch]:
    """Batches of `reviews_schema`: every review; the feature is null where no sentence has an embedding."""
    schema = reviews_schema(sentences.dim)
    yield _empty(schema)
    sums = _sums(workspace, sentences)
    done = 0
    columns = [name for name in schema.names if name != "feature"]
    for table in read_shards(workspace, workspace.shards("reviews"), columns):
        for batch in table.to_batches(max_chunksize=ROWS):
            total = sums[done : done + batch.num_rows]
            done += batch.num_rows
            lengths = np.linalg.norm(total, axis=1, keepdims=True)
            feature = _lists(total / np.maximum(lengths, SHORTEST), lengths[:, 0] > SHORTEST)
            yield _batch({name: batch[name] for name in columns} | {"feature": feature}, schema)


def _posts(workspace: Workspace) -> pa.Table:
    """All rows of `photos`; repeated columns (business, user, review) are dictionary-encoded."""
    tables = []
    for table in read_shards(workspace, workspace.shards("photos"), POSTED):
        for number, name in enumerate(POSTED[1:], 1):
            table = table.set_column(number, name, table[name].dictionary_encode())
        tables.append(table)
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def _copies(workspace: Workspace) -> tuple[pa.ChunkedArray, IdIndex]:
    """Ids of the exact duplicates, and an index of them by the photo that holds their bytes."""
    tables = read_shards(workspace, workspace.shards("images"), ("photo_id", "same_as"))
    empty = pa.table({name: pa.array([], pa.string()) for name in ("photo_id", "same_as")})
    copies = pa.concat_tables([empty, *(table.filter(pc.is_valid(table["same_as"])) for table in tables)])
    return copies["photo_id"], IdIndex(copies["same_as"].chunks)


def _spooled(images: EmbeddingShards) -> tuple[IdIndex, Spool]:
    """Index of photo ids into the spooled vectors, and the vectors."""
    spool = Spool(len(images), images.dim, np.float16)
    done = 0

    def store() -> Iterator[pa.Array]:
        nonlocal done
        for ids, vectors in images.batches():
            spool[done : done + len(ids)] = vectors
            done += len(ids)
            yield ids

    return IdIndex(store()), spool


def _stored(workspace: Workspace) -> Iterator[pa.Table]:
    """Photos that have bytes, one row group of `images` at a time: photo_id, bytes, width, height."""
    for path in workspace.shards("images"):
        for group in range(read_footer(workspace, path).num_row_groups):
            table = read_row_group(workspace, path, group, ("photo_id", "bytes", "width", "height"))
            yield table.filter(pc.is_valid(table["bytes"]))


def _sums(workspace: Workspace, sentences: EmbeddingShards) -> Spool:
    """(reviews, d) float32: the sum of each review's sentences, as `review_features` adds them."""
    index = IdIndex(
        chunk
        for table in read_shards(workspace, workspace.shards("reviews"), ("review_id",))
        for chunk in table["review_id"].chunks
    )
    sums = Spool(len(index), sentences.dim, np.float32)
    for ids, vectors in sentences.batches():
        review = index.find(pc.replace_substring_regex(ids, r":[^:]*$", ""))  # sentence i of a review is REVIEW:i
        known = np.flatnonzero(review >= 0)
        for start in range(0, len(known), ROWS):
            part = known[start : start + ROWS]
            rows, place = np.unique(review[part], return_inverse=True)
            total = sums[rows]
            np.add.at(total, place, vectors[part].astype(np.float32))
            sums[rows] = total
    return sums


def _batch(columns: dict[str, pa.Array], schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([columns[field.name].cast(field.type) for field in schema], schema=schema)


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=schema)


def _lists(vectors: np.ndarray, known: np.ndarray) -> pa.Array:
    """(n, d) vectors as a column of float16 lists, null where not known."""
    values = pa.array(np.ascontiguousarray(vectors, np.float16).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(values, vectors.shape[1], mask=pa.array(~known))


def _flat(column: pa.ChunkedArray) -> pa.Array:
    """The column as one array; empty if it has no chunks."""
    whole = column.combine_chunks()
    return whole if isinstance(whole, pa.Array) else pa.concat_arrays(whole.chunks or [pa.array([], column.type)])
