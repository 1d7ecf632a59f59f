"""Embeddings by id: the table that `embed` writes, as a matrix for training, evaluation and serving.

Code that needs them once, in any order, streams them by shard (`EmbeddingShards`): 12 GB for all of GEST.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from showcases.errors import ArtifactError, ModelError
from showcases.ids import review_of
from showcases.storage.artifacts import Workspace
from showcases.storage.s3_errors import read_retrying
from showcases.storage.shards import count_rows, read_shards


def require_one_space(spaces: Mapping[str, str], hint: str) -> str:
    """Return the embedding space shared by vectors and the models that read them.

    Args:
        spaces: at least one `EmbeddingTable.model_id`, or a model's `embedding_space`, by what it belongs to.
        hint: what to do if they differ.

    Raises:
        ModelError: they differ; the message names each.
    """
    if len(set(spaces.values())) > 1:
        listed = ", ".join(f"{name} by {space!r}" for name, space in spaces.items())
        raise ModelError(f"not embedded by the same encoder: {listed}; {hint}")
    return next(iter(spaces.values()))


@dataclass(frozen=True)
class EmbeddingTable:
    """Unit vectors by id.

    Attributes:
        ids: n ids, each once.
        vectors: (n, d) float16, rows of Euclidean length 1.
        model_id: the encoder, with a hash of its weights; tables are comparable if it is equal.
    """

    ids: Sequence[str]
    vectors: np.ndarray
    model_id: str

    @cached_property
    def _row(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.ids)}  # lazy: 200 bytes per id

    @classmethod
    def from_arrow(cls, table: pa.Table) -> "EmbeddingTable":
        """From columns `id` and `vector` (fixed_size_list<float16>[d])."""
        metadata = table.schema.metadata or {}
        return cls(table["id"].to_pylist(), matrix(table["vector"]), metadata.get(b"model_id", b"").decode())

    @classmethod
    def read(cls, workspace: Workspace, artifact: str, only: Iterable[str] | None = None) -> "EmbeddingTable":
        """Read `image_embeddings` or `sentence_embeddings` of a workspace, shard by shard into one matrix.

        Args:
            only: ids to read, by default all. Memory is proportional to these, not to the artifact.

        Raises:
            ArtifactError: the artifact is not finished.
        """
        shards = EmbeddingShards(workspace, artifact)
        if only is not None:
            found = list(shards.batches(pa.array(sorted(set(only)), pa.string())))
            parts = [vectors for _, vectors in found] or [np.empty((0, shards.dim), np.float16)]
            return cls([name for ids, _ in found for name in ids.to_pylist()], np.concatenate(parts), shards.model_id)
        ids: list[str] = []
        vectors = np.empty((len(shards), shards.dim), np.float16)
        for names, rows in shards.batches():
            vectors[len(ids) : len(ids) + len(rows)] = rows
            ids.extend(names.to_pylist())
        return cls(ids, vectors, shards.model_id)

    @property
    def dim(self) -> int:
        return self.vectors.shape[1]

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, name: object) -> bool:
        return name in self._row

    def rows(self, ids: Iterable[str]) -> np.ndarray:
        """Row numbers (k,) of the ids that have an embedding, in order; others are skipped."""
        row = self._row
        return np.fromiter((row[name] for name in ids if name in row), dtype=np.int64)

    def gather(self, ids: Sequence[str]) -> np.ndarray:
        """(k, d) float32 vectors of k ids.

        Raises:
            ArtifactError: an id has no embedding.
        """
        rows = self.rows(ids)
        if len(rows) != len(ids):
            missing = next(name for name in ids if name not in self)
            raise ArtifactError(f"no embedding for {missing!r}: its photo failed, or jobs.embed must be rerun")
        return self.vectors[rows].astype(np.float32)

    def all_ids(self) -> pa.ChunkedArray:
        """(n,) all ids, in the order of `batches`."""
        return pa.chunked_array([pa.array(self.ids, pa.string())])

    def batches(self, size: int = 16_384) -> Iterator[tuple[pa.Array, np.ndarray]]:
        """Ids (k,) and vectors (k, d), at most `size` at a time, like those of `EmbeddingShards`."""
        for start in range(0, len(self), size):
            stop = start + size
            yield pa.array(self.ids[start:stop], pa.string()), self.vectors[start:stop]


@dataclass(frozen=True)
class EmbeddingShards:
    """Streams the vectors from the workspace, with one shard in memory.

    Raises:
        ArtifactError: the artifact is not finished.
    """

    workspace: Workspace
    artifact: str

    def __post_init__(self) -> None:
        self.workspace.require(self.artifact)

    @cached_property
    def paths(self) -> list[str]:
        return self.workspace.shards(self.artifact)

    @cached_property
    def _schema(self) -> pa.Schema:
        if not self.paths:
            raise ArtifactError(f"{self.workspace.path(self.artifact)}: no shards; run jobs.embed with --force")
        files = self.workspace.filesystem
        return read_retrying(files, self.paths[0], lambda: pq.read_schema(self.paths[0], filesystem=files))

    @property
    def dim(self) -> int:
        return self._schema.field("vector").type.list_size

    @property
    def model_id(self) -> str:
        return (self._schema.metadata or {}).get(b"model_id", b"").decode()

    def __len__(self) -> int:
        """Number of vectors, from the shards' footers."""
        return self._count

    @cached_property
    def _count(self) -> int:
        return sum(count_rows(self.workspace, self.paths))

    def batches(self, only: pa.Array | None = None) -> Iterator[tuple[pa.Array, np.ndarray]]:
        """Ids (k,) and vectors (k, d) of each shard; only of the ids in `only`, if given."""
        for table in read_shards(self.workspace, self.paths, ("id", "vector")):
            selected = table if only is None else table.filter(pc.is_in(table["id"], value_set=only))
            yield selected["id"].combine_chunks(), matrix(selected["vector"])

    def all_ids(self) -> pa.ChunkedArray:
        """(n,) all ids, in the order of `batches`."""
        tables = read_shards(self.workspace, self.paths, ("id",))
        return pa.chunked_array([chunk for table in tables for chunk in table["id"].chunks], pa.string())


def matrix(column: pa.ChunkedArray) -> np.ndarray:
    """(n, d) of a column of fixed_size_list<float16>[d]; no copy if the column is one chunk."""
    whole = column.combine_chunks()
    chunk = whole if isinstance(whole, pa.FixedSizeListArray) else pa.chunked_array(whole).combine_chunks()
    return chunk.flatten().to_numpy(zero_copy_only=False).reshape(-1, column.type.list_size)


def with_photo(rows: pa.Table, embedded: pa.ChunkedArray) -> pa.Table:
    """Rows with at least one embedded photo in `photo_ids`, in order."""
    photos = rows["photo_ids"].combine_chunks()
    found = pc.is_in(pc.list_flatten(photos), value_set=embedded)
    return rows.take(np.unique(pc.list_parent_indices(photos).filter(found).to_numpy()))


def review_features(sentences: "EmbeddingTable | EmbeddingShards", review_ids: Iterable[str]) -> dict[str, np.ndarray]:
    """The CLIP text feature of each review: its sentences' mean, scaled to length 1.

    A review is longer than CLIP's context; sentences are not (77 tokens).

    Args:
        sentences: all of them; from shards, memory is proportional to the requested reviews.
        review_ids: of the reviews.

    Returns:
        (d,) float32 by review id; reviews without an embedded sentence are left out.
    """
    sums: dict[str, np.ndarray] = {name: np.zeros(sentences.dim, np.float32) for name in review_ids}
    for ids, vectors in sentences.batches():
        for row, sentence_id in enumerate(ids.to_pylist()):
            review_id = review_of(sentence_id)
            if review_id in sums:
                sums[review_id] += vectors[row]
    lengths = {name: float(np.linalg.norm(total)) for name, total in sums.items()}
    return {name: total / lengths[name] for name, total in sums.items() if lengths[name] > 1e-6}
