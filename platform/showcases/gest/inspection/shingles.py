"""Sets of word 3-shingles, 8 bytes a shingle, rare shingles first: what near-identical texts are found by."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from showcases.gest.building.digests import digest_ids
from showcases.gest.inspection.words import Words

WIDTH = 3  # words of a shingle
LOW = np.uint64((1 << 48) - 1)
MIX = tuple(np.uint64(value) for value in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


@dataclass(frozen=True)
class ShingleSets:
    """n sets of shingles.

    Attributes:
        values: (m,) uint64, ascending and distinct within a set; a lower value is about as rare or rarer in all.
        starts: (n + 1,) where each set begins.
    """

    values: np.ndarray
    starts: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """(n,) shingles of each set."""
        return np.diff(self.starts)


def hashed_shingles(words: Words) -> tuple[np.ndarray, np.ndarray]:
    """Hash (m,) of every run of three words, and how many (n,) each text has: its words less two.

    Args:
        words: of texts of at least three words each.
    """
    word = digest_ids(words.words.dictionary.to_pylist())[words.words.indices.to_numpy()]
    counts = words.lengths - (WIDTH - 1)
    place = spans(np.cumsum(words.lengths) - words.lengths, counts)
    mixed = np.zeros(len(place), np.uint64)
    for offset in range(WIDTH):
        mixed = (mixed + word[place + offset]) * MIX[0]
        mixed ^= mixed >> np.uint64(29)
    return mixed * MIX[1] ^ (mixed >> np.uint64(32)) * MIX[2], counts


def shingle_sets(hashes: list[np.ndarray], counts: list[np.ndarray]) -> ShingleSets:
    """The sets, of what `hashed_shingles` gave for each batch of texts (taken out of the list, to free its memory).

    A shingle's value is its rarity, 16 bits, before 48 bits of its hash. Two of 33 million shingles have the same value
    in about two cases; a pair of sets would then seem alike by one shingle more than it is.
    """
    rarity = _rarity(hashes)
    values, sizes = [], []
    while hashes:
        part, per_text = hashes.pop(0), counts.pop(0)
        value = rarity[_bucket(part, len(rarity))] << np.uint64(48) | part & LOW
        owner = np.repeat(np.arange(len(per_text)), per_text)
        order = np.lexsort((value, owner))
        value = value[order]
        fresh = np.ones(len(value), bool)
        fresh[1:] = (value[1:] != value[:-1]) | (owner[1:] != owner[:-1])  # owner is in order already
        values.append(value[fresh])
        sizes.append(np.bincount(owner[fresh], minlength=len(per_text)))
    starts = np.concatenate([[0], *sizes]).astype(np.int64).cumsum()
    return ShingleSets(np.concatenate([np.zeros(0, np.uint64), *values]), starts)


def _rarity(hashes: Sequence[np.ndarray]) -> np.ndarray:
    """(2^b,) uint64, how often the shingles of each bucket occur, at most 65,535. Any order of them would do."""
    total = sum(len(part) for part in hashes)
    buckets = 1 << min(max(total.bit_length(), 8), 24)
    counts = np.zeros(buckets, np.int64)
    for part in hashes:
        counts += np.bincount(_bucket(part, buckets), minlength=buckets)
    return np.minimum(counts, 0xFFFF).astype(np.uint64)


def _bucket(hashes: np.ndarray, buckets: int) -> np.ndarray:
    return (hashes & np.uint64(buckets - 1)).astype(np.int64)


def spans(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Positions start, start + 1, … of each span, one span after another."""
    return np.arange(lengths.sum()) + np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
