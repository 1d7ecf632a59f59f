"""Compact sets of ids: 8 bytes per id; a Python set of strings takes over 100."""

import hashlib
from collections.abc import Iterable

import numpy as np


def digest_ids(ids: Iterable[str]) -> np.ndarray:
    """(n,) uint64, 64 bits of BLAKE2b of each id.

    Two of n different ids have the same digest with a probability of about n^2 / 2^65: 5e-7 for 4.4 million photos.
    """
    data = b"".join(hashlib.blake2b(name.encode(), digest_size=8).digest() for name in ids)
    return np.frombuffer(data, dtype=np.uint64)


class DigestSet:
    """A set of 64-bit digests, as sorted runs; a longer run never follows a shorter one, so there are few."""

    def __init__(self) -> None:
        self._runs: list[np.ndarray] = []

    def __len__(self) -> int:
        return sum(len(run) for run in self._runs)

    def contains(self, digests: np.ndarray) -> np.ndarray:
        """(n,) bool: whether each digest is in the set."""
        found = np.zeros(len(digests), bool)
        for run in self._runs:
            place = np.minimum(np.searchsorted(run, digests), len(run) - 1)
            found |= run[place] == digests
        return found

    def add(self, digests: np.ndarray) -> np.ndarray:
        """Add (n,) digests; returns (n,) bool, True at the first occurrence of each new digest."""
        fresh = np.zeros(len(digests), bool)
        fresh[np.unique(digests, return_index=True)[1]] = True
        fresh &= ~self.contains(digests)
        if fresh.any():
            self._runs.append(np.sort(digests[fresh]))
        while len(self._runs) > 1 and len(self._runs[-2]) < 2 * len(self._runs[-1]):
            last = self._runs.pop()
            self._runs[-1] = np.sort(np.concatenate((self._runs[-1], last)), kind="stable")
        return fresh

    def values(self) -> np.ndarray:
        """(len,) digests, sorted."""
        return np.sort(np.concatenate(self._runs)) if self._runs else np.zeros(0, np.uint64)
