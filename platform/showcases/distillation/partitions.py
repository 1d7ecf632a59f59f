"""Which partition a row belongs to: a review, its sentences and its photos always meet in the same one."""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from showcases.gest.building.digests import digest_ids
from showcases.gest.building.matched import split_ids
from showcases.gest.building.ragged import spans


def of_reviews(review_ids: pa.Array | pa.ChunkedArray, partitions: int) -> np.ndarray:
    """(n,) partition of each review, by CRC-32 of its id: the same in every process, on every machine."""
    return np.array([zlib.crc32(name.encode()) % partitions for name in review_ids.to_pylist()], np.int64)


def of_sentences(sentence_ids: pa.Array | pa.ChunkedArray, partitions: int) -> np.ndarray:
    """(n,) partition of each sentence: its review's, which its id names."""
    return of_reviews(split_ids(sentence_ids)[0], partitions)


@dataclass(frozen=True)
class PhotoIndex:
    """Where photos go, in 12 bytes a photo: ids are hashed, as 4.4 million strings would not be lent to every task.

    Two ids with the same hash share their partitions: a photo may then go to one where nobody asks for it, no more.

    Attributes:
        hashes: (k,) uint64, sorted; a hash occurs once for each partition it goes to.
        partitions: (k,) int32.
    """

    hashes: np.ndarray
    partitions: np.ndarray

    @classmethod
    def build(cls, photo_ids: Iterable[str], partitions: np.ndarray) -> "PhotoIndex":
        """From photos (n,) and the partition of the review that shows each."""
        pairs = np.empty(len(partitions), [("hash", np.uint64), ("partition", np.int32)])
        pairs["hash"], pairs["partition"] = digest_ids(photo_ids), partitions
        distinct = np.unique(pairs)
        return cls(np.ascontiguousarray(distinct["hash"]), np.ascontiguousarray(distinct["partition"]))

    def find(self, photo_ids: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
        """For ids (n,) the (row, partition) pairs (m,), (m,): one a photo, none where no review shows it."""
        wanted = digest_ids(photo_ids)
        first, last = (np.searchsorted(self.hashes, wanted, side) for side in ("left", "right"))
        counts = last - first
        rows = np.repeat(np.arange(len(wanted)), counts)
        return rows, self.partitions[spans(first, counts)].astype(np.int64)
