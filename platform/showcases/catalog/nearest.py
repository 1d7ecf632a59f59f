"""Photos nearest to a vector: for users of whom nothing is known but a few words or reviews."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from showcases.catalog.filters import CatalogError

if TYPE_CHECKING:
    from lancedb.table import Table

PROBES = 32  # partitions of the index that are looked into
REFINE = 50  # times k candidates are compared again by their whole vectors
DISTANCE = "_distance"


def nearest(table: "Table", vectors: np.ndarray, k: int, columns: list[str], where: str | None) -> list[pa.Table]:
    """For each vector the k rows of the table with the highest cosine, best first; the column DISTANCE is 1 - cosine.

    A filter goes first, and what it leaves is compared exactly, as is a table without a vector index.

    Args:
        vectors: (n, d).
        columns: to return.
        where: filter of `filters`, or None for all rows.
    """
    query: Any = table.search(list(vectors), vector_column_name="vector", query_type="vector")
    query = query.distance_type("cosine").select([*columns, DISTANCE]).limit(k)
    if where is None:
        query = query.nprobes(PROBES).refine_factor(REFINE)
    else:
        query = query.where(where, prefilter=True).bypass_vector_index()
    found = query.to_arrow()
    if "query_index" not in found.column_names:  # of one vector
        return [found.sort_by(DISTANCE)]
    number = found["query_index"].to_numpy()
    return [found.filter(pa.array(number == row)).sort_by(DISTANCE) for row in range(len(vectors))]


def checked_vectors(vectors: np.ndarray, dim: int, k: int) -> np.ndarray:
    """(n, d) float32.

    Raises:
        CatalogError: they have another shape, are not finite or of length 0, or k is no positive number.
    """
    vectors = np.asarray(vectors, np.float32)
    if vectors.ndim != 2 or vectors.shape[1] != dim:
        raise CatalogError(f"vectors of shape {vectors.shape}: must be (n, {dim})")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise CatalogError("a vector is zero or not finite: it has no direction")
    if k < 1:
        raise CatalogError(f"k = {k}: must be at least 1")
    return vectors / lengths
