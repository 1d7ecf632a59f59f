"""Photos from URLs, over real HTTP: what becomes of each kind of answer, and the bounds that are kept."""

import asyncio
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pytest
from aiohttp.abc import AbstractResolver

from showcases.gest.config import HttpConfig
from showcases.gest.photos.fetch import fetch_unit
from showcases.gest.photos.sources import Urls
from showcases.gest.photos.sources.addresses import BlockedError, Guard, GuardedResolver
from showcases.gest.photos.sources.urls import retry_after
from tests.photo_server import PhotoServer, photo, photo_server

MANNERS = HttpConfig(
    hosts=("photos.test",),
    allow_private=("127.0.0.1/32",),  # where the server is
    addresses={
        "photos.test": "127.0.0.1",
        "a.photos.test": "127.0.0.1",
        "inside.photos.test": "10.0.0.7",
        "mapped.photos.test": "::ffff:192.168.1.1",
    },
    backoff=0.02,
    try_seconds=0.6,
    seconds=2.5,
    tries=3,
)


@pytest.fixture(scope="module")
def server() -> Iterator[PhotoServer]:
    with photo_server() as running:
        yield running


def fetch(urls: dict[str, str | None], manners: HttpConfig = MANNERS, max_bytes: int = 300_000) -> dict[str, dict]:
    wanted = pa.table({"photo_id": list(urls), "url": pa.array(list(urls.values()), pa.string())})
    unit = fetch_unit(Urls(manners, max_bytes), wanted, max_side=256, max_pixels=30_000_000)
    assert [row["photo_id"] for row in unit.rows] == list(urls)
    return {row["photo_id"]: row for row in unit.rows}


BEHAVIOURS = {
    "ok": ("ok", None),
    "slow": ("ok", None),
    "again": ("ok", None),
    "moved": ("ok", None),
    "404": ("expired", "HTTP 404"),
    "410": ("expired", "HTTP 410"),
    "403": ("expired", "HTTP 403"),
    "401": ("failed", "HTTP 401"),
    "206": ("failed", "HTTP 206"),
    "503": ("failed", r"HTTP 503 \(3 tries\)"),
    "429": ("failed", r"HTTP 429 \(3 tries\)"),
    "later": ("failed", r"Retry-After: 3600 s \(1 try\)"),
    "hang": ("failed", r"timed out \(3 tries\)"),
    "reset": ("failed", r"3 tries"),
    "long": ("failed", "3 tries"),
    "short": ("failed", r"Bad status line \(3 tries\)"),  # what comes too much is taken for another answer
    "html": ("corrupt", "not an image"),
    "empty": ("corrupt", "not an image"),
    "huge": ("too_large", "announces 1000000000000 bytes"),
    "endless-body": ("too_large", "more than 300000 bytes"),
    "bomb": ("too_large", "6000 x 5001 px"),
    "inside": ("blocked", "10.0.0.7 is not public"),
    "outside": ("blocked", "host elsewhere.test is not allowed"),
    "literal": ("blocked", "169.254.169.254 is not allowed"),
    "scheme": ("blocked", "scheme file"),
    "endless": ("failed", "more than 5 redirects"),
    "nowhere": ("blocked", "invalid URL"),
}


def test_each_answer_has_its_status_and_reason(server: PhotoServer) -> None:
    rows = fetch({kind: server.url(kind, f"one-{kind}") for kind in BEHAVIOURS})
    found = {kind: row["status"] for kind, row in rows.items()}
    assert found == {kind: status for kind, (status, _) in BEHAVIOURS.items()}
    for kind, (status, reason) in BEHAVIOURS.items():
        row = rows[kind]
        if status == "ok":
            assert row["bytes"] == photo(f"one-{kind}.jpg") and row["error"] is None and row["width"] == 64
        else:
            assert row["bytes"] is None and row["content_hash"] is None
            assert re.search(reason, row["error"]), (kind, row["error"])


def test_no_further_tries_than_make_sense(server: PhotoServer) -> None:
    kinds = {"404": 1, "503": 3, "later": 1, "html": 1, "again": 2, "endless": 6, "inside": 1}
    fetch({kind: server.url(kind, f"count-{kind}") for kind in kinds})
    assert {kind: server.requests[f"/{kind}/count-{kind}.jpg"] for kind in kinds} == kinds


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (None, "invalid URL"),
        ("", "invalid URL"),
        ("no url at all", "scheme"),
        ("ftp://photos.test/x.jpg", "scheme ftp"),
        ("http://badphotos.test/x.jpg", "host badphotos.test is not allowed"),
        ("http://photos.test.evil.test/x.jpg", "is not allowed"),
        ("http://photos.test@evil.test/x.jpg", "host evil.test"),
        ("http://127.0.0.1/x.jpg", "is not allowed"),
        ("http://mapped.photos.test/x.jpg", "192.168.1.1 is not public"),
        ("http://[half/x.jpg", "invalid URL"),
        ("http:///x.jpg", "host missing"),
    ],
)
def test_what_must_not_be_asked_is_blocked(url: str | None, reason: str) -> None:
    row = fetch({"x": url})["x"]
    assert row["status"] == "blocked" and reason in row["error"]


def test_hosts_below_an_allowed_one_are_allowed(server: PhotoServer) -> None:
    assert fetch({"x": server.url("ok", "below", "a.photos.test")})["x"]["status"] == "ok"
    assert fetch({"x": server.url("ok", "below", "PHOTOS.TEST.")})["x"]["status"] == "ok"


def test_loopback_is_refused_unless_allowed(server: PhotoServer) -> None:
    row = fetch({"x": server.url("ok", "loop")}, replace(MANNERS, allow_private=()))["x"]
    assert (row["status"], row["error"]) == ("blocked", "photos.test: address 127.0.0.1 is not public")
    assert not server.requests["/ok/loop.jpg"]


def test_a_name_that_dns_does_not_know_is_tried_again_and_fails() -> None:
    row = fetch({"x": "http://unknown.photos.test/x.jpg"})["x"]
    assert row["status"] == "failed" and "3 tries" in row["error"]


def test_a_host_name_that_cannot_be_is_no_end_of_the_run() -> None:
    row = fetch({"x": f"http://{'a' * 80}.photos.test/x.jpg"})["x"]
    assert row["status"] in ("failed", "blocked") and row["error"]


@pytest.mark.parametrize(("connections", "per_host", "most"), [(3, 16, 3), (16, 2, 2)])
def test_no_more_requests_at_once_than_allowed(connections: int, per_host: int, most: int) -> None:
    with photo_server() as server:
        server.pause = 0.02
        rows = fetch(
            {f"p{i}": server.url("ok", f"many-{i}") for i in range(30)},
            replace(MANNERS, connections=connections, per_host=per_host),
        )
    assert server.most == most and all(row["status"] == "ok" for row in rows.values())


@pytest.mark.parametrize(
    "address",
    ["10.1.2.3", "172.16.0.1", "192.168.0.1", "127.0.0.1", "0.0.0.0", "169.254.169.254", "100.64.0.1", "224.0.0.1",
     "240.0.0.1", "255.255.255.255", "198.18.0.1", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1",
     "fec0::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "2001:db8::1", "no address"],
)  # fmt: skip
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    with pytest.raises(BlockedError):
        Guard(()).check_address(address)


@pytest.mark.parametrize("address", ["142.250.185.97", "2a00:1450:4001:82a::2001", "::ffff:142.250.185.97"])
def test_public_addresses_are_not(address: str) -> None:
    Guard(()).check_address(address)


def test_only_the_public_ones_of_a_names_addresses_are_connected_to() -> None:
    class Mixed(AbstractResolver):
        async def resolve(self, host, port=0, family=socket.AF_INET):
            hosts = ("10.0.0.1", "142.250.185.97", "::1")
            return [dict(hostname=host, host=h, port=port, family=family, proto=0, flags=0) for h in hosts]

        async def close(self):
            pass

    async def resolve() -> list[str]:
        found = await GuardedResolver(Guard(("x.test",)), {}, Mixed()).resolve("x.test", 80)
        return [result["host"] for result in found]

    assert asyncio.run(resolve()) == ["142.250.185.97"]


def test_retry_after_is_seconds_or_a_date() -> None:
    now = time.time()
    assert retry_after("7", now) == 7 and retry_after(None, now) == 0 and retry_after("soon", now) == 0
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT", now) == 0
    assert retry_after("Wed, 21 Oct 2015 07:28:30 GMT", 1445412480.0) == 30
