"""Artifacts in a workspace, as a step would have left them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from showcases.storage.artifacts import Manifest, Workspace
from showcases.storage.schemas import embeddings_schema


def finish(workspace: Workspace, *artifacts: str, step: str = "test", **facts: Any) -> None:
    """Give each artifact a manifest; `facts` are more of its fields, e.g. rows and metrics."""
    for name in artifacts:
        made = {"config": {}, "inputs": {}, "code_version": "0", "created": "2026-01-01T00:00:00+00:00", "seconds": 0.0}
        workspace.finish(Manifest(name, step, **(made | facts)))


def put(workspace: Workspace, artifact: str, table: pa.Table, **facts: Any) -> None:
    """Write an artifact of one shard and finish it."""
    workspace.write_table(table, artifact)
    finish(workspace, artifact, **facts)


def embedding_table(ids: Sequence[str], vectors: np.ndarray, space: str) -> pa.Table:
    """The artifact's table of `vectors` (N, D), stored as float16, which were made by the encoder `space`."""
    dim = vectors.shape[1]
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.astype(np.float16).ravel(), pa.float16()), dim)
    return pa.table([pa.array(list(ids), pa.string()), column], schema=embeddings_schema(dim, space))
