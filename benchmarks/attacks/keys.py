"""Attacks with keys that are missing, made up, of others, of too little, ended."""

import io
import time
from contextlib import redirect_stderr, redirect_stdout

import httpx

from benchmarks.attacks.attack import Row, Target, refused
from benchmarks.faults.contract import key
from serve_apps import keys as command
from serve_apps.access import tokens

FOLLOWS_S = 30  # at most, until the gateway knows of a change


def keys(target: Target) -> list[Row]:
    """None of them may read anything, nor learn whether a key exists."""
    made_up = tokens.new_token(tokens.new_id())
    wrong_secret = tokens.new_token(str(tokens.key_id_of(target.token)))
    given = {
        "none": {},
        "another scheme": {"authorization": "Basic YTpi"},
        "empty": {"authorization": "Bearer"},
        "mistyped": {"authorization": f"Bearer {target.token[:-1]}{'a' if target.token[-1] != 'a' else 'b'}"},
        "made up, well formed": {"authorization": f"Bearer {made_up}"},
        "a known id, another secret": {"authorization": f"Bearer {wrong_secret}"},
        "SQL": {"authorization": "Bearer sc_' OR 1=1 --"},
        "a path": {"authorization": "Bearer sc_../../../x_" + "a" * 38},
        "in the query": {},
    }
    rows = []
    for what, headers in given.items():
        query = {"params": {"authorization": target.token}} if what == "in the query" else {}
        answer = target.ask("GET", "/v1/users", headers=headers, **query, bare=True)
        rows.append(refused("foreign key", what, answer, 401))
    details = {row.got for row in rows if row.request in ("made up, well formed", "a known id, another secret")}
    rows.append(Row("foreign key", "does the answer tell that an id exists?", "; ".join(details), len(details) == 1))
    return [*rows, *_ended(target), *_too_little(target)]


def _ended(target: Target) -> list[Row]:
    """Revoked, expired: from within seconds on."""
    with redirect_stderr(io.StringIO()), key(target.root) as token:
        _until(target, token, 200)
    rows = [refused("ended key", "revoked", _until(target, token, 401), 401)]
    said = io.StringIO()
    with redirect_stderr(io.StringIO()), redirect_stdout(said):
        command.main(["create", "--root", target.root, "--tenant", "tools", "--expires", "0d"])
    return [*rows, refused("ended key", "expired", _until(target, said.getvalue().strip(), 401), 401)]


def _too_little(target: Target) -> list[Row]:
    with redirect_stderr(io.StringIO()), key(target.root, "--scopes", "read", "--rate", "1", "--burst", "40") as token:
        _until(target, token, 200)
        mine = {"authorization": f"Bearer {token}"}
        wrote = target.ask("POST", "/v1/feedback", json={}, headers=mine, bare=True)
        removed = target.ask("DELETE", "/v1/users", headers=mine, bare=True)
        answers = [target.ask("GET", "/v1/users?limit=1", headers=mine, bare=True) for _ in range(60)]
    last = next((answer for answer in answers if answer.status_code == 429), answers[-1])
    limited = refused("too many requests", "60 at once with a key of 40", last, 429)
    cases = (("write with read", wrote), ("DELETE with read", removed))
    rows = [refused("too little scope", what, answer, 403) for what, answer in cases]
    after = last.headers.get("retry-after")
    return [*rows, limited, Row("too many requests", "is Retry-After set?", str(after), after is not None)]


def _until(target: Target, token: str, status: int) -> httpx.Response:
    """The answer to a request with this key, once it has this status, or after FOLLOWS_S."""
    ends = time.monotonic() + FOLLOWS_S
    while True:
        answer = target.ask("GET", "/v1/users?limit=1", headers={"authorization": f"Bearer {token}"}, bare=True)
        if answer.status_code == status or time.monotonic() > ends:
            return answer
        time.sleep(0.5)
