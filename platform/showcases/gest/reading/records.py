"""One row of the official files, checked field by field."""

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
    """A review as the official files have it.

    Attributes:
        rating: 1 to 5, None where the file has none.
        text: as written.
        pics: (photo id, URL or None), each id once.
        bad_pics: why each of the other entries of `pics` can't be used.
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
    except ValueError as error:
        raise RowError(Reason.NOT_JSON, "a number of thousands of digits") from error
    except RecursionError as error:
        raise RowError(Reason.NOT_JSON, "brackets nested too deeply") from error
    return parse_record(raw)


def parse_record(raw: Any) -> Record:
    """A row that is JSON already, in GEST-raw's form or Google Local 2021's; further fields are ignored.

    A picture that can't be used costs that picture alone.

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
            f"user_id and business_id make a review id of {len(record.review_id)} characters, in which `_` and `%` of "
            f"the user's count three each; {ids.MAX_ID_LENGTH} are allowed",
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
    """The pictures that can be used, and why each of the others can't."""
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
    """Its first characters; those that can't be printed as ?."""
    return "".join(one if one.isprintable() else "?" for one in text[:SHOWN])


def kind_of(value: Any) -> str:
    """What a JSON value is, in words."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
