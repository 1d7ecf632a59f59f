"""The context of a request across processes: its id and current span (W3C Trace Context).

A plain dict passed as an argument, since Ray propagates neither, and a batch belongs to many requests.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

from serve_apps.observability import logs

RequestContext = dict[str, str]  # request_id; traceparent and tracestate if traced
_context: ContextVar[RequestContext | None] = ContextVar("showcases_context", default=None)


def current_context() -> RequestContext:
    """Context of the current request; must not be modified."""
    return _context.get() or {}


@contextlib.contextmanager
def use_context(context: RequestContext) -> Iterator[None]:
    """Set the current context inside the block; log records contain its request id.

    Restored by value and not by token, since a cancelled stream is closed in another context.
    """
    before = _context.get()
    _context.set(context)
    try:
        with logs.request(context.get("request_id", "-")):
            yield
    finally:
        _context.set(before)
