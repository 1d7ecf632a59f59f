"""What is answered with and without a key, by scope, rate and quota; and what a restart forgets."""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from serve_apps.access.config import AccessConfig
from serve_apps.access.keys import utc_now
from serve_apps.access.meter import Meter
from serve_apps.access.protect import announcement
from serve_apps.access.store import KeyStore, day_of
from serve_apps.args import CONFIG, ShowcaseArgs
from showcases.artifacts import Workspace
from tests.serve.access.helpers import ask, create, id_of, make_api, request


def test_an_open_service_serves_everybody_and_says_so_where_others_reach_it() -> None:
    [answer] = ask(make_api(AccessConfig()), ("GET", "/v1/photos/p"))
    assert answer.json()["tenant"] == "local" and answer.json()["key_id"] is None
    assert announcement(AccessConfig()) == announcement(AccessConfig(host="localhost")) == []
    [line] = announcement(AccessConfig(host="0.0.0.0"))
    assert "everybody who reaches 0.0.0.0" in line
    [line] = announcement(AccessConfig(keys="somewhere"), keys=0)
    assert "no keys yet" in line


def test_refusals_by_scope_and_key(tmp_path: Path, capsys) -> None:
    reader, writer = create(tmp_path, capsys), create(tmp_path, capsys, "--scopes", "write", "--tenant", "other")
    expired, unknown = create(tmp_path, capsys, "--expires", "0d"), create(tmp_path / "elsewhere", capsys)
    api = make_api(AccessConfig(keys=str(tmp_path)))
    feedback = {"json": {"liked": True}}
    for token, method, place, options, status, says in (
        (None, "GET", "/healthz", {}, 200, ""),
        (None, "GET", "/v1/photos/p", {}, 401, "a key is needed"),
        (reader[:-1] + "~", "GET", "/v1/photos/p", {}, 401, "isn't a whole key"),
        (unknown, "GET", "/v1/photos/p", {}, 401, "isn't known"),
        (reader.replace(id_of(reader), id_of(writer)), "GET", "/v1/photos/p", {}, 401, "isn't a whole key"),
        (expired, "GET", "/v1/photos/p", {}, 401, "has expired"),
        (reader, "GET", "/v1/photos/p", {}, 200, ""),
        (reader, "POST", "/v1/showcases", {"json": {}}, 200, ""),
        (reader, "POST", "/v1/feedback", feedback, 403, "the scope write; this one has read"),
        (reader, "DELETE", "/v1/users/u", {}, 403, "the scope admin"),
        (reader, "GET", "/v1/elsewhere", {}, 404, "no such path"),
        (reader, "GET", "/metrics", {}, 403, "the scope admin"),
        (writer, "POST", "/v1/feedback", feedback, 200, ""),
        (writer, "GET", "/v1/photos/p", {}, 403, "the scope read; this one has write"),
    ):
        [answer] = ask(api, request(token, method, place, **options))
        assert (answer.status_code, says in answer.text) == (status, True), (method, place, answer.text)
        if status in (401, 403):
            assert answer.headers["www-authenticate"].startswith('Bearer realm="showcases"')
            assert answer.headers["content-type"] == "application/problem+json"
            assert token is None or token.split("_")[2] not in answer.text + str(answer.headers)
    assert 'error="insufficient_scope", scope="read"' in answer.headers["www-authenticate"]
    [answer] = ask(api, request(writer, "POST", "/v1/feedback", json={}))
    assert answer.json()["tenant"] == "other" and answer.json()["key_id"] == id_of(writer)


def test_the_rate_is_a_keys_own_and_divided_by_the_gateways(tmp_path: Path, capsys) -> None:
    busy, calm = (create(tmp_path, capsys, "--rate", "0.01", "--burst", "6") for _ in range(2))
    api = make_api(AccessConfig(keys=str(tmp_path), gateways=2))
    answers = ask(api, *[request(busy, "GET", "/v1/photos/p") for _ in range(5)], request(calm, "GET", "/v1/photos/p"))
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429, 200]
    told = answers[3].headers
    assert 190 <= int(told["retry-after"]) <= 200  # 1 / (0.01 / 2)
    assert [told[f"x-ratelimit-{name}"] for name in ("limit", "remaining", "used", "resource")] == [
        "3",
        "0",
        "3",
        "rate",
    ]
    assert int(told["x-ratelimit-reset"]) > time.time() + 500
    assert answers[0].headers["x-ratelimit-remaining"] == "2"


def test_the_quota_ends_at_midnight_and_a_restart_forgets_only_what_was_not_flushed(tmp_path: Path, capsys) -> None:
    token = create(tmp_path, capsys, "--quota", "5", "--rate", "1000")
    store, now = KeyStore(Workspace(str(tmp_path))), [datetime(2026, 3, 1, 23, 59, 50, tzinfo=UTC)]
    key, config = store.read(id_of(token)), AccessConfig(keys=str(tmp_path))

    def meter() -> Meter:
        return Meter(store, config, lambda: 0.0, lambda: now[0])

    async def run() -> None:
        first = meter()
        assert [first.take(key).remaining for _ in range(3)] == [4, 3, 2]
        await first.flush()
        first.take(key)  # not written down before the process dies
        second = meter()
        assert [second.take(key).remaining for _ in range(2)] == [1, 0]
        with pytest.raises(Exception, match="quota of 5 requests a day") as refused:
            second.take(key)
        assert refused.value.headers["retry-after"] == "10"  # type: ignore[attr-defined]
        assert refused.value.headers["x-ratelimit-resource"] == "day"  # type: ignore[attr-defined]
        now[0] = datetime(2026, 3, 2, 0, 0, 0, tzinfo=UTC)
        assert second.take(key).remaining == 4

    asyncio.run(run())
    assert store.last_used() == {key.id: "2026-03-01T23:59Z"}
    now[0] = datetime(2026, 4, 9, tzinfo=UTC)
    meter()
    assert store.days() == []


def test_gateways_add_up_what_they_wrote(tmp_path: Path, capsys) -> None:
    token = create(tmp_path, capsys, "--quota", "4", "--rate", "1000")
    store = KeyStore(Workspace(str(tmp_path)))
    key, config = store.read(id_of(token)), AccessConfig(keys=str(tmp_path))

    async def run() -> list[int]:
        both = [Meter(store, config, lambda: 0.0) for _ in range(2)]
        for one in both:
            one.take(key)
        for one in (*both, both[0]):
            await one.flush()
        return [one.take(key).remaining for one in both]

    assert asyncio.run(run()) == [1, 1]


def test_the_use_is_written_down_by_itself_and_at_the_end(tmp_path: Path, capsys) -> None:
    token = create(tmp_path, capsys, "--quota", "50")
    api, store = make_api(AccessConfig(keys=str(tmp_path))), KeyStore(Workspace(str(tmp_path)))
    sent: list[str] = []

    async def run() -> None:
        messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

        async def receive() -> dict:
            return next(messages)

        async def send(message: dict) -> None:
            sent.append(message["type"])

        await api({"type": "lifespan", "app": api}, receive, send)

    ask(api, request(token, "GET", "/v1/photos/p"))
    asyncio.run(run())
    assert sent[-1] == "lifespan.shutdown.complete"
    assert store.usage(day_of(utc_now()))[id_of(token)].requests == 1


def test_the_shipped_config_is_read_and_agrees_with_itself() -> None:
    args = ShowcaseArgs()
    assert args.access.keys is None and args.access.limits.deadline_s == 30
    (application,) = yaml.safe_load(CONFIG.read_text())["applications"]
    (gateway,) = (one for one in application["deployments"] if one["name"] == "Gateway")
    assert args.access.gateways == gateway["num_replicas"]
