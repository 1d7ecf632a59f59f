"""Table 1, computed on Arrow columns without one Python object per row."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from showcases.gest.reading.word_count import count_words

ROWS = 10_000  # texts converted to Python strings at a time


def table_1(reviews: pa.Table, text: str, photo_ids: pa.Array | pa.ChunkedArray) -> dict[str, float]:
    """Table 1's columns: images, reviews, users, businesses, average words.

    Args:
        reviews: columns user_id, business_id, and the one named by `text`.
        photo_ids: ids of the photos to count; may repeat.
    """
    return {
        "images": pc.count_distinct(photo_ids).as_py(),
        "reviews": reviews.num_rows,
        "users": pc.count_distinct(reviews["user_id"]).as_py(),
        "businesses": pc.count_distinct(reviews["business_id"]).as_py(),
        "average_words": average_words(reviews[text]),
    }


def average_words(texts: pa.ChunkedArray) -> float:
    """Mean number of words (see `count_words`); NaN if there are no texts."""
    return int(words_per_text(texts).sum()) / len(texts) if len(texts) else float("nan")


def words_per_text(texts: pa.ChunkedArray) -> np.ndarray:
    """(n,) number of words of each text (see `count_words`)."""
    return np.fromiter((count_words(text) for text in _strings(texts)), np.int64, len(texts))


def _strings(texts: pa.ChunkedArray) -> Iterator[str]:
    for chunk in texts.chunks:
        for start in range(0, len(chunk), ROWS):
            yield from islice(chunk.slice(start, ROWS).to_pylist(), ROWS)
