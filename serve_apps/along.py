"""The proxy's layer that sends a short body along with the head: for a gateway to fetch it takes a call there and back.

It waits for slow clients here besides, where they hold no place of a gateway; and a head that Serve could not send on
(its calls hold 4 MiB) is refused.
"""

import asyncio
from typing import Any

from serve_apps.access.asgi import (
    ALONG,
    CLOSE,
    App,
    Receive,
    RefusedError,
    Scope,
    Send,
    answer_problem,
    declared,
    head_bytes,
    header,
    identify,
    too_late,
)
from serve_apps.access.config import Limits

ALONG_BYTES = 64 * 1024  # a longer body, and one of a length not told, is left to the gateway
HEAD_BYTES = 1024 * 1024  # the gateway's own limit is lower, and says more
READ_S = Limits().body_s
PATIENCE_S = 1.0  # most requests are answered before


class BodyAlong:
    """ASGI. Serve sends a scope to the gateway as it is; what lies in it under ALONG is not received any more."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and head_bytes(scope) > HEAD_BYTES:
            await _refuse(scope, send, RefusedError(431, f"the headers have more than {HEAD_BYTES} bytes", CLOSE))
            return
        if scope["type"] == "http" and (length := _length(scope)) is not None:
            try:
                async with asyncio.timeout(READ_S):
                    body = await _read(receive, length)
            except TimeoutError:
                await _refuse(scope, send, too_late(READ_S))
                return
            if body is None:
                return  # the client has gone
            scope = {**scope, ALONG: body}
        await self.app(scope, receive, send)


def ask_late_whether_gone(receive: Receive) -> None:
    """In the gateway: have Serve ask its proxy only after PATIENCE_S whether the client of a whole body has gone.

    Serve begins to ask with every request: a call there and back, though the proxy ends what the gateway does for a
    client that goes by itself. What it asks by is private to Ray 2.60; where it isn't found, all stays as it is. It
    has to be changed before the request's first await.
    """
    ask = getattr(receive, "_receive_asgi_messages", None)
    if ask is None:
        return

    async def later(request: Any) -> Any:
        await asyncio.sleep(PATIENCE_S)
        return await ask(request)

    receive._receive_asgi_messages = later  # type: ignore[attr-defined]


async def _refuse(scope: Scope, send: Send, refused: RefusedError) -> None:
    await answer_problem(scope, send, refused.with_headers({"x-request-id": identify(scope)}))


def _length(scope: Scope) -> int | None:
    """Bytes to read here; None where the gateway has to see to it."""
    try:
        length = declared(scope)
    except RefusedError:
        return None
    if length is None and header(scope, "transfer-encoding") is None:
        length = 0  # RFC 9112, section 6.3
    return length if length is not None and length <= ALONG_BYTES else None


async def _read(receive: Receive, length: int) -> bytes | None:
    """The body, of which the server passes on no more than was declared; None where the client has gone."""
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body) if len(body) == length else None
