"""Attacks by what a request says: paths, ids, bodies, headers."""

import json

from benchmarks.attacks.attack import JSON, Row, Target, refused
from benchmarks.attacks.raw_http import exchange

TRAVERSALS = (
    "/v1/photos/../../../etc/passwd",
    "/v1/photos/..%2f..%2f..%2fetc%2fpasswd",
    "/v1/photos/%252e%252e%252fetc%252fpasswd",
    "/v1/photos/..%5c..%5cmlflow.db",
    "/v1/photos/%2fetc%2fpasswd",
    "/v1/photos/p1%00.jpg",
    "/v1/users/..%2f..%2faccess%2fkeys/reviews",
    "/web/../config.yaml",
    "/web/..%2fconfig.yaml",
    "/web/%2e%2e/config.yaml",
    "/web/%252e%252e%252fconfig.yaml",
    "//etc/passwd",
)
INJECTIONS = (
    "x' OR '1'='1",
    "' OR 1=1 --",
    "x'; DROP TABLE photos; --",
    "x' UNION SELECT * FROM users --",
    "\\' OR true --",
    "x') OR (true",
    "%",
    "_",
    "*",
)


def paths(target: Target) -> list[Row]:
    """Out of the folder, plain, encoded once and twice; sent as written, no client tidies them."""
    rows = []
    for path in TRAVERSALS:
        got = exchange(target.url, [target.head(f"GET {path}", "Connection: close") + b"\r\n\r\n"])
        held = got.status in (404, 422) and b"root:" not in got.data and b"proxy_location" not in got.data
        rows.append(Row("path traversal", f"GET {path}", str(got.status), held))
    return rows


def filters(target: Target) -> list[Row]:
    """SQL in ids: as an honest unknown id, whose answer is 404; and in the search, where nothing more may be found."""
    rows = []
    for text in INJECTIONS:
        answer = target.ask("POST", "/v1/showcases", json={**target.visit, "user_id": text})
        rows.append(refused("filter injection", f"user_id {text}", answer, 404))
        body = {"keywords": ["soup"], "candidates": [text, target.visit["business_id"]]}
        answer = target.ask("POST", "/v1/selections", json=body)
        rows.append(refused("filter injection", f"candidates {text}", answer, 404))
        found = target.ask("GET", "/v1/users", params={"query": text, "limit": 200}).json()["items"]
        ids = [row for row in found if text.lower() not in json.dumps(row, ensure_ascii=False).lower()]
        summary = f"{len(found)} users, {len(ids)} without that text shown"
        rows.append(Row("filter injection", f"query {text}", summary, not found or text in "%_*"))
    return rows


def bodies(target: Target) -> list[Row]:
    """JSON that is huge, deep, or not quite JSON."""
    visit = json.dumps(target.visit)[1:-1].encode()
    cases: list[tuple[str, bytes, tuple[int, ...]]] = [
        ("2 MiB of spaces", b" " * 2**21, (413,)),
        ("100,000 nested lists", b"[" * 100_000, (422,)),
        ('200,000 times {"a":', b'{"a":' * 200_000, (422,)),
        ("100,000 values", b"[" + b"1," * 100_000 + b"1]", (422,)),
        ("a string of 500 kB", b'{"user_id":"' + b"a" * 500_000 + b'"}', (422,)),
        ("a number of 5,000 digits", b"{" + visit + b',"seed":' + b"9" * 5000 + b"}", (400, 422)),
        ("theta NaN", b"{" + visit + b',"theta":NaN}', (422,)),
        ("theta 1e999", b"{" + visit + b',"theta":1e999}', (422,)),
        ("k -1e400", b"{" + visit + b',"k":-1e400}', (422,)),
        ("a NUL in an id", b"{" + visit + b',"user_id":"a\\u0000b"}', (422,)),
        ("a lone surrogate in an id", b'{"user_id":"\\ud800","business_id":"b"}', (422,)),
        ("a lone surrogate as a name", b"{" + visit + b',"\\ud800":1}', (422,)),
        ("bytes that are no UTF-8", b'{"user_id":"\xff","business_id":"b"}', (400, 422)),
        ("the same name twice", b"{" + visit + b',"user_id":"nobody"}', (404,)),
        ("__proto__ and others", b"{" + visit + b',"__proto__":{"a":1}}', (422,)),
    ]
    rows = [
        refused("hostile JSON", what, target.ask("POST", "/v1/showcases", content=body, headers=JSON), *statuses)
        for what, body, statuses in cases
    ]
    packed = target.ask("POST", "/v1/showcases", content=b"\x1f\x8b", headers={**JSON, "content-encoding": "gzip"})
    return [*rows, refused("packed body", "Content-Encoding: gzip", packed, 415)]


def heads(target: Target) -> list[Row]:
    """Too long, too many, with line breaks."""
    rows = [
        refused("header bomb", what, target.ask("GET", "/v1/users", headers=headers), 431)
        for what, headers in (
            ("one of 20 kB", {"x-a": "a" * 20_000}),
            ("1,000 of them", {f"x-{number}": "a" * 20 for number in range(1000)}),
        )
    ]
    rows += [
        refused("long target", "a query of 5 kB", target.ask("GET", f"/v1/users?query={'a' * 5000}"), 414),
    ]
    huge = exchange(target.url, [target.head("GET /v1/users", "X-A: " + "a" * 5_000_000) + b"\r\n\r\n"])
    rows.append(Row("header bomb", "one of 5 MB", str(huge), huge.status in (400, 431)))
    for name, sent in (
        ("a line break", "a\nforged line 200"),
        ("an escape", "a\x1b[31mred"),
        ("no ASCII", "\xe9\xb2"),
        ("300 characters", "a" * 300),
    ):
        head = target.head("GET /v1/nothing", f"X-Request-ID: {sent}", "Connection: close")
        got = exchange(target.url, [head + b"\r\n\r\n"])
        held = got.status in (400, 404) and sent.encode() not in got.data
        rows.append(Row("log injection", f"X-Request-ID with {name}", str(got.status), held, True))
    target.ask("POST", "/v1/showcases", json={**target.visit, "user_id": "a\nINFO forged by an id"})
    target.ask("GET", "/v1/photos/a%0aINFO%20forged%20by%20a%20path")
    forged = [line for line in target.log.read_text(errors="replace").splitlines() if line.startswith("INFO forged")]
    rows.append(Row("log injection", "line breaks in ids, in body and path", f"{len(forged)} forged lines", not forged))
    return rows
