"""A proxy before an S3 server that fails now and then, as object stores do: by seed and rate, and it counts.

It speaks HTTP/1.1 over real sockets: requests and answers pass byte by byte, but for those that it spoils.
"""

import contextlib
import io
import random
import re
import socket
import socketserver
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

STALL_SECONDS = 2.0
ANSWERS = {  # kind: status, S3's code, S3's message
    "500": ("500 Internal Server Error", "InternalError", "We encountered an internal error. Please try again."),
    "503": ("503 Slow Down", "SlowDown", "Please reduce your request rate."),
    "expired": ("400 Bad Request", "ExpiredToken", "The provided token has expired."),
    "denied": ("403 Forbidden", "AccessDenied", "Access Denied"),
    "gone": ("404 Not Found", "NoSuchUpload", "The specified upload does not exist."),
    "region": ("301 Moved Permanently", "PermanentRedirect", "The bucket must be addressed by another endpoint."),
}
KINDS = (*ANSWERS, "reset", "lost", "truncated", "stall", "unconditional")
FLAKY = {
    "500": 0.02,
    "503": 0.02,
    "reset": 0.01,
    "lost": 0.01,
    "truncated": 0.02,
    "stall": 0.002,
}  # an object store on a bad day


@dataclass
class Message:
    """One HTTP request or answer, as it came."""

    head: bytes  # first line and headers, with the empty line
    body: bytes
    to_the_end: bool = False  # its end is that of the connection

    @property
    def first_line(self) -> str:
        return self.head.split(b"\r\n", 1)[0].decode("latin-1")


class FaultyProxy(socketserver.ThreadingTCPServer):
    """Stands before `upstream` on a port of its own.

    Args:
        upstream: e.g. http://127.0.0.1:5000.
        rates: probability a request by kind (`"reset": 0.02`) or by method and kind (`"GET truncated": 0.1`, which
            goes before the kind's own). Kinds: those of ANSWERS, which never reach the server; `reset`, of the
            connection, before the server has the request; `lost`, a reset after the server did what was asked, in the
            middle of its answer; `truncated`, a part of the answer's body, then the end; `stall`, a time of silence;
            `unconditional`, If-Match and If-None-Match are ignored.
        seed: of the dice.
        limit: faults in all, after which nothing more is spoilt.
        target: spoil only requests whose path and query match this pattern.
        stall_seconds: length of a stall.

    Attributes:
        injected: faults by kind.
        requests: requests by method.
        keys: the access key ids that signed them.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        upstream: str,
        rates: Mapping[str, float] | None = None,
        seed: int = 0,
        limit: int | None = None,
        target: str = "",
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        parts = urlsplit(upstream)
        self.upstream = (parts.hostname or "", parts.port or 80)
        self.injected: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.keys: set[str] = set()
        self.stall_seconds = stall_seconds
        self._dice, self._lock = random.Random(seed), threading.Lock()
        self.spoil(rates or {}, limit, target)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def root(self, bucket: str, prefix: str, *options: str) -> str:
        """URI of a workspace behind the proxy."""
        given = (f"endpoint_override={self.endpoint}", "region=us-east-1", *options)
        return f"s3://{bucket}/{prefix}?{'&'.join(given)}"

    def spoil(self, rates: Mapping[str, float], limit: int | None = None, target: str = "") -> None:
        """Other rates from now on; the counts start anew."""
        unknown = {name.split()[-1] for name in rates} - set(KINDS)
        assert not unknown, f"{unknown}: not a fault, they are {KINDS}"
        with self._lock:
            self.rates, self.limit, self.target = dict(rates), limit, re.compile(target)
            for seen in (self.injected, self.requests, self.keys):
                seen.clear()

    def draw(self, method: str, path: str) -> tuple[str | None, float]:
        """The fault of this request, if any, and a number in [0, 1) for its details."""
        with self._lock:
            self.requests[method] += 1
            left, detail = self._dice.random(), self._dice.random()
            if not self.target.search(path) or (self.limit is not None and self.injected.total() >= self.limit):
                return None, detail
            for kind in KINDS:
                left -= self.rates.get(f"{method} {kind}", self.rates.get(kind, 0.0))
                if left < 0:
                    self.injected[kind] += 1
                    return kind, detail
        return None, detail

    def spare(self, kind: str) -> None:
        """Take a fault back: this answer can't be spoilt that way."""
        with self._lock:
            self.injected[kind] -= 1

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no news."""


@contextlib.contextmanager
def faulty_proxy(upstream: str, rates: Mapping[str, float] | None = None, seed: int = 0) -> Iterator[FaultyProxy]:
    """A running proxy before `upstream`."""
    with FaultyProxy(upstream, rates, seed) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join(timeout=10)


class _Connection(socketserver.StreamRequestHandler):
    """A client's connection: one request after the other."""

    server: FaultyProxy
    disable_nagle_algorithm = True

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            while self._one_request():
                pass

    def _one_request(self) -> bool:
        """Serve a request; False where the connection is at its end."""
        request = self._request()
        if request is None:
            return False
        method, path, _ = request.first_line.split(" ", 2)
        self.server.keys.update(re.findall(r"Credential=([^/]+)/", request.head.decode("latin-1")))
        kind, detail = self.server.draw(method, path)
        if kind == "stall":
            time.sleep(self.server.stall_seconds)
        if kind in ANSWERS:
            self.wfile.write(_answer(kind, method))
            return True
        if kind == "reset":
            return self._reset()
        if kind == "unconditional":
            request = Message(
                re.sub(rb"\r\nif-(none-)?match:[^\r]*", b"", request.head, flags=re.IGNORECASE), request.body
            )
        answer = self._forward(request, method)
        if kind == "lost":
            self.wfile.write(answer.head[: len(answer.head) // 2])
            return self._reset()
        if kind == "truncated":
            if answer.first_line.split(" ")[1] in ("200", "206") and len(answer.body) > 1:
                self.wfile.write(answer.head + answer.body[: int(detail * len(answer.body))])
                return False
            self.server.spare(kind)
        self.wfile.write(answer.head + answer.body)
        return not answer.to_the_end

    def _request(self) -> Message | None:
        head = _head(self.rfile)
        if not head:
            return None
        waiting = re.search(rb"\r\nexpect: *100-continue", head, re.IGNORECASE)
        if waiting:  # the client sends its body only when told to
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            head = head.replace(waiting.group(), b"")
        body, _ = _body(self.rfile, head, to_the_end=False)
        return Message(head, body)

    def _forward(self, request: Message, method: str) -> Message:
        with socket.create_connection(self.server.upstream, timeout=60) as upstream:
            upstream.sendall(request.head + request.body)
            with upstream.makefile("rb") as stream:
                head = _head(stream)
                while head.split(b" ", 2)[1].startswith(b"1"):  # 100 Continue
                    head = _head(stream)
                if method == "HEAD" or head.split(b" ", 2)[1] in (b"204", b"304"):
                    return Message(head, b"")
                return Message(head, *_body(stream, head, to_the_end=True))

    def _reset(self) -> bool:
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()  # with these options: RST
        return False


def _answer(kind: str, method: str) -> bytes:
    """S3's words for an error; an answer to HEAD has no body, as on S3."""
    status, code, message = ANSWERS[kind]
    xml = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    body = b"" if method == "HEAD" else xml.encode()
    extra = "x-amz-bucket-region: eu-central-1\r\n" if kind == "region" else ""
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


def _head(stream: io.BufferedIOBase) -> bytes:
    """First line and headers, with the empty line; nothing at the connection's end."""
    lines = []
    while line := stream.readline():
        lines.append(line)
        if line in (b"\r\n", b"\n"):
            return b"".join(lines)
    return b""


def _body(stream: io.BufferedIOBase, head: bytes, *, to_the_end: bool) -> tuple[bytes, bool]:
    """The body as it stands on the wire, and whether only the connection's end told where it stops."""
    if re.search(rb"\r\ntransfer-encoding: *chunked", head, re.IGNORECASE):
        return b"".join(_chunks(stream)), False
    if length := re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE):
        return stream.read(int(length.group(1))), False
    return (stream.read(), True) if to_the_end else (b"", False)


def _chunks(stream: io.BufferedIOBase) -> Iterator[bytes]:
    while line := stream.readline():
        yield line
        size = int(line.split(b";")[0], 16)
        if size:
            yield stream.read(size + 2)
            continue
        while (line := stream.readline()) not in (b"\r\n", b"\n", b""):  # trailers
            yield line
        yield b"\r\n"
        return
