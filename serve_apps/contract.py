"""What OpenAPI says beyond the routes: keys and scopes, every refusal of every layer, headers, examples, events.

`install` works over the finished document, so a new route is told of as soon as it is there.
"""

import re
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI

from serve_apps.access.config import AccessConfig
from serve_apps.access.routes import rule_for
from serve_apps.examples import REQUEST_ID, example_of
from serve_apps.http.codes import CODES, default_code
from serve_apps.schemas import StreamedProblem

Document = dict[str, Any]
PROBLEM, STREAM = "application/problem+json", "text/event-stream"
KEY = "key"
VERBS = ("get", "put", "post", "delete", "patch", "head", "options")
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
)  # whatever the route: the layers before it answer so
KEYED = (401, 403, 429)
BUSY = (429, 503)
REFUSALS = {
    400: "The server can't make sense of the request, or the body is not of the kind that it is declared to be.",
    401: "No key, or one that is unknown, revoked or expired; WWW-Authenticate says which.",
    403: "The key lacks the scope that this operation needs.",
    404: "There is no such thing for this key.",
    406: "`Accept` excludes every type that this operation answers with.",
    408: "The body was not whole in time.",
    409: "A photo's id names another photo already, or the first request with this Idempotency-Key is still under way.",
    412: "`If-Match` names other ETags than that of what is there, or a write has a condition, which none may have.",
    413: "The body has more bytes than are read.",
    414: "Path and query are too long.",
    415: "The body is of a kind that is not read here, or it is packed.",
    422: "Something in the request has a value that is not allowed; `errors` names each.",
    429: "This key has used up its rate, its quota or its share of a model's places; come back after Retry-After.",
    431: "The headers are too long.",
    500: "Something failed here; the service's log has it under the request id.",
    503: "The service, or a model, has all the work that it can hold or is not ready; come back after Retry-After.",
    504: "No answer by the deadline (`Prefer: wait=SECONDS`, at most the service's own); the work was called off.",
}
MISTAKE = {
    "location": "body",
    "pointer": "/k",
    "code": "less_than_equal",
    "message": "Input should be less than or equal to 5",
}
INTEGER = {"type": "integer", "minimum": 0}
HEADERS: dict[str, Document] = {
    "X-Request-ID": {
        "description": "The request's id, as sent in X-Request-ID (1 to 64 letters, digits, - or _) or made here.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 64},
        "example": REQUEST_ID,
    },
    "Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}, "example": 2},
    "WWW-Authenticate": {
        "description": "How to authenticate, and what was wrong (RFC 6750).",
        "schema": {"type": "string"},
        "example": 'Bearer realm="showcases"',
    },
    "Cache-Control": {"schema": {"type": "string"}, "example": "no-store"},
    "ETag": {
        "description": "Of the whole answer; send it in If-None-Match to get 304 while nothing has changed.",
        "schema": {"type": "string"},
        "example": 'W/"3q2-7wABAgMEBQYHCAkKCwwNDg8Q"',
    },
    "Vary": {"schema": {"type": "string"}, "example": "Accept"},
    "X-RateLimit-Limit": {"description": "Requests that the window holds.", "schema": INTEGER, "example": 20},
    "X-RateLimit-Remaining": {"description": "Those that are left.", "schema": INTEGER, "example": 19},
    "X-RateLimit-Used": {"description": "Those that were used.", "schema": INTEGER, "example": 1},
    "X-RateLimit-Reset": {
        "description": "When all are there again, in UTC epoch seconds.",
        "schema": INTEGER,
        "example": 1772366400,
    },
    "X-RateLimit-Resource": {
        "description": "Which window that is: the key's rate, or its quota of the day.",
        "schema": {"type": "string", "enum": ["rate", "day"]},
        "example": "rate",
    },
}
LIMITS = tuple(name for name in HEADERS if name.startswith("X-RateLimit-"))
ABOUT_EVENTS = """The showcase; where `Accept` prefers text/event-stream, the same as server-sent events, each with
one line of JSON in ASCII, and an id: 1, 2, and so on. While there is no event, comments (`: ping`) come. A stream has
one text (`n` above 1 is refused) and can't be resumed: `Last-Event-ID` is ignored, another request starts with event 1.

1. `photos`: the photos, before anything is written.
2. `text`, any number of times: the next piece of the text as it is written; sentences that the answer leaves out may
   be among them.
3. `showcase`, last: the whole answer.

Or, at any place, `problem`, last: why there is no more; its `status` stands for the one that can't be sent any more."""
EVENTS: dict[str, Document] = {
    "photos": {
        "type": "object",
        "required": ["photos"],
        "properties": {"photos": {"type": "array", "items": {"$ref": "#/components/schemas/ShownPhoto"}}},
    },
    "text": {"type": "object", "required": ["piece"], "properties": {"piece": {"type": "string"}}},
    "showcase": {"$ref": "#/components/schemas/Showcase"},
    "problem": {"$ref": "#/components/schemas/StreamedProblem"},
}
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


def install(api: FastAPI, access: AccessConfig) -> None:
    """Have `api.openapi()` tell all of it; call it before the first request."""
    plain, keyed = api.openapi, access.keys is not None

    def told() -> Document:
        if api.openapi_schema is None:
            api.openapi_schema = completed(plain(), keyed)
        return api.openapi_schema

    api.openapi = told  # type: ignore[method-assign]


def completed(document: Document, keyed: bool) -> Document:
    """The document with what the layers add; `keyed` says whether this service asks for keys."""
    parts = document["components"]
    streamed = StreamedProblem.model_json_schema(ref_template="#/components/schemas/{model}")
    streamed.pop("$defs")  # FieldError is there already, of Problem
    parts["schemas"]["StreamedProblem"] = streamed  # of no route, but of an event
    parts["securitySchemes"] = {
        KEY: {
            "type": "http",
            "scheme": "bearer",
            "description": "A key, `sc_ID_SECRET`; its scopes: read, write, admin.",
        }
    }
    parts["headers"] = HEADERS
    parts["responses"] = {str(status): _refusal(status, keyed) for status in REFUSALS}
    for path, verbs in document["paths"].items():
        for verb in VERBS & verbs.keys():
            _complete(verbs[verb], path, verb.upper(), parts["schemas"], keyed)
    return document


def _complete(operation: Document, path: str, method: str, schemas: Document, keyed: bool) -> None:
    rule = rule_for({"path": re.sub(r"{\w+}", "x", path), "method": method})
    needed = [{KEY: [rule.scope]}]  # for a bearer scheme these are roles, OpenAPI 3.1 section 4.8.30
    public = rule.scope is None
    operation["security"] = [] if public else needed if keyed else [{}, *needed]
    answers = operation["responses"]
    if method == "GET":
        answers["304"] = {"description": "If-None-Match has the ETag of what is there."}
    declared = {int(code) for code in answers if int(code) >= 400}
    refused = {*declared, *EVERYWHERE, *(KEYED if keyed and not public else ())}
    for code, answer in answers.items():
        if int(code) < 400:
            _add_success(answer, keyed and not public, schemas, method)
    kept = {code: answer for code, answer in answers.items() if int(code) < 400}
    operation["responses"] = kept | {str(code): {"$ref": f"#/components/responses/{code}"} for code in sorted(refused)}
    _add_asked(operation, schemas)


def _add_success(answer: Document, keyed: bool, schemas: Document, method: str) -> None:
    names = ["X-Request-ID", *(["ETag"] if method == "GET" else ()), *(LIMITS if keyed else ())]
    names += ["Vary"] if STREAM in answer.get("content", {}) else []
    content = answer.get("content", {})
    answer["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    if "image/jpeg" in content:
        lasting = "public, max-age=86400, immutable"
        answer["headers"]["Cache-Control"] = {**HEADERS["Cache-Control"], "required": True, "example": lasting}
    if STREAM in content:
        answer["description"] = ABOUT_EVENTS
        content[STREAM] |= {"example": STREAMED, "x-events": EVENTS}
    for kind, media in content.items():
        if kind == "application/json" and "schema" in media:
            media["example"] = example_of(media["schema"], schemas)


def _add_asked(operation: Document, schemas: Document) -> None:
    for parameter in operation.get("parameters", ()):
        parameter["example"] = example_of(parameter["schema"], schemas, parameter["name"])
    for media in operation.get("requestBody", {}).get("content", {}).values():
        schema = media["schema"]
        own = schemas.get(schema.get("$ref", "").rpartition("/")[2], schema).get("examples")
        examples = own or [example_of(schema, schemas)]
        media["examples"] = {str(number): {"value": value} for number, value in enumerate(examples, 1)}


def _refusal(status: int, keyed: bool) -> Document:
    names = ["X-Request-ID", "Cache-Control"]
    names += ["Retry-After"] if status in BUSY else []
    names += ["WWW-Authenticate"] if status in (401, 403) else []
    names += LIMITS if keyed and status in (404, 422, *BUSY) else ()
    title = HTTPStatus(status).phrase
    codes = "\n".join(f"- `{name}`: {code.meaning}" for name, code in CODES.items() if code.status == status)
    example = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "code": default_code(status),
        "detail": REFUSALS[status],
        "errors": [MISTAKE] if status == 422 else [],
        "request_id": REQUEST_ID,
    }
    return {
        "description": f"{title}. {REFUSALS[status]}\n\n{codes}",
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
        "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}},
    }
