"""Accept by RFC 9110: weights, wildcards, the most specific range; what nothing fits is refused."""

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from serve_apps.http.accept import choose
from serve_apps.http.asgi import RefusedError
from tests.serve.access.helpers import ask, request
from tests.serve.stub import stub_api

JSON, STREAM = "application/json", "text/event-stream"
WISH = {"keywords": ["soup"], "business_id": "b0"}


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ([], JSON),
        ([""], JSON),
        (["*/*"], JSON),
        (["application/*"], JSON),
        (["text/*"], STREAM),
        (["text/event-stream"], STREAM),
        (["TEXT/Event-Stream"], STREAM),
        (["text/event-stream;charset=utf-8"], STREAM),
        (["text/event-stream, application/json"], JSON),  # no preference of the client's: the first one offered
        (["text/event-stream, application/json;q=0.9"], STREAM),
        (["text/event-stream;q=0.5, application/json;q=0.6"], JSON),
        (["text/event-stream;q=0"], None),
        (["text/event-stream;q=0, */*"], JSON),
        (["text/event-stream;q=0.000, */*;q=0.1"], JSON),
        (["*/*, application/json;q=0"], STREAM),  # the more specific range decides, wherever it stands
        (["text/*;q=0.3, text/event-stream;q=0.7, */*;q=0.5"], STREAM),
        (["text/event-stream, */*"], STREAM),  # named, where the other is only covered
        (["application/json ; Q=0.2", "text/event-stream ;q=0.1"], JSON),
        (["text/html"], None),
        (["text/html, application/xhtml+xml, image/*"], None),
        (["x-text/event-stream-like"], None),
        (["text/event-streams"], None),
        (["*/json"], None),
        (["text/event-stream;q=2, application/json;q=0.1"], JSON),  # no weight by the grammar: ignored
        (['text/plain;note="a, text/event-stream"'], None),
        (["nonsense"], None),
    ],
)
def test_the_most_specific_range_decides(accept: list[str], chosen: str | None) -> None:
    if chosen is not None:
        assert choose(accept, (JSON, STREAM)) == chosen
        return
    with pytest.raises(RefusedError) as refused:
        choose(accept, (JSON, STREAM))
    assert (refused.value.status, refused.value.code) == (406, "not_acceptable")


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    return stub_api(tmp_path_factory.mktemp("accept"))


def post(api: FastAPI, accept: str) -> httpx.Response:
    [answer] = ask(api, request(None, "POST", "/v1/showcases", json=WISH, headers={"accept": accept}))
    return answer


@pytest.mark.parametrize(
    ("accept", "kind"),
    [("text/event-stream;q=0, */*", JSON), ("*/*", JSON), ("application/json;q=0.1, text/*", STREAM)],
)
def test_the_showcase_comes_as_preferred_and_says_that_it_varies(api: FastAPI, accept: str, kind: str) -> None:
    answer = post(api, accept)
    assert answer.status_code == 200 and answer.headers["content-type"].partition(";")[0] == kind
    assert answer.headers["vary"] == "Accept"


def test_what_nothing_fits_is_refused_before_a_model_is_asked(api: FastAPI) -> None:
    answer = post(api, "text/event-stream;q=0, text/html")
    assert answer.status_code == 406 and answer.headers["vary"] == "Accept"
    assert "application/json nor text/event-stream" in answer.json()["detail"]


def test_routes_of_one_type_ignore_accept(tmp_path: Path) -> None:
    photo, page = ask(
        stub_api(tmp_path),
        request(None, "GET", "/v1/photos/p1", headers={"accept": "text/html"}),
        request(None, "GET", "/docs", headers={"accept": "image/png"}),
    )
    assert photo.status_code == page.status_code == 200 and "vary" not in photo.headers
