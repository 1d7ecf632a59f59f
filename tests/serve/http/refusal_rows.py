"""Refusals of the HTTP interface, one row each: what is sent, and the status, code and fields that it gets."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from tests.serve.content import form, jpeg

SHOWCASES, SELECTIONS = "/v1/showcases", "/v1/selections"
REVIEWS, PHOTOS = "/v1/users/u/reviews", "/v1/businesses/b/photos"
JSON = {"content-type": "application/json"}
WISH = {"keywords": ["soup"], "business_id": "b0"}
REVIEW = {"review_id": "r", "business_id": "b", "text": "Good."}
SHOWN = {"request_id": "r", "photo_ids": ["p1"], "text": "Good.", "rating": 4}

Row = tuple[str, str, str, dict[str, Any], int, str, str]
# key, method, path, what is sent, status, code, fields at fault: [LOCATION ]POINTER CODE, of the body if no other


def body(**more: Any) -> dict[str, Any]:
    return {"json": WISH | more}


def raw(content: bytes, **headers: str) -> dict[str, Any]:
    return {"content": content, "headers": JSON | {key.replace("_", "-"): value for key, value in headers.items()}}


def photos(**files: bytes) -> dict[str, Any]:
    return {"files": form({name.replace("__", "/"): data for name, data in files.items()})}


def get(path: str, status: int, code: str, fields: str = "", key: str = "all", **headers: str) -> Row:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return key, "GET", path, {"headers": sent}, status, code, fields


def ask_for(sent: dict[str, Any], status: int, code: str, fields: str = "", path: str = SHOWCASES) -> Row:
    return "all", "POST", path, sent, status, code, fields


def put(path: str, sent: dict[str, Any], status: int, code: str, fields: str = "", key: str = "all") -> Row:
    return key, "PUT", path, sent, status, code, fields


async def never() -> AsyncIterator[bytes]:
    yield b"["
    await asyncio.sleep(60)


EMPTY = {"request_id": "r", "photo_ids": [], "text": ""}
NO_FORM = {"content": b"x", "headers": {"content-type": "multipart/form-data"}}
CUT_FORM = {"content": b"--x", "headers": {"content-type": "multipart/form-data; boundary=x"}}
ROWS: list[Row] = [
    *(get("/v1/users", 401, "key_invalid", key=key) for key in ("half", "unknown", "revoked", "expired")),
    get("/v1/users", 401, "key_missing", key="none"),
    put(REVIEWS, {"json": {"reviews": []}}, 403, "scope_missing", key="read"),
    *(get(path, 404, "path_unknown") for path in ("/v1/nothing", "/web/../config.yaml")),
    get("/web/nothing.js", 404, "path_unknown", key="none"),
    get("/v1/photos/nothing", 404, "not_found"),
    *(ask_for(body(business_id=name), 404, "not_found") for name in ("nowhere", "x' OR '1'='1")),
    *(ask_for(body(user_id=name, keywords=None), 404, "not_found") for name in ("nobody", "' OR true --")),
    ("all", "DELETE", "/v1/users", {}, 405, "method_not_allowed", ""),
    get(SHOWCASES, 405, "method_not_allowed"),
    ask_for(body() | {"headers": {"accept": "text/html"}}, 406, "not_acceptable"),
    ask_for({"content": never(), "headers": JSON}, 408, "body_timeout"),
    get("/v1/users", 412, "precondition_failed", if_match='"a"'),
    put(PHOTOS, {"headers": {"if-none-match": "*"}}, 412, "precondition_unsupported"),
    ask_for(raw(b" " * 20_001), 413, "body_too_large"),
    put(PHOTOS, photos(a=b"x" * 50_001), 413, "body_too_large", "/a body_too_large"),
    put(PHOTOS, photos(a=b"", b=b"", c=b"", d=b""), 413, "body_too_large"),
    get("/v1/users?query=" + "a" * 5000, 414, "target_too_long"),
    ask_for(raw(b"{}", content_type="text/plain"), 415, "media_type_unsupported"),
    ask_for({"content": b"{}"}, 415, "media_type_unsupported"),
    ask_for(raw(b"{}", content_encoding="gzip"), 415, "media_type_unsupported"),
    put(PHOTOS, raw(b"{}"), 415, "media_type_unsupported"),
    put(PHOTOS, photos(a=b"GIF89a"), 415, "media_type_unsupported", "/a media_type_unsupported"),
    ask_for(raw(b"[" * 40), 422, "json_too_complex"),
    ask_for(raw(b"[" + b"1," * 6000 + b"1]"), 422, "json_too_complex"),
    *(put(PHOTOS, sent, 422, "form_malformed", " form_malformed") for sent in (NO_FORM, CUT_FORM)),
    put(PHOTOS, photos(a=jpeg()[:900]), 422, "photo_invalid", "/a photo_invalid"),
    put(PHOTOS, photos(a=jpeg(size=(101, 100))), 422, "photo_invalid", "/a photo_invalid"),
    get("/healthz?x", 422, "request_invalid", "query /x extra_forbidden", key="none"),
    get("/v1/users", 429, "rate_exceeded", key="slow"),
    get("/v1/users", 429, "quota_exceeded", key="daily"),
    get("/v1/users", 431, "headers_too_large", x_long="a" * 20_000),
    ask_for(body(keywords=["crash"]), 500, "internal_error", path=SELECTIONS),
    ask_for(body(keywords=["lost"]), 503, "replica_lost", path=SELECTIONS),
    ask_for(body(keywords=["full"]), 503, "overloaded", path=SELECTIONS),
    ask_for(body(keywords=["sleep"]) | {"headers": {"prefer": "wait=0.05"}}, 504, "deadline_exceeded", path=SELECTIONS),
    get("/v1/users", 400, "bad_request", content_length="x"),
]
INVALID: list[tuple[str, str, dict[str, Any], str]] = [  # 422 request_invalid
    ("PUT", REVIEWS, {"json": {"reviews": [REVIEW | {"rating": "5"}]}}, "/reviews/0/rating float_type"),
    ("PUT", REVIEWS, {"json": {"reviews": [REVIEW, REVIEW]}}, "/reviews repeated"),
    (
        *("PUT", REVIEWS, {"json": {"reviews": [{"review_id": "r"}]}}),
        "/reviews/0/business_id missing, /reviews/0/text missing",
    ),
    ("POST", "/v1/feedback", {"json": SHOWN | {"rating": 4.0}}, "/rating int_type"),
    ("POST", "/v1/feedback", {"json": EMPTY}, "/rating feedback_empty"),
    ("POST", SHOWCASES, body(n=2) | {"headers": {"accept": "text/event-stream"}}, "/n stream_single_text"),
    ("POST", SHOWCASES, {}, " missing"),
    ("POST", SHOWCASES, {"json": []}, " model_attributes_type"),
    ("GET", "/v1/photos/a%0Ab", {}, "path /photo_id id_invalid"),
    ("GET", "/v1/users?limit=0", {}, "query /limit greater_than_equal"),
    ("GET", "/v1/users?limit=3.0", {}, "query /limit int_parsing"),
    ("GET", "/v1/users?limit=1_0", {}, "query /limit int_parsing"),
    ("GET", "/v1/users?limit=true", {}, "query /limit int_parsing"),
    ("GET", "/v1/users?limits=3", {}, "query /limits extra_forbidden"),
    ("GET", "/v1/users?limit=3&limit=4", {}, "query /limit repeated"),
    ("GET", "/v1/photos/p1?size=3", {}, "query /size extra_forbidden"),
    ("POST", SHOWCASES + "?k=3", body(), "query /k extra_forbidden"),
    ("PUT", PHOTOS, photos(a__b=jpeg()), "/a~1b id_invalid"),
    ("PUT", PHOTOS, {"data": {"a": "text"}, "files": form({"b": jpeg()})}, "/a file_expected"),
    ("PUT", PHOTOS, {"files": [*form({"a": jpeg()}), *form({"a": jpeg()})]}, "/a repeated"),
]
WISHES: list[tuple[dict[str, Any], str]] = [
    *((body(k=k), "/k int_type") for k in ("3", True, 3.0, None, [3])),
    (body(k=0), "/k greater_than_equal"),
    (body(k=6), "/k less_than_equal"),
    *((body(theta=theta), "/theta float_type") for theta in ("1", True)),
    (body(theta=11), "/theta less_than_equal"),
    (body(n=6), "/n less_than_equal"),
    (body(n="1", seed=False), "/n int_type, /seed int_type"),
    *((body(supported_only=only), "/supported_only bool_type") for only in (1, "true")),
    (body(business_id=7), "/business_id string_type"),
    (body(business_id="a\nb"), "/business_id id_invalid"),
    (body(business_id=None), "/business_id pool_ambiguous"),
    (body(candidates=["p1"]), "/business_id pool_ambiguous"),
    (body(keywords=["a", 7]), "/keywords/1 string_type"),
    (body(keywords="soup"), "/keywords list_type"),
    (body(keywords=[]), "/keywords too_short"),
    (body(keywords=["a"] * 21), "/keywords too_long"),
    (body(keywords=["  "]), "/keywords/0 string_too_short"),
    (body(keywords=["a" * 61]), "/keywords/0 string_too_long"),
    (body(keywords=["?!"]), "/keywords no_words"),
    (body(keywords=None), "/user_id person_ambiguous"),
    (body(user_id="u0"), "/user_id person_ambiguous"),
    (body(user_id="u0", keywords=None, past_reviews=["Lovely."]), "/user_id person_ambiguous"),
    (body(user_id="a\nb", keywords=None), "/user_id id_invalid"),
    (body(past_reviews=[]), "/past_reviews too_short"),
    (body(past_reviews=["?!"]), "/past_reviews no_words"),
    (body(tone=1), "/tone literal_error"),
    (body(tone="brief"), "/n tone_needs_candidates"),
    (body(include=["a"], exclude=["A"]), "/exclude words_contradict"),
    (body(kk=3), "/kk extra_forbidden"),
    (body(**{"a/b~c": 3}), "/a~1b~0c extra_forbidden"),
]
NO_JSON = [
    b"{bad", b'{"a": 1} {}', b'{"a": "\xff"}', json.dumps(WISH).encode("utf-16"), b'{"theta": NaN}',
    b'{"theta": -Infinity}', b'{"k": ' + b"9" * 5000 + b"}", b'{"k": 1, "n": 1, "k": 2}',
]  # fmt: skip
ROWS += [("all", method, path, sent, 422, "request_invalid", fields) for method, path, sent, fields in INVALID]
ROWS += [ask_for(sent, 422, "request_invalid", fields) for sent, fields in WISHES]
ROWS += [ask_for(raw(sent), 422, "json_malformed", " json_malformed") for sent in NO_JSON]
