"""The Idempotency-Key header of writes (draft-ietf-httpapi-idempotency-key-header): a repeat gets the first answer.

Answers are stored in the workspace, so any gateway process knows them, also after a restart.
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
FOLDER = "_idempotency"  # under the workspace root, a folder a day; no step of the flow reads it
HEADER, REPLAYED = "Idempotency-Key", b"idempotent-replayed"
RUNNING_S = 120  # after which a request without an answer counts as lost; longer than any upload and deadline
KEY = r'^("[ !#-\[\]-~]{1,255}"|[!#-+\--\[\]-~]{1,255})$'  # a string of RFC 9651 without escapes, or the same bare
PARAMETER = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "A key that you make anew for each write, e.g. a UUID. The same request with the same key again "
    "gets the stored answer, with `Idempotent-Replayed: true`, and nothing is written twice.",
    "schema": {"type": "string", "pattern": KEY, "examples": ['"8e03978e-40d5-43dd-bc93-6894a57f9324"']},
}


@dataclass(frozen=True)
class Record:
    """What is stored of one key of one tenant.

    Attributes:
        fingerprint: SHA-256 of the request.
        began: UTC, ISO 8601.
        status: of the answer; 0 while there is none.
    """

    fingerprint: str
    began: str
    status: int = 0
    content_type: str = ""
    body: str = ""

    def age_s(self, now: datetime.datetime) -> float:
        return (now - datetime.datetime.fromisoformat(self.began)).total_seconds()


class IdempotencyStore:
    """One JSON object a key, under the day on which it came first; found for 24 to 48 hours."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._locks = Locks(*located(workspace))
        self._swept = ""

    def begin(self, name: str, fingerprint: str) -> Record:
        """The record of this key: with an answer, or without one if the caller is to make it now.

        Raises:
            RefusedError: 422 the key came with another request, 409 its request is still being worked on.
            BusyError: the store's lock was not free.
        """
        now = datetime.datetime.now(datetime.UTC)
        with self._locks.hold(f"idempotency {name}"):
            found = self._find(name, now)
            if found is not None and found.fingerprint != fingerprint:
                raise RefusedError(422, f"{HEADER}: this key came with another request before; make a new one")
            if found is not None and found.status:
                return found
            if found is not None and (wait := RUNNING_S - found.age_s(now)) > 0:
                said = f"{HEADER}: the first request with this key is still being worked on; try again in a moment"
                raise RefusedError(409, said, {"retry-after": str(min(5, max(1, round(wait))))})
            record = Record(fingerprint, now.isoformat())
            self.write(name, record)
        self._sweep(now)
        return record

    def write(self, name: str, record: Record) -> None:
        self.workspace.write_bytes(json.dumps(asdict(record)).encode(), FOLDER, record.began[:10], f"{name}.json")

    def forget(self, name: str, record: Record) -> None:
        """The next request with this key is the first."""
        with contextlib.suppress(FileNotFoundError):
            self.workspace.filesystem.delete_file(self.workspace.path(FOLDER, record.began[:10], f"{name}.json"))

    def _find(self, name: str, now: datetime.datetime) -> Record | None:
        for day in _days(now):
            with contextlib.suppress(FileNotFoundError):
                return Record(**json.loads(self.workspace.read_bytes(FOLDER, day, f"{name}.json")))
        return None

    def _sweep(self, now: datetime.datetime) -> None:
        """Once a day and process: remove the days that nobody looks into any more."""
        today, yesterday = _days(now)
        if self._swept == today:
            return
        self._swept = today
        with contextlib.suppress(OSError, ShowcasesError):  # another process may be at it
            for info in self.workspace.filesystem.get_file_info(fs.FileSelector(self.workspace.path(FOLDER))):
                if info.base_name < yesterday:
                    self.workspace.filesystem.delete_dir(info.path)


class Idempotency:
    """ASGI. Needs `tenant` on the request's state and the whole body in one message, as the protection leaves them.

    Answers of 2xx are stored; any other frees the key. A request whose process died is repeated after RUNNING_S.
    Handlers find `request.state.idempotency`: a digest of tenant, key and request.
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
        held = [await receive()]
        name = _digest(str(state(scope)["tenant"]), given.strip('"'))
        fingerprint = await run_in_threadpool(fingerprint_of, dict(scope), held[0].get("body", b""))
        record = await run_in_threadpool(self.store.begin, name, fingerprint)
        if record.status:
            await _send(send, record.status, record.content_type, record.body.encode(), replayed=True)
            return
        state(scope)["idempotency"] = _digest(name, fingerprint)

        async def replayed() -> Message:
            return held.pop() if held else await receive()

        await self._first(scope, replayed, send, name, record)

    async def _first(self, scope: Scope, receive: Receive, send: Send, name: str, record: Record) -> None:
        """Answer, and store the answer before the client has it."""
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
        except (OSError, ShowcasesError):  # what was written is written: the client is told so
            logger.exception("the answer to an %s could not be stored", HEADER)


class _Answer:
    """A `send` that keeps the messages."""

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
    """SHA-256 of a request; of a form without its boundary, which clients draw anew each time they send it."""
    kind, options = parse_options_header(header(scope, "content-type") or "")
    found = hashlib.sha256()
    for part in (scope["method"].encode(), scope["path"].encode(), scope["query_string"], kind):
        found.update(len(part).to_bytes(4, "big") + part)
    for piece in _between(body, options.get(b"boundary", b"")):
        found.update(len(piece).to_bytes(8, "big"))
        found.update(piece)
    return found.hexdigest()


def _between(body: bytes, boundary: bytes) -> Iterator[memoryview]:
    """The parts of the body between the boundaries, not copied; all of it where there is none."""
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
