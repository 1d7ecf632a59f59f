"""Shared by the middleware: the error type, problem responses, and access to the ASGI scope."""

import re
import uuid
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from http import HTTPStatus
from typing import Any

from serve_apps.http.codes import default_code
from serve_apps.http.schema import FieldError, Problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = dict[str, str]
CLOSE = {"connection": "close"}  # the rest of the body is not read


class RefusedError(Exception):
    """An error response; any middleware or handler may raise it.

    Args:
        code: one of `serve_apps.http.codes`; by default that of the status.
        errors: errors by field.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        headers: Headers | None = None,
        *,
        code: str | None = None,
        errors: Sequence[FieldError] = (),
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers or {}
        self.code, self.errors = code or default_code(status), list(errors)

    def with_headers(self, headers: Headers) -> "RefusedError":
        """The same error with more headers."""
        return RefusedError(self.status, self.detail, {**self.headers, **headers}, code=self.code, errors=self.errors)


class OverloadedError(RefusedError):
    """503: a queue is full.

    Args:
        stage: selector, generator or arrivals.
        retry_after: seconds.
    """

    def __init__(self, stage: str, retry_after: int) -> None:
        detail = f"the {stage} queue is full; try again in {retry_after} s"
        super().__init__(503, detail, {"retry-after": str(retry_after)}, code="overloaded")
        self.stage, self.retry_after = stage, retry_after


def header(scope: Scope, name: str) -> str | None:
    """A header's value; the first if it is repeated."""
    wanted = name.lower().encode()
    return next((value.decode("latin-1") for key, value in scope["headers"] if key.lower() == wanted), None)


def state(scope: Scope) -> dict[str, Any]:
    """The dict behind `request.state`."""
    found: dict[str, Any] = scope.setdefault("state", {})
    return found


def identify(scope: Scope) -> str:
    """The request's id, from the client or new; stored in the headers for inner layers."""
    given = header(scope, "x-request-id") or ""
    chosen = given if re.fullmatch(r"[0-9A-Za-z_-]{1,64}", given) else uuid.uuid4().hex
    others = [(key, value) for key, value in scope["headers"] if key.lower() != b"x-request-id"]
    scope["headers"] = [*others, (b"x-request-id", chosen.encode())]
    state(scope)["request_id"] = chosen
    return chosen


def declared(scope: Scope) -> int | None:
    """Content-Length in bytes, if present.

    Raises:
        RefusedError: 400, it isn't a number.
    """
    given = header(scope, "content-length")
    if given is not None and not re.fullmatch(r"[0-9]{1,18}", given):
        raise RefusedError(400, "Content-Length is not a number of bytes", CLOSE)
    return None if given is None else int(given)


def head_bytes(scope: Scope) -> int:
    """Size of all header names and values."""
    return sum(len(name) + len(value) for name, value in scope["headers"])


def too_late(seconds: float) -> RefusedError:
    """408: the body didn't arrive in time."""
    return RefusedError(408, f"the body was incomplete after {seconds:g} s", CLOSE)


def problem_of(scope: Scope, refused: RefusedError) -> Problem:
    """The error as an RFC 9457 problem."""
    return Problem(
        title=_title(refused.status),
        status=refused.status,
        code=refused.code,
        detail=refused.detail,
        errors=refused.errors,
        request_id=state(scope).get("request_id", ""),
    )


def problem_body(scope: Scope, refused: RefusedError) -> bytes:
    return problem_of(scope, refused).model_dump_json().encode()


def problem_headers(extra: Headers) -> list[tuple[bytes, bytes]]:
    headers = {"content-type": "application/problem+json", "cache-control": "no-store", **extra}
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]


async def answer_problem(scope: Scope, send: Send, refused: RefusedError) -> None:
    body = problem_body(scope, refused)
    headers = [*problem_headers(refused.headers), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _title(status: int) -> str:
    return HTTPStatus(status).phrase
