"""ETags (RFC 9110, sections 8.8, 13 and 14): on every complete response to GET, 304 to clients that have it."""

import base64
import hashlib
import re

from serve_apps.http.asgi import App, Message, Receive, RefusedError, Scope, Send, problem_body, problem_headers

OMITTED = (b"content-type", b"content-length", b"content-encoding", b"content-language")  # of a 304, section 15.4.5
CONDITIONS = (b"if-match", b"if-none-match")  # no dates: no response has Last-Modified
WRITES = ("PUT", "POST", "PATCH", "DELETE")
UNSUPPORTED = "conditional writes are not supported, so nothing was written; send it without If-Match and If-None-Match"
CHANGED = "the resource's ETag doesn't match If-Match; get it again"
REVALIDATED = b"private, no-cache"  # default: responses may depend on the key, and change
_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')


class Validators:
    """ASGI. Evaluates conditional requests; ranges are not supported (`Accept-Ranges: none`).

    ETags are weak, since an outer layer may compress the response. If-None-Match is compared weakly, If-Match
    strongly, so only `If-Match: *` succeeds for GET. Responses with no-store, and streams, get no ETag. HEAD arrives
    here as GET (`serve_apps.http.heads`).
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        conditions = _conditions(scope)
        if scope["method"] in WRITES and conditions:
            raise RefusedError(412, UNSUPPORTED, code="precondition_unsupported")
        await self.app(scope, receive, _Answer(scope, send, conditions) if scope["method"] == "GET" else send)


class _Answer:
    """A `send` that delays the headers of a 200 until the body is complete."""

    def __init__(self, scope: Scope, send: Send, conditions: dict[bytes, str]) -> None:
        self.scope, self.send, self.conditions = scope, send, conditions
        self.start: Message | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _may_be_tagged(message):
            self.start = message
            return
        start, self.start = self.start, None
        if start is not None:
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                start, message = self._evaluated(start, message)
            await self.send(start)
        await self.send(message)

    def _evaluated(self, start: Message, body: Message) -> tuple[Message, Message]:
        """Headers and body after evaluating the conditions: unchanged, 304 or 412."""
        tag = etag(body.get("body", b""))
        if self.conditions.get(b"if-match", "*").strip() != "*":
            problem = problem_body(self.scope, RefusedError(412, CHANGED))
            headers = [*problem_headers({}), (b"content-length", str(len(problem)).encode())]
            return {**start, "status": 412, "headers": headers}, {**body, "body": problem}
        headers = [*start["headers"], (b"etag", tag.encode()), (b"accept-ranges", b"none")]
        if not any(name.lower() == b"cache-control" for name, _ in headers):
            headers.append((b"cache-control", REVALIDATED))
        given = self.conditions.get(b"if-none-match")
        if given is None or not matches(given, tag):
            return {**start, "headers": headers}, body
        headers = [(name, value) for name, value in headers if name.lower() not in OMITTED]
        return {**start, "status": 304, "headers": headers}, {**body, "body": b""}


def etag(body: bytes) -> str:
    """A weak entity tag: equal for equal bytes, on every machine."""
    return f'W/"{base64.urlsafe_b64encode(hashlib.sha256(body).digest()[:18]).decode()}"'


def matches(if_none_match: str, tag: str) -> bool:
    """Whether the field's value is `*` or lists the tag, by weak comparison (section 8.8.3.2)."""
    if if_none_match.strip() == "*":
        return True
    return tag.removeprefix("W/") in {one.removeprefix("W/") for one in _TAG.findall(if_none_match)}


def _conditions(scope: Scope) -> dict[bytes, str]:
    """Values of the conditional headers; repeated ones are joined."""
    found: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        if (key := name.lower()) in CONDITIONS:
            found[key] = f"{found[key]}, {value.decode('latin-1')}" if key in found else value.decode("latin-1")
    return found


def _may_be_tagged(start: Message) -> bool:
    headers = {name.lower(): value.lower() for name, value in start.get("headers", ())}
    return start["status"] == 200 and b"etag" not in headers and b"no-store" not in headers.get(b"cache-control", b"")
