"""URLs go out as they are written, through redirects, too: a signature holds for one spelling alone."""

import hashlib
import hmac
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyarrow as pa
import pytest

from showcases.gest.config import HttpConfig
from showcases.gest.photos.fetch import fetch_unit
from showcases.gest.photos.sources import Urls
from tests.photo_server import photo

RULES = HttpConfig(
    hosts=("photos.test", "xn--bcher-kva.test"),
    allow_private=("127.0.0.1/32",),
    addresses={name: "127.0.0.1" for name in ("photos.test", "cdn.photos.test", "xn--bcher-kva.test")},
    tries=1,
)


class Server(ThreadingHTTPServer):
    """Answers with a photo what is asked for byte for byte, with a redirect what it is given one for, else 403."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.known: set[bytes] = set()
        self.moved: dict[bytes, bytes] = {}
        self.requests: list[bytes] = []  # the target of each, as it came
        self.hosts: list[str | None] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        target = self.raw_requestline.rstrip(b"\r\n").removeprefix(b"GET ").removesuffix(b" HTTP/1.1")
        self.server.requests.append(target)
        self.server.hosts.append(self.headers["Host"])
        if target in self.server.moved:
            self.wfile.write(
                b"HTTP/1.1 302 Found\r\nLocation: " + self.server.moved[target] + b"\r\nContent-Length: 0\r\n\r\n"
            )
            return
        body = photo("it") if target in self.server.known else b"<Error><Code>SignatureDoesNotMatch</Code></Error>"
        status = b"200 OK" if target in self.server.known else b"403 Forbidden"
        self.wfile.write(b"HTTP/1.1 " + status + f"\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


def fetch(url: str, rules: HttpConfig = RULES) -> dict:
    wanted = pa.table({"photo_id": ["x"], "url": [url]})
    (row,) = fetch_unit(Urls(rules, 10**6), wanted, max_side=256, max_pixels=10**7).rows
    return row


EXACT = [
    "/it%27s.jpg",  # S3's own encoding of an apostrophe
    "/a%2Fb%2fc.jpg",  # one name with slashes in it
    "/unsafe/fit-in/300x300/https%3A%2F%2Fx.test%2Fa%20b.jpg",  # thumbor
    "/lower%c3%a4/UPPER%C3%A4",
    "/%41%7E~%2D-",  # what need not be encoded
    "/100%/%zz%2",  # what is no encoding
    "/a//b///c/",
    "/a/../b/./c",
    "/a+b;c=d,e@f:g!$&'()*",
    '/|"<>`^{}[]\\',
    "/p.jpg?X-Amz-Credential=AK%2F20260101%2Fus-east-1&X-Amz-Signature=ab%27&empty=&flag",
    "/p.jpg?Policy=a~b_c__&Key-Pair-Id=K%2B&x=1;y=2&z=a+b%20c",  # CloudFront
    "/p.jpg?url=https://x.test/a?b=c%2526d",
    "/p.jpg?",
    "?only=query",
    "",
]


@pytest.mark.parametrize("target", EXACT)
def test_path_and_query_are_sent_byte_for_byte(server: Server, target: str) -> None:
    expected = target.encode() if target.startswith("/") else b"/" + target.encode()
    server.known.add(expected)
    row = fetch(f"http://photos.test:{server.port}{target}")
    assert server.requests == [expected] and row["status"] == "ok", row["error"]


@pytest.mark.parametrize("target", EXACT[:-2])
def test_a_redirect_is_followed_byte_for_byte(server: Server, target: str) -> None:
    """Given whole, with another host and as a path alone."""
    server.known.add(target.encode())
    wholes = [f"http://photos.test:{server.port}{target}", f"//cdn.photos.test:{server.port}{target}"]
    for number, place in enumerate([*wholes, *([target] if target.startswith("/") else [])]):
        start = f"/start{number}"
        server.moved[start.encode()] = place.encode()
        row = fetch(f"http://photos.test:{server.port}{start}")
        assert server.requests[-2:] == [start.encode(), target.encode()] and row["status"] == "ok", row["error"]


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("d%27e?x=%2F", "/a%2Fb/d%27e?x=%2F"),
        ("../z%2f", "/z%2f"),
        ("./../q/.././r//%2e/s/..", "/r//%2e/"),
        ("../../../..", "/"),
        ("?y=%27", "/a%2Fb/c%27?y=%27"),
        ("/%C3%A4#frag%27", "/%C3%A4"),
        ("/gro\xdf".encode().decode("latin-1"), "/gro%C3%9F"),  # UTF-8 as some servers send it
        ("/a b", "/a%20b"),
    ],
)
def test_a_relative_redirect_is_resolved_and_else_left_alone(server: Server, location: str, expected: str) -> None:
    server.moved[b"/a%2Fb/c%27"] = location.encode("latin-1")
    server.known.add(expected.encode())
    row = fetch(f"http://photos.test:{server.port}/a%2Fb/c%27")
    assert server.requests == [b"/a%2Fb/c%27", expected.encode()] and row["status"] == "ok", row["error"]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/gr\u00f6\u00dfe/\u5bff\u53f8.jpg?q=\u00e4", "/gr%C3%B6%C3%9Fe/%E5%AF%BF%E5%8F%B8.jpg?q=%C3%A4"),
        ("/a b.jpg?c d", "/a%20b.jpg?c%20d"),
        ("/a\x00\x7fb", "/a%00%7Fb"),
        ("/p.jpg#frag%27", "/p.jpg"),
        ("/a\tb\r\nX-Evil: 1", "/abX-Evil:%201"),  # as browsers do: no header of its own
    ],
)
def test_what_cannot_be_sent_is_encoded(server: Server, target: str, expected: str) -> None:
    server.known.add(expected.encode())
    row = fetch(f" http://photos.test:{server.port}{target}\n")
    assert server.requests == [expected.encode()] and row["status"] == "ok", row["error"]


def test_a_signed_url_is_accepted_by_who_signed_it(server: Server) -> None:
    """The signature is over the target as it was written, as S3's and CloudFront's are."""
    key, name = b"secret", "/bucket/it%27s%20a%2Fdish%7E.jpg"
    signature = hmac.new(key, name.encode(), hashlib.sha256).hexdigest()
    server.moved[b"/photo"] = f"http://photos.test:{server.port}{name}?Signature={signature}%3D%3D".encode()
    row = fetch(f"http://photos.test:{server.port}/photo")
    path, _, query = server.requests[-1].partition(b"?")
    signed = hmac.new(key, path, hashlib.sha256).hexdigest()
    assert query == f"Signature={signed}%3D%3D".encode() and row["status"] == "expired"  # this server knows no such one
    server.known.add(server.requests[-1])
    assert fetch(f"http://photos.test:{server.port}/photo")["status"] == "ok"


def test_hosts_are_still_normalised(server: Server) -> None:
    server.known.add(b"/%27")
    for host in ("PHOTOS.test", "photos.test.", "b\u00fccher.test", "user:pass@photos.test"):
        assert fetch(f"http://{host}:{server.port}/%27")["status"] == "ok", host
    assert server.hosts[2] == f"xn--bcher-kva.test:{server.port}"


BLOCKED = [
    "http://evil.test/%27", "http://photos.test.evil.test/", "http://photos.test@evil.test/", "http://evil.test#@photos.test/",
    "http://evil.test?@photos.test/", "http://evil.test\\@photos.test/", "http://evil.test%2f@photos.test.evil.test/",
    "http://%31%32%37.0.0.1/", "http://127.0.0.1/", "http://2130706433/", "http://0x7f.1/", "http://[::1]/",
    "http://[::ffff:127.0.0.1]/", "http://169.254.169.254/latest", "//evil.test/", "file:///etc/passwd", "gopher://photos.test/",
    "http://photos.test\u2044.evil.test/", "http://photos\u3002test.evil.test/", "http:/\\evil.test/", "http://\x00evil.test/",
    "javascript:alert(1)", "data:image/png;base64,AAAA", "http://inside.photos.test/",
]  # fmt: skip


@pytest.mark.parametrize("place", BLOCKED)
def test_what_must_not_be_asked_is_not_asked_at_any_hop(server: Server, place: str) -> None:
    rules = replace(RULES, addresses=RULES.addresses | {"inside.photos.test": "10.0.0.7", "evil.test": "127.0.0.1"})
    direct = fetch(place, rules)
    assert direct["status"] == "blocked", direct["error"]
    server.moved[b"/hop1"], server.moved[b"/hop2"] = b"/hop2", place.encode().replace(b"\x00", b"%00")
    row = fetch(f"http://photos.test:{server.port}/hop1", rules)
    assert server.requests == [b"/hop1", b"/hop2"] and row["status"] in ("blocked", "failed"), row["error"]
    assert row["bytes"] is None
