"""Serve's proxy in front of a gateway that is lost: it ends without a message, as Ray's proxy does."""

import asyncio
from typing import Any

import httpx
import pytest

from serve_apps.http.asgi import App, Receive, Scope, Send
from serve_apps.http.plain_errors import HEAD_BYTES, PlainErrors, proxy_layers


def ask(gateway: App, **request: Any) -> httpx.Response:
    async def run() -> httpx.Response:
        [layer] = proxy_layers()
        app = layer.cls(gateway, *layer.args, **layer.kwargs)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.request("POST", "/v1/showcases", **request)

    return asyncio.run(run())


def test_a_lost_gateway_is_503_with_retry_after() -> None:
    async def lost(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    answer = ask(lost, json={}, headers={"x-request-id": "mine"})
    assert answer.status_code == 503 and int(answer.headers["retry-after"]) >= 1
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["code"], answer.json()["request_id"]) == ("replica_lost", "mine")


def test_an_answer_that_has_begun_is_not_answered_again() -> None:
    sent: list[str] = []

    async def half(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def run() -> None:
        async def send(message: Any) -> None:
            sent.append(message["type"])

        async def receive() -> Any:
            return {"type": "http.disconnect"}

        await PlainErrors(half)({"type": "http", "path": "/v1/users", "headers": []}, receive, send)

    asyncio.run(run())
    assert sent == ["http.response.start"]


@pytest.mark.parametrize(("status", "code"), [(503, "overloaded"), (500, "internal_error")])
def test_serve_s_plain_errors_become_problems_and_keep_retry_after(status: int, code: str) -> None:
    async def plain(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/plain"), (b"retry-after", b"7")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"Request dropped due to backpressure"})

    answer = ask(plain)
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (status, code, "7")


def test_a_head_that_serve_can_not_pass_on_is_refused() -> None:
    passed: list[Scope] = []

    async def gateway(scope: Scope, receive: Receive, send: Send) -> None:
        passed.append(scope)

    answer = ask(gateway, headers={"x-a": "a" * HEAD_BYTES})
    assert (answer.status_code, answer.headers["connection"]) == (431, "close") and not passed
