"""Embeddings by id: the table that `embed` writes, as a matrix that training, evaluation and serving index."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from showcases.artifacts import Workspace
from showcases.errors import ArtifactError


@dataclass(frozen=True)
class EmbeddingTable:
    """Unit vectors by id.

    Attributes:
        ids: n ids, each once.
        vectors: (n, d) float16, rows of Euclidean length 1.
        model_id: the encoder that made them, with a hash of its weights; two tables can be compared if it agrees.
    """

    ids: Sequence[str]
    vectors: np.ndarray
    model_id: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "_row", {name: row for row, name in enumerate(self.ids)})

    @classmethod
    def from_arrow(cls, table: pa.Table) -> "EmbeddingTable":
        """From columns `id` and `vector` (fixed_size_list<float16>[d])."""
        column = table["vector"].combine_chunks()
        dim = column.type.list_size
        values = column.flatten() if isinstance(column, pa.FixedSizeListArray) else pa.chunked_array(column).flatten()
        vectors = values.to_numpy(zero_copy_only=False).reshape(-1, dim)
        metadata = table.schema.metadata or {}
        return cls(table["id"].to_pylist(), vectors, metadata.get(b"model_id", b"").decode())

    @classmethod
    def read(cls, workspace: Workspace, artifact: str) -> "EmbeddingTable":
        """Read `image_embeddings` or `sentence_embeddings` of a workspace.

        Raises:
            ArtifactError: the artifact is not finished.
        """
        return cls.from_arrow(workspace.read_table(artifact))

    @property
    def dim(self) -> int:
        return self.vectors.shape[1]

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, name: object) -> bool:
        return name in self._row  # type: ignore[attr-defined]

    def rows(self, ids: Iterable[str]) -> np.ndarray:
        """Row numbers (k,) of the ids that have an embedding, in order; the others are left out."""
        row = self._row  # type: ignore[attr-defined]
        return np.fromiter((row[name] for name in ids if name in row), dtype=np.int64)

    def gather(self, ids: Sequence[str]) -> np.ndarray:
        """(k, d) float32 vectors of k ids.

        Raises:
            ArtifactError: an id has no embedding.
        """
        rows = self.rows(ids)
        if len(rows) != len(ids):
            missing = next(name for name in ids if name not in self)
            raise ArtifactError(f"no embedding for {missing!r}: its photo failed, or jobs.embed must run again")
        return self.vectors[rows].astype(np.float32)


def review_features(sentences: EmbeddingTable, review_ids: Sequence[str]) -> dict[str, np.ndarray]:
    """The CLIP text feature of each review: its sentences' mean, scaled to length 1.

    A review is longer than CLIP's context; sentences are not (77 tokens).

    Returns:
        (d,) float32 by review id; reviews without an embedded sentence are left out.
    """
    sums: dict[str, np.ndarray] = {name: np.zeros(sentences.dim, np.float32) for name in review_ids}
    for row, sentence_id in enumerate(sentences.ids):
        review_id = sentence_id.rpartition(":")[0]
        if review_id in sums:
            sums[review_id] += sentences.vectors[row]
    lengths = {name: float(np.linalg.norm(total)) for name, total in sums.items()}
    return {name: total / lengths[name] for name, total in sums.items() if lengths[name] > 1e-6}
