"""Worker code of distill: shuffle vectors to partitions, and score a partition.

Separate from `jobs.distill`, so that workers don't import MLflow.
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray

from showcases.distillation.partitions import PhotoIndex, of_reviews, of_sentences
from showcases.distillation.scoring import PairScorer
from showcases.distillation.shuffle import Shuffle
from showcases.storage.embeddings import EmbeddingShards
from showcases.storage.shards import read_shards

REVIEWS = "reviews.arrow"
SENTENCES, PHOTOS = "sentence_embeddings", "image_embeddings"
COLUMNS = {SENTENCES: ("id", "vector"), PHOTOS: ("id", "vector"), "reviews": ("review_id", "photo_ids")}


def shard_name(partition: int, partitions: int) -> str:
    """The shard of `alignments` with a partition's pairs."""
    return f"part-{partition:05d}-of-{partitions:05d}.parquet"


@ray.remote(num_cpus=1)
def deal_reviews(shuffle: Shuffle) -> PhotoIndex:
    """Shuffle review ids with their photo ids; returns each photo's partition."""
    workspace = shuffle.workspace
    reviews = workspace.read_table("reviews", COLUMNS["reviews"])
    place = of_reviews(reviews["review_id"], shuffle.partitions)
    if REVIEWS not in shuffle.names():
        shuffle.deal(reviews, np.arange(reviews.num_rows), place, REVIEWS)
    lengths = np.asarray(pc.fill_null(pc.list_value_length(reviews["photo_ids"]), 0))
    return PhotoIndex.build(pc.list_flatten(reviews["photo_ids"]).to_pylist(), np.repeat(place, lengths))


def deal_vectors(unit: dict[str, Any], shuffle: Shuffle, index: Sequence[ray.ObjectRef]) -> dict[str, Any]:
    """Read a unit of shards and write its vectors as one shuffle file.

    Args:
        unit: `artifact`, `paths` of its shards, `name` of the shuffle file.
        index: a reference to a PhotoIndex, in a list so that Ray doesn't resolve it and copy it into each task.

    Returns:
        For Tally.add: vectors read, vectors and bytes written.
    """
    tables = list(read_shards(shuffle.workspace, unit["paths"], COLUMNS[unit["artifact"]]))
    table = pa.concat_tables(tables)
    if unit["artifact"] == SENTENCES:
        rows, place = np.arange(table.num_rows), of_sentences(table["id"], shuffle.partitions)
    else:
        rows, place = ray.get(index[0]).find(table["id"].to_pylist())
    size = shuffle.deal(table, rows, place, unit["name"])
    return {
        "rows": 1,
        "amount.vectors_read": table.num_rows,
        "amount.vectors_dealt": len(rows),
        "amount.bytes_read": table.nbytes,
        "amount.bytes_dealt": size,
    }


class PartitionScorer:
    """Scores a partition and writes its shard; loads the classifier once.

    Args:
        shuffle: location of the shuffle files; with one partition, the artifacts are read instead.
        files: names of the shuffle files by artifact.
    """

    def __init__(self, shuffle: Shuffle, files: dict[str, Sequence[str]]) -> None:
        self.shuffle, self.files = shuffle, files
        workspace = shuffle.workspace
        space = EmbeddingShards(workspace, PHOTOS).model_id
        self.scorer = workspace.load(lambda folder: PairScorer(folder, space), "classifier")

    def __call__(self, unit: dict[str, Any]) -> dict[str, Any]:
        """Score the row's `partition`; returns figures for Tally.add."""
        began, partition = time.process_time(), int(unit["partition"])
        reviews, sentences, photos = (self.load(name, partition) for name in ("reviews", SENTENCES, PHOTOS))
        pairs = self.scorer(reviews, sentences, photos)
        name = shard_name(partition, self.shuffle.partitions)
        self.shuffle.workspace.write_table(pairs, "alignments", name)
        return {
            "rows": 1,
            "amount.pairs": pairs.num_rows,
            "amount.reviews": pc.count_distinct(pairs["review_id"]).as_py(),
            "amount.vectors_loaded": sentences.num_rows + photos.num_rows,
            "amount.bytes_loaded": reviews.nbytes + sentences.nbytes + photos.nbytes,
            "amount.score_cpu_s": time.process_time() - began,
        }

    def load(self, artifact: str, partition: int) -> pa.Table:
        if self.shuffle.partitions > 1:
            return self.shuffle.fetch(self.files[artifact], partition)
        return self.shuffle.workspace.read_table(artifact, COLUMNS[artifact])


@ray.remote(num_cpus=1)
def score_partition(shuffle: Shuffle, files: dict[str, Sequence[str]], partition: int) -> dict[str, Any]:
    """Score a single partition as a task."""
    return PartitionScorer(shuffle, files)({"partition": partition})
