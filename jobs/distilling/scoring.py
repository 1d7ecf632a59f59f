"""What distill's workers do: deal vectors out to partitions, and score one. Apart from `jobs.distill`, so that a
worker need not import MLflow with it."""

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
    """The shard of `alignments` that holds a partition's pairs."""
    return f"part-{partition:05d}-of-{partitions:05d}.parquet"


@ray.remote(num_cpus=1)
def deal_reviews(shuffle: Shuffle) -> PhotoIndex:
    """Deal out review ids with their photos' ids; tell where each photo goes."""
    workspace = shuffle.workspace
    reviews = workspace.read_table("reviews", COLUMNS["reviews"])
    place = of_reviews(reviews["review_id"], shuffle.partitions)
    if REVIEWS not in shuffle.names():
        shuffle.deal(reviews, np.arange(reviews.num_rows), place, REVIEWS)
    lengths = np.asarray(pc.fill_null(pc.list_value_length(reviews["photo_ids"]), 0))
    return PhotoIndex.build(pc.list_flatten(reviews["photo_ids"]).to_pylist(), np.repeat(place, lengths))


def deal_vectors(unit: dict[str, Any], shuffle: Shuffle, index: Sequence[ray.ObjectRef]) -> dict[str, Any]:
    """Read a unit of shards once and write its vectors once, as one dealt file.

    Args:
        unit: `artifact`, `paths` of its shards, `name` of the dealt file.
        index: one reference to a PhotoIndex; in a list, or Ray would fetch it here and send a copy with each task.

    Returns:
        What a Tally takes: vectors read, vectors and bytes dealt.
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
        shuffle: where the dealt files lie; with one partition nothing was dealt, and the artifacts are read.
        files: the names of the dealt files by artifact.
    """

    def __init__(self, shuffle: Shuffle, files: dict[str, Sequence[str]]) -> None:
        self.shuffle, self.files = shuffle, files
        workspace = shuffle.workspace
        space = EmbeddingShards(workspace, PHOTOS).model_id
        self.scorer = workspace.load(lambda folder: PairScorer(folder, space), "classifier")

    def __call__(self, unit: dict[str, Any]) -> dict[str, Any]:
        """A row with `partition` in; what a Tally takes out."""
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
    """One partition, where there is no second one."""
    return PartitionScorer(shuffle, files)({"partition": partition})
