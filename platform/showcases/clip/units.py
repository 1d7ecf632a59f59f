"""Units of photos or sentences to embed: planned, read and decoded without an encoder, in processes that start quickly.

A unit is some rows of one row group of an input shard. It becomes one output shard, written atomically.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from showcases.ids import sentence_id
from showcases.photos import PhotoError, to_pixels
from showcases.storage.artifacts import Workspace
from showcases.storage.shards import read_row_group

PHOTOS, SENTENCES, FAILURES = "image_embeddings", "sentence_embeddings", "embed_failures"


@dataclass(frozen=True)
class Unit:
    """Rows of one row group of an input shard, by row number, so that a unit is small.

    Attributes:
        artifact: image_embeddings (of `images`) or sentence_embeddings (of `reviews`).
        name: of the output shard.
        path: of the input shard, on the workspace's filesystem.
        rows: (n,) numbers within the row group.
        writes: ids that get a photo's vector, by photo id, if others than the photo's own.
    """

    artifact: str
    name: str
    path: str
    row_group: int
    rows: np.ndarray
    writes: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Prepared:
    """A unit ready to be encoded.

    Attributes:
        ids: for each item, the ids that get its vector.
        content: (n, size, size, 3) uint8, or n sentences.
        failures: (id, kind, error) of photos that don't decode.
        amounts: decode_cpu_s, bytes_in.
    """

    artifact: str
    name: str
    ids: list[list[str]]
    content: np.ndarray | list[str]
    failures: list[tuple[str, str, str]]
    amounts: dict[str, float]


def prepare(unit: Unit, workspace: Workspace, image_size: int) -> Prepared:
    """Read a unit; photos are decoded to `image_size` px."""
    started = time.thread_time()
    columns = ["photo_id", "bytes"] if unit.artifact == PHOTOS else ["review_id", "sentences"]
    table = read_row_group(workspace, unit.path, unit.row_group, columns)
    rows = table.take(pa.array(unit.rows)).to_pydict()
    if unit.artifact == SENTENCES:
        pairs = [
            (sentence_id(review, number), text)
            for review, said in zip(rows["review_id"], rows["sentences"], strict=True)
            for number, text in enumerate(said or ())
        ]
        amounts = {"bytes_in": float(sum(len(text.encode()) for _, text in pairs))}
        return Prepared(unit.artifact, unit.name, [[name] for name, _ in pairs], [t for _, t in pairs], [], amounts)
    ids, pixels, failures = _decoded(rows["photo_id"], rows["bytes"], unit.writes, image_size)
    amounts = {"bytes_in": float(sum(len(data or b"") for data in rows["bytes"]))}
    amounts["decode_cpu_s"] = time.thread_time() - started
    return Prepared(unit.artifact, unit.name, ids, pixels, failures, amounts)


def _decoded(
    names: Sequence[str], photos: Sequence[bytes | None], writes: Mapping[str, Sequence[str]], size: int
) -> tuple[list[list[str]], np.ndarray, list[tuple[str, str, str]]]:
    pixels = np.empty((len(names), size, size, 3), np.uint8)
    ids: list[list[str]] = []
    failures: list[tuple[str, str, str]] = []
    for name, data in zip(names, photos, strict=True):
        shared = list(writes.get(name, (name,)))
        try:
            if data is None:
                raise PhotoError("the row's status is ok, but its image is empty")
            pixels[len(ids)] = to_pixels(data, size)
            ids.append(shared)
        except PhotoError as error:
            failures += [(each, "corrupt" if data is not None else "missing", str(error)) for each in shared]
    return ids, pixels[: len(ids)], failures


def failures_table(rows: Sequence[tuple[str, str, str]]) -> pa.Table:
    """Columns id, kind (corrupt, missing, orphan), error."""
    columns: Iterator[Sequence[str]] = zip(*rows, strict=True) if rows else iter(((), (), ()))
    return pa.table([pa.array(column, pa.string()) for column in columns], names=["id", "kind", "error"])
