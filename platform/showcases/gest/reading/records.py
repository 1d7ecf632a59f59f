"""Validation of one row of the official files, field by field."""

import json
import math
from dataclasses import dataclass
from typing import Any

from showcases import ids
from showcases.gest.reading.google_local import as_gest, is_google_local
from showcases.gest.reading.rejects import Reason, RowError

FIELDS = ("user_id", "business_id", "review_text", "pics")
SHOWN = 40  # characters of a value in a message


@dataclass(frozen=True)
class Record:
    """A review of the official files.

    Attributes:
        rating: 1 to 5, or None if missing.
        text: as written.
        pics: (photo id, URL or None), each id once.
        bad_pics: why each other entry of `pics` is unusable.
    """

    user_id: str
    business_id: str
    rating: float | None
    text: str
    pics: tuple[tuple[str, str | None], ...]
    bad_pics: tuple[str, ...] = ()

    @property
    def review_id(self) -> str:
        return ids.review_id(self.user_id, self.business_id)


def parse_line(line: bytes) -> Record:
    """Parse a line of `image_review_all.json`.

    Raises:
        RowError: with the reason why it is no review.
    """
    try:
        raw = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise RowError(Reason.INVALID_UTF8, f"byte {error.start} of the line: {error.reason}") from error
    except json.JSONDecodeError as error:
        raise RowError(Reason.NOT_JSON, f"character {error.pos} of the line: {error.msg}") from error
    except ValueError as error:
        raise RowError(Reason.NOT_JSON, "a number of thousands of digits") from error
    except RecursionError as error:
        raise RowError(Reason.NOT_JSON, "brackets nested too deeply") from error
    return parse_record(raw)


def parse_record(raw: Any) -> Record:
    """Validate a decoded row in the format of GEST-raw or Google Local 2021; further fields are ignored.

    An unusable picture is dropped; the review remains.

    Raises:
        RowError: with the reason why it is no review.
    """
    if not isinstance(raw, dict):
        raise RowError(Reason.NOT_AN_OBJECT, f"found {kind_of(raw)}")
    if is_google_local(raw):
        raw = as_gest(raw)
    missing = [name for name in FIELDS if name not in raw]
    if missing:
        found = ", ".join(name[:SHOWN] for name in list(raw)[:8]) or "none"
        raise RowError(Reason.MISSING_FIELD, f"{', '.join(missing)} (found: {found})")
    pics, bad_pics = _pics(raw["pics"])
    record = Record(
        user_id=_owner(raw["user_id"], "user_id"),
        business_id=_owner(raw["business_id"], "business_id"),
        rating=_rating(raw.get("rating")),
        text=checked_text(raw["review_text"], "review_text"),
        pics=pics,
        bad_pics=bad_pics,
    )
    if len(record.review_id) > ids.MAX_ID_LENGTH:
        raise RowError(
            Reason.BAD_ID,
            f"user_id and business_id make a review id of {len(record.review_id)} characters (`_` and `%` in user_id "
            f"count three each); {ids.MAX_ID_LENGTH} are allowed",
        )
    return record


def checked_text(value: Any, field: str) -> str:
    """Return the text unchanged; empty for null.

    Raises:
        RowError: not a string, or it contains a lone surrogate, which UTF-8 can't encode.
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
    """Id of a user or a business. Integers are accepted; floats may already have lost digits."""
    name = _identifier(value, field)
    if not ids.is_id(name):
        raise RowError(Reason.BAD_ID, f"{field} `{_printable(name)}`: {ids.RULE} are allowed")
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
        raise RowError(Reason.BAD_RATING, f"found {_number(value)}")
    return float(value)


def _number(value: float) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return str(value) if abs(value) < 1e9 else "a number of 10 digits or more"


def _pics(raw: Any) -> tuple[tuple[tuple[str, str | None], ...], tuple[str, ...]]:
    """The usable pictures, and why each of the others is unusable."""
    if raw is None:
        return (), ()
    if not isinstance(raw, list):
        raise RowError(Reason.WRONG_TYPE, f"pics is {kind_of(raw)}, not a list")
    pics: dict[str, str | None] = {}
    bad = []
    for number, pic in enumerate(raw):
        try:
            name, url = _pic(pic, f"pics[{number}]")
            pics.setdefault(name, url)
        except RowError as error:
            bad.append(error.detail)
    return tuple(pics.items()), tuple(bad)


def _pic(pic: Any, field: str) -> tuple[str, str | None]:
    """(photo id, URL) of a pic in the dict form, or of a bare id."""
    fields = pic if isinstance(pic, dict) else {"id": pic}
    if "id" not in fields:
        raise RowError(Reason.MISSING_FIELD, f"{field} has no id")
    name = _identifier(fields["id"], f"{field}.id")
    if not ids.PHOTO_ID.fullmatch(name):
        problem = f"{field}.id `{_printable(name)}`: 1 to {ids.MAX_ID_LENGTH} letters, digits, - and _ are allowed"
        raise RowError(Reason.BAD_ID, problem)
    url = fields.get("url")
    if isinstance(url, list):
        url = url[0] if url else None
    return name, checked_text(url, f"{field}.url") or None


def _printable(text: str) -> str:
    """Its first characters, with unprintable ones as ?."""
    return "".join(one if one.isprintable() else "?" for one in text[:SHOWN])


def kind_of(value: Any) -> str:
    """Name of a JSON value's type."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
