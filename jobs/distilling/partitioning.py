"""Shuffles vectors to partitions for `jobs.distill`: number of partitions, units of shards, and the shuffle itself."""

import math
from collections.abc import Sequence
from typing import Any

import ray

from jobs.distilling.scoring import PHOTOS, REVIEWS, SENTENCES, deal_reviews, deal_vectors
from jobs.runner.step import StepContext
from jobs.runner.stream import Tally, follow, unit_name
from showcases.distillation.shuffle import Shuffle
from showcases.storage.artifacts import Workspace
from showcases.storage.embeddings import EmbeddingShards
from showcases.storage.s3_errors import list_files

PARTITION_BYTES = 256 * 2**20  # of vectors; a scorer needs about three times as much memory
UNIT_BYTES = 128 * 2**20  # of shards per task, which needs about three times as much memory


def count_partitions(workspace: Workspace) -> int:
    """Number of partitions, so that one fits in memory; 1 for a small corpus, which isn't shuffled."""
    shards = [EmbeddingShards(workspace, name) for name in (SENTENCES, PHOTOS)]
    return max(1, math.ceil(sum(len(each) * each.dim * 2 for each in shards) / PARTITION_BYTES))


def deal_units(workspace: Workspace) -> list[dict[str, Any]]:
    """Groups of shards of about `UNIT_BYTES`, one per task; deterministic."""
    units = []
    for artifact in (SENTENCES, PHOTOS):
        paths = EmbeddingShards(workspace, artifact).paths
        listed = list_files(workspace.filesystem, workspace.path(artifact), recursive=True)
        sizes = {info.path: info.size for info in listed}  # one listing instead of a request per shard
        for group in grouped(paths, [sizes[path] for path in paths], UNIT_BYTES):
            name = f"{artifact}-{unit_name(group).removesuffix('.parquet')}.arrow"
            units.append({"artifact": artifact, "name": name, "paths": group})
    return units


def grouped(paths: Sequence[str], sizes: Sequence[int], most: int) -> list[list[str]]:
    """Consecutive files in groups of at most `most` bytes; a larger file is its own group."""
    groups: list[list[str]] = []
    total = 0
    for path, size in zip(paths, sizes, strict=True):
        if not groups or total + size > most:
            groups.append([])
            total = 0
        groups[-1].append(path)
        total += size
    return groups


def deal_out(context: StepContext, shuffle: Shuffle, units: Sequence[dict[str, Any]]) -> Tally:
    """Write the missing shuffle files; each vector is read and written once."""
    there = shuffle.names() if units else set()
    left = [unit for unit in units if unit["name"] not in there]
    if not left and (not units or REVIEWS in there):
        return Tally()
    index = deal_reviews.remote(shuffle)
    data = ray.data.from_items(left, override_num_blocks=max(1, len(left)))
    done = data.map(deal_vectors, fn_kwargs={"shuffle": shuffle, "index": [index]})  # type: ignore[arg-type]
    tally = follow(done.iter_rows() if left else (), len(left), "units shuffled", context.say)
    ray.get(index)  # wait for the reviews, too
    return tally
