"""Stateful encoders: encode a prepared unit and write its shard, or map a batch to its vectors."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import torch

from showcases.clip.config import Dtype
from showcases.clip.units import FAILURES, Prepared, failures_table
from showcases.storage.artifacts import Workspace
from showcases.storage.schemas import embeddings_schema

if TYPE_CHECKING:
    from showcases.clip.encoder import ClipEncoder

CPU_BATCH = 16  # photos per core and batch: larger ones are not faster, and exceed malloc's cache


class UnitEncoder:
    """Encodes prepared units and writes their shards. Thread-safe, so that one thread encodes while another writes.

    On a CPU each thread encodes its own batches of a unit: threads that share a batch wait for the slowest at every
    layer.

    Args:
        batch_size: maximum photos or sentences per forward pass.
        threads: CPU threads; 0 uses torch's default.
        dtype: of weights and arithmetic.
    """

    def __init__(
        self,
        workspace: Workspace,
        batch_size: int,
        device: str = "cpu",
        threads: int = 0,
        dtype: Dtype = "float32",
    ) -> None:
        started = time.monotonic()
        if threads:
            torch.set_num_threads(threads)
        self.workspace, self.batch_size = workspace, min(batch_size, CPU_BATCH) if device == "cpu" else batch_size
        self.encoder = load_encoder(self.workspace, device, dtype)
        self._lanes = torch.get_num_threads() if device == "cpu" else 1
        self._pool = ThreadPoolExecutor(self._lanes, "encode", lambda: torch.set_num_threads(1))
        self._lock = threading.Lock()
        self._loading_s = time.monotonic() - started

    def __call__(self, unit: Prepared) -> dict[str, Any]:
        """Encode and write a unit.

        Returns:
            What jobs.runner.stream.Tally.add takes, and `artifact`.
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
        if unit.failures:  # after the vectors: an interruption between the two leaves only these to do
            self.workspace.write_table(failures_table(unit.failures), FAILURES, unit.name)
        outcomes = {"outcome.ok": len(ids), "outcome.failed": len(unit.failures)}
        counted = {f"amount.{name}": value for name, value in amounts.items()}
        return {"artifact": unit.artifact, "rows": len(ids) + len(unit.failures), **outcomes, **counted}

    def _encode(self, content: np.ndarray | list[str]) -> np.ndarray:
        encode = self.encoder.encode_pixels if isinstance(content, np.ndarray) else self.encoder.encode_text
        size = min(self.batch_size, -(-len(content) // self._lanes)) or 1
        pieces = [content[start : start + size] for start in range(0, len(content), size)]
        none = np.zeros((0, self.encoder.dim), np.float32)
        if self._lanes == 1:
            return np.concatenate([none, *map(encode, pieces)])  # type: ignore[arg-type]
        return np.concatenate([none, *self._pool.map(encode, pieces)])  # type: ignore[arg-type]


class EmbedBatch:
    """Maps a batch of photos or sentences to a table of unit vectors."""

    def __init__(self, root: str, device: str, dtype: Dtype) -> None:
        self.encoder = load_encoder(Workspace(root), device, dtype)

    def __call__(self, batch: dict[str, np.ndarray]) -> pa.Table:
        if "text" in batch:
            vectors, errors = self.encoder.encode_text([str(text) for text in batch["text"]]), None
        else:
            vectors, errors = self.encoder.encode_images(list(batch["bytes"]))
        good = [row for row in range(len(vectors)) if errors is None or errors[row] is None]
        return embeddings_table(self.encoder, [str(batch["id"][row]) for row in good], vectors[good])


def load_encoder(workspace: Workspace, device: str, dtype: Dtype) -> "ClipEncoder":
    """Load the workspace's `clip`."""
    from showcases.clip.encoder import ClipEncoder  # lazy: open_clip is slow to import

    return workspace.load(lambda folder: ClipEncoder.from_pretrained(folder, device, dtype), "clip")


def embeddings_table(encoder: "ClipEncoder", ids: Sequence[str], vectors: np.ndarray) -> pa.Table:
    """Columns id and vector; vectors (n, d) are rounded to float16."""
    flat = pa.array(vectors.astype(np.float16).ravel(), pa.float16())
    column = pa.FixedSizeListArray.from_arrays(flat, encoder.dim)
    return pa.table([pa.array(ids, pa.string()), column], schema=embeddings_schema(encoder.dim, encoder.model_id))
