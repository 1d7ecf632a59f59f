"""Normalization of texts for the checks: lower-case words without punctuation, as Arrow columns, in batches."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

BATCH = 50_000  # texts per batch
# Scripts without spaces between words, in which each character counts as a word.
UNSPACED = r"([\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}])"


@dataclass(frozen=True)
class Words:
    """The words of n texts.

    Attributes:
        texts: (n,) normalised: words with one space between.
        words: dictionary array (m,) of all words, in order.
        lengths: (n,) number of words of each text.
    """

    texts: pa.Array
    words: pa.DictionaryArray
    lengths: np.ndarray


def batches(texts: pa.ChunkedArray) -> Iterator[Words]:
    """The texts' words, `BATCH` texts at a time; a null is an empty text."""
    for start in range(0, len(texts), BATCH):
        yield words_of(texts.slice(start, BATCH).combine_chunks())


def words_of(texts: pa.Array | pa.ChunkedArray) -> Words:
    """The words of these texts."""
    plain = normalised(texts)
    whole = pc.split_pattern(plain.filter(pc.not_equal(plain, "")), " ")
    lengths = np.zeros(len(plain), np.int64)
    lengths[np.asarray(pc.not_equal(plain, ""))] = np.asarray(pc.list_value_length(whole))
    return Words(plain, pc.list_flatten(whole).dictionary_encode(), lengths)


def normalised(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Unicode NFKC, lower case, only letters and digits, one space between words."""
    whole = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    plain = pc.utf8_lower(pc.utf8_normalize(pc.fill_null(whole, ""), form="NFKC"))
    plain = pc.replace_substring_regex(plain, UNSPACED, r" \1 ")
    return pc.utf8_trim(pc.replace_substring_regex(plain, r"[^\p{L}\p{M}\p{N}]+", " "), " ")
