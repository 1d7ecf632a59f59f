"""What is answered with and without a key, by scope."""

from pathlib import Path

from serve_apps.access.config import AccessConfig
from serve_apps.access.protect import startup_warnings
from serve_apps.args import ShowcaseArgs
from tests.serve.access.helpers import ask, create, id_of, make_api, request


def test_an_open_service_serves_everybody_and_says_so_where_others_reach_it() -> None:
    [answer] = ask(make_api(AccessConfig()), ("GET", "/v1/photos/p"))
    assert answer.json()["tenant"] == "local" and answer.json()["key_id"] is None
    assert startup_warnings(AccessConfig()) == startup_warnings(AccessConfig(host="localhost")) == []
    [line] = startup_warnings(AccessConfig(host="0.0.0.0"))
    assert "everyone who can reach 0.0.0.0" in line
    [line] = startup_warnings(AccessConfig(keys="somewhere"), keys=0)
    assert "no keys yet" in line


def test_refusals_by_scope_and_key(tmp_path: Path, capsys) -> None:
    reader, writer = create(tmp_path, capsys), create(tmp_path, capsys, "--scopes", "write", "--tenant", "other")
    expired, unknown = create(tmp_path, capsys, "--expires", "0d"), create(tmp_path / "elsewhere", capsys)
    api = make_api(AccessConfig(keys=str(tmp_path)))
    feedback = {"json": {"liked": True}}
    for token, method, place, options, status, says in (
        (None, "GET", "/healthz", {}, 200, ""),
        (None, "GET", "/v1/photos/p", {}, 401, "an API key is required"),
        (reader[:-1] + "~", "GET", "/v1/photos/p", {}, 401, "the key is malformed"),
        (unknown, "GET", "/v1/photos/p", {}, 401, "isn't known"),
        (reader.replace(id_of(reader), id_of(writer)), "GET", "/v1/photos/p", {}, 401, "the key is malformed"),
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


def test_the_shipped_config_is_read() -> None:
    args = ShowcaseArgs()
    assert args.access.keys is None and args.access.limits.deadline_s == 30
