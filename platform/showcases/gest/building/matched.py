"""Which sentences of a review some photo of it shows, and the explanation that they make (paper section 3.3)."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from showcases.gest.building.ragged import flatten, keep


def matched_sentences(alignments: pa.Table, threshold: float) -> pa.Array:
    """(k,) distinct ids of the sentences that some photo scores at least `threshold` with."""
    scores = alignments["score"].to_numpy()
    return alignments["sentence_id"].filter(pa.array(scores >= threshold)).unique()


def explanations(reviews: pa.Table, matched: pa.Array) -> pa.ChunkedArray:
    """(n,) of each review its matched sentences, joined by a space; empty where there is none.

    Args:
        reviews: columns review_id, sentences.
        matched: ids `<review_id>:<number>` of sentences.
    """
    lengths = np.asarray(pc.fill_null(pc.list_value_length(reviews["sentences"]), 0)).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    row, number = _places(reviews["review_id"], matched)
    known = (row >= 0) & (number < lengths[row])
    shown = np.zeros(starts[-1], bool)
    shown[starts[row[known]] + number[known]] = True
    joined, done = [], 0
    for chunk in reviews["sentences"].chunks:
        said, per_review = flatten(pa.chunked_array([chunk]))
        here = shown[done : done + len(said)]
        joined.append(pc.binary_join(keep(said, per_review, here), " "))
        done += len(said)
    return pa.chunked_array(joined, pa.string())


def _places(review_ids: pa.ChunkedArray, sentence_ids: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Row of its review (k,), -1 where there is none, and number in that review (k,) of each sentence id."""
    parts = pc.split_pattern(sentence_ids, ":", max_splits=1, reverse=True)
    found = pc.index_in(pc.list_element(parts, 0), value_set=review_ids)
    number = pc.list_element(parts, 1).cast(pa.int64())
    return found.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False), number.to_numpy(zero_copy_only=False)
