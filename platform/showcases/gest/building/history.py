"""What else a user wrote: the other reviews of the same user, for every row at once."""

import numpy as np
import pyarrow as pa

from showcases.gest.building.ragged import lists, spans


def histories(users: np.ndarray, review_ids: pa.ChunkedArray, rows: np.ndarray, most: int) -> pa.ListArray:
    """Ids of the first `most` other reviews of the user of each row, in the order of the table.

    Args:
        users: (n,) number of each review's user.
        review_ids: (n,).
        rows: (k,) the reviews to do it for.
    """
    order = np.argsort(users, kind="stable")  # a run of rows a user, each in the order of the table
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    sizes = np.bincount(users)
    starts = (np.cumsum(sizes) - sizes)[users[rows]]
    lengths = np.minimum(sizes[users[rows]] - 1, most)
    at = spans(starts, lengths)
    found = order[at + (at >= np.repeat(place[rows], lengths))]  # the review itself is stepped over
    return lists(review_ids.combine_chunks().take(pa.array(found)), lengths)
