"""Columns of lists as two arrays, all values in a row and the length of each list, so that rules become array code."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def flatten(column: pa.ChunkedArray) -> tuple[pa.Array, np.ndarray]:
    """All values (m,) of a column of lists in order, and the length (n,) of each list; a null is an empty list."""
    values = pc.list_flatten(column)
    lengths = pc.fill_null(pc.list_value_length(column), 0)
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return whole, np.asarray(lengths).astype(np.int64)


def owners(lengths: np.ndarray) -> np.ndarray:
    """(m,) for each value the number of its list."""
    return np.repeat(np.arange(len(lengths)), lengths)


def lists(values: pa.Array, lengths: np.ndarray) -> pa.ListArray:
    """A column of lists: the inverse of `flatten`."""
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)


def keep(values: pa.Array, lengths: np.ndarray, kept: np.ndarray) -> pa.ListArray:
    """The lists with only those values that `kept` (m,) marks."""
    counts = np.bincount(owners(lengths)[kept], minlength=len(lengths))
    return lists(values.filter(pa.array(kept)), counts)
