"""Every refusal, one row each: status, code and the fields at fault, in one form, as OpenAPI and the docs list them."""

import asyncio
import contextlib
import io
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from serve_apps import keys as command
from serve_apps.access.config import AccessConfig, Limits
from serve_apps.access.tokens import key_id_of
from serve_apps.api.app import create_api
from serve_apps.api.feedback import FeedbackStore
from serve_apps.deployments.lookup import Selection, Wish
from serve_apps.http.asgi import OverloadedError, RefusedError
from serve_apps.http.codes import CODES
from serve_apps.http.plain_errors import PlainErrors
from serve_apps.rollout.models import Bundle
from showcases.storage.artifacts import Workspace
from tests.serve.access.helpers import ask, request
from tests.serve.content import Models, form, jpeg, tiny_encoder
from tests.unit.catalog.made_up import write

SHOWCASES, SELECTIONS = "/v1/showcases", "/v1/selections"
REVIEWS, PHOTOS = "/v1/users/u/reviews", "/v1/businesses/b/photos"
JSON = {"content-type": "application/json"}
WISH = {"keywords": ["soup"], "business_id": "b0"}
REVIEW = {"review_id": "r", "business_id": "b", "text": "Good."}
SHOWN = {"request_id": "r", "photo_ids": ["p1"], "text": "Good.", "rating": 4}
LIMITS = Limits(json_bytes=20_000, body_s=0.2, image_bytes=50_000, image_pixels=10_000, upload_photos=3, deadline_s=30)


class Failing(Models):
    """Fails as the keywords of a wish say."""

    ready = True

    async def select(self, wish: Wish, bundle: Bundle) -> Selection:
        match (wish.keywords or [""])[0]:
            case "crash":
                raise RuntimeError("secret of the inside")
            case "lost":
                raise RefusedError(503, "a replica was lost", {"retry-after": "5"}, code="replica_lost")
            case "full":
                raise OverloadedError("selector", 5)
            case "sleep":
                await asyncio.sleep(60)
        return await super().select(wish, bundle)

    async def models_ready(self) -> bool:
        return self.ready


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A service that asks for keys, and keys of several kinds by name."""
    root = tmp_path_factory.mktemp("refusals")

    def key(*more: str) -> str:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            command.main(["create", "--root", str(root), "--tenant", "t", *more])
        return said.getvalue().strip()

    every = ("--scopes", "read,write,admin", "--rate", "1e5")
    tokens = {"all": key(*every), "read": key("--rate", "1e5"), "slow": key("--rate", "0.001", "--burst", "1")}
    tokens |= {"daily": key("--quota", "1"), "revoked": key(*every), "expired": key("--expires", "0d")}
    tokens |= {"unknown": tokens["all"][:-4] + "AAAA", "half": "sc_123", "none": ""}
    command.main(["revoke", "--root", str(root), str(key_id_of(tokens["revoked"]))])
    write(str(root / "catalog"))
    models = Failing(str(root / "catalog"), tiny_encoder())
    models.feedback = FeedbackStore(Workspace(str(root)))
    api = create_api(models, AccessConfig(keys=str(root), limits=LIMITS))
    return SimpleNamespace(api=api, models=models, tokens=tokens)


def body(**more: Any) -> dict[str, Any]:
    return {"json": WISH | more}


def raw(content: bytes, **headers: str) -> dict[str, Any]:
    return {"content": content, "headers": JSON | {key.replace("_", "-"): value for key, value in headers.items()}}


def photos(**files: bytes) -> dict[str, Any]:
    return {"files": form({name.replace("__", "/"): data for name, data in files.items()})}


async def never() -> AsyncIterator[bytes]:
    yield b"["
    await asyncio.sleep(60)


Row = tuple[str, str, str, dict[str, Any], int, str, str]
# key, method, path, what is sent, status, code, fields at fault: [LOCATION ]POINTER CODE, of the body if no other
ROWS: list[Row] = [
    ("none", "GET", "/v1/users", {}, 401, "key_missing", ""),
    ("half", "GET", "/v1/users", {}, 401, "key_invalid", ""),
    ("unknown", "GET", "/v1/users", {}, 401, "key_invalid", ""),
    ("revoked", "GET", "/v1/users", {}, 401, "key_invalid", ""),
    ("expired", "GET", "/v1/users", {}, 401, "key_invalid", ""),
    ("read", "PUT", REVIEWS, {"json": {"reviews": []}}, 403, "scope_missing", ""),
    ("all", "GET", "/v1/nothing", {}, 404, "path_unknown", ""),
    ("none", "GET", "/web/nothing.js", {}, 404, "path_unknown", ""),
    ("all", "GET", "/v1/photos/nothing", {}, 404, "not_found", ""),
    ("all", "POST", SHOWCASES, body(business_id="nowhere"), 404, "not_found", ""),
    ("all", "DELETE", "/v1/users", {}, 405, "method_not_allowed", ""),
    ("all", "GET", SHOWCASES, {}, 405, "method_not_allowed", ""),
    ("all", "POST", SHOWCASES, body() | {"headers": {"accept": "text/html"}}, 406, "not_acceptable", ""),
    ("all", "POST", SHOWCASES, {"content": never(), "headers": JSON}, 408, "body_timeout", ""),
    ("all", "GET", "/v1/users", {"headers": {"if-match": '"a"'}}, 412, "precondition_failed", ""),
    ("all", "PUT", PHOTOS, {"headers": {"if-none-match": "*"}}, 412, "precondition_unsupported", ""),
    ("all", "POST", SHOWCASES, raw(b" " * 20_001), 413, "body_too_large", ""),
    ("all", "PUT", PHOTOS, photos(a=b"x" * 50_001), 413, "body_too_large", "/a body_too_large"),
    ("all", "PUT", PHOTOS, photos(a=b"", b=b"", c=b"", d=b""), 413, "body_too_large", ""),
    ("all", "GET", "/v1/users?query=" + "a" * 5000, {}, 414, "target_too_long", ""),
    ("all", "POST", SHOWCASES, raw(b"{}", content_type="text/plain"), 415, "media_type_unsupported", ""),
    ("all", "POST", SHOWCASES, {"content": b"{}"}, 415, "media_type_unsupported", ""),
    ("all", "POST", SHOWCASES, raw(b"{}", content_encoding="gzip"), 415, "media_type_unsupported", ""),
    ("all", "PUT", PHOTOS, raw(b"{}"), 415, "media_type_unsupported", ""),
    ("all", "PUT", PHOTOS, photos(a=b"GIF89a"), 415, "media_type_unsupported", "/a media_type_unsupported"),
    (
        "all",
        "PUT",
        REVIEWS,
        {"json": {"reviews": [REVIEW | {"rating": "5"}]}},
        422,
        "request_invalid",
        "/reviews/0/rating float_type",
    ),
    ("all", "POST", "/v1/feedback", {"json": SHOWN | {"rating": 4.0}}, 422, "request_invalid", "/rating int_type"),
    (
        "all",
        "POST",
        SHOWCASES,
        body(n=2) | {"headers": {"accept": "text/event-stream"}},
        422,
        "request_invalid",
        "/n stream_single_text",
    ),
    (
        "all",
        "POST",
        "/v1/feedback",
        {"json": {"request_id": "r", "photo_ids": [], "text": ""}},
        422,
        "request_invalid",
        "/rating feedback_empty",
    ),
    ("all", "PUT", REVIEWS, {"json": {"reviews": [REVIEW, REVIEW]}}, 422, "request_invalid", "/reviews repeated"),
    (
        "all",
        "PUT",
        REVIEWS,
        {"json": {"reviews": [{"review_id": "r"}]}},
        422,
        "request_invalid",
        "/reviews/0/business_id missing, /reviews/0/text missing",
    ),
    ("all", "POST", SHOWCASES, {}, 422, "request_invalid", " missing"),
    ("all", "POST", SHOWCASES, {"json": []}, 422, "request_invalid", " model_attributes_type"),
    ("all", "GET", "/v1/photos/a%0Ab", {}, 422, "request_invalid", "path /photo_id id_invalid"),
    ("all", "GET", "/v1/users?limit=0", {}, 422, "request_invalid", "query /limit greater_than_equal"),
    ("all", "GET", "/v1/users?limit=3.0", {}, 422, "request_invalid", "query /limit int_parsing"),
    ("all", "GET", "/v1/users?limit=1_0", {}, 422, "request_invalid", "query /limit int_parsing"),
    ("all", "GET", "/v1/users?limit=true", {}, 422, "request_invalid", "query /limit int_parsing"),
    ("all", "GET", "/v1/users?limits=3", {}, 422, "request_invalid", "query /limits extra_forbidden"),
    ("all", "GET", "/v1/users?limit=3&limit=4", {}, 422, "request_invalid", "query /limit repeated"),
    ("all", "GET", "/v1/photos/p1?size=3", {}, 422, "request_invalid", "query /size extra_forbidden"),
    ("all", "POST", SHOWCASES + "?k=3", body(), 422, "request_invalid", "query /k extra_forbidden"),
    ("none", "GET", "/healthz?x", {}, 422, "request_invalid", "query /x extra_forbidden"),
    ("all", "POST", SHOWCASES, raw(b"[" * 40), 422, "json_too_complex", ""),
    ("all", "POST", SHOWCASES, raw(b"[" + b"1," * 6000 + b"1]"), 422, "json_too_complex", ""),
    (
        "all",
        "PUT",
        PHOTOS,
        {"content": b"x", "headers": {"content-type": "multipart/form-data"}},
        422,
        "form_malformed",
        " form_malformed",
    ),
    (
        "all",
        "PUT",
        PHOTOS,
        {"content": b"--x", "headers": {"content-type": "multipart/form-data; boundary=x"}},
        422,
        "form_malformed",
        " form_malformed",
    ),
    ("all", "PUT", PHOTOS, photos(a=jpeg()[:900]), 422, "photo_invalid", "/a photo_invalid"),
    ("all", "PUT", PHOTOS, photos(a=jpeg(size=(101, 100))), 422, "photo_invalid", "/a photo_invalid"),
    ("all", "PUT", PHOTOS, photos(a__b=jpeg()), 422, "request_invalid", "/a~1b id_invalid"),
    (
        "all",
        "PUT",
        PHOTOS,
        {"data": {"a": "text"}, "files": form({"b": jpeg()})},
        422,
        "request_invalid",
        "/a file_expected",
    ),
    (
        "all",
        "PUT",
        PHOTOS,
        {"files": [*form({"a": jpeg()}), *form({"a": jpeg()})]},
        422,
        "request_invalid",
        "/a repeated",
    ),
    ("slow", "GET", "/v1/users", {}, 429, "rate_exceeded", ""),
    ("daily", "GET", "/v1/users", {}, 429, "quota_exceeded", ""),
    ("all", "GET", "/v1/users", {"headers": {"x-long": "a" * 20_000}}, 431, "headers_too_large", ""),
    ("all", "POST", SELECTIONS, body(keywords=["crash"]), 500, "internal_error", ""),
    ("all", "POST", SELECTIONS, body(keywords=["lost"]), 503, "replica_lost", ""),
    ("all", "POST", SELECTIONS, body(keywords=["full"]), 503, "overloaded", ""),
    (
        "all",
        "POST",
        SELECTIONS,
        body(keywords=["sleep"]) | {"headers": {"prefer": "wait=0.05"}},
        504,
        "deadline_exceeded",
        "",
    ),
    ("all", "GET", "/v1/users", {"headers": {"content-length": "x"}}, 400, "bad_request", ""),
]
WISHES: list[tuple[dict[str, Any], str]] = [
    (body(k="3"), "/k int_type"),
    (body(k=True), "/k int_type"),
    (body(k=3.0), "/k int_type"),
    (body(k=None), "/k int_type"),
    (body(k=[3]), "/k int_type"),
    (body(theta="1"), "/theta float_type"),
    (body(theta=True), "/theta float_type"),
    (body(n="1", seed=False), "/n int_type, /seed int_type"),
    (body(supported_only=1), "/supported_only bool_type"),
    (body(supported_only="true"), "/supported_only bool_type"),
    (body(business_id=7), "/business_id string_type"),
    (body(keywords=["a", 7]), "/keywords/1 string_type"),
    (body(keywords="soup"), "/keywords list_type"),
    (body(tone=1), "/tone literal_error"),
    (body(k=6), "/k less_than_equal"),
    (body(kk=3), "/kk extra_forbidden"),
    (body(**{"a/b~c": 3}), "/a~1b~0c extra_forbidden"),
    (body(user_id="u0"), "/user_id person_ambiguous"),
    (body(candidates=["p1"]), "/business_id pool_ambiguous"),
    (body(tone="brief"), "/n tone_needs_candidates"),
    (body(include=["a"], exclude=["A"]), "/exclude words_contradict"),
    (body(keywords=["?!"]), "/keywords no_words"),
    (body(business_id="a\nb"), "/business_id id_invalid"),
]
NO_JSON = [
    b"{bad",
    b'{"a": 1} {}',
    b'{"a": "\xff"}',
    json.dumps(WISH).encode("utf-16"),
    b'{"theta": NaN}',
    b'{"theta": -Infinity}',
    b'{"k": ' + b"9" * 5000 + b"}",
    b'{"k": 1, "n": 1, "k": 2}',
]
ROWS += [("all", "POST", SHOWCASES, sent, 422, "request_invalid", fields) for sent, fields in WISHES]
ROWS += [("all", "POST", SHOWCASES, raw(sent), 422, "json_malformed", " json_malformed") for sent in NO_JSON]


def send(world: SimpleNamespace, key: str, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
    sent = request(world.tokens[key] or None, method, path, **options)
    return ask(world.api, *[sent] * (2 if key in ("slow", "daily") else 1))[-1]


def require_problem(answer: httpx.Response, document: dict[str, Any]) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    problem = answer.json()
    schema = {**document["components"]["schemas"]["Problem"], "components": document["components"]}
    Draft202012Validator(schema).validate(problem)
    assert problem["status"] == answer.status_code == CODES[problem["code"]].status
    assert problem["request_id"] and problem["detail"] and problem["title"]
    assert "Traceback" not in answer.text and "secret of the inside" not in answer.text
    return problem


def name_of(row: Row) -> str:
    return f"{row[5]}-{row[1]}-{row[2][:24]}-{row[6]}"


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_a_refusal_is_a_problem_with_its_code_and_fields(world: SimpleNamespace, row: Row) -> None:
    key, method, path, options, status, code, fields = row
    answer = send(world, key, method, path, options)
    assert answer.status_code == status, answer.text
    problem = require_problem(answer, world.api.openapi())
    assert problem["code"] == code
    told = [f"{one['location']} {one['pointer']} {one['code']}".removeprefix("body ") for one in problem["errors"]]
    assert ", ".join(told) == fields
    assert all(one["message"] in problem["detail"] or not one["pointer"] for one in problem["errors"])
    template = path.replace("/users/u/", "/users/{user_id}/").replace("/b/", "/{business_id}/").partition("?")[0]
    operation = world.api.openapi()["paths"].get(template)
    if operation and method.lower() in operation:
        assert str(status) in operation[method.lower()]["responses"]


def test_models_that_are_not_ready_are_a_problem(world: SimpleNamespace) -> None:
    world.models.ready = False
    try:
        ready = send(world, "none", "GET", "/readyz", {})
    finally:
        world.models.ready = True
    assert require_problem(ready, world.api.openapi())["code"] == "not_ready" and ready.headers["retry-after"]


def test_every_code_has_a_row_here_or_is_another_test_s(world: SimpleNamespace, repository: Path) -> None:
    elsewhere = {"not_ready", "conflict"}  # above; the status' own
    assert {row[5] for row in ROWS} | elsewhere == CODES.keys()
    page = (repository / "docs" / "serving.md").read_text()
    listed = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", page, flags=re.MULTILINE)
    assert listed == [(str(code.status), name) for name, code in CODES.items()]
    told = json.dumps(world.api.openapi()["components"]["responses"])
    assert all(f"`{name}`: " in told for name, code in CODES.items())


@pytest.mark.parametrize("given", [3, 1.5, 2])
def test_numbers_of_json_are_taken(world: SimpleNamespace, given: float) -> None:
    answer = send(world, "all", "POST", SHOWCASES, body(theta=given))
    assert answer.status_code == 200, answer.text


def test_a_body_with_a_byte_order_mark_is_taken(world: SimpleNamespace) -> None:
    answer = send(world, "all", "POST", SHOWCASES, raw(b"\xef\xbb\xbf" + json.dumps(WISH).encode()))
    assert answer.status_code == 200, answer.text


def test_pages_take_the_queries_of_their_links(world: SimpleNamespace) -> None:
    assert send(world, "none", "GET", "/?user=u&business=b&k=3&utm_source=x", {}).status_code == 200


@pytest.mark.parametrize(
    ("status", "path"), [(500, "/v1/users"), (404, "/v1/users"), (503, "/v1"), (503, "/-/healthz")]
)
def test_what_the_server_answers_by_itself_becomes_a_problem(status: int, path: str) -> None:
    """As Ray Serve's proxy does: plain text, a stack trace among it."""

    async def server(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/plain"), (b"retry-after", b"5")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"Traceback: ", "more_body": True})
        await send({"type": "http.response.body", "body": b"in the inside"})

    async def run() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(PlainErrors(server)), base_url="http://s") as client:
            return await client.get(path)

    answer = asyncio.run(run())
    assert answer.status_code == status and answer.headers["retry-after"] == "5"
    if path.startswith("/-/"):
        assert answer.text == "Traceback: in the inside"
        return
    assert answer.headers["content-type"] == "application/problem+json" and "Traceback" not in answer.text
    assert CODES[answer.json()["code"]].status == status and answer.json()["request_id"]
