"""What goes with a request from process to process: its id, and the span that it is in (W3C Trace Context).

A plain dict, passed as an argument: Ray carries neither for us, and a batch belongs to many requests at once.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

from serve_apps.observability import logs

Carried = dict[str, str]  # request_id; traceparent and tracestate where it is traced
_carried: ContextVar[Carried | None] = ContextVar("showcases_carried", default=None)


def carried() -> Carried:
    """Of the request that is answered here; never written to."""
    return _carried.get() or {}


@contextlib.contextmanager
def carrying(told: Carried) -> Iterator[None]:
    """Inside the block this is what is carried, and log records name its request.

    Put back as it was, not by a token: a stream that is given up is closed in another context.
    """
    before = _carried.get()
    _carried.set(told)
    try:
        with logs.request(told.get("request_id", "-")):
            yield
    finally:
        _carried.set(before)
