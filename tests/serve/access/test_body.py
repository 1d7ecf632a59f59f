"""Bodies that are too large, too slow, too deep, of another kind; heads that are too long; images before decoding."""

import asyncio
import io
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from PIL import Image

from serve_apps.access.body import require_plain_json
from serve_apps.access.config import AccessConfig, Limits
from serve_apps.api.upload import require_image
from serve_apps.http.asgi import RefusedError
from tests.serve.access.helpers import ask, make_api, request
from tests.waiting import wait_until

SMALL = Limits(json_bytes=1000, json_depth=4, json_items=20, text_bytes=100, body_s=0.3)
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def api(records_as_before: None) -> FastAPI:
    return make_api(AccessConfig(limits=SMALL))


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        ({"content": b"[" + b" " * 998 + b"]", "headers": JSON}, 200, '"body":1000'),
        ({"content": b"[" + b" " * 999 + b"]", "headers": JSON}, 413, "exceeds the limit of 1000 bytes"),
        ({"content": chunks(b"[", b" " * 500, b" " * 498 + b"]"), "headers": JSON}, 200, '"body":1000'),
        ({"content": chunks(b"[", b" " * 500, b" " * 500), "headers": JSON}, 413, "exceeds the limit of 1000 bytes"),
        ({"content": b"{}", "headers": {"content-type": "Application/JSON; charset=utf-8"}}, 200, ""),
        ({"content": b"{}"}, 415, "of no declared type"),
        ({"content": chunks(b"{}"), "headers": {"content-type": "text/plain"}}, 415, "the body is text/plain"),
        ({"content": b"{}", "headers": {**JSON, "content-encoding": "gzip"}}, 415, "Content-Encoding"),
        ({"content": b"{}", "headers": {**JSON, "content-length": "-2"}}, 400, "Content-Length"),
        ({"headers": {"x-long": "a" * 16_384}}, 431, "the headers have"),
        ({"params": {"query": "a" * 4096}}, 414, "path and query"),
        ({}, 200, '"body":0'),
    ],
)
def test_what_a_request_may_be(api: FastAPI, options: dict, status: int, says: str) -> None:
    [answer] = ask(api, request(None, "POST", "/v1/showcases", **options))
    assert answer.status_code == status and says in answer.text, answer.text
    if status != 200:
        assert answer.headers["content-type"] == "application/problem+json" and answer.json()["status"] == status


def literal(value: object) -> tuple[int, int]:
    """Depth, and number of values and names but the first, of parsed JSON."""
    if isinstance(value, dict):
        inside = [literal(one) for one in value.values()]
    elif isinstance(value, list):
        inside = [literal(one) for one in value]
    else:
        return 0, 0
    names = len(value) if isinstance(value, dict) else 0
    return 1 + max((depth for depth, _ in inside), default=0), sum(items + 1 for _, items in inside) + names + 1


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, 2, {"b": "]]]]]][[[[[,,,,,::::"}]},
        ["\\", '"', '\\"', "a,b"],
        [[[]]],
        {},
        3,
        '"[[[[',
        [{"x": {}}, [[]]],
    ],
)
def test_depth_and_items_are_those_of_the_parsed_body(value: object) -> None:
    body, (depth, items) = json.dumps(value).encode(), literal(value)
    require_plain_json(body, Limits(json_depth=max(1, depth), json_items=2 * items + 1))
    if depth > 1:
        with pytest.raises(RefusedError, match="nests deeper"):
            require_plain_json(body, Limits(json_depth=depth - 1))
    if items > 2:
        with pytest.raises(RefusedError, match="holds more"):
            require_plain_json(body, Limits(json_items=items // 2))


@pytest.mark.parametrize(
    "body", [b"[" * 10**6, b'{"a":' * 10**6, b"[" + b"1," * 10**6, b'"' + b'\\"' * 10**6, b'"' * 10**6 + b"\\", b'"\\']
)
def test_hostile_bodies_end_the_look_early(body: bytes) -> None:
    """Linear time: were it quadratic, this would run for hours."""
    if len(body) < 10 or body.startswith(b'""'):
        require_plain_json(body, Limits())  # no JSON: the parser says so
        return
    with pytest.raises(RefusedError):
        require_plain_json(body, Limits())


def test_images_are_judged_by_their_head() -> None:
    def image(kind: str, size: tuple[int, int]) -> bytes:
        stream = io.BytesIO()
        Image.new("RGB", size).save(stream, kind)
        return stream.getvalue()

    limits = Limits(image_pixels=10_000, image_bytes=5_000)
    assert require_image(image("JPEG", (100, 100)), limits) == (100, 100)
    for data, status in (
        (image("PNG", (101, 100)), 422),
        (image("GIF", (10, 10)), 415),
        (b"<svg/>", 415),
        (b"a" * 5001, 413),
    ):
        with pytest.raises(RefusedError) as refused:
            require_image(data, limits)
        assert refused.value.status == status


@pytest.fixture(scope="module")
def port(api: FastAPI) -> Iterator[int]:
    """A real uvicorn, in a thread."""
    server = uvicorn.Server(uvicorn.Config(api, port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(timeout=20)


HEAD = b"POST /v1/showcases HTTP/1.1\r\nHost: s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


def test_a_client_that_never_ends_its_body_is_answered(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(HEAD % 100 + b"[1,")
        answer = b""
        while part := connection.recv(4096):  # until the service closes it: the rest of the body is not waited for
            answer += part
    assert answer.startswith(b"HTTP/1.1 408") and b"application/problem+json" in answer


def test_a_client_that_goes_away_has_its_work_called_off(api: FastAPI, port: int) -> None:
    url, api.state.cancelled = f"http://127.0.0.1:{port}", False
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{url}/v1/sleeps", timeout=0.5)
    wait_until(lambda: api.state.cancelled, 30)  # it would sleep for 60 s
    assert httpx.get(f"{url}/healthz", timeout=20).status_code == 200


def test_a_client_that_leaves_in_the_middle_of_its_body_is_forgotten(api: FastAPI) -> None:
    async def run() -> list[dict]:
        messages, sent = (
            iter([{"type": "http.request", "body": b"[", "more_body": True}, {"type": "http.disconnect"}]),
            [],
        )

        async def receive() -> dict:
            return next(messages)

        async def send(message: dict) -> None:
            sent.append(message)

        headers = [(b"content-type", b"application/json"), (b"content-length", b"9")]
        scope = {"type": "http", "method": "POST", "path": "/v1/showcases", "query_string": b"", "headers": headers}
        await api(scope, receive, send)
        return sent

    assert asyncio.run(run()) == []


def test_what_is_no_image_is_named_and_broken_metadata_is_no_reason() -> None:
    """As the artifact `images` has it: the same function looks at both."""
    stream = io.BytesIO()
    Image.new("RGB", (10, 10)).save(stream, "PNG")
    data = stream.getvalue()
    text = b"\0\0\0\x03tEXta\0b\1\2\3\4"  # its checksum is wrong
    assert require_image(data[:33] + text + data[33:], Limits()) == (10, 10)
    for body, name in (
        (b"<!doctype html>", "an HTML page"),
        (b"", "an empty file"),
        (b"\x1f\x8b\x08", "gzip"),
        (data[:40], "PNG"),
    ):
        with pytest.raises(RefusedError, match=name) as refused:
            require_image(body, Limits())
        assert refused.value.status == 415 and " at 0x" not in refused.value.detail
