"""HTTP of the running service, through its proxy and its server: validators, events, refusals that they make."""

import http.client
import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from serve_apps.http.codes import CODES
from showcases.storage.artifacts import Workspace
from tests.serve.http.test_http_events import read

pytestmark = pytest.mark.ray
STREAM = {"Accept": "text/event-stream"}


@pytest.fixture(scope="module")
def client(service: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service, timeout=60) as opened:
        yield opened


@pytest.fixture(scope="module")
def wish(tiny_workspace: Workspace) -> dict:
    """For a business with photos."""
    images = tiny_workspace.read_table("images").to_pylist()
    shown = {row["photo_id"] for row in images if row["status"] == "ok"}
    photos = [row for row in tiny_workspace.read_table("photos").to_pylist() if row["photo_id"] in shown]
    return {"keywords": ["ramen\u2028soup"], "business_id": photos[0]["business_id"]}


def test_who_has_a_photo_or_page_is_told_so(client: httpx.Client, wish: dict) -> None:
    photo = client.get(f"/v1/businesses/{wish['business_id']}/photos").json()["photo_ids"][0]
    for path in (f"/v1/photos/{photo}", "/web/app.js", "/openapi.json"):
        tag = client.get(path).headers["etag"]
        again = client.get(path, headers={"If-None-Match": f'"other", {tag}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        head = client.head(path, headers={"If-None-Match": tag, "Range": "bytes=0-1"})
        assert head.status_code == 304
    assert client.get(path).status_code == 200  # on the same connection: nothing of a 304 was left on it


def test_a_stream_is_read_by_lines(client: httpx.Client, wish: dict) -> None:
    answer = client.post("/v1/showcases", json=wish, headers=STREAM)
    assert answer.headers["content-type"].startswith("text/event-stream") and answer.headers["vary"] == "Accept"
    assert answer.headers["x-accel-buffering"] == "no" and "no-cache" in answer.headers["cache-control"]
    told = read(answer.content.decode().splitlines())
    assert [number for number, _, _ in told] == [str(1 + place) for place in range(len(told))]
    assert told[0][1] == "photos" and told[-1][1] == "showcase"
    several = client.post("/v1/showcases", json=wish | {"n": 2}, headers=STREAM)
    assert several.status_code == 422 and several.json()["errors"][0]["code"] == "stream_single_text"


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/v1/nothing", {}, 404),
        ("GET", "/v1/photos/" + "a" * 50_000, {}, 414),
        ("DELETE", "/v1/users", {}, 405),
        ("POST", "/v1/showcases", {"json": {"keywords": ["soup"], "business_id": "nowhere"}}, 404),
        ("POST", "/v1/showcases", {"json": {"k": "3"}}, 422),
        ("GET", "/v1/users", {"headers": {"x-long": "a" * 50_000}}, 431),
        ("GET", "/v1/users", {"headers": {"x-long": "a" * 2_000_000}}, 431),  # by our layer in Serve's proxy
    ],
)
def test_a_refusal_is_a_problem_wherever_it_is_made(
    client: httpx.Client, method: str, path: str, options: dict, status: int
) -> None:
    """By the server, the proxy or a gateway's replica; test_refusals.py has all of the last."""
    answer = client.request(method, path, **options)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert CODES[answer.json()["code"]].status == status and isinstance(answer.json()["errors"], list)
    assert answer.json()["request_id"] and "Traceback" not in answer.text


def test_options_and_head_keep_the_connection(service: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(service).netloc, timeout=60)
    for method, status in (("OPTIONS", 204), ("HEAD", 200), ("PATCH", 405), ("GET", 200)):
        connection.request(method, "/v1/users")
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == status and (method not in ("OPTIONS", "PATCH") or "HEAD" in answer.headers["allow"])
    assert json.loads(body)
    connection.close()
