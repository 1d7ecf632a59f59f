"""What FastAPI doesn't generate of the OpenAPI document: error responses, API keys and scopes, events."""

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from serve_apps.api.requests import REQUEST
from serve_apps.api.responses import PhotosEvent, StreamedProblem, TextEvent
from serve_apps.http.codes import CODES, default_code
from serve_apps.http.events import MEDIA_TYPE
from serve_apps.http.routes import rule_for
from serve_apps.http.schema import FieldError, Problem

Document = dict[str, Any]
PROBLEM = "application/problem+json"
EVERYWHERE = (
    400,
    408,
    412,
    413,
    414,
    415,
    422,
    431,
    500,
    503,
    504,
)  # statuses that any route can return, from the middleware
KEYED = (401, 403, 429)
KEY = HTTPBearer(
    scheme_name="key", description="`sc_ID_SECRET`; its scopes: read, write, admin.", auto_error=False
)  # documentation only: `serve_apps.access.authenticate` checks the keys
INTEGER = {"type": "integer", "minimum": 0}
RETRY = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}, "example": 2}}
CHALLENGE = {
    "WWW-Authenticate": {
        "description": "How to authenticate, and what was wrong (RFC 6750).",
        "schema": {"type": "string"},
        "example": 'Bearer realm="showcases"',
    }
}
RATE = {
    "X-RateLimit-Limit": {"description": "Requests allowed per window.", "schema": INTEGER, "example": 20},
    "X-RateLimit-Remaining": {"description": "Requests left in the window.", "schema": INTEGER, "example": 0},
    "X-RateLimit-Used": {"description": "Requests used in the window.", "schema": INTEGER, "example": 20},
    "X-RateLimit-Reset": {
        "description": "When the window resets, in UTC epoch seconds.",
        "schema": INTEGER,
        "example": 1772366400,
    },
    "X-RateLimit-Resource": {
        "description": "Which limit: the key's rate or its daily quota.",
        "schema": {"type": "string", "enum": ["rate", "day"]},
        "example": "rate",
    },
}
HEADERS: dict[int, Document] = {401: CHALLENGE, 403: CHALLENGE, 429: {**RETRY, **RATE}, 503: RETRY}
OF_NO_ROUTE: list[tuple[type[BaseModel], JsonSchemaMode]] = [
    (model, "serialization") for model in (Problem, StreamedProblem, PhotosEvent, TextEvent)
]
MISTAKE = FieldError(
    location="body", pointer="/k", code="less_than_equal", message="Input should be less than or equal to 5"
)
STREAMED = """event: photos
data: {"photos": [{"photo_id": "p1", "url": "/v1/photos/p1", "relevance": 1.37}]}
id: 1

event: text
data: {"piece": "The ramen"}
id: 2

event: problem
data: {"type": "about:blank", "title": "Service Unavailable", "status": 503, "code": "replica_lost", "detail": \
"replicas of the generator were lost while they worked on this; try again in 5 s", "errors": [], \
"request_id": "bdaf9c94c25545cc93410ccd2045df7e", "retry_after": 5}
id: 3

"""
EVENTS = {"photos": "PhotosEvent", "text": "TextEvent", "showcase": "Showcase", "problem": "StreamedProblem"}
SHOWCASE: dict[int | str, Document] = {
    200: {
        "description": """The showcase. If `Accept` prefers text/event-stream, the same as server-sent events, each with
one line of ASCII JSON and an id: 1, 2, and so on. Comments (`: ping`) keep an idle connection alive. A stream has one
text (`n` above 1 is refused) and can't be resumed: `Last-Event-ID` is ignored, and a new request starts at event 1.

1. `photos`: the photos, before any text is generated.
2. `text`, any number of times: the next piece of the text as it is generated; may include sentences that are dropped
   from the final response.
3. `showcase`, last: the complete response.

Or, at any point, `problem`, last: why the stream ended early, with the `status` it would have had.""",
        "content": {
            MEDIA_TYPE: {
                "schema": {"type": "string"},
                "example": STREAMED,
                "x-events": {name: {"$ref": f"#/components/schemas/{model}"} for name, model in EVENTS.items()},
            }
        },
    }
}


def refusals(*statuses: int) -> dict[int | str, Document]:
    """A route's `responses` entry for these statuses; `install` adds the components they reference."""
    return {status: {"$ref": f"#/components/responses/{status}"} for status in statuses}


class KeyedRoute(APIRoute):
    """A route documented with the API key and the scope that `serve_apps.http.routes` requires."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        method, *_ = options["methods"]
        scope = rule_for({"path": re.sub(r"{\w+}", "x", path), "method": method}).scope
        if scope is not None:
            options["dependencies"] = [*(options["dependencies"] or ()), Security(KEY, scopes=[scope])]
            options["responses"] = {**(options["responses"] or {}), **refusals(*KEYED)}
        super().__init__(path, endpoint, **options)


def install(api: FastAPI) -> None:
    """Extend the document that `api.openapi()` returns; call this before the first request."""
    made = api.openapi

    def completed() -> Document:
        if api.openapi_schema is None:
            document = made()
            parts = document["components"]
            parts["schemas"] |= models_json_schema(OF_NO_ROUTE, ref_template="#/components/schemas/{model}")[1]["$defs"]
            statuses = sorted({code.status for code in CODES.values()})
            parts["responses"] = {str(status): _refusal(status) for status in statuses}
            for operation in (one for verbs in document["paths"].values() for one in verbs.values()):
                for answer in operation["responses"].values():
                    if "$ref" in answer:
                        answer.pop("description")  # FastAPI's own, which would hide the component's
        assert api.openapi_schema is not None
        return api.openapi_schema

    api.openapi = completed  # type: ignore[method-assign]


def _refusal(status: int) -> Document:
    title, code = HTTPStatus(status).phrase, default_code(status)
    codes = "\n".join(f"- `{name}`: {one.meaning}" for name, one in CODES.items() if one.status == status)
    example = Problem(
        title=title,
        status=status,
        code=code,
        detail=CODES[code].meaning,
        errors=[MISTAKE] if status == 422 else [],
        request_id=REQUEST,
    )
    return {
        "description": f"{title}.\n\n{codes}",
        "headers": HEADERS.get(status, {}),
        "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example.model_dump()}},
    }
