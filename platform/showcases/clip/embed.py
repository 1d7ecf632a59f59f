"""Embedding one unit of photos or sentences: read and decoded here, encoded and written there, by any engine.

A unit is some rows of one row group of an input shard. It becomes one output shard, whole or not at all.
"""

import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from showcases.artifacts import Workspace, embeddings_schema
from showcases.clip.encoder import ClipEncoder, Dtype
from showcases.object_store import insist
from showcases.photos import PhotoError, to_pixels
from showcases.store_errors import explained

PHOTOS, SENTENCES, FAILURES = "image_embeddings", "sentence_embeddings", "embed_failures"


@dataclass(frozen=True)
class Unit:
    """Rows of one row group of an input shard, by number: a unit is small, however long its ids are.

    Attributes:
        artifact: image_embeddings (of `images`) or sentence_embeddings (of `reviews`).
        name: of the output shard.
        path: of the input shard, on the workspace's filesystem.
        rows: (n,) numbers within the row group.
        writes: where it isn't the photo's id alone: the ids that get its vector, by the photo's id.
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
        ids: for each thing to encode, the ids that get its vector.
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
    rows = _read_row_group(workspace, unit, columns).take(pa.array(unit.rows)).to_pydict()
    if unit.artifact == SENTENCES:
        pairs = [
            (f"{review}:{number}", text)
            for review, said in zip(rows["review_id"], rows["sentences"], strict=True)
            for number, text in enumerate(said or ())
        ]
        amounts = {"bytes_in": float(sum(len(text.encode()) for _, text in pairs))}
        return Prepared(unit.artifact, unit.name, [[name] for name, _ in pairs], [t for _, t in pairs], [], amounts)
    ids, pixels, failures = _decoded(rows["photo_id"], rows["bytes"], unit.writes, image_size)
    amounts = {"bytes_in": float(sum(len(data or b"") for data in rows["bytes"]))}
    amounts["decode_cpu_s"] = time.thread_time() - started
    return Prepared(unit.artifact, unit.name, ids, pixels, failures, amounts)


def _read_row_group(workspace: Workspace, unit: Unit, columns: list[str]) -> pa.Table:
    def read() -> pa.Table:
        with workspace.filesystem.open_input_file(unit.path) as stream:
            return pq.ParquetFile(stream, pre_buffer=True).read_row_group(unit.row_group, columns)

    with explained(workspace.filesystem, unit.path):
        return insist(read)


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
                raise PhotoError("the row says ok, but holds no bytes")
            pixels[len(ids)] = to_pixels(data, size)
            ids.append(shared)
        except PhotoError as error:
            failures += [(each, "corrupt" if data is not None else "missing", str(error)) for each in shared]
    return ids, pixels[: len(ids)], failures


class UnitEncoder:
    """An encoder that stays loaded, encodes prepared units and writes their shards. Threads may call it side by side:
    one encodes while another writes."""

    def __init__(
        self, root: str, batch_size: int, device: str = "cpu", threads: int = 0, dtype: Dtype = "float32"
    ) -> None:
        started = time.monotonic()
        if threads:
            torch.set_num_threads(threads)
        self.workspace, self.batch_size = Workspace(root), batch_size
        self.encoder = load_encoder(self.workspace, device, dtype)
        self._lock = threading.Lock()
        self._loading_s = time.monotonic() - started

    def __call__(self, unit: Prepared) -> dict[str, Any]:
        """Encode and write a unit.

        Returns:
            What jobs.shards.Tally.add takes, and `artifact`.
        """
        with self._lock:
            started = time.monotonic()
            vectors = self._encode(unit.content)
            encode_s = time.monotonic() - started
            loading_s, self._loading_s = self._loading_s, 0.0
        owners = np.repeat(np.arange(len(unit.ids)), [len(shared) for shared in unit.ids])
        ids = [name for shared in unit.ids for name in shared]
        amounts = unit.amounts | {"encode_s": encode_s, "loading_s": loading_s}
        if ids:
            table = embeddings_table(self.encoder, ids, vectors[owners])
            self.workspace.write_table(table, unit.artifact, unit.name)
            amounts["bytes_out"] = float(table.nbytes)
        if unit.failures:  # after the vectors: cut off between the two, only these are left to do
            self.workspace.write_table(failures_table(unit.failures), FAILURES, unit.name)
        outcomes = {"outcome.ok": len(ids), "outcome.failed": len(unit.failures)}
        counted = {f"amount.{name}": value for name, value in amounts.items()}
        return {"artifact": unit.artifact, "rows": len(ids) + len(unit.failures), **outcomes, **counted}

    def _encode(self, content: np.ndarray | list[str]) -> np.ndarray:
        vectors = np.zeros((len(content), self.encoder.dim), np.float32)
        for start in range(0, len(content), self.batch_size):
            piece = content[start : start + self.batch_size]
            encode = self.encoder.encode_pixels if isinstance(piece, np.ndarray) else self.encoder.encode_text
            vectors[start : start + len(piece)] = encode(piece)  # type: ignore[arg-type]
        return vectors


class EmbedBatch:
    """An encoder that stays loaded; a batch of photos or sentences in, a table of unit vectors out."""

    def __init__(self, root: str, device: str, dtype: Dtype) -> None:
        self.encoder = load_encoder(Workspace(root), device, dtype)

    def __call__(self, batch: dict[str, np.ndarray]) -> pa.Table:
        if "text" in batch:
            vectors, errors = self.encoder.encode_text([str(text) for text in batch["text"]]), None
        else:
            vectors, errors = self.encoder.encode_images(list(batch["bytes"]))
        good = [row for row in range(len(vectors)) if errors is None or errors[row] is None]
        return embeddings_table(self.encoder, [str(batch["id"][row]) for row in good], vectors[good])


def load_encoder(workspace: Workspace, device: str, dtype: Dtype) -> ClipEncoder:
    """The workspace's `clip`."""
    with tempfile.TemporaryDirectory() as folder:
        return ClipEncoder.from_pretrained(workspace.download("clip", Path(folder)), device, dtype)


def embeddings_table(encoder: ClipEncoder, ids: Sequence[str], vectors: np.ndarray) -> pa.Table:
    """Columns id and vector; vectors (n, d) are rounded to float16."""
    flat = pa.array(vectors.astype(np.float16).ravel(), pa.float16())
    column = pa.FixedSizeListArray.from_arrays(flat, encoder.dim)
    return pa.table([pa.array(ids, pa.string()), column], schema=embeddings_schema(encoder.dim, encoder.model_id))


def failures_table(rows: Sequence[tuple[str, str, str]]) -> pa.Table:
    """Columns id, kind (corrupt, missing, orphan), error."""
    columns: Iterator[Sequence[str]] = zip(*rows, strict=True) if rows else iter(((), (), ()))
    return pa.table([pa.array(column, pa.string()) for column in columns], names=["id", "kind", "error"])
