"""Response compression (RFC 9110, section 8.4): gzip for text above a size; never for photos or streams."""

from starlette.middleware.gzip import GZipMiddleware
from werkzeug.http import parse_accept_header

from serve_apps.http.asgi import App, Receive, Scope, Send, header

LEVEL = 6  # of zlib: half the time of 9, the same size within a few per cent
HEADER = b"accept-encoding"


class Compress:
    """ASGI. Responses of at least `least_bytes` carry `Vary: Accept-Encoding`, compressed or not.

    Starlette's middleware skips JPEG and event streams, but only searches the header for "gzip"; q-values such as
    `gzip;q=0` are evaluated here.
    """

    def __init__(self, app: App, least_bytes: int) -> None:
        self._app = GZipMiddleware(app, minimum_size=least_bytes, compresslevel=LEVEL)  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            others = [(name, value) for name, value in scope["headers"] if name.lower() != HEADER]
            accepts = accepts_gzip(header(scope, HEADER.decode()) or "")
            scope = {**scope, "headers": [*others, (HEADER, b"gzip" if accepts else b"identity")]}
        await self._app(scope, receive, send)  # type: ignore[arg-type]


def accepts_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding header allows gzip: named, or by `*`, with a weight above 0."""
    found = parse_accept_header(accepted.lower())
    return found.quality("x-gzip" if "x-gzip" in found.values() else "gzip") > 0
