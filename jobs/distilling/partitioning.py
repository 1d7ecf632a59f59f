"""Dealing the vectors out to partitions, for `jobs.distill`: how many, which shards together, and the pass itself."""

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

PARTITION_BYTES = 256 * 2**20  # of vectors; a scorer holds about three times as much
UNIT_BYTES = 128 * 2**20  # of shards dealt out at a time; a task holds about three times as much


def count_partitions(workspace: Workspace) -> int:
    """Enough partitions that the vectors of one are held with ease; one for a small corpus, which is not dealt out."""
    shards = [EmbeddingShards(workspace, name) for name in (SENTENCES, PHOTOS)]
    return max(1, math.ceil(sum(len(each) * each.dim * 2 for each in shards) / PARTITION_BYTES))


def deal_units(workspace: Workspace) -> list[dict[str, Any]]:
    """Shards in groups of about `UNIT_BYTES`, each to be dealt out by one task; the same shards, the same units."""
    units = []
    for artifact in (SENTENCES, PHOTOS):
        paths = EmbeddingShards(workspace, artifact).paths
        listed = list_files(workspace.filesystem, workspace.path(artifact), recursive=True)
        sizes = {info.path: info.size for info in listed}  # one listing, not a request a shard
        for group in grouped(paths, [sizes[path] for path in paths], UNIT_BYTES):
            name = f"{artifact}-{unit_name(group).removesuffix('.parquet')}.arrow"
            units.append({"artifact": artifact, "name": name, "paths": group})
    return units


def grouped(paths: Sequence[str], sizes: Sequence[int], most: int) -> list[list[str]]:
    """Files in groups of at most `most` bytes, in order; one that is larger stands alone."""
    groups: list[list[str]] = []
    held = 0
    for path, size in zip(paths, sizes, strict=True):
        if not groups or held + size > most:
            groups.append([])
            held = 0
        groups[-1].append(path)
        held += size
    return groups


def deal_out(context: StepContext, shuffle: Shuffle, units: Sequence[dict[str, Any]]) -> Tally:
    """Write the dealt files that are not there yet; each vector is read once and written once."""
    there = shuffle.names() if units else set()
    left = [unit for unit in units if unit["name"] not in there]
    if not left and (not units or REVIEWS in there):
        return Tally()
    index = deal_reviews.remote(shuffle)
    data = ray.data.from_items(left, override_num_blocks=max(1, len(left)))
    done = data.map(deal_vectors, fn_kwargs={"shuffle": shuffle, "index": [index]})  # type: ignore[arg-type]
    tally = follow(done.iter_rows() if left else (), len(left), "units dealt out", context.say)
    ray.get(index)  # the reviews are dealt out as well
    return tally
