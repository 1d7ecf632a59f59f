"""Partitioning: a review, its sentences and its photos are in the same partition."""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from showcases.gest.building.digests import digest_ids
from showcases.gest.building.matched import split_ids
from showcases.gest.building.ragged import spans


def of_reviews(review_ids: pa.Array | pa.ChunkedArray, partitions: int) -> np.ndarray:
    """(n,) partition of each review, by CRC-32 of its id: equal in all processes and machines."""
    return np.array([zlib.crc32(name.encode()) % partitions for name in review_ids.to_pylist()], np.int64)


def of_sentences(sentence_ids: pa.Array | pa.ChunkedArray, partitions: int) -> np.ndarray:
    """(n,) partition of each sentence: that of the review in its id."""
    return of_reviews(split_ids(sentence_ids)[0], partitions)


@dataclass(frozen=True)
class PhotoIndex:
    """Partitions of photos, in 12 bytes per photo: ids are hashed, because 4.4 million strings are too large for tasks.

    Ids with equal hashes share their partitions: at worst a photo is also sent to a partition that does not need it.

    Attributes:
        hashes: (k,) uint64, sorted; a hash occurs once per partition.
        partitions: (k,) int32.
    """

    hashes: np.ndarray
    partitions: np.ndarray

    @classmethod
    def build(cls, photo_ids: Iterable[str], partitions: np.ndarray) -> "PhotoIndex":
        """Build from photos (n,) and the partitions (n,) of their reviews."""
        pairs = np.empty(len(partitions), [("hash", np.uint64), ("partition", np.int32)])
        pairs["hash"], pairs["partition"] = digest_ids(photo_ids), partitions
        distinct = np.unique(pairs)
        return cls(np.ascontiguousarray(distinct["hash"]), np.ascontiguousarray(distinct["partition"]))

    def find(self, photo_ids: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
        """(row, partition) pairs (m,), (m,) of ids (n,); none for a photo without a review."""
        wanted = digest_ids(photo_ids)
        first, last = (np.searchsorted(self.hashes, wanted, side) for side in ("left", "right"))
        counts = last - first
        rows = np.repeat(np.arange(len(wanted)), counts)
        return rows, self.partitions[spans(first, counts)].astype(np.int64)
