"""The Idempotency-Key header (draft-ietf-httpapi-idempotency-key-header): a repeated write gets the first response.

Responses are stored in the workspace, so they survive restarts and are shared by all gateway processes.
"""

import contextlib
import datetime
import hashlib
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from pyarrow import fs
from python_multipart.multipart import parse_options_header
from starlette.concurrency import run_in_threadpool

from serve_apps.http.asgi import App, Message, Receive, RefusedError, Scope, Send, header, state
from serve_apps.http.routes import rule_for
from showcases.catalog import Locks, located
from showcases.errors import ShowcasesError
from showcases.storage.artifacts import Workspace

logger = logging.getLogger("ray.serve")
FOLDER = "_idempotency"  # under the workspace root, one folder per day; no pipeline step reads it
HEADER, REPLAYED = "Idempotency-Key", b"idempotent-replayed"
RUNNING_S = 120  # after which an unfinished request counts as lost; longer than any upload or deadline
KEY = r'^("[ !#-\[\]-~]{1,255}"|[!#-+\--\[\]-~]{1,255})$'  # an RFC 9651 string without escapes, quoted or bare
PARAMETER = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "A unique key for each write, e.g. a UUID. Repeating the request with the same key returns the "
    "stored response with `Idempotent-Replayed: true`; nothing is written twice.",
    "schema": {"type": "string", "pattern": KEY, "examples": ['"8e03978e-40d5-43dd-bc93-6894a57f9324"']},
}


@dataclass(frozen=True)
class Record:
    """The stored state of one tenant's key.

    Attributes:
        fingerprint: SHA-256 of the request.
        began: UTC, ISO 8601.
        status: of the response; 0 if there is none yet.
    """

    fingerprint: str
    began: str
    status: int = 0
    content_type: str = ""
    body: str = ""

    def age_s(self, now: datetime.datetime) -> float:
        return (now - datetime.datetime.fromisoformat(self.began)).total_seconds()


class IdempotencyStore:
    """One JSON object per key, in the folder of its first day; valid for 24 to 48 hours."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._locks = Locks(*located(workspace))
        self._swept = ""

    def begin(self, name: str, fingerprint: str) -> Record:
        """The record of this key; without a response, the caller must process the request now.

        Raises:
            RefusedError: 422 the key was used for another request, 409 its request is still in progress.
            BusyError: the store's lock is taken.
        """
        now = datetime.datetime.now(datetime.UTC)
        with self._locks.hold(f"idempotency {name}"):
            found = self._find(name, now)
            if found is not None and found.fingerprint != fingerprint:
                raise RefusedError(422, f"{HEADER}: this key was used for a different request; use a new one")
            if found is not None and found.status:
                return found
            if found is not None and (wait := RUNNING_S - found.age_s(now)) > 0:
                detail = f"{HEADER}: the first request with this key is still in progress; try again in a moment"
                raise RefusedError(409, detail, {"retry-after": str(min(5, max(1, round(wait))))})
            record = Record(fingerprint, now.isoformat())
            self.write(name, record)
        self._sweep(now)
        return record

    def write(self, name: str, record: Record) -> None:
        self.workspace.write_bytes(json.dumps(asdict(record)).encode(), FOLDER, record.began[:10], f"{name}.json")

    def forget(self, name: str, record: Record) -> None:
        """Delete the record, so that the key can be used again."""
        with contextlib.suppress(FileNotFoundError):
            self.workspace.filesystem.delete_file(self.workspace.path(FOLDER, record.began[:10], f"{name}.json"))

    def _find(self, name: str, now: datetime.datetime) -> Record | None:
        for day in _days(now):
            with contextlib.suppress(FileNotFoundError):
                return Record(**json.loads(self.workspace.read_bytes(FOLDER, day, f"{name}.json")))
        return None

    def _sweep(self, now: datetime.datetime) -> None:
        """Once per day and process: delete expired folders."""
        today, yesterday = _days(now)
        if self._swept == today:
            return
        self._swept = today
        with contextlib.suppress(OSError, ShowcasesError):  # another process may delete them concurrently
            for info in self.workspace.filesystem.get_file_info(fs.FileSelector(self.workspace.path(FOLDER))):
                if info.base_name < yesterday:
                    self.workspace.filesystem.delete_dir(info.path)


class Idempotency:
    """ASGI. Needs `request.state.tenant` and the whole body in one message, from the middleware around it.

    2xx responses are stored; any other releases the key. If a process dies, its request can be repeated after
    RUNNING_S. Sets `request.state.idempotency`, a digest of tenant, key and request.
    """

    def __init__(self, app: App, store: IdempotencyStore) -> None:
        self.app, self.store = app, store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = header(scope, HEADER) if scope["type"] == "http" else None
        if given is None or rule_for(dict(scope)).scope != "write":
            await self.app(scope, receive, send)
            return
        if not re.fullmatch(KEY, given):
            raise RefusedError(400, f"{HEADER}: not a string of 1 to 255 ASCII characters in double quotes")
        pending = [await receive()]
        name = _digest(str(state(scope)["tenant"]), given.strip('"'))
        fingerprint = await run_in_threadpool(fingerprint_of, dict(scope), pending[0].get("body", b""))
        record = await run_in_threadpool(self.store.begin, name, fingerprint)
        if record.status:
            await _send(send, record.status, record.content_type, record.body.encode(), replayed=True)
            return
        state(scope)["idempotency"] = _digest(name, fingerprint)

        async def replayed() -> Message:
            return pending.pop() if pending else await receive()

        await self._first(scope, replayed, send, name, record)

    async def _first(self, scope: Scope, receive: Receive, send: Send, name: str, record: Record) -> None:
        """Process the request, and store the response before sending it."""
        answer = _Answer()
        try:
            await self.app(scope, receive, answer)
            succeeded = answer.complete and 200 <= answer.status < 300
        except BaseException:
            await self._settle(name, record, None)
            raise
        await self._settle(name, record, answer if succeeded else None)
        for message in answer.messages:
            await send(message)

    async def _settle(self, name: str, record: Record, answer: "_Answer | None") -> None:
        try:
            if answer is None:
                await run_in_threadpool(self.store.forget, name, record)
                return
            done = replace(record, status=answer.status, content_type=answer.content_type, body=answer.body.decode())
            await run_in_threadpool(self.store.write, name, done)
        except (OSError, ShowcasesError):  # the write itself succeeded, so the client still gets its response
            logger.exception("can't store the response for an %s", HEADER)


class _Answer:
    """A `send` that buffers the messages."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def complete(self) -> bool:
        return len(self.messages) > 1 and not self.messages[-1].get("more_body", False)

    @property
    def content_type(self) -> str:
        headers: Any = self.messages[0].get("headers", ())
        return next((value.decode("latin-1") for name, value in headers if name.lower() == b"content-type"), "")

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages[1:])


async def _send(send: Send, status: int, content_type: str, body: bytes, *, replayed: bool) -> None:
    headers = [(b"content-type", content_type.encode("latin-1")), (b"content-length", str(len(body)).encode())]
    headers += [(REPLAYED, b"true")] if replayed else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def fingerprint_of(scope: Scope, body: bytes) -> str:
    """SHA-256 of a request, without a form's boundary, which changes on every retry."""
    kind, options = parse_options_header(header(scope, "content-type") or "")
    found = hashlib.sha256()
    for part in (scope["method"].encode(), scope["path"].encode(), scope["query_string"], kind):
        found.update(len(part).to_bytes(4, "big") + part)
    for piece in _between(body, options.get(b"boundary", b"")):
        found.update(len(piece).to_bytes(8, "big"))
        found.update(piece)
    return found.hexdigest()


def _between(body: bytes, boundary: bytes) -> Iterator[memoryview]:
    """Views of the body's parts between boundaries; the whole body if there is no boundary."""
    view, start = memoryview(body), 0
    while boundary and (end := body.find(boundary, start)) >= 0:
        yield view[start:end]
        start = end + len(boundary)
    yield view[start:]


def _days(now: datetime.datetime) -> tuple[str, str]:
    """Today and yesterday."""
    return f"{now:%Y-%m-%d}", f"{now - datetime.timedelta(days=1):%Y-%m-%d}"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
