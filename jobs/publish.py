"""Publish: photos, reviews and their features go into the catalog that serving reads."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.step import Step, StepContext, main
from showcases.artifacts import Workspace
from showcases.catalog import Catalog, located, photos_schema, reviews_schema
from showcases.embeddings import EmbeddingTable, review_features
from showcases.errors import ArtifactError
from showcases.gest.images import duplicates
from showcases.shard_files import read_shard


def run(context: StepContext) -> None:
    """Write the catalog: every review, and every photo that has an embedding."""
    workspace = context.workspace
    images = EmbeddingTable.read(workspace, "image_embeddings")
    sentences = EmbeddingTable.read(workspace, "sentence_embeddings")
    if images.model_id != sentences.model_id:
        raise ArtifactError(
            f"photos are embedded by {images.model_id!r}, sentences by {sentences.model_id!r}: rerun jobs.embed"
        )
    uri, options = located(workspace)
    rows = Catalog.write(uri, _photos(workspace, images), _reviews(workspace, sentences), images.model_id, options)
    for name, count in rows.items():
        context.say(f"{count:,} {name}")
    posted = workspace.read_table("photos", ["photo_id"]).num_rows
    context.record("catalog", rows=rows, failures={"photos without an embedding": posted - rows["photos"]})


def _photos(workspace: Workspace, embeddings: EmbeddingTable) -> Iterator[pa.RecordBatch]:
    """One batch a shard of `images`: a row for every posted photo whose image has an embedding.

    A photo that holds the bytes of exact duplicates brings their rows along.
    """
    schema = photos_schema(embeddings.dim)
    posted: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
    for row in workspace.read_table("photos", ["photo_id", "business_id", "user_id", "review_id"]).to_pylist():
        posted[row["photo_id"]].append(row)
    copies = duplicates(workspace)
    yield pa.RecordBatch.from_pylist([], schema=schema)
    for shard in workspace.shards("images"):
        columns = ["photo_id", "bytes", "width", "height"]
        stored = read_shard(workspace, shard, columns)
        rows = [
            image | post
            for image in stored.filter(pc.is_valid(stored["bytes"])).to_pylist()
            for name in (image["photo_id"], *copies.get(image["photo_id"], ()))
            if name in embeddings
            for post in posted[name]
        ]
        found = embeddings.rows(row["photo_id"] for row in rows)
        yield _batch(rows, "vector", embeddings.vectors[found], np.ones(len(rows), bool), schema)


def _reviews(workspace: Workspace, sentences: EmbeddingTable) -> Iterator[pa.RecordBatch]:
    """One batch with every review; the feature is null where no sentence has an embedding."""
    schema = reviews_schema(sentences.dim)
    rows = workspace.read_table("reviews", [name for name in schema.names if name != "feature"]).to_pylist()
    features = review_features(sentences, [row["review_id"] for row in rows])
    embedded = np.array([row["review_id"] in features for row in rows], dtype=bool)
    vectors = np.zeros((len(rows), sentences.dim), np.float16)
    for row in np.flatnonzero(embedded):
        vectors[row] = features[rows[row]["review_id"]]
    yield _batch(rows, "feature", vectors, embedded, schema)


def _batch(
    rows: list[dict[str, Any]], name: str, vectors: np.ndarray, known: np.ndarray, schema: pa.Schema
) -> pa.RecordBatch:
    """Rows, and their (n, d) vectors in the column `name`, null where not `known`, as one batch of `schema`."""
    columns = {f.name: pa.array([row[f.name] for row in rows], f.type) for f in schema if f.name != name}
    values = pa.array(vectors.astype(np.float16).reshape(-1))
    columns[name] = pa.FixedSizeListArray.from_arrays(values, vectors.shape[1], mask=pa.array(~known))
    return pa.RecordBatch.from_arrays([columns[f.name] for f in schema], schema=schema)


STEP = Step(
    name="publish",
    reads=("reviews", "photos", "images", "image_embeddings", "sentence_embeddings"),
    writes=("catalog",),
    sections=(),
    run=run,
)

if __name__ == "__main__":
    main(STEP)
