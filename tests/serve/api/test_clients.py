"""What clients of HTTP APIs expect: compressed answers, pages of other sites, method names in a generated client."""

import asyncio
import gzip
import keyword
import re
import struct
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import ValidationError

from serve_apps.access.config import AccessConfig
from serve_apps.http.compression import accepts_gzip
from tests.serve.access.helpers import ask
from tests.serve.deployments.test_tenants import key
from tests.serve.stub import stub_api

SITE = "https://app.example.org"
WISH = {"keywords": ["soup"], "business_id": "b0"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    return stub_api(tmp_path_factory.mktemp("clients"))


@pytest.fixture(scope="module")
def open_to_a_site(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    root = tmp_path_factory.mktemp("cors")
    key(root, "--tenant", "acme")
    return stub_api(root, AccessConfig(keys=str(root), cors_origins=(SITE, "http://localhost:5173")))


def raw(api: FastAPI, method: str, path: str, accepted: str | None, **options: Any) -> tuple[httpx.Headers, bytes]:
    """An answer's headers and its body as it was sent."""

    async def run() -> tuple[httpx.Headers, bytes]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=api), base_url="http://service") as client:
            headers = {**options.pop("headers", {}), **({} if accepted is None else {"accept-encoding": accepted})}
            request = client.build_request(method, path, headers=headers, **options)
            if accepted is None:
                del request.headers["accept-encoding"]
            answer = await client.send(request, stream=True)
            return answer.headers, b"".join([piece async for piece in answer.aiter_raw()])

    return asyncio.run(run())


@pytest.mark.parametrize("path", ["/openapi.json", "/", "/web/app.js", "/v1/businesses/b0/photos", "/v1/users"])
def test_long_text_is_compressed_where_the_client_wants_it(api: FastAPI, path: str) -> None:
    plain_headers, plain = raw(api, "GET", path, None)
    headers, body = raw(api, "GET", path, "br, gzip;q=0.5")
    if len(plain) >= 1024:
        assert headers["content-encoding"] == "gzip" and len(body) < len(plain) == len(gzip.decompress(body))
        assert gzip.decompress(body) == plain
        for told in (headers, plain_headers):
            assert "accept-encoding" in told["vary"].lower()
    else:
        assert "content-encoding" not in headers and body == plain
    assert "content-encoding" not in plain_headers and int(plain_headers["content-length"]) == len(plain)
    refused, same = raw(api, "GET", path, "gzip;q=0, identity")
    assert "content-encoding" not in refused and same == plain
    head, nothing = raw(api, "HEAD", path, "gzip")
    assert nothing == b"" and head.get("content-encoding") == headers.get("content-encoding")


def test_photos_streams_and_short_answers_are_not(api: FastAPI) -> None:
    for method, path, more in (
        ("GET", "/v1/photos/p1", {}),
        ("GET", "/healthz", {}),
        ("POST", "/v1/showcases", {"json": WISH, "headers": {"accept": "text/event-stream"}}),
    ):
        headers, body = raw(api, method, path, "gzip", **more)
        assert "content-encoding" not in headers and body
        assert "accept-encoding" not in headers.get("vary", "").lower()


def test_a_long_photo_is_sent_as_it_is(tmp_path: Path) -> None:
    from tests.serve.content import Client, jpeg

    client = Client(stub_api(tmp_path))
    assert client.put_photos("b0", {"long": jpeg(size=(200, 200))}).status_code == 200
    headers, body = raw(client.api, "GET", "/v1/photos/long", "gzip")
    assert len(body) > 10_000 and "content-encoding" not in headers and "vary" not in headers


def test_compression_can_be_switched_off(tmp_path: Path) -> None:
    headers, _ = raw(stub_api(tmp_path, AccessConfig(gzip_from_bytes=0)), "GET", "/openapi.json", "gzip")
    assert "content-encoding" not in headers and "vary" not in headers


@pytest.mark.parametrize(
    ("accepted", "allowed"),
    [
        ("gzip", True), ("GZIP", True), ("x-gzip", True), ("*", True), ("br;q=1, gzip ; q=0.1", True), ("", False),
        ("gzip;q=0", False), ("gzip;q=0.000", False), ("*;q=0", False), ("gzip;q=0, *", False), ("*;q=0, gzip", True),
        ("br", False), ("notgzip", False), ("gzipped", False), ("identity", False), ("gzip;q=.", False),
    ],
)  # fmt: skip
def test_which_accept_encoding_allows_gzip(accepted: str, allowed: bool) -> None:
    assert accepts_gzip(accepted) is allowed


def preflight(origin: str, method: str, headers: str = "authorization, content-type") -> httpx.Request:
    asked = {"origin": origin, "access-control-request-method": method, "access-control-request-headers": headers}
    return httpx.Request("OPTIONS", "http://service/v1/feedback", headers=asked)


def test_other_sites_are_let_in_by_configuration_alone(api: FastAPI, open_to_a_site: FastAPI) -> None:
    for answer in ask(api, preflight(SITE, "POST"), httpx.Request("GET", "http://s/healthz", headers={"origin": SITE})):
        assert "access-control-allow-origin" not in answer.headers
    [allowed] = ask(open_to_a_site, preflight(SITE, "POST", "authorization, content-type, idempotency-key"))
    assert allowed.status_code == 200 and allowed.headers["access-control-allow-origin"] == SITE
    assert "POST" in allowed.headers["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in allowed.headers
    for other in (preflight("https://evil.example.org", "POST"), preflight(f"{SITE}.evil.org", "POST")):
        [refused] = ask(open_to_a_site, other)
        assert refused.status_code == 400 and "access-control-allow-origin" not in refused.headers


def test_a_site_can_read_refusals_and_their_headers(open_to_a_site: FastAPI) -> None:
    for origin, told in ((SITE, SITE), ("https://evil.example.org", None)):
        [answer] = ask(open_to_a_site, httpx.Request("GET", "http://s/v1/users", headers={"origin": origin}))
        assert answer.status_code == 401 and answer.headers.get("access-control-allow-origin") == told
    [answer] = ask(open_to_a_site, httpx.Request("GET", "http://s/v1/users", headers={"origin": SITE}))
    assert {"X-Request-ID", "Retry-After", "WWW-Authenticate"} <= set(
        answer.headers["access-control-expose-headers"].split(", ")
    )
    assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize("origin", ["app.example.org", "https://app.example.org/", "https://*.example.org", "null", ""])
def test_what_is_no_origin_is_refused_at_the_start(origin: str) -> None:
    with pytest.raises(ValidationError, match="is not an origin: use scheme://host"):
        AccessConfig(cors_origins=(origin,))


def test_operation_ids_are_names_of_a_generated_clients_methods(api: FastAPI) -> None:
    found = [operation["operationId"] for verbs in api.openapi()["paths"].values() for operation in verbs.values()]
    assert len(found) == len(set(found)) == 15
    for name in found:
        assert re.fullmatch(r"[a-z]+(_[a-z]+){1,3}", name) and name.isidentifier() and not keyword.iskeyword(name)
        assert len(name) <= 30, name


def test_gzip_answers_tell_nothing_of_the_time(api: FastAPI) -> None:
    """The same answer has the same bytes: a time in gzip's header would make every ETag another."""
    _, body = raw(api, "GET", "/openapi.json", "gzip")
    assert struct.unpack("<I", body[4:8]) == (0,)
