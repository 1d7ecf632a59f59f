"""Middleware that reads request bodies and enforces limits on size, time and nesting before they are parsed."""

import asyncio
import contextlib
import re
from collections.abc import Iterator

from serve_apps.access.config import Limits
from serve_apps.http.asgi import (
    CLOSE,
    App,
    Message,
    Receive,
    RefusedError,
    Scope,
    Send,
    declared,
    header,
    too_late,
)
from serve_apps.http.json_body import require_json
from serve_apps.http.routes import TYPES, rule_for

RETRY_S = 5  # typical duration of an upload
# A string (possibly unterminated) or a punctuation sign. Possessive quantifiers prevent backtracking: linear time.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.?)*+(?:"|\Z)|[\[\]{},:]', re.DOTALL)


class ClientLeftError(Exception):
    """The client disconnected before the body was complete."""


class Reservation:
    """One upload's share of the upload memory."""

    def __init__(self, memory: "UploadMemory") -> None:
        self.memory, self.bytes = memory, 0

    def cover(self, total: int) -> None:
        """Grow the reservation to `total` bytes if it is smaller.

        Raises:
            RefusedError: 503 if the memory is exhausted.
        """
        more = max(0, total - self.bytes)
        if self.memory.used + more > self.memory.size:
            headers = {"retry-after": str(RETRY_S), "connection": "close"}
            detail = f"concurrent uploads exhaust their memory limit; try again in {RETRY_S} s"
            raise RefusedError(503, detail, headers)
        self.bytes += more
        self.memory.used += more


class UploadMemory:
    """Bounds the memory of all concurrent uploads in one gateway process; each is buffered whole.

    A request's Content-Length is reserved before reading, so uploads are refused at the start and not half way.
    """

    def __init__(self, size: int) -> None:
        self.size, self.used = size, 0

    @contextlib.contextmanager
    def reserve(self) -> Iterator[Reservation]:
        """A reservation that is released at the end of the block."""
        reservation = Reservation(self)
        try:
            yield reservation
        finally:
            self.used -= reservation.bytes


class Body:
    """ASGI. The handler's `receive` returns the whole body as one message, then the server's (a disconnect)."""

    def __init__(self, app: App, limits: Limits) -> None:
        self.app, self.limits = app, limits
        self.memory = UploadMemory(limits.uploads_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        uploads = rule_for(dict(scope)).body == "photos"
        length, at_most = self._require_length(scope, uploads)
        seconds = self.limits.upload_s if uploads else self.limits.body_s
        with self.memory.reserve() if uploads else contextlib.nullcontext() as reservation:
            if reservation is not None:
                reservation.cover(length)
            try:
                async with asyncio.timeout(seconds):
                    whole = [await _read(receive, at_most, reservation) if _may_have_body(scope, length) else b""]
            except TimeoutError:
                raise too_late(seconds) from None
            except ClientLeftError:
                return
            _require_kind(scope, bool(whole[0]))  # a body that neither header announced
            if rule_for(dict(scope)).body == "json":
                require_plain_json(whole[0], self.limits)
                require_json(whole[0])
            await self.app(scope, _replayed(whole, receive), send)

    def _require_length(self, scope: Scope, uploads: bool) -> tuple[int, int]:
        """The declared length of the body (0 if undeclared), and its limit; in bytes."""
        length = declared(scope)
        _require_kind(scope, bool(length) or header(scope, "transfer-encoding") is not None)
        at_most = self.limits.upload_bytes if uploads else self.limits.json_bytes
        if length is not None and length > at_most:
            raise _too_large(at_most)
        return length or 0, at_most


def _may_have_body(scope: Scope, length: int) -> bool:
    """Whether to read a body. Skips GETs, since asking Serve's proxy costs a round trip."""
    is_get = scope["method"] in ("GET", "HEAD")
    return not is_get or length > 0 or header(scope, "transfer-encoding") is not None


def require_plain_json(body: bytes, limits: Limits) -> None:
    """Refuse a JSON body that exceeds the limits on depth, values or string length, without parsing it.

    Raises:
        RefusedError: 422.
    """
    depth = items = 0
    for found in _TOKEN.finditer(body):
        token = found.group()
        if token[:1] == b'"':
            if len(token) - 2 > limits.text_bytes:
                raise _too_complex(f"the body has a string of more than {limits.text_bytes} bytes")
            continue
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(token, 0)
        items += token in b"[{,:"
        if depth > limits.json_depth:
            raise _too_complex(f"the body nests deeper than {limits.json_depth}")
        if items > limits.json_items:
            raise _too_complex(f"the body holds more than {limits.json_items} values")


def _require_kind(scope: Scope, has_body: bool) -> None:
    read_as = rule_for(dict(scope)).body
    if not has_body or read_as is None:  # no route reads it: 404 or 405
        return
    kind = (header(scope, "content-type") or "").partition(";")[0].strip().lower()
    wanted = TYPES[read_as]
    if kind != wanted:
        raise RefusedError(415, f"the body is {kind or 'of no declared type'}; send {wanted}", CLOSE)
    if (header(scope, "content-encoding") or "identity").lower() != "identity":
        raise RefusedError(415, "compressed bodies are not supported; send it without Content-Encoding", CLOSE)


async def _read(receive: Receive, at_most: int, reservation: Reservation | None) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeftError
        piece = message.get("body", b"")
        if len(body) + len(piece) > at_most:
            raise _too_large(at_most)
        if reservation is not None:
            reservation.cover(len(body) + len(piece))
        body += piece
        if not message.get("more_body", False):
            return bytes(body)


def _replayed(whole: list[bytes], receive: Receive) -> Receive:
    """Returns the body once and drops its own reference, so that it can be freed early."""

    async def next_message() -> Message:
        if not whole:
            return await receive()
        return {"type": "http.request", "body": whole.pop(), "more_body": False}

    return next_message


def _too_complex(why: str) -> RefusedError:
    return RefusedError(422, why, code="json_too_complex")


def _too_large(at_most: int) -> RefusedError:
    return RefusedError(413, f"the body exceeds the limit of {at_most} bytes", CLOSE)
