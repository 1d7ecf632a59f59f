"""Histories: the other reviews of each row's user, vectorized over all rows."""

import numpy as np
import pyarrow as pa

from showcases.gest.building.ragged import lists, spans


def histories(users: np.ndarray, review_ids: pa.ChunkedArray, rows: np.ndarray, most: int) -> pa.ListArray:
    """Ids of the first `most` other reviews by the user of each row, in table order.

    Args:
        users: (n,) number of each review's user.
        review_ids: (n,).
        rows: (k,) the reviews to compute histories for.
    """
    order = np.argsort(users, kind="stable")  # one run of rows per user, in table order
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    sizes = np.bincount(users)
    starts = (np.cumsum(sizes) - sizes)[users[rows]]
    lengths = np.minimum(sizes[users[rows]] - 1, most)
    at = spans(starts, lengths)
    found = order[at + (at >= np.repeat(place[rows], lengths))]  # skips the review itself
    return lists(review_ids.combine_chunks().take(pa.array(found)), lengths)
