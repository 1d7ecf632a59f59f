"""ETags and what clients make of them (RFC 9110, sections 8.8, 13, 14), by the real routes over a real catalog."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from serve_apps.http.validators import etag, matches
from tests.serve.access.helpers import ask, request
from tests.serve.content import Client, jpeg
from tests.serve.stub import stub_api

GETS = ["/v1/photos/p1", "/", "/docs", "/web/app.js", "/v1/users", "/v1/users/u0/reviews", "/openapi.json"]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    return stub_api(tmp_path_factory.mktemp("validators"))


def get(api: FastAPI, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    [answer] = ask(api, request(None, method, path, headers={key.replace("_", "-"): v for key, v in headers.items()}))
    return answer


@pytest.mark.parametrize("path", GETS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_has_it_is_not_sent_it_again(api: FastAPI, path: str, method: str) -> None:
    first = get(api, path)
    tag = first.headers["etag"]
    for given in (tag, tag.removeprefix("W/"), f'"other", {tag}', f'W/"a,b",{tag}, "x"', "*", " * "):
        again = get(api, path, method, if_none_match=given)
        assert again.status_code == 304 and again.content == b"", given
        for name in ("etag", "cache-control", "vary"):  # section 15.4.5: those that the 200 would have
            assert again.headers.get(name) == first.headers.get(name)
        assert not {"content-length", "content-type"} & again.headers.keys()
    for given in ('"other"', "nothing", tag.strip('W/"'), tag[:-2] + '"'):
        assert get(api, path, if_none_match=given).content == first.content, given


def test_several_lines_are_one_list(api: FastAPI) -> None:
    tag = get(api, "/v1/photos/p1").headers["etag"]
    sent = httpx.Request("GET", "http://s/v1/photos/p1", headers=[("if-none-match", '"a"'), ("if-none-match", tag)])
    assert ask(api, sent)[0].status_code == 304


@pytest.mark.parametrize(
    ("given", "tag", "same"),
    [  # the table of section 8.8.3.2, weak comparison
        ('W/"1"', 'W/"1"', True),
        ('W/"1"', 'W/"2"', False),
        ('W/"1"', '"1"', True),
        ('"1"', '"1"', True),
        ('w/"1"', '"1"', True),  # the tag "1" is in it; W is upper case by the grammar
        ('"a", "1"', '"1"', True),
        ("1", '"1"', False),
        ("", '"1"', False),
    ],
)
def test_weak_comparison(given: str, tag: str, same: bool) -> None:
    assert matches(given, tag) is same


def test_other_bytes_have_another_tag_and_a_refusal_has_none(api: FastAPI) -> None:
    tags = {get(api, f"/v1/photos/p{number}").headers["etag"] for number in range(9)}
    assert len(tags) == 9 and etag(b"jpeg of p1") in tags
    missing = get(api, "/v1/photos/none", if_none_match="*")
    assert missing.status_code == 404 and "etag" not in missing.headers


def test_what_is_replaced_is_sent_anew(api: FastAPI) -> None:
    client = Client(api)
    assert client.put_photos("new-place", {"mine": jpeg(1)}).status_code == 200
    old = client("GET", "/v1/photos/mine")
    assert client.put_photos("new-place", {"mine": jpeg(2)}).status_code == 200
    new = client.sending(if_none_match=old.headers["etag"])("GET", "/v1/photos/mine")
    assert new.status_code == 200 and new.content != old.content and new.headers["cache-control"] == "private, no-cache"
    assert client("PUT", "/v1/businesses/new-place/photos").status_code == 200


@pytest.mark.parametrize("path", ["/v1/photos/p1", "/web/app.js"])
@pytest.mark.parametrize("asked", ["bytes=0-3", "bytes=-5", "bytes=0-1,4-5", "bytes=999999999-", "lines=1-2"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_range_is_answered_whole_and_nobody_is_told_otherwise(
    api: FastAPI, path: str, asked: str, method: str
) -> None:
    whole, part = get(api, path), get(api, path, method, range=asked, if_range='"other"')
    assert part.status_code == 200 and part.headers["accept-ranges"] == "none"
    assert "content-range" not in part.headers and part.headers["content-length"] == str(len(whole.content))
    assert part.content == (whole.content if method == "GET" else b"")


def test_if_match_compares_strongly(api: FastAPI) -> None:
    tag = get(api, "/v1/photos/p1").headers["etag"]
    assert get(api, "/v1/photos/p1", if_match="*").status_code == 200
    changed = get(api, "/v1/photos/p1", if_match=tag)
    assert changed.status_code == 412 and changed.json()["code"] == "precondition_failed"


@pytest.mark.parametrize("condition", [{"if-none-match": "*"}, {"if-match": '"a"'}])
def test_a_write_with_a_condition_is_not_done_without_it(api: FastAPI, condition: dict[str, Any]) -> None:
    body = {"reviews": [{"review_id": "r", "business_id": "b", "text": "Good soup."}]}
    sent = request(None, "PUT", "/v1/users/conditional/reviews", json=body, headers=condition)
    answer, after = ask(api, sent, request(None, "GET", "/v1/users/conditional/reviews"))
    assert answer.status_code == 412 and answer.json()["code"] == "precondition_unsupported"
    assert after.status_code == 404


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/v1/photos/p1", "GET, HEAD, OPTIONS"),
        ("/v1/users/u0/reviews", "GET, HEAD, OPTIONS, PUT"),
        ("/v1/showcases", "OPTIONS, POST"),
        ("/docs", "GET, HEAD, OPTIONS"),
    ],
)
def test_options_and_a_wrong_method_name_the_same_methods_and_all_of_them_work(
    api: FastAPI, path: str, allow: str
) -> None:
    options, wrong = ask(api, request(None, "OPTIONS", path), request(None, "PATCH", path))
    assert options.status_code == 204 and not options.content and wrong.status_code == 405
    assert options.headers["allow"] == wrong.headers["allow"] == allow
    for method in allow.split(", "):
        assert get(api, path, method).status_code != 405
    assert get(api, "/v1/nothing", "OPTIONS").status_code == 404
