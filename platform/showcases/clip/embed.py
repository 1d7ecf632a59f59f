"""Embedding a batch: what an encoder actor does, apart from any engine that runs it."""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa

from showcases.artifacts import Workspace, embeddings_schema
from showcases.clip.encoder import ClipEncoder


class EmbedBatch:
    """An encoder that stays loaded; a batch of photos or sentences in, a table of unit vectors out."""

    def __init__(self, root: str, device: str, bf16: bool) -> None:
        with tempfile.TemporaryDirectory() as folder:
            Workspace(root).download("clip", Path(folder))
            self.encoder = ClipEncoder.from_pretrained(Path(folder), device, bf16)

    def __call__(self, batch: dict[str, np.ndarray]) -> pa.Table:
        if "text" in batch:
            vectors, errors = self.encoder.encode_text([str(text) for text in batch["text"]]), None
        else:
            vectors, errors = self.encoder.encode_images(list(batch["bytes"]))
        good = [row for row in range(len(vectors)) if errors is None or errors[row] is None]
        return self._table([str(batch["id"][row]) for row in good], vectors[good])

    def _table(self, ids: list[str], vectors: np.ndarray) -> pa.Table:
        flat = pa.array(vectors.astype(np.float16).ravel(), pa.float16())
        column = pa.FixedSizeListArray.from_arrays(flat, self.encoder.dim)
        return pa.table(
            [pa.array(ids, pa.string()), column], schema=embeddings_schema(self.encoder.dim, self.encoder.model_id)
        )
