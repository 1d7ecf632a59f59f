"""Shuffle rows to partitions through files: each row is read once, written once and fetched once.

A shuffle file has the rows of one unit of input as one Arrow record batch per partition, so that a partition fetches
only its part of each file: M units and P partitions need M files, not M * P.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
from pyarrow import fs

from showcases.errors import ArtifactError
from showcases.storage.artifacts import Workspace
from showcases.storage.s3_errors import list_files, read_retrying, store_errors_of


@dataclass(frozen=True)
class Shuffle:
    """The shuffle files of one computation, inside its target artifact.

    Attributes:
        artifact: the folder is `<artifact>/_dealt-<partitions>`.
        partitions: P.
    """

    workspace: Workspace
    artifact: str
    partitions: int

    @property
    def folder(self) -> str:
        return f"_dealt-{self.partitions:05d}"

    def names(self) -> set[str]:
        """Names of the existing shuffle files."""
        found = list_files(self.workspace.filesystem, self.workspace.path(self.artifact, self.folder))
        return {info.base_name for info in found if info.base_name.endswith(".arrow")}

    def deal(self, table: pa.Table, rows: np.ndarray, partitions: np.ndarray, name: str) -> int:
        """Write rows (m,) of a table, each to its partition (m,), as one file, atomically.

        Returns:
            Its size in bytes.
        """
        order = np.argsort(partitions, kind="stable")
        dealt = table.take(pa.array(rows[order])).combine_chunks()
        bounds = np.searchsorted(partitions[order], np.arange(self.partitions + 1))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            for first, last in pairwise(bounds):
                writer.write_batch(_batch(dealt.slice(first, last - first)))
        data = sink.getvalue()
        self.workspace.write_bytes(data, self.artifact, self.folder, name)
        return data.size

    def fetch(self, names: Sequence[str], partition: int) -> pa.Table:
        """The rows of one partition from these shuffle files, in order.

        Raises:
            ArtifactError: a file is missing.
        """
        with ThreadPoolExecutor(8) as pool:
            return pa.Table.from_batches(list(pool.map(lambda name: self._batch_of(name, partition), names)))

    def _batch_of(self, name: str, partition: int) -> pa.RecordBatch:
        path = self.workspace.path(self.artifact, self.folder, name)

        def read() -> pa.RecordBatch:
            with self.workspace.filesystem.open_input_file(path) as file, pa.ipc.open_file(file) as reader:
                return reader.get_batch(partition)

        try:
            return read_retrying(self.workspace.filesystem, path, read)
        except FileNotFoundError as error:
            raise ArtifactError(f"{path}: a shuffle file is missing; rerun jobs.distill") from error

    def clear(self) -> None:
        """Remove all shuffle files."""
        path = self.workspace.path(self.artifact, self.folder)
        with store_errors_of(self.workspace.filesystem, path):
            if self.workspace.filesystem.get_file_info(path).type == fs.FileType.Directory:
                self.workspace.filesystem.delete_dir(path)


def _batch(table: pa.Table) -> pa.RecordBatch:
    """A table with at most one chunk per column as one record batch."""
    return (table.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], schema=table.schema)])[0]
