"""One row of the official files, checked field by field."""

import json
import re
from dataclasses import dataclass
from typing import Any

from showcases.gest.rejects import Reason, RowError

PHOTO_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")  # becomes a file name
MAX_ID_LENGTH = 120  # characters of a user's or a business' id; two of them make a review's


@dataclass(frozen=True)
class Record:
    """A review as the official files have it.

    Attributes:
        rating: 1 to 5, None where the file has none.
        text: as written.
        pics: (photo id, URL or None), each id once.
    """

    user_id: str
    business_id: str
    rating: float | None
    text: str
    pics: tuple[tuple[str, str | None], ...]

    @property
    def review_id(self) -> str:
        return f"{self.user_id}_{self.business_id}"


def parse_line(line: bytes) -> Record:
    """A line of `image_review_all.json`.

    Raises:
        RowError: with the reason why it is no review.
    """
    try:
        raw = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise RowError(Reason.INVALID_UTF8, f"byte {error.start} of the line: {error.reason}") from error
    except json.JSONDecodeError as error:
        raise RowError(Reason.NOT_JSON, f"character {error.pos} of the line: {error.msg}") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; brackets within brackets
        raise RowError(Reason.NOT_JSON, str(error)) from error
    return parse_record(raw)


def parse_record(raw: Any) -> Record:
    """A row that is JSON already; fields that are not ours are passed over.

    Raises:
        RowError: with the reason why it is no review.
    """
    if not isinstance(raw, dict):
        raise RowError(Reason.NOT_AN_OBJECT, f"found {kind_of(raw)}")
    missing = [name for name in ("user_id", "business_id", "review_text", "pics") if name not in raw]
    if missing:
        raise RowError(Reason.MISSING_FIELD, ", ".join(missing))
    record = Record(
        user_id=_owner(raw["user_id"], "user_id"),
        business_id=_owner(raw["business_id"], "business_id"),
        rating=_rating(raw.get("rating")),
        text=checked_text(raw["review_text"], "review_text"),
        pics=_pics(raw["pics"]),
    )
    return record


def checked_text(value: Any, field: str) -> str:
    """A text as written; empty for null.

    Raises:
        RowError: no text, or half of a surrogate pair, which no UTF-8 can hold.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RowError(Reason.WRONG_TYPE, f"{field} is {kind_of(value)}, not text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise RowError(Reason.INVALID_UTF8, f"character {error.start} of {field}: {error.reason}") from error
    return value


def _owner(value: Any, field: str) -> str:
    """Id of a user or a business. Whole numbers are taken; others may have lost digits already."""
    name = _identifier(value, field)
    if not 1 <= len(name) <= MAX_ID_LENGTH or not name.isprintable() or name.isspace():
        raise RowError(Reason.BAD_ID, f"{field} {name[:40]!r}: 1 to {MAX_ID_LENGTH} printable characters are allowed")
    return name


def _identifier(value: Any, field: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise RowError(Reason.WRONG_TYPE, f"{field} is {kind_of(value)}, not text")


def _rating(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RowError(Reason.WRONG_TYPE, f"rating is {kind_of(value)}, not a number")
    if not 1 <= value <= 5:  # also of NaN
        raise RowError(Reason.BAD_RATING, f"found {value if abs(value) < 1e9 else kind_of(value) + ' of 1e9 or more'}")
    return float(value)


def _pics(raw: Any) -> tuple[tuple[str, str | None], ...]:
    if raw is None:
        return ()
    if not isinstance(raw, list):
        raise RowError(Reason.WRONG_TYPE, f"pics is {kind_of(raw)}, not a list")
    pics: dict[str, str | None] = {}
    for number, pic in enumerate(raw):
        name, url = _pic(pic, f"pics[{number}]")
        pics.setdefault(name, url)
    return tuple(pics.items())


def _pic(pic: Any, field: str) -> tuple[str, str | None]:
    """(photo id, URL) of a pic in the dict form, or of a bare id."""
    fields = pic if isinstance(pic, dict) else {"id": pic}
    if "id" not in fields:
        raise RowError(Reason.MISSING_FIELD, f"{field}.id")
    name = _identifier(fields["id"], f"{field}.id")
    if not PHOTO_ID.fullmatch(name):
        raise RowError(Reason.BAD_ID, f"{field}.id {name[:40]!r} is no file name: letters, digits, - and _ are allowed")
    url = fields.get("url")
    if isinstance(url, list):
        url = url[0] if url else None
    return name, checked_text(url, f"{field}.url") or None


def kind_of(value: Any) -> str:
    """What a JSON value is, in words."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
