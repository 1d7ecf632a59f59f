"""The OpenAPI document says what the service does: its form, its examples, its scopes, and a short fuzz against it."""

import contextlib
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks

from serve_apps import keys as command
from serve_apps.access.config import AccessConfig, Limits
from tests.serve.access.helpers import ask, request
from tests.serve.stub import stub_api

load_all_checks()
IN_WORDS = [schemathesis.checks.CHECKS.get_by_names(["positive_data_acceptance"])[0]]  # rules beyond JSON Schema
SCOPES = {"GET": "read", "POST": "read", "PUT": "write"}


@pytest.fixture(scope="module")
def token_and_api(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, FastAPI]:
    """A service that asks for keys, and a key of all scopes that is never used up."""
    root, said = tmp_path_factory.mktemp("contract"), io.StringIO()
    with contextlib.redirect_stdout(said):
        command.main(["create", "--root", str(root), "--tenant", "t", "--scopes", "read,write,admin", "--rate", "1e5"])
    token = said.getvalue().strip()
    return token, stub_api(root, AccessConfig(keys=str(root), limits=Limits(deadline_s=60)))


@pytest.fixture(scope="module")
def document(token_and_api: tuple[str, FastAPI]) -> dict[str, Any]:
    [answer] = ask(token_and_api[1], ("GET", "/openapi.json"))
    return answer.json()


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(verb.upper(), path, what) for path, verbs in document["paths"].items() for verb, what in verbs.items()]


def examples(document: dict[str, Any]) -> list[tuple[dict[str, Any], Any]]:
    """(schema, example) of every media type, parameter and header, and of every schema within them."""
    found: list[tuple[dict[str, Any], Any]] = []

    def look(value: Any) -> None:
        if isinstance(value, dict):
            if "schema" in value:
                found.extend((value["schema"], one["value"]) for one in value.get("examples", {}).values())
                found.extend([(value["schema"], value["example"])] if "example" in value else [])
            elif isinstance(value.get("examples"), list):
                found.extend((value, one) for one in value["examples"])
            [look(one) for key, one in value.items() if key not in ("example", "examples")]
        elif isinstance(value, list):
            [look(one) for one in value]

    look(document)
    return found


def test_the_document_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    validate(document)
    route = document["paths"]["/v1/showcases"]["post"]
    assert route["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/ShowcaseRequest")
    assert route["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/Showcase")
    assert "HTTPValidationError" not in str(route["responses"])


def test_every_example_is_of_its_schema(document: dict[str, Any]) -> None:
    found = examples(document)
    for schema, example in found:
        whole = {**schema, "components": document["components"]}
        assert [error.message for error in Draft202012Validator(whole).iter_errors(example)] == [], (schema, example)
    assert len(found) > 40


def test_every_operation_has_examples_of_what_it_takes(document: dict[str, Any]) -> None:
    for _, path, operation in operations(document):
        for media in operation.get("requestBody", {}).get("content", {}).values():
            assert media["examples"], path
        assert all(one["schema"]["examples"] for one in operation.get("parameters", ()) if one["required"]), path


def test_events_are_of_their_schemas(document: dict[str, Any]) -> None:
    """Those of the example and those of a real stream."""
    stream = document["paths"]["/v1/showcases"]["post"]["responses"]["200"]["content"]["text/event-stream"]
    parts = [part.split("\n") for part in stream["example"].strip().split("\n\n")]
    assert [number for _, _, number in parts] == ["id: 1", "id: 2", "id: 3"]
    for head, data, _ in parts:
        schema = {**stream["x-events"][head.removeprefix("event: ")], "components": document["components"]}
        Draft202012Validator(schema).validate(json.loads(data.removeprefix("data: ")))
    assert [head for head, _, _ in parts] == ["event: photos", "event: text", "event: problem"]


def test_scopes_are_those_that_the_service_asks_for(token_and_api: tuple[str, FastAPI], document: dict) -> None:
    for method, path, operation in operations(document):
        [answer] = ask(token_and_api[1], request(None, method, path.replace("{", "").replace("}", "")))
        if answer.status_code == 401:
            scope = "write" if path == "/v1/feedback" else SCOPES[method]
            assert operation["security"] == [{"key": [scope]}], path
            assert {"401", "403", "429"} <= operation["responses"].keys()
        else:
            assert "security" not in operation and not {"401", "403"} & operation["responses"].keys(), path


def test_an_open_service_says_that_it_asks_for_no_key(tmp_path: Path) -> None:
    document = stub_api(tmp_path).openapi()
    assert "security" not in document and "securitySchemes" not in document["components"]
    for _, path, operation in operations(document):
        assert "security" not in operation and not {"401", "403", "429"} & operation["responses"].keys(), path


def test_a_method_that_nothing_takes_is_told_so_whatever_it_brings(token_and_api: tuple[str, FastAPI]) -> None:
    token, api = token_and_api
    [answer] = ask(api, request(token, "TRACE", "/v1/users/u0/reviews", content=b"x", headers={"content-type": "a/b"}))
    assert answer.status_code == 405 and answer.headers["allow"] == "GET, HEAD, OPTIONS, PUT"


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/v1/photos/p1", "/v1/users/u0/reviews", "/v1/photos/no", "/v1/nothing", "/v1/showcases"]
)
def test_head_is_answered_as_get_without_the_body(token_and_api: tuple[str, FastAPI], path: str) -> None:
    token, api = token_and_api
    same = {"headers": {"x-request-id": "same"}}
    got, head = ask(api, request(token, "GET", path, **same), request(token, "HEAD", path, **same))
    one_less = {"x-ratelimit-remaining", "x-ratelimit-used", "x-ratelimit-reset"}
    told = [{name: value for name, value in one.headers.items() if name not in one_less} for one in (got, head)]
    assert head.status_code == got.status_code and told[0] == told[1]
    assert got.content and not head.content and int(head.headers["content-length"]) == len(got.content)


def test_head_needs_what_get_needs(token_and_api: tuple[str, FastAPI]) -> None:
    [answer] = ask(token_and_api[1], ("HEAD", "/v1/photos/p1"))
    assert answer.status_code == 401 and not answer.content


def test_an_id_that_ends_in_a_slash_is_another_id(token_and_api: tuple[str, FastAPI]) -> None:
    """And not, by a redirect, the one without."""
    token, api = token_and_api
    answers = ask(api, request(token, "GET", "/v1/photos/p1"), request(token, "GET", "/v1/photos/p1%2F"))
    assert [answer.status_code for answer in answers] == [200, 404]


def test_a_used_up_rate_has_the_headers_documented(document: dict[str, Any], tmp_path: Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as said:
        command.main(["create", "--root", str(tmp_path), "--tenant", "t", "--rate", "0.01", "--burst", "1"])
    api = stub_api(tmp_path, AccessConfig(keys=str(tmp_path)))
    answer = ask(api, *[request(said.getvalue().strip(), "GET", "/v1/users")] * 2)[-1]
    assert answer.status_code == 429
    for name, one in document["components"]["responses"]["429"]["headers"].items():
        value: Any = answer.headers[name]
        value = int(value) if one["schema"]["type"] == "integer" else value
        Draft202012Validator(one["schema"]).validate(value)


@pytest.mark.server  # it takes half a minute
def test_a_short_fuzz_finds_nothing_untold(token_and_api: tuple[str, FastAPI]) -> None:
    """The same few cases every time; `make contract` tries others, for longer, against the running service."""
    token, api = token_and_api
    tried: Counter[GenerationMode] = Counter()
    for found in schemathesis.openapi.from_asgi("/openapi.json", api).get_all_operations():
        operation = found.ok()
        modes = list(GenerationMode) if operation.body or operation.path_parameters else [GenerationMode.POSITIVE]
        for mode in modes:

            @settings(max_examples=6, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
            @given(case=operation.as_strategy(generation_mode=mode))
            def holds(case: Any) -> None:
                tried[case.meta.generation.mode] += 1
                case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, excluded_checks=IN_WORDS)

            holds()
    assert min(tried[mode] for mode in list(GenerationMode)) > 20
