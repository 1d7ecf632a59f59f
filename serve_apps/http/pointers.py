"""Locations of errors in a request: JSON Pointers (RFC 6901) from Pydantic's `loc`."""

from collections.abc import Iterable, Mapping
from typing import Any

from serve_apps.http.schema import FieldError

WORDS = {  # in place of Pydantic's messages, which aren't about HTTP
    "extra_forbidden": "no such field exists here",
    "model_attributes_type": "the body must be a JSON object",
}


def in_body(place: Iterable[str | int], code: str, message: str) -> FieldError:
    """An error at a location in the body; () is the whole body."""
    return FieldError(location="body", pointer=_pointer(place), code=code, message=message)


def field_error(found: Mapping[str, Any]) -> FieldError:
    """One of Pydantic's errors; `ctx["about"]` names the field for rules about several fields."""
    location, *place = found["loc"]
    place += [found["ctx"]["about"]] if "about" in found.get("ctx", {}) else []
    message = str(found["msg"]).removeprefix("Value error, ")
    if location == "body":
        message = WORDS.get(found["type"], message)
        if found["type"] == "missing" and not place:
            message = "the body is missing; send JSON"
    return FieldError(location=location, pointer=_pointer(place), code=found["type"], message=message)


def in_words(error: FieldError) -> str:
    """The error as text, for a problem's detail."""
    place = error.pointer.removeprefix("/").replace("/", ".").replace("~1", "/").replace("~0", "~")
    return f"{place}: {error.message}" if place else error.message


def _pointer(place: Iterable[str | int]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place)
