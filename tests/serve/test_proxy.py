"""The proxy's layer before a gateway that dies: it ends without a word, as Ray's proxy does then."""

import asyncio
import json

import httpx
import pytest

from serve_apps import proxy
from serve_apps.access.asgi import Receive, Scope, Send

BODY = {"keywords": ["soup"], "business_id": "b"}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "WAITS_S", (0, 0, 0))


class Gateway:
    """Dies a few times, at the first or last byte of the request, then tells what it heard."""

    def __init__(self, deaths: int, reads: bool = True) -> None:
        self.deaths, self.reads, self.asked = deaths, reads, 0
        self.ids: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        self.ids |= {value.decode() for name, value in scope["headers"] if name == b"x-request-id"}
        body, more = b"", self.reads or self.asked > self.deaths
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if self.asked > self.deaths:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": body})


def ask(gateway: Gateway, method: str, path: str, content: bytes) -> httpx.Response:
    async def asking() -> httpx.Response:
        transport = httpx.ASGITransport(proxy.AskAgain(gateway))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, content=content)

    return asyncio.run(asking())


@pytest.mark.parametrize("reads", [True, False])
def test_what_only_asks_is_asked_again_with_its_whole_body(reads: bool) -> None:
    gateway = Gateway(2, reads)
    answer = ask(gateway, "POST", "/v1/showcases", json.dumps(BODY).encode())
    assert answer.status_code == 200 and answer.json() == BODY and gateway.asked == 3 and len(gateway.ids) == 1


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/feedback"), ("PUT", "/v1/users/u/reviews")])
def test_what_changes_something_is_not_asked_again(method: str, path: str) -> None:
    gateway = Gateway(1)
    answer = ask(gateway, method, path, b"{}")
    assert (answer.status_code, answer.headers["retry-after"], gateway.asked) == (503, "5", 1)
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == gateway.ids.pop()


def test_a_body_that_is_not_kept_is_not_asked_again() -> None:
    gateway = Gateway(1)
    answer = ask(gateway, "POST", "/v1/showcases", b" " * (proxy.KEPT_BYTES + 1))
    assert answer.status_code == 503 and gateway.asked == 1


def test_gateways_that_die_of_a_request_are_not_fed_with_it_for_ever() -> None:
    gateway = Gateway(99)
    assert ask(gateway, "GET", "/v1/users", b"").status_code == 503 and gateway.asked == 3


def test_an_answer_that_has_begun_is_not_begun_again() -> None:
    class Half(Gateway):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            self.asked += 1
            await send({"type": "http.response.start", "status": 200, "headers": []})

    gateway = Half(0)
    with pytest.raises(AssertionError):  # of the client, which waits for the end of the answer
        ask(gateway, "GET", "/v1/users", b"")
    assert gateway.asked == 1
