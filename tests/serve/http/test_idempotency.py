"""Idempotency-Key: a write that is sent again gets its first answer, from any gateway, and is done once."""

import asyncio
import datetime
import json
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve_apps.access.config import AccessConfig
from serve_apps.api.app import create_api
from serve_apps.api.feedback import FeedbackStore
from serve_apps.http import idempotency
from serve_apps.http.idempotency import FOLDER, IdempotencyStore, Record
from showcases.catalog import existence_index
from showcases.storage.artifacts import Workspace
from tests.serve.content import Client, Models, jpeg, tiny_encoder
from tests.serve.deployments.test_tenants import key
from tests.unit.catalog.made_up import write

SAID = {"request_id": "r", "photo_ids": ["p1"], "text": "The soup.", "rating": 4}
REVIEWS = {"reviews": [{"review_id": "r1", "business_id": "b0", "text": "Lovely soup."}]}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("idempotency")
    write(str(place / "catalog"))
    return place


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(existence_index, "FRESH_S", 0.02)


@pytest.fixture(scope="module")
def encoder() -> Any:
    return tiny_encoder()


def gateway(root: Path, encoder: Any, token: str | None = None, feedback: Any = None) -> Client:
    """A client of a gateway of its own; all of them have one workspace."""
    models = Models(str(root / "catalog"), encoder)
    models.feedback = feedback or FeedbackStore(Workspace(str(root)))
    return Client(create_api(models, AccessConfig(keys=str(root)) if token else None), token)


def said(root: Path) -> list[dict[str, Any]]:
    return list(FeedbackStore(Workspace(str(root))).rows())


def test_feedback_sent_again_is_one_and_gets_the_same_answer(root: Path, encoder: Any) -> None:
    first, second = gateway(root, encoder), gateway(root, encoder)  # another replica, or the same one after a restart
    before = len(said(root))
    answers = [
        one.sending(idempotency_key='"k-1"')("POST", "/v1/feedback", json=SAID) for one in (first, second, first)
    ]
    assert [answer.status_code for answer in answers] == [201] * 3
    assert len({answer.text for answer in answers}) == 1 and len(said(root)) == before + 1
    assert [answer.headers.get("idempotent-replayed") for answer in answers] == [None, "true", "true"]
    assert {answer.headers["content-type"] for answer in answers} == {"application/json"}
    bare = second.sending(idempotency_key="k-1")("POST", "/v1/feedback", json=SAID)  # without the quotes it is the same
    assert bare.text == answers[0].text


def test_without_a_key_or_with_another_it_is_another(root: Path, encoder: Any) -> None:
    client, before = gateway(root, encoder), len(said(root))
    for headers in ({}, {}, {"idempotency_key": '"k-2"'}, {"idempotency_key": '"k-3"'}):
        assert client.sending(**headers)("POST", "/v1/feedback", json=SAID).status_code == 201
    assert len(said(root)) == before + 4


def test_another_request_with_the_same_key_is_refused(root: Path, encoder: Any) -> None:
    client = gateway(root, encoder).sending(idempotency_key='"k-4"')
    assert client("PUT", "/v1/users/one/reviews", json=REVIEWS).status_code == 200
    for method, path, body in (
        ("PUT", "/v1/users/one/reviews", {"reviews": []}),
        ("PUT", "/v1/users/two/reviews", REVIEWS),
        ("POST", "/v1/feedback", SAID),
    ):
        answer = client(method, path, json=body)
        assert answer.status_code == 422 and "this key was used for a different request" in answer.json()["detail"]
    assert client("GET", "/v1/users/one/reviews").json()["total"] == 1
    assert client("GET", "/v1/users/two/reviews").status_code == 404


def test_a_form_is_the_same_whatever_its_boundary(root: Path, encoder: Any) -> None:
    client = gateway(root, encoder).sending(idempotency_key='"k-5"')
    answers = [client.put_photos("keyed", {"k5": jpeg(1)}) for _ in range(2)]
    assert answers[0].request.headers["content-type"] != answers[1].request.headers["content-type"]
    assert [answer.status_code for answer in answers] == [200, 200] and answers[0].text == answers[1].text
    assert client.put_photos("keyed", {"k5": jpeg(2)}).status_code == 422


def test_a_refusal_frees_the_key(root: Path, encoder: Any) -> None:
    client = gateway(root, encoder).sending(idempotency_key='"k-6"')
    assert client("POST", "/v1/feedback", json={**SAID, "rating": 9}).status_code == 422
    assert client("POST", "/v1/feedback", json=SAID).status_code == 201


def test_keys_of_two_tenants_never_meet(root: Path, encoder: Any) -> None:
    tokens = [key(root, "--tenant", name, "--scopes", "read,write") for name in ("acme", "other")]
    answers = [
        gateway(root, encoder, token).sending(idempotency_key='"k-7"')("POST", "/v1/feedback", json=SAID)
        for token in tokens
    ]
    assert [answer.status_code for answer in answers] == [201, 201] and answers[0].text != answers[1].text


@pytest.mark.parametrize("given", ["", '""', '"unclosed', "two words", "a,b", "é", '"' + "a" * 256 + '"'])
def test_a_key_that_is_none(root: Path, encoder: Any, given: str) -> None:
    client = gateway(root, encoder)
    client.headers["idempotency-key"] = given.encode("latin-1")
    answer = client("POST", "/v1/feedback", json=SAID)
    assert answer.status_code == 400 and "Idempotency-Key: not a string" in answer.json()["detail"]
    assert client("POST", "/v1/selections", json={"keywords": ["soup"], "business_id": "b0"}).status_code == 200


class Slow(FeedbackStore):
    """Writes when it may."""

    begun, go_on = threading.Event(), threading.Event()

    def save(self, *args: Any) -> str:
        self.begun.set()
        assert self.go_on.wait(30)
        return super().save(*args)


def test_while_the_first_is_worked_on_the_second_is_refused(root: Path, encoder: Any) -> None:
    slow, other = gateway(root, encoder, feedback=Slow(Workspace(str(root)))), gateway(root, encoder)

    async def scene() -> tuple[httpx.Response, httpx.Response]:
        def to(client: Client) -> Any:
            return httpx.AsyncClient(
                transport=httpx.ASGITransport(app=client.api), base_url="http://service", timeout=60
            )

        headers = {"idempotency-key": '"k-8"'}
        async with to(slow) as one, to(other) as two:
            first = asyncio.create_task(one.post("/v1/feedback", json=SAID, headers=headers))
            await asyncio.to_thread(Slow.begun.wait, 30)
            second = await two.post("/v1/feedback", json=SAID, headers=headers)
            Slow.go_on.set()
            return await first, second

    first, second = asyncio.run(scene())
    assert first.status_code == 201 and second.status_code == 409
    assert int(second.headers["retry-after"]) >= 1 and "still in progress" in second.json()["detail"]
    again = other.sending(idempotency_key='"k-8"')("POST", "/v1/feedback", json=SAID)
    assert again.status_code == 201 and again.text == first.text


def test_what_a_lost_gateway_began_is_done_by_the_next_and_once(
    root: Path, encoder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was lost after it wrote the feedback and before it stored the answer."""
    write_record = IdempotencyStore.write
    with monkeypatch.context() as patch:
        patch.setattr(IdempotencyStore, "write", lambda *given: given[-1].status or write_record(*given))
        lost = gateway(root, encoder).sending(idempotency_key='"k-9"')("POST", "/v1/feedback", json=SAID)
    before = len(said(root))
    client = gateway(root, encoder).sending(idempotency_key='"k-9"')
    assert client("POST", "/v1/feedback", json=SAID).status_code == 409
    monkeypatch.setattr(idempotency, "RUNNING_S", 0)
    again = client("POST", "/v1/feedback", json=SAID)
    assert again.status_code == 201 and again.json()["feedback_id"] == lost.json()["feedback_id"]
    assert len(said(root)) == before


def test_old_keys_are_forgotten(tmp_path: Path) -> None:
    store, now = IdempotencyStore(Workspace(str(tmp_path))), datetime.datetime.now(datetime.UTC)
    for days in (0, 1, 2, 9):
        began = (now - datetime.timedelta(days=days)).isoformat()
        store.write(f"k{days}", Record("same", began, 200, "application/json", "{}"))
    assert [store.begin(f"k{days}", "same").status for days in (0, 1)] == [200, 200]
    assert store.begin("k2", "another").status == 0
    today, yesterday = (f"{now - datetime.timedelta(days=days):%Y-%m-%d}" for days in (0, 1))
    assert sorted(path.name for path in (tmp_path / FOLDER).iterdir()) == [yesterday, today]


def test_on_s3(s3_server) -> None:
    workspace = Workspace(s3_server.root("idempotency"))
    first, second = IdempotencyStore(workspace), IdempotencyStore(workspace)
    record = first.begin("name", "print")
    assert record.status == 0
    first.write("name", Record("print", record.began, 201, "application/json", json.dumps({"a": 1})))
    assert second.begin("name", "print").body == '{"a": 1}'
    second.forget("name", record)
    assert second.begin("name", "other").status == 0


def test_files_of_a_form_count_by_name_and_content() -> None:
    scope = {"method": "PUT", "path": "/p", "query_string": b""}

    def fingerprint(boundary: bytes, body: bytes) -> str:
        headers = [(b"content-type", b"multipart/form-data; boundary=" + boundary)]
        return idempotency.fingerprint_of({**scope, "headers": headers}, body)

    assert fingerprint(b"x", b"--x\r\na\r\n--x--") == fingerprint(b"yy", b"--yy\r\na\r\n--yy--")
    assert fingerprint(b"x", b"--x\r\na\r\n--x--") != fingerprint(b"x", b"--x\r\nb\r\n--x--")
    assert fingerprint(b"x", b"--x\r\na\r\n--x--") != fingerprint(b"x", b"--x\r\na\r\n--x\r\n--x--")
