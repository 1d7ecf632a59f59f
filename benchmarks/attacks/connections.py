"""Attacks by how a request is sent: two lengths, byte by byte, never to its end, thousands at a time."""

import contextlib
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx

from benchmarks.attacks.attack import Row, Target
from benchmarks.attacks.raw_http import connected, exchange
from benchmarks.processes import MIB, parts, resident

PATIENCE_S = 20
HELD = 400  # connections
CHUNKED, LENGTH = "Transfer-Encoding: chunked", "Content-Length: 6"
JSON = "Content-Type: application/json"
GROWN_MIB = 200
PROMPT_S = 5.0  # for an honest request while an attack goes on


def smuggling(target: Target) -> list[Row]:
    """A second request inside the first, for servers that disagree on where it ends. Two answers: it was believed."""
    hidden = b"0\r\n\r\nGET /v1/users HTTP/1.1\r\nHost: s\r\n\r\n"
    lines = {
        "Content-Length and Transfer-Encoding": (LENGTH, CHUNKED),
        "two Content-Length that differ": (LENGTH, "Content-Length: 60"),
        "Transfer-Encoding: xchunked": (LENGTH, "Transfer-Encoding: xchunked"),
        "Transfer-Encoding twice": (CHUNKED, "Transfer-Encoding: identity"),
        "a space before the colon": (LENGTH, "Transfer-Encoding : chunked"),
        "Content-Length: +6": ("Content-Length: +6",),
        "Content-Length: -1": ("Content-Length: -1",),
    }
    rows = []
    for what, headers in lines.items():
        head = target.head("POST /v1/showcases", JSON, *headers)
        got = exchange(target.url, [head + b"\r\n\r\n" + hidden], patience_s=4)
        rows.append(Row("request smuggling", what, f"{got}; {got.answers} answers", got.answers <= 1, True))
    return rows


def slow(target: Target) -> list[Row]:
    """Heads and bodies that never end, and a reader that never reads."""
    drops = [b"X-A: b\r\n"] * PATIENCE_S
    head = target.head("GET /v1/users") + b"\r\n"
    body = target.head("POST /v1/showcases", JSON, "Content-Length: 1000") + b"\r\n\r\n"
    with ThreadPoolExecutor(4) as pool:
        slow_head = pool.submit(exchange, target.url, [head, *drops], 1.0, 1.0)
        silent = pool.submit(exchange, target.url, [head], 0.0, PATIENCE_S)
        slow_body = pool.submit(exchange, target.url, [body, *([b"1"] * PATIENCE_S)], 1.0, 1.0)
        nothing = pool.submit(exchange, target.url, [b""], 0.0, PATIENCE_S)
        rows = [
            Row("slow client", "a head, a line a second", str(slow_head.result()), slow_head.result().closed, True),
            Row("slow client", "half a head, then silence", str(silent.result()), silent.result().closed, True),
            Row("slow client", "a connection without a byte", str(nothing.result()), nothing.result().closed, True),
            Row("slow client", "a body, a byte a second", str(slow_body.result()), slow_body.result().status == 408),
        ]
    return [*rows, _unread(target)]


def _unread(target: Target) -> Row:
    """Twenty streams that nobody reads: others must be answered, memory must not grow with them."""
    body = json.dumps(target.visit).encode()
    request_head = target.head("POST /v1/showcases", JSON, "Accept: text/event-stream", f"Content-Length: {len(body)}")
    with contextlib.ExitStack() as held:
        before = _memory(target)
        for _ in range(20):
            connection = held.enter_context(connected(target.url))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            connection.sendall(request_head + b"\r\n\r\n" + body)
        time.sleep(5)
        status, took = _honest(target)
        grown = _memory(target) - before
    summary = f"{status} for another after {took:.1f} s, {grown:+.0f} MiB"
    held_up = status != 200 or took > PROMPT_S or grown > GROWN_MIB
    return Row("unread stream", "20 streams of events, never read", summary, not held_up)


def many(target: Target) -> list[Row]:
    """Connections that are held open, some with half a request."""
    rows = []
    for what, sent in (("idle", b""), ("with half a head", target.head("GET /v1/users"))):
        with contextlib.ExitStack() as held:
            for _ in range(HELD):
                held.enter_context(connected(target.url)).sendall(sent)
            status, took = _honest(target)
        summary = f"{status} for another after {took:.1f} s"
        rows.append(Row("many connections", f"{HELD} held open, {what}", summary, status == 200 and took < PROMPT_S))
    return rows


def _honest(target: Target) -> tuple[int, float]:
    """Status of an honest request, and the seconds that it took."""
    started = time.monotonic()
    try:
        answer = httpx.get(f"{target.url}/v1/businesses?limit=1", headers=target.headers, timeout=60)
    except httpx.HTTPError:
        return 0, time.monotonic() - started
    return answer.status_code, time.monotonic() - started


def _memory(target: Target) -> float:
    """MiB of gateway and proxy."""
    return sum(resident(pid) for pid, part in parts(target.pid).items() if part in ("gateway", "proxy")) / MIB
