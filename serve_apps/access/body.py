"""The layer that reads bodies: no more, no longer and no deeper than the limits say, before anything parses them."""

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

RETRY_S = 5  # an upload's usual time
# A string, to its end or to the body's; or a sign. Possessive: it never goes back over a string, so it stays linear.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.?)*+(?:"|\Z)|[\[\]{},:]', re.DOTALL)


class ClientLeftError(Exception):
    """The connection was closed before the body was whole; there is nobody to answer."""


class Held:
    """What one upload holds of the room for all."""

    def __init__(self, room: "Room") -> None:
        self.room, self.bytes = room, 0

    def cover(self, total: int) -> None:
        """Hold so many bytes in all, if it holds fewer.

        Raises:
            RefusedError: 503, there is no room for them now.
        """
        more = max(0, total - self.bytes)
        if self.room.taken + more > self.room.size:
            headers = {"retry-after": str(RETRY_S), "connection": "close"}
            said = f"uploads under way fill the memory kept for them; try again in {RETRY_S} s"
            raise RefusedError(503, said, headers)
        self.bytes += more
        self.room.taken += more


class Room:
    """The bytes of all uploads under way in one gateway process, bounded: each is held whole.

    What a request announces is held before a byte is read: else many would begin, and most be refused half way.
    """

    def __init__(self, size: int) -> None:
        self.size, self.taken = size, 0

    @contextlib.contextmanager
    def held(self) -> Iterator[Held]:
        """Room that is given back when the block ends."""
        held = Held(self)
        try:
            yield held
        finally:
            self.taken -= held.bytes


class Body:
    """ASGI. The handler's `receive` gives the whole body as one message, then what the server says (a disconnect)."""

    def __init__(self, app: App, limits: Limits) -> None:
        self.app, self.limits = app, limits
        self.room = Room(limits.uploads_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        uploads = rule_for(dict(scope)).body == "photos"
        length, at_most = self._require_length(scope, uploads)
        seconds = self.limits.upload_s if uploads else self.limits.body_s
        with self.room.held() if uploads else contextlib.nullcontext() as held:
            if held is not None:
                held.cover(length)
            try:
                async with asyncio.timeout(seconds):
                    whole = [await _read(receive, at_most, held) if _may_have_body(scope, length) else b""]
            except TimeoutError:
                raise too_late(seconds) from None
            except ClientLeftError:
                return
            _require_kind(scope, bool(whole[0]))  # where neither header had told that there is one
            if rule_for(dict(scope)).body == "json":
                require_plain_json(whole[0], self.limits)
                require_json(whole[0])
            await self.app(scope, _replayed(whole, receive), send)

    def _require_length(self, scope: Scope, uploads: bool) -> tuple[int, int]:
        """The bytes that the body is said to have, 0 where nothing is said; and that it may have."""
        length = declared(scope)
        _require_kind(scope, bool(length) or header(scope, "transfer-encoding") is not None)
        at_most = self.limits.upload_bytes if uploads else self.limits.json_bytes
        if length is not None and length > at_most:
            raise _too_large(at_most)
        return length or 0, at_most


def _may_have_body(scope: Scope, length: int) -> bool:
    """Whether to wait for one: to hear from Serve's proxy that there is none takes a call there and back."""
    asks = scope["method"] in ("GET", "HEAD")
    return not asks or length > 0 or header(scope, "transfer-encoding") is not None


def require_plain_json(body: bytes, limits: Limits) -> None:
    """Refuse a JSON body that nests too deep, holds too much, or has too long a string; else leave it to the parser.

    Raises:
        RefusedError: 422. It looks at no more than what the limits allow.
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
    if not has_body or read_as is None:  # then no route takes it: 404 or 405, whatever it brings
        return
    kind = (header(scope, "content-type") or "").partition(";")[0].strip().lower()
    wanted = TYPES[read_as]
    if kind != wanted:
        raise RefusedError(415, f"the body is {kind or 'of no declared type'}; send {wanted}", CLOSE)
    if (header(scope, "content-encoding") or "identity").lower() != "identity":
        raise RefusedError(415, "packed bodies are not read; send it without Content-Encoding", CLOSE)


async def _read(receive: Receive, at_most: int, held: Held | None) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeftError
        piece = message.get("body", b"")
        if len(body) + len(piece) > at_most:
            raise _too_large(at_most)
        if held is not None:
            held.cover(len(body) + len(piece))
        body += piece
        if not message.get("more_body", False):
            return bytes(body)


def _replayed(whole: list[bytes], receive: Receive) -> Receive:
    """Gives the body away: it lives no longer than the handler needs it."""

    async def heard() -> Message:
        if not whole:
            return await receive()
        return {"type": "http.request", "body": whole.pop(), "more_body": False}

    return heard


def _too_complex(why: str) -> RefusedError:
    return RefusedError(422, why, code="json_too_complex")


def _too_large(at_most: int) -> RefusedError:
    return RefusedError(413, f"the body has more than {at_most} bytes, the most that is read", CLOSE)
