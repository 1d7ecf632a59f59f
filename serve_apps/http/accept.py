"""Content negotiation by `Accept` (RFC 9110, section 12.5.1)."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from serve_apps.http.asgi import RefusedError

VARY = {"vary": "Accept"}
_RANGE = re.compile(r"\s*([\w!#$%&'*+.^`|~-]+)/([\w!#$%&'*+.^`|~-]+)\s*(?:;(.*))?", re.DOTALL)
_WEIGHT = re.compile(r"(?i)\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*")


class MediaRange(NamedTuple):
    """One element of `Accept`."""

    kind: str
    subtype: str
    q: float  # 0 to 1; 0 means "not acceptable"

    @property
    def specificity(self) -> int:
        """2 for type/subtype, 1 for type/*, 0 for */*."""
        return (self.kind != "*") + (self.subtype != "*")

    def covers(self, media_type: str) -> bool:
        kind, _, subtype = media_type.partition("/")
        return self.kind in ("*", kind) and self.subtype in ("*", subtype)


def choose(accept: Sequence[str], offered: Sequence[str]) -> str:
    """The offered media type that the client prefers.

    Args:
        accept: values of all `Accept` headers; none, or only blank ones, accept everything.
        offered: type/subtype, lower case, best first: decides where the client has no preference. A type that the
            client names outranks one that only a wildcard covers with the same q.

    Raises:
        RefusedError: 406, every offered type is excluded.
    """
    ranges = parse(",".join(accept))
    if ranges is None:
        return offered[0]
    rated = {media_type: _rating(ranges, media_type) for media_type in offered}
    best = max(offered, key=lambda media_type: rated[media_type])  # the first one among equals
    if rated[best][0] == 0:
        detail = f"Accept allows neither {' nor '.join(offered)}, the types that this route answers with"
        raise RefusedError(406, detail, VARY)
    return best


def parse(value: str) -> list[MediaRange] | None:
    """The media ranges; None if there is no element at all. Elements that break the grammar are ignored.

    Parameters other than q don't restrict a range: no type is offered in several variants.
    """
    elements = [element for element in re.split(r',(?=(?:[^"]*"[^"]*")*[^"]*$)', value) if element.strip()]
    if not elements:
        return None
    return [found for element in elements if (found := _media_range(element)) is not None]


def _media_range(element: str) -> MediaRange | None:
    found = _RANGE.fullmatch(element)
    if found is None or (found[1] == "*" and found[2] != "*"):
        return None
    weights = [part for part in (found[3] or "").split(";") if re.match(r"(?i)\s*q\s*=", part)]
    weight = _WEIGHT.fullmatch(weights[0]) if weights else None
    if weights and weight is None:
        return None
    return MediaRange(found[1].lower(), found[2].lower(), float(weight[1]) if weight else 1.0)


def _rating(ranges: list[MediaRange], media_type: str) -> tuple[float, int]:
    """(q, specificity) of the most specific range that covers the type; (0, 0) where none does."""
    matching = [one for one in ranges if one.covers(media_type)]
    if not matching:
        return 0.0, 0
    nearest = max(one.specificity for one in matching)
    return max(one.q for one in matching if one.specificity == nearest), nearest
