"""Rejects: invalid lines and unusable photos, stored with their position and the reason."""

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
    UNUSABLE_PHOTO = "unusable photo"  # the review is used without it; likewise below
    UNUSABLE_HISTORY = "unusable past review"
    AMBIGUOUS_HISTORY = "ambiguous past review"


class RowError(ValueError):
    """An unusable row. Readers catch this and store the row as a reject."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class Reject:
    """A rejected line, or one with unusable photos.

    Attributes:
        line: line number from 1 (in `filter_all_t.json`: row number).
        offset: byte offset.
        raw: the line as written, or its beginning.
        file: file name, as shown in messages.
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
