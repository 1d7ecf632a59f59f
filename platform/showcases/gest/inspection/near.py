"""Near-identical texts, all of them: pairs whose sets of word 3-shingles have a Jaccard index of at least 0.8.

A join with filters that lose no pair, where MinHash would lose some. Two sets that alike share a shingle among the
rarest few of each (prefix filter: Bayardo, Ma, Srikant, WWW 2007), are about as large, and differ in few bits of a
bitmap (Sandes, Teodoro, Melo 2020). What is left is counted.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from showcases.gest.building.digests import DigestSet, digest_ids
from showcases.gest.inspection.shingles import ShingleSets, hashed_shingles, shingle_sets, spans
from showcases.gest.inspection.words import Words, batches, words_of

JACCARD = 0.8
SHORT = 5  # words; a text of fewer ("Great food") is not compared: that people write the same is no copying
CANDIDATES = 4_000_000  # pairs looked at together
VERIFIED = 100_000  # pairs counted together
BITMAP = 4  # words of 64 bits


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
    seen, digests, lengths, first = DigestSet(), [], [], []
    hashes: list[np.ndarray] = []
    counts: list[np.ndarray] = []
    for batch in batches(texts):
        digest = digest_ids(batch.texts.to_pylist())
        fresh = seen.add(digest) & (batch.lengths >= SHORT)
        digests.append(digest)
        lengths.append(batch.lengths)
        first.append(digest[fresh])
        found, per_text = hashed_shingles(_only(batch, fresh))
        hashes.append(found)
        counts.append(per_text)
    if not digests:
        return Likeness(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 2), np.int64))
    forms, group = np.unique(np.concatenate(digests), return_inverse=True)
    pairs = near_pairs(shingle_sets(hashes, counts), threshold)
    named = np.searchsorted(forms, np.concatenate(first))[pairs]
    return Likeness(group, np.concatenate(lengths), np.sort(named, axis=1))


def _only(batch: Words, chosen: np.ndarray) -> Words:
    return batch if chosen.all() else words_of(batch.texts.filter(pa.array(chosen)))


def near_pairs(sets: ShingleSets, threshold: float) -> np.ndarray:
    """(p, 2) numbers of the sets whose Jaccard index is at least `threshold`, each pair once."""
    bitmaps, found = _bitmaps(sets), []
    for left, right in _candidates(sets, threshold):
        both = sets.sizes[left] + sets.sizes[right]
        apart = np.bitwise_count(bitmaps[left] ^ bitmaps[right]).sum(axis=1)  # at most the shingles of one set alone
        near = apart <= both * (1 - threshold) / (1 + threshold) + 1e-9
        ends = np.sort(np.stack([left[near], right[near]], axis=1), axis=1)
        unique = np.unique(ends[:, 0] * len(sets.sizes) + ends[:, 1])
        found.append(unique[_alike(sets, unique // len(sets.sizes), unique % len(sets.sizes), threshold)])
    pairs = np.unique(np.concatenate([np.zeros(0, np.int64), *found]))
    return np.stack([pairs // max(len(sets.sizes), 1), pairs % max(len(sets.sizes), 1)], axis=1)


def _candidates(sets: ShingleSets, threshold: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of about the same size that share a shingle of their prefixes; some come more than once."""
    sizes = sets.sizes
    prefix = sizes - np.ceil(threshold * sizes - 1e-9).astype(np.int64) + 1
    value = sets.values[spans(sets.starts[:-1], prefix)]
    owner = np.repeat(np.arange(len(sizes)), prefix)
    order = np.lexsort((sizes[owner], value))
    owner, value = owner[order], value[order]
    run = np.concatenate([[0], np.cumsum(value[1:] != value[:-1])]) if len(value) else np.zeros(0, np.int64)
    widest = int(sizes.max(initial=0)) + 1
    rank = run * widest + sizes[owner]  # ascending: by shingle, then by size
    largest = np.minimum(np.floor(sizes[owner] / threshold + 1e-9).astype(np.int64), widest - 1)
    partners = np.searchsorted(rank, run * widest + largest, side="right") - np.arange(len(run)) - 1
    done = np.cumsum(partners)
    first = 0
    while first < len(run):
        before = done[first - 1] if first else 0
        last = max(int(np.searchsorted(done, before + CANDIDATES, side="right")), first + 1)
        here = partners[first:last]
        left = np.repeat(np.arange(first, last), here)
        yield owner[left], owner[spans(np.arange(first, last) + 1, here)]
        first = last


def _bitmaps(sets: ShingleSets) -> np.ndarray:
    """(n, BITMAP) uint64: a bit is set where a shingle of the set falls on it."""
    result = np.zeros((len(sets.sizes), BITMAP), np.uint64)
    step = 50_000
    for low in range(0, len(sets.sizes), step):
        starts = sets.starts[low : low + step + 1]
        values = sets.values[starts[0] : starts[-1]]
        bit = np.uint64(1) << (values & np.uint64(63))
        word = (values >> np.uint64(6)) & np.uint64(BITMAP - 1)
        for number in range(BITMAP):
            bits = np.where(word == number, bit, np.uint64(0))
            result[low : low + step, number] = np.bitwise_or.reduceat(bits, starts[:-1] - starts[0])
    return result


def _alike(sets: ShingleSets, left: np.ndarray, right: np.ndarray, threshold: float) -> np.ndarray:
    """(k,) bool, whether the sets of each pair have at least this Jaccard index: counted."""
    result = np.zeros(len(left), bool)
    for low in range(0, len(left), VERIFIED):
        pair = slice(low, low + VERIFIED)
        ends = np.concatenate([left[pair], right[pair]])
        number = np.tile(np.arange(len(left[pair])), 2)
        value = sets.values[spans(sets.starts[ends], sets.sizes[ends])]
        of_pair = np.repeat(number, sets.sizes[ends])
        order = np.lexsort((value, of_pair))
        value, of_pair = value[order], of_pair[order]
        same = (value[1:] == value[:-1]) & (of_pair[1:] == of_pair[:-1])
        shared = np.bincount(of_pair[1:][same], minlength=len(left[pair]))
        either = sets.sizes[left[pair]] + sets.sizes[right[pair]] - shared
        result[pair] = shared / either >= threshold
    return result
