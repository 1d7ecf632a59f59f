"""Cross-origin requests (Fetch standard): which other sites' pages may call this service; none, unless configured."""

import re
from collections.abc import Sequence

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

ANY = "*"
METHODS = ("GET", "HEAD", "POST", "PUT")
SENT = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Prefer",
    "X-Request-ID",
    "traceparent",
    "tracestate",
)
READ = (
    "ETag",
    "Idempotent-Replayed",
    "Retry-After",
    "WWW-Authenticate",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "X-RateLimit-Resource",
    "X-RateLimit-Used",
    "X-Request-ID",
)
PREFLIGHT_S = 600  # for which a browser remembers the answer to a preflight
_ORIGIN = re.compile(r"https?://[^/\s?#@*,]+")


def checked_origin(origin: str) -> str:
    """An origin as browsers send it, or `*`.

    Raises:
        ValueError: it is neither.
    """
    if origin != ANY and not _ORIGIN.fullmatch(origin):
        raise ValueError(f"{origin!r} is no origin: write scheme://host[:port] without a path, or *")
    return origin.lower()


def cross_origin(origins: Sequence[str]) -> list[Middleware]:
    """The layer that answers preflights and lets pages of these origins read answers, refusals too; none for none.

    Cookies are not allowed: a key travels in Authorization, which a page has to set itself.
    """
    if not origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=METHODS,
            allow_headers=SENT,
            expose_headers=READ,
            max_age=PREFLIGHT_S,
        )
    ]
