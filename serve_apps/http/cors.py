"""CORS (Fetch standard): which origins' pages may call this service; none by default."""

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
PREFLIGHT_S = 600  # how long browsers cache a preflight
_ORIGIN = re.compile(r"https?://[^/\s?#@*,]+")


def checked_origin(origin: str) -> str:
    """An origin as browsers send it, or `*`.

    Raises:
        ValueError: it is neither.
    """
    if origin != ANY and not _ORIGIN.fullmatch(origin):
        raise ValueError(f"{origin!r} is not an origin: use scheme://host[:port] without a path, or *")
    return origin.lower()


def cross_origin(origins: Sequence[str]) -> list[Middleware]:
    """The CORS middleware for these origins; empty if there are none.

    Credentials (cookies) aren't allowed: pages must set the key in the Authorization header.
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
