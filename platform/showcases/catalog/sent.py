"""Rows that somebody sent, checked before they go into a side table."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from showcases.catalog.filters import CatalogError, checked_id

OPTIONAL = {"photo_id": ("user_id", "review_id"), "review_id": ("rating", "feature")}  # by first column: may be None
UNIT = 1e-2  # how far from 1 the length of a vector may be: float16 has three digits


def rows_of(sent: Iterable[Mapping[str, Any]], schema: pa.Schema, fixed: Mapping[str, str]) -> pa.Table:
    """A table of `schema` with these rows.

    Args:
        sent: columns by name; those of `fixed` and OPTIONAL may be left out.
        schema: `photos_schema` or `reviews_schema`; its first column must be another in each row.
        fixed: columns that have one value in all rows.

    Raises:
        CatalogError: an id is no id or comes twice, a column is missing or unknown, or a vector is of another length.
    """
    names, key = set(schema.names), schema.names[0]
    optional = OPTIONAL[key]
    rows = [{**dict.fromkeys(optional), **row, **fixed} for row in sent]
    for row in rows:
        given = {name for name, value in row.items() if value is not None or name in optional}
        if given != names:
            raise CatalogError(f"columns {sorted(given)}: must be {sorted(names)}")
        for name, value in row.items():
            if name.endswith("_id") and value is not None:
                checked_id(value, name.removesuffix("_id"))
            elif name in ("vector", "feature") and value is not None:
                row[name] = _unit(value, schema.field(name).type.list_size)
    if len({row[key] for row in rows}) != len(rows):
        raise CatalogError(f"the same {key} comes twice")
    try:
        return pa.Table.from_pylist(rows, schema=schema)
    except (pa.ArrowException, TypeError) as error:
        raise CatalogError(f"a value does not fit its column: {error}") from error


def _unit(vector: Sequence[float] | np.ndarray, dim: int) -> np.ndarray:
    found = np.asarray(vector, np.float32)
    if found.shape != (dim,) or not abs(float(np.linalg.norm(found)) - 1) < UNIT:
        raise CatalogError(f"a vector of shape {found.shape}: must be a unit vector of {dim} numbers")
    return found.astype(np.float16)
