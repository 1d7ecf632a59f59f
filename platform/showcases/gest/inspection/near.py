"""Exact near-duplicate search: all pairs whose sets of word 3-shingles have a Jaccard index of at least 0.8.

Two such sets share a shingle among the rarest few of each (prefix filter: Bayardo, Ma, Srikant, WWW 2007). A sparse
matrix product over these finds the candidates, of which MinHash would miss some; their intersections are then counted.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from showcases.gest.building.digests import digest_ids
from showcases.gest.building.ragged import spans
from showcases.gest.inspection.words import Words, batches

if TYPE_CHECKING:
    from scipy.sparse import csr_array

JACCARD = 0.8
SHORT = 5  # words; shorter texts ("Great food") are not compared: they coincide without copying
WIDTH = 3  # words per shingle
ROWS = 2000  # texts per batch of the candidate search
VERIFIED = 100_000  # pairs per batch of the verification
MIX = tuple(np.uint64(value) for value in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


@dataclass(frozen=True)
class Likeness:
    """Identical and near-duplicate texts among n texts.

    Attributes:
        group: (n,) number of each text's normalised form.
        words: (n,) number of words.
        pairs: (p, 2) near-duplicate groups, lower one first.
    """

    group: np.ndarray
    words: np.ndarray
    pairs: np.ndarray

    @property
    def long(self) -> np.ndarray:
        """(n,) bool, texts long enough to be compared."""
        return self.words >= SHORT

    @property
    def groups(self) -> int:
        return int(self.group.max(initial=-1)) + 1


def compare(texts: pa.ChunkedArray, threshold: float = JACCARD) -> Likeness:
    """Compare all pairs of texts.

    Args:
        texts: (n,).
        threshold: minimum Jaccard index of near-duplicates, above 0.
    """
    parts = [(part.texts, part.lengths) for part in batches(texts)]
    forms = pa.concat_arrays([pa.array([], pa.string()), *(part for part, _ in parts)]).dictionary_encode()
    group = forms.indices.to_numpy().astype(np.int64)
    lengths = np.concatenate([np.zeros(0, np.int64), *(part for _, part in parts)])
    of_form = np.zeros(len(forms.dictionary), np.int64)
    of_form[group] = lengths
    long = np.flatnonzero(of_form >= SHORT)
    sets = shingle_sets(pa.chunked_array([forms.dictionary.take(pa.array(long))]))
    return Likeness(group, lengths, long[near_pairs(sets, threshold)])


def shingle_sets(texts: pa.ChunkedArray) -> "csr_array":
    """(n, shingles) indicator matrix of the texts with at least three words; rarest shingles first."""
    from scipy.sparse import csr_array

    parts = [hashed_shingles(words) for words in batches(texts)]
    hashes = np.concatenate([np.zeros(0, np.uint64), *(part for part, _ in parts)])
    counts = np.concatenate([np.zeros(0, np.int64), *(part for _, part in parts)])
    values, shingle = np.unique(hashes, return_inverse=True)
    place = np.empty(len(values), np.int64)
    place[np.argsort(np.bincount(shingle, minlength=len(values)), kind="stable")] = np.arange(len(values))
    starts = np.concatenate([[0], np.cumsum(counts)])
    sets = csr_array((np.ones(len(shingle), np.int32), place[shingle], starts), shape=(len(counts), len(values)))
    sets.sum_duplicates()  # sorts, too
    sets.data[:] = 1
    return sets


def hashed_shingles(words: Words) -> tuple[np.ndarray, np.ndarray]:
    """Hash (m,) of every three consecutive words, and their number (n,) per text: its words minus two."""
    word = digest_ids(words.words.dictionary.to_pylist())[words.words.indices.to_numpy()]
    counts = words.lengths - (WIDTH - 1)
    place = spans(np.cumsum(words.lengths) - words.lengths, counts)
    mixed = np.zeros(len(place), np.uint64)
    for offset in range(WIDTH):
        mixed = (mixed + word[place + offset]) * MIX[0]
        mixed ^= mixed >> np.uint64(29)
    return mixed * MIX[1] ^ (mixed >> np.uint64(32)) * MIX[2], counts


def near_pairs(sets: "csr_array", threshold: float) -> np.ndarray:
    """(p, 2) rows, the lower one first, whose Jaccard index is at least `threshold`, each pair once."""
    sizes = np.diff(sets.indptr)
    prefix = sizes - np.ceil(threshold * sizes - 1e-9).astype(np.int64) + 1
    ones, starts = np.ones(prefix.sum(), np.int32), np.concatenate([[0], np.cumsum(prefix)])
    rare = type(sets)((ones, sets.indices[spans(sets.indptr[:-1], prefix)], starts), shape=sets.shape)
    found = [np.zeros((0, 2), np.int64)]
    for low in range(0, len(sizes), ROWS):
        shared = (rare[low : low + ROWS] @ rare.T).tocoo()
        left, right = shared.row.astype(np.int64) + low, shared.col.astype(np.int64)
        least, most = np.minimum(sizes[left], sizes[right]), np.maximum(sizes[left], sizes[right])
        pairs = np.stack([left, right], axis=1)[(left < right) & (least >= threshold * most - 1e-9)]
        found += [_alike(sets, pairs[at : at + VERIFIED], threshold) for at in range(0, len(pairs), VERIFIED)]
    return np.concatenate(found)


def _alike(sets: "csr_array", pairs: np.ndarray, threshold: float) -> np.ndarray:
    """The pairs whose sets have at least this Jaccard index, computed exactly."""
    one, other = sets[pairs[:, 0]], sets[pairs[:, 1]]
    both = one.multiply(other).sum(axis=1)
    return pairs[both / (np.diff(one.indptr) + np.diff(other.indptr) - both) >= threshold]
