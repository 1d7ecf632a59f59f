"""Near-identical texts, all of them: pairs whose sets of word 3-shingles have a Jaccard index of at least 0.8.

Two such sets share a shingle among the rarest few of each (prefix filter: Bayardo, Ma, Srikant, WWW 2007). A sparse
matrix product over these finds the candidates, where MinHash would lose some; what they share is then counted.
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
SHORT = 5  # words; a text of fewer ("Great food") is not compared: that people write the same is no copying
WIDTH = 3  # words of a shingle
ROWS = 2000  # texts whose candidates are looked for together
VERIFIED = 100_000  # pairs counted together
MIX = tuple(np.uint64(value) for value in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


@dataclass(frozen=True)
class Likeness:
    """Which of n texts are the same, and which nearly.

    Attributes:
        group: (n,) number of each text's normalised form.
        words: (n,) how many it has.
        pairs: (p, 2) groups, lower one first, that are nearly the same.
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
    """Compare all texts with all.

    Args:
        texts: (n,).
        threshold: least Jaccard index of two texts that are nearly the same, above 0.
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
    """(n, shingles) ones where a text of at least three words has a shingle; the rarest shingles come first."""
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
    """Hash (m,) of every run of three words, and how many (n,) each text has: its words less two."""
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
    """Those of the pairs whose sets have at least this Jaccard index: counted."""
    one, other = sets[pairs[:, 0]], sets[pairs[:, 1]]
    both = one.multiply(other).sum(axis=1)
    return pairs[both / (np.diff(one.indptr) + np.diff(other.indptr) - both) >= threshold]
