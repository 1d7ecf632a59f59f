"""Lines that are no review, and photos that can't be used: stored with their place and the reason."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa

from showcases.gest.reading.lines import RAW_BYTES
from showcases.storage.schemas import REJECTS

DETAIL_CHARACTERS = 200


class Reason(StrEnum):
    """Why a line, or a photo in it, was rejected."""

    INVALID_UTF8 = "invalid UTF-8"
    NOT_JSON = "not JSON"
    NOT_AN_OBJECT = "not a JSON object"
    MISSING_FIELD = "missing field"
    WRONG_TYPE = "wrong type"
    BAD_RATING = "rating outside 1 to 5"
    BAD_ID = "unusable id"
    DUPLICATE_REVIEW = "duplicate review"
    LINE_TOO_LONG = "line too long"
    UNUSABLE_PHOTO = "unusable photo"  # of a review that is used without it, as are the following
    UNUSABLE_HISTORY = "unusable past review"
    AMBIGUOUS_HISTORY = "ambiguous past review"


class RowError(ValueError):
    """A row that cannot be used. Rows are data: whoever reads a file catches this and keeps the row as a reject."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class Reject:
    """A rejected line, or one with photos that can't be used.

    Attributes:
        line: its number, from 1 (in `filter_all_t.json`: the number of the row).
        offset: bytes before it.
        raw: the line as written, or its beginning.
        file: its name, as messages show it.
    """

    line: int
    offset: int
    reason: Reason
    detail: str
    raw: bytes
    file: str


def rejects_table(rejects: Iterable[Reject]) -> pa.Table:
    """The rejects as a table of schema REJECTS."""
    rows = [
        {
            "file": reject.file,
            "line": reject.line,
            "offset": reject.offset,
            "reason": str(reject.reason),
            "detail": reject.detail[:DETAIL_CHARACTERS].encode(errors="replace").decode(),
            "raw": reject.raw[:RAW_BYTES],
        }
        for reject in rejects
    ]
    return pa.Table.from_pylist(rows, schema=REJECTS)
