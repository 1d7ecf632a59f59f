"""Validation of uploaded rows before they are added to a side table."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from showcases.catalog.filters import CatalogError, checked_id

OPTIONAL = {"photo_id": ("user_id", "review_id"), "review_id": ("rating", "feature")}  # nullable columns by key column
UNIT = 1e-2  # tolerance of a unit vector's norm: float16 has three digits


def rows_of(uploads: Iterable[Mapping[str, Any]], schema: pa.Schema, fixed: Mapping[str, str]) -> pa.Table:
    """Build a table of `schema` from uploaded rows.

    Args:
        uploads: rows, columns by name; columns in `fixed` and OPTIONAL may be missing.
        schema: `photos_schema` or `reviews_schema`; its first column must be unique.
        fixed: columns that have the same value in all rows.

    Raises:
        CatalogError: an id is invalid or repeated, a column is missing or unknown, or a vector has the wrong length.
    """
    names, key = set(schema.names), schema.names[0]
    optional = OPTIONAL[key]
    rows = [{**dict.fromkeys(optional), **row, **fixed} for row in uploads]
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
        raise CatalogError(f"duplicate {key}")
    try:
        return pa.Table.from_pylist(rows, schema=schema)
    except (pa.ArrowException, TypeError) as error:
        raise CatalogError(f"a value does not fit its column: {error}") from error


def _unit(vector: Sequence[float] | np.ndarray, dim: int) -> np.ndarray:
    found = np.asarray(vector, np.float32)
    if found.shape != (dim,) or not abs(float(np.linalg.norm(found)) - 1) < UNIT:
        raise CatalogError(f"a vector of shape {found.shape}: must be a unit vector of {dim} numbers")
    return found.astype(np.float16)
