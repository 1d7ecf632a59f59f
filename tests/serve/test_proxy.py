"""The proxy's layers: before a gateway that dies (it ends without a word, as Ray's proxy does), and before a crowd."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from serve_apps import along, proxy
from serve_apps.access.asgi import ALONG, App, Message, Receive, Scope, Send
from serve_apps.access.body import Body
from serve_apps.access.config import Limits
from serve_apps.along import BodyAlong
from serve_apps.crowd import Crowd

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
    return passing_on(proxy.AskAgain(gateway), method=method, url=path, content=content)


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


def passing_on(app: App, **request: Any) -> httpx.Response:
    async def asking() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.request(**request)

    return asyncio.run(asking())


class Fetched:
    """A gateway that tells what came along and what it had to fetch; the last message is the disconnect."""

    def __init__(self) -> None:
        self.along: bytes | None = None
        self.fetched: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.along = scope.get(ALONG)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        while not self.fetched or self.fetched[-1] != "http.disconnect":
            self.fetched.append((await receive())["type"])


@pytest.mark.parametrize(
    ("content", "headers", "told"),
    [
        (b'{"k": 3}', {}, b'{"k": 3}'),
        (None, {}, b""),
        (b"x" * along.ALONG_BYTES, {}, b"x" * along.ALONG_BYTES),
        (b"x" * (along.ALONG_BYTES + 1), {}, None),
        (b"{}", {"content-length": "two"}, None),  # the gateway refuses it
        (b"{}", {"transfer-encoding": "chunked"}, None),
    ],
)
def test_a_short_body_goes_along_and_is_not_fetched(content: bytes | None, headers: dict, told: bytes | None) -> None:
    gateway = Fetched()
    method = "GET" if content is None else "POST"
    request = httpx.Request(method, "http://test/", content=content, headers=headers)
    if "transfer-encoding" in headers:
        del request.headers["content-length"]

    async def asking() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(BodyAlong(gateway))) as client:
            await client.send(request)

    asyncio.run(asking())
    assert gateway.along == told
    assert gateway.fetched[0] == ("http.request" if told is None else "http.disconnect")


def test_the_gateway_takes_the_body_that_came_along() -> None:
    heard: list[bytes] = []

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        heard.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    passing_on(BodyAlong(Body(handler, Limits())), method="POST", url="/v1/showcases", json=BODY)
    assert json.loads(heard[0]) == BODY


def test_a_body_that_does_not_end_is_told_so_by_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(along, "READ_S", 0.01)
    sent: list[Message] = []

    async def asking() -> None:
        messages = [{"type": "http.request", "body": b"{", "more_body": True}]

        async def receive() -> Message:
            return messages.pop() if messages else await asyncio.Event().wait()

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/v1/showcases", "headers": [(b"content-length", b"2")]}
        await BodyAlong(Fetched())(scope, receive, send)

    asyncio.run(asking())
    assert sent[0]["status"] == 408 and (b"connection", b"close") in sent[0]["headers"]


def test_a_head_that_serve_cannot_send_on_is_refused_by_the_proxy() -> None:
    gateway = Fetched()
    answer = passing_on(
        BodyAlong(gateway), method="GET", url="/", headers={"x-a": "a" * along.HEAD_BYTES, "x-request-id": "mine"}
    )
    assert (answer.status_code, answer.headers["connection"]) == (431, "close")
    assert answer.json()["request_id"] == "mine" and not gateway.fetched


def test_what_is_more_than_may_be_is_refused_and_told_when_there_is_room() -> None:
    now, answered = [0.0], 0
    going = asyncio.Event()

    async def gateway(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal answered
        if scope["path"] != "/healthz":
            await going.wait()
        answered += 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def asking() -> None:
        crowd = Crowd(gateway, at_most=2, clock=lambda: now[0])
        async with httpx.AsyncClient(transport=httpx.ASGITransport(crowd), base_url="http://test") as client:
            inside = [asyncio.create_task(client.get("/v1/users")) for _ in range(2)]
            await asyncio.sleep(0)
            while crowd.under_way < 2:
                await asyncio.sleep(0)
            refused = await client.get("/v1/users", headers={"x-request-id": "mine"})
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert refused.json()["request_id"] == refused.headers["x-request-id"] == "mine"
            assert (await client.get("/healthz")).status_code == 200  # a busy service is alive
            now[0] = 101.0
            going.set()
            assert [(await one).status_code for one in inside] == [200, 200] and answered == 3
            assert (await client.get("/v1/users")).status_code == 200 and crowd.under_way == 0
            # 1 s at first; 2 % of 101 s twice, then of none: 1, 3, 4.96, 4.8608
            assert crowd.mean_s == pytest.approx(4.8608) and crowd.retry_after == 5

    asyncio.run(asking())
