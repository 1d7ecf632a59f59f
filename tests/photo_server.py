"""An HTTP server of photos that behaves as badly as asked: the behaviour is the first part of the path.

It writes its answers by hand, for no library would send such things. Runs in a thread of its own; counts requests.
"""

import asyncio
import io
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image

REDIRECTS = {
    "moved": "/ok/{name}",
    "inside": "http://inside.photos.test:{port}/ok/{name}",
    "outside": "http://elsewhere.test:{port}/ok/{name}",
    "literal": "http://169.254.169.254/latest/meta-data/{name}",
    "scheme": "file:///etc/passwd",
    "endless": "/endless/{name}",
    "nowhere": "",
}


def photo(name: str, size: tuple[int, int] = (64, 48)) -> bytes:
    """A JPEG that no other name has."""
    rng = np.random.default_rng(list(name.encode()))
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), np.uint8)).save(buffer, "JPEG", quality=40)
    return buffer.getvalue()


def bomb() -> bytes:
    """A small PNG of one colour with more than 30 million pixels."""
    buffer = io.BytesIO()
    Image.new("1", (6000, 5001)).save(buffer, "PNG")
    return buffer.getvalue()


class PhotoServer:
    """Answers http://127.0.0.1:PORT/BEHAVIOUR/NAME.jpg.

    Attributes:
        requests: by path.
        most: requests that were open at once, at most.
        pause: seconds that every answer takes.
    """

    def __init__(self) -> None:
        self.port, self.pause = 0, 0.0
        self.requests: Counter[str] = Counter()
        self.open = self.most = 0
        self.healed: set[str] = set()  # behaviours that are ok by now
        self.bomb = bomb()

    def url(self, behaviour: str, name: str, host: str = "photos.test") -> str:
        return f"http://{host}:{self.port}/{behaviour}/{name}.jpg"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept for as many requests as come."""
        try:
            while request := await reader.readline():
                while (await reader.readline()).strip():
                    pass
                path = request.split()[1].decode()
                self.requests[path] += 1
                self.open += 1
                self.most = max(self.most, self.open)
                try:
                    await asyncio.sleep(self.pause)
                    keep = await self.answer(path, writer)
                finally:
                    self.open -= 1
                if not keep:
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):  # the last at the end
            pass
        finally:
            writer.close()

    async def answer(self, path: str, writer: asyncio.StreamWriter) -> bool:
        """Send what the path asks for; whether the connection is kept."""
        _, behaviour, name = path.split("/", 2)
        if behaviour in self.healed:
            behaviour = "ok"
        if behaviour in REDIRECTS:
            place = REDIRECTS[behaviour].format(name=name, port=self.port)
            return await send(writer, 302, b"", f"Location: {place}\r\n" if place else "")
        if behaviour == "again":  # fails the first time
            behaviour = "ok" if self.requests[path] > 1 else "500"
        if behaviour == "reset":
            writer.transport.abort()
            return False
        if behaviour == "hang":
            await asyncio.sleep(60)
        if behaviour == "slow":
            await asyncio.sleep(0.3)
        if behaviour.isdecimal():
            return await send(writer, int(behaviour), b"no")
        if behaviour == "later":  # asks for more patience than there is
            return await send(writer, 503, b"", "Retry-After: 3600\r\n")
        if behaviour == "endless-body":
            return await self.stream(writer)
        return await send(writer, 200, *self.body(behaviour, name))

    def body(self, behaviour: str, name: str) -> tuple[bytes, str, int | None]:
        """Bytes, further headers, and the length that is announced where it is not theirs."""
        data = photo("twin" if behaviour == "twin" else name)
        match behaviour:
            case "html":
                data = b"<!doctype html><title>Sign in</title>" * 20
            case "bomb":
                data = self.bomb
            case "empty":
                data = b""
            case "short":  # announces less than there is
                return data, "", 300
            case "long":  # announces more, then hangs up
                return data, "Connection: close\r\n", len(data) + 1000
            case "huge":  # announces far too much
                return data, "Connection: close\r\n", 10**12
            case "gzip":
                return data, "Content-Encoding: gzip\r\n", None
        return data, "Content-Type: image/jpeg\r\n", None

    async def stream(self, writer: asyncio.StreamWriter) -> bool:
        """A body without end or announced length."""
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n" + photo("x"))
        while True:
            writer.write(bytes(2**16))
            await writer.drain()


async def send(
    writer: asyncio.StreamWriter, status: int, body: bytes, headers: str = "", length: int | None = None
) -> bool:
    announced = len(body) if length is None else length
    writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {announced}\r\n{headers}\r\n".encode() + body)
    await writer.drain()
    return announced == len(body)


@contextmanager
def photo_server() -> Iterator[PhotoServer]:
    """Run a server in a thread for as long as the block lasts."""
    server, ready = PhotoServer(), threading.Event()
    ends: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def run() -> None:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        server.port = listening.sockets[0].getsockname()[1]
        ends.append((asyncio.get_running_loop(), asyncio.Event()))
        ready.set()
        await ends[0][1].wait()  # connections that are still open end with the loop

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield server
    finally:
        loop, end = ends[0]
        loop.call_soon_threadsafe(end.set)
        thread.join(10)
