"""Requests that no HTTP library would send, over a plain socket, and what came back."""

import contextlib
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Got:
    """What a server did.

    Attributes:
        status: of its first answer; 0 for none.
        answers: status lines in all.
        closed: whether it ended the connection.
        seconds: until it was over, or until patience was.
    """

    status: int
    answers: int
    closed: bool
    seconds: float
    data: bytes

    def __str__(self) -> str:
        end = "closed" if self.closed else "left open"
        return f"{self.status or 'no answer'}, {end} after {self.seconds:.1f} s"


@contextlib.contextmanager
def connected(url: str, patience_s: float = 10) -> Iterator[socket.socket]:
    place = urlsplit(url)
    with socket.create_connection((place.hostname or "", place.port or 80), timeout=patience_s) as connection:
        yield connection


def exchange(url: str, parts: list[bytes], pause_s: float = 0.0, patience_s: float = 10) -> Got:
    """Send the parts with a pause between them, and read until the server closes, or says no more for `patience_s`."""
    started, data, closed = time.monotonic(), bytearray(), False
    with connected(url, patience_s) as connection:
        for number, part in enumerate(parts):
            if number:
                closed = _listen(connection, pause_s, data)
            if closed or not _sent(connection, part):
                break
        closed = closed or _listen(connection, patience_s, data)
    return Got(_status(data), data.count(b"HTTP/1.1 "), closed, time.monotonic() - started, bytes(data))


def _sent(connection: socket.socket, part: bytes) -> bool:
    try:
        connection.sendall(part)
    except OSError:
        return False
    return True


def _listen(connection: socket.socket, seconds: float, data: bytearray) -> bool:
    """Read for so long; whether the server closed."""
    ends = time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0:
        connection.settimeout(left)
        try:
            part = connection.recv(65536)
        except TimeoutError:
            return False
        except OSError:
            return True
        if not part:
            return True
        data += part
    return False


def _status(data: bytearray) -> int:
    words = bytes(data[:32]).split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
