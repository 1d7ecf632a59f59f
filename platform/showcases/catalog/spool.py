"""Vectors and ids of a corpus that exceeds memory: rows in a temporary file, and an index of row numbers by id."""

import hashlib
import tempfile
from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from showcases.gest.building.ragged import spans


class Spool:
    """(n, d) array in a temporary file; only the requested rows are in memory.

    TMPDIR must have the space: GEST's 4.4 million photos take 4.5 GB in float16.
    """

    def __init__(self, rows: int, dim: int, dtype: type[np.generic]) -> None:
        self.shape, self.dtype = (rows, dim), np.dtype(dtype)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the spool
        self._file.truncate(max(1, rows * dim * self.dtype.itemsize))  # zeros

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        """(k, d) rows; mapped only during the copy, so that the file's pages don't count towards our memory."""
        return np.array(self._mapped()[rows])

    def __setitem__(self, rows: np.ndarray | slice, values: np.ndarray) -> None:
        self._mapped()[rows] = values

    def _mapped(self) -> np.ndarray:
        if not self.shape[0]:
            return np.empty(self.shape, self.dtype)
        return np.memmap(self._file, self.dtype, "r+", shape=self.shape)


class IdIndex:
    """Row numbers by id, 24 bytes per id: each is stored as 128 bits of BLAKE2, practically free of collisions."""

    def __init__(self, batches: Iterable[pa.Array | pa.ChunkedArray]) -> None:
        """Args:
        batches: the ids of rows 0, 1, 2, ...; an id may have several rows.
        """
        digests = np.concatenate([np.zeros((0, 2), np.uint64), *map(_digests, batches)])
        self._rows = np.argsort(digests[:, 0], kind="stable")
        self._first, self._second = (np.ascontiguousarray(half[self._rows]) for half in digests.T)

    def __len__(self) -> int:
        return len(self._rows)

    def join(self, ids: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
        """All pairs (position in `ids`, row number) with equal ids, ordered by both."""
        digests = _digests(ids)
        first, last = (np.searchsorted(self._first, digests[:, 0], side) for side in ("left", "right"))
        counts = last - first
        places = np.repeat(np.arange(len(digests)), counts)
        found = spans(first, counts)
        same = self._second[found] == digests[places, 1]
        return places[same], self._rows[found[same]]

    def find(self, ids: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """(k,) last row number of each id; -1 if it has none."""
        places, rows = self.join(ids)
        found = np.full(len(ids), -1)
        found[places] = rows
        return found


def _digests(ids: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """(k, 2) uint64."""
    digests = (hashlib.blake2b(name.encode(), digest_size=16).digest() for name in ids.to_pylist())
    return np.frombuffer(b"".join(digests), np.uint64).reshape(-1, 2)
