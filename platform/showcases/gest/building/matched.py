"""Sentences that match a photo of their review, and the explanations made of them (paper section 3.3)."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from showcases.gest.building.ragged import flatten, keep, places


def matched_sentences(alignments: pa.Table, threshold: float) -> pa.Array:
    """(k,) distinct ids of the sentences with a score of at least `threshold` for some photo."""
    scores = alignments["score"].to_numpy()
    return alignments["sentence_id"].filter(pa.array(scores >= threshold)).unique()


def explanations(reviews: pa.Table, matched: pa.Array) -> pa.ChunkedArray:
    """(n,) each review's matched sentences, joined by spaces; empty if there is none.

    Args:
        reviews: columns review_id, sentences.
        matched: ids `<review_id>:<number>` of sentences.
    """
    lengths = flatten(reviews["sentences"])[1]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    names, number = split_ids(matched)
    row = places(names, reviews["review_id"])
    known = (row >= 0) & (number < lengths[row])
    shown = np.zeros(starts[-1], bool)
    shown[starts[row[known]] + number[known]] = True
    joined, done = [], 0
    for chunk in reviews["sentences"].chunks:
        sentences, per_review = flatten(pa.chunked_array([chunk]))
        here = shown[done : done + len(sentences)]
        joined.append(pc.binary_join(keep(sentences, per_review, here), " "))
        done += len(sentences)
    return pa.chunked_array(joined, pa.string())


def split_ids(sentence_ids: pa.Array | pa.ChunkedArray) -> tuple[pa.Array, np.ndarray]:
    """Review id (n,) and number in the review (n,) of sentence ids `<review_id>:<number>`."""
    whole = sentence_ids.combine_chunks() if isinstance(sentence_ids, pa.ChunkedArray) else sentence_ids
    parts = pc.split_pattern(whole, ":", max_splits=1, reverse=True)
    return pc.list_element(parts, 0), pc.list_element(parts, 1).cast(pa.int64()).to_numpy(zero_copy_only=False)
