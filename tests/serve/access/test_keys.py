"""Keys: their form, what is kept of them, rotation, revocation, writers at the same time, tampered files."""

import asyncio
import hmac
import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from serve_apps import keys as command
from serve_apps.access import tokens
from serve_apps.access.keyring import KeyRing
from serve_apps.access.keys import Key, matches, utc_now
from serve_apps.access.store import KeyStore, KeyStoreError
from showcases.storage.artifacts import Workspace
from tests.serve.access.helpers import create, id_of


def test_a_mistyped_key_is_told_from_an_unknown_one() -> None:
    token = tokens.new_token(tokens.new_id())
    assert tokens.key_id_of(token) == id_of(token)
    for place in range(len(token)):
        other = "a" if token[place] != "a" else "b"
        assert tokens.key_id_of(token[:place] + other + token[place + 1 :]) is None
    assert tokens.key_id_of(token[:-1]) is None and tokens.key_id_of(token + "a") is None
    assert len(tokens.ALPHABET) ** tokens.SECRET_CHARACTERS > 2**160


def test_every_digest_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys) -> None:
    token = create(tmp_path, capsys)
    key, compared = KeyStore(Workspace(str(tmp_path))).read(id_of(token)), []
    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append((a, b)) or real(a, b))
    assert matches(key, token, utc_now())
    assert not matches(key, token[:-1] + "_", utc_now()) and not matches(None, token, utc_now())
    assert len(compared) == 6  # as many for a key as for none, and never only up to the first hit


def test_nothing_of_the_secret_is_kept(tmp_path: Path, capsys) -> None:
    token = create(tmp_path, capsys, "--note", "for the shop")
    command.main(["rotate", id_of(token), "--root", str(tmp_path)])
    second = capsys.readouterr().out.strip()
    command.main(["list", "--root", str(tmp_path)])
    shown = capsys.readouterr().out
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for secret in (token.split("_")[2], second.split("_")[2]):
        pieces = [secret[start : start + 8] for start in range(len(secret) - 8)]
        assert not any(piece.encode() in kept or piece in shown for piece in pieces)
    assert "for the shop" in shown and "rotating" in shown
    assert (tmp_path / "access" / "keys").stat().st_mode & 0o077 == 0


def test_both_secrets_work_for_the_overlap_and_no_third(tmp_path: Path) -> None:
    now = utc_now()
    key_id = tokens.new_id()
    first, second, third = (tokens.new_token(key_id) for _ in range(3))
    key = example(key_id, first).rotated(second, timedelta(hours=1), now)
    later = now + timedelta(minutes=59)
    assert matches(key, first, later) and matches(key, second, later)
    assert not matches(key, first, now + timedelta(hours=1)) and matches(key, second, now + timedelta(hours=1))
    again = key.rotated(third, timedelta(hours=1), now + timedelta(seconds=5))
    assert [matches(again, token, later) for token in (first, second, third)] == [False, True, True]
    at_once = key.rotated(third, timedelta(0), now)
    assert [matches(at_once, token, now) for token in (first, second, third)] == [False, False, True]


def test_a_running_gateway_sees_new_rotated_and_revoked_keys(tmp_path: Path, capsys) -> None:
    clock = [0.0]
    ring = KeyRing(KeyStore(Workspace(str(tmp_path))), 2, 300, lambda: clock[0])

    def found(token: str) -> bool:
        clock[0] += 2
        key = asyncio.run(ring.find(id_of(token)))
        return matches(key, token, utc_now()) and key is not None and key.refusal(utc_now()) is None

    first = create(tmp_path, capsys)
    assert found(first)
    command.main(["rotate", id_of(first), "--overlap", "0d", "--root", str(tmp_path)])
    second = capsys.readouterr().out.strip()
    assert not found(first) and found(second)
    command.main(["revoke", id_of(first), "--root", str(tmp_path)])
    assert not found(second)
    (tmp_path / "access" / "keys" / f"{id_of(first)}.json").unlink()
    assert not found(second)


def test_keys_may_lie_on_s3(s3_server, capsys) -> None:
    root = s3_server.root("keys-of-the-service")
    store, clock = KeyStore(Workspace(root)), [0.0]
    ring, tokens_made = KeyRing(store, 2, 300, lambda: clock[0]), []
    for options in (["create", "--tenant", "acme"], ["rotate", "ID", "--overlap", "0d"], ["revoke", "ID"]):
        command.main([option.replace("ID", "".join(store.ids())) for option in options] + ["--root", root])
        tokens_made.append(capsys.readouterr().out.strip())
        clock[0] += 2
        key = asyncio.run(ring.find(id_of(tokens_made[0])))
        assert key is not None and matches(key, next(filter(None, reversed(tokens_made))), utc_now())
    assert not matches(key, tokens_made[0], utc_now()) and key.refusal(utc_now()) == "this key was revoked"


def test_unreadable_keys_count_for_a_while_only(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    token, clock = create(tmp_path, capsys), [0.0]
    ring = KeyRing(KeyStore(Workspace(str(tmp_path))), 2, 300, lambda: clock[0])

    def down(self: KeyStore) -> None:
        raise OSError("the store is away")

    monkeypatch.setattr(KeyStore, "ids", down)
    clock[0] = 299
    assert asyncio.run(ring.find(id_of(token))) is not None
    clock[0] = 302
    with pytest.raises(Exception, match="keys can't be checked"):
        asyncio.run(ring.find(id_of(token)))


def test_two_processes_that_write_lose_nothing(tmp_path: Path, repository: Path, capsys) -> None:
    token = create(tmp_path, capsys)
    code = f"""
from serve_apps.keys import main
for number in range(12):
    main(["create", "--root", {str(tmp_path)!r}, "--tenant", "acme"])
    main(["rotate", {id_of(token)!r}, "--root", {str(tmp_path)!r}])
"""
    environment = {**os.environ, "PYTHONPATH": f"{repository / 'platform'}{os.pathsep}{repository}"}
    command_line = [sys.executable, "-c", code]
    both = [
        subprocess.Popen(command_line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    printed = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], printed
    store = KeyStore(Workspace(str(tmp_path)))
    made = [line for out, _ in printed for line in out.split() if id_of(line) != id_of(token)]
    assert len(made) == 24 and set(store.ids()) == {id_of(token), *map(id_of, made)}
    assert all(matches(store.read(id_of(one)), one, utc_now()) for one in made)
    rotated = [line for out, _ in printed for line in out.split() if id_of(line) == id_of(token)]
    assert sum(matches(store.read(id_of(token)), one, utc_now()) for one in rotated) == 2  # the last two, whoever's


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scopes": ["read", "root"]}, "scopes.1: Input should be 'read', 'write' or 'admin'"),
        ({"id": "0123456789ab"}, "contains the key 0123456789ab"),
        ({"rate": 0}, "rate: Input should be greater than 0"),
        ({"secrets": []}, "secrets: Tuple should have at least 1 item"),
        ({"superuser": True}, "superuser: Extra inputs are not permitted"),
        (None, "Invalid JSON"),
    ],
)
def test_a_tampered_file_is_named_and_refuses_its_key_alone(tmp_path: Path, capsys, change, message) -> None:
    token, other = create(tmp_path, capsys), create(tmp_path, capsys)
    store, clock = KeyStore(Workspace(str(tmp_path))), [0.0]
    ring = KeyRing(store, 2, 300, lambda: clock[0])
    path = tmp_path / "access" / "keys" / f"{id_of(token)}.json"
    content = json.loads(path.read_text())
    digest = content["secrets"][0]["digest"]
    path.write_text("{" if change is None else json.dumps(content | change))
    with pytest.raises(KeyStoreError) as refused:
        KeyRing(store, 2, 300)  # a gateway that starts
    assert message in str(refused.value) and str(path) in str(refused.value) and digest not in str(refused.value)
    clock[0] = 2
    assert asyncio.run(ring.find(id_of(token))) is None and asyncio.run(ring.find(id_of(other))) is not None


def test_what_the_command_refuses(tmp_path: Path, capsys) -> None:
    for options, message in (
        (["create", "--tenant", "Acme:1"], "tenant: String should match"),
        (["create", "--tenant", "acme", "--scopes", "read,root"], "scopes"),
        (["rotate", "000000000000"], "no such key"),
        (["revoke", "../../x"], "not a key id"),
    ):
        with pytest.raises(SystemExit):
            command.main([*options, "--root", str(tmp_path)])
        assert message in capsys.readouterr().err


def example(key_id: str, token: str) -> Key:
    now = utc_now() - timedelta(days=1)
    return Key.model_validate(
        {"id": key_id, "tenant": "acme", "scopes": ["read"], "rate": 1, "burst": 1, "quota": None, "created": now,
         "expires": None, "secrets": [{"digest": tokens.digest(token), "created": now}]}
    )  # fmt: skip
