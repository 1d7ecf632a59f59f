"""Ragged arrays: list columns as flat values plus lengths, for vectorized code."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def flatten(column: pa.ChunkedArray) -> tuple[pa.Array, np.ndarray]:
    """All values (m,) of a list column in order, and the length (n,) of each list; null counts as an empty list."""
    values = pc.list_flatten(column)
    lengths = pc.fill_null(pc.list_value_length(column), 0)
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return whole, np.asarray(lengths).astype(np.int64)


def owners(lengths: np.ndarray) -> np.ndarray:
    """(m,) index of the list that each value belongs to."""
    return np.repeat(np.arange(len(lengths)), lengths)


def places(names: pa.Array | pa.ChunkedArray, among: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """(n,) int64, row of each name in `among`, -1 if it is missing."""
    found = pc.index_in(names, value_set=among).cast(pa.int64()).fill_null(-1)
    return found.to_numpy() if isinstance(found, pa.ChunkedArray) else found.to_numpy(zero_copy_only=False)


def spans(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Positions start, start + 1, … of each span, one span after another."""
    return np.arange(lengths.sum()) + np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)


def lists(values: pa.Array, lengths: np.ndarray) -> pa.ListArray:
    """List column; the inverse of `flatten`."""
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)


def keep(values: pa.Array, lengths: np.ndarray, mask: np.ndarray) -> pa.ListArray:
    """The lists, filtered to the values where `mask` (m,) is True."""
    counts = np.bincount(owners(lengths)[mask], minlength=len(lengths))
    return lists(values.filter(pa.array(mask)), counts)
