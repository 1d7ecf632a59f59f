"""Every refusal, one row each: status, code and the fields at fault, in one form, as OpenAPI and the docs list them."""

import asyncio
import contextlib
import io
import json
import re
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
from serve_apps.deployments.lookup import Selection, SelectionQuery
from serve_apps.http.asgi import OverloadedError, RefusedError
from serve_apps.http.codes import CODES
from serve_apps.http.plain_errors import PlainErrors
from serve_apps.rollout.models import Bundle
from showcases.storage.artifacts import Workspace
from tests.serve.access.helpers import ask, request
from tests.serve.content import Models, tiny_encoder
from tests.serve.http.refusal_rows import ROWS, SHOWCASES, WISH, Row, body, raw
from tests.unit.catalog.made_up import write

LIMITS = Limits(json_bytes=20_000, body_s=0.2, image_bytes=50_000, image_pixels=10_000, upload_photos=3, deadline_s=30)


class Failing(Models):
    """Fails as the keywords of a query say."""

    ready = True

    async def select(self, query: SelectionQuery, bundle: Bundle) -> Selection:
        match (query.keywords or [""])[0]:
            case "crash":
                raise RuntimeError("secret of the inside")
            case "lost":
                raise RefusedError(503, "a replica was lost", {"retry-after": "5"}, code="replica_lost")
            case "full":
                raise OverloadedError("selector", 5)
            case "sleep":
                await asyncio.sleep(60)
        return await super().select(query, bundle)

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
    if code == "not_found":  # the layers before it know nothing of the rate
        assert answer.headers["x-ratelimit-resource"] == "rate"


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
