"""Download photos by URL: asynchronous HTTP with every resource bounded; servers are untrusted."""

import asyncio
import email.utils
import os
import random
import re
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from showcases.extras import imports_of
from showcases.gest.config import HttpConfig
from showcases.gest.photos.sources.addresses import BlockedError, Guard, GuardedResolver
from showcases.gest.photos.sources.base import Raw, Take

with imports_of("ray"):
    import aiohttp
    from yarl import URL

MAX_REDIRECTS = 5
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_AROUND = "".join(map(chr, range(33)))
_DROPPED, _UNSENDABLE = re.compile(r"[\t\r\n]"), re.compile(r"[^!-~]+")
CHUNK = 2**16  # bytes
REDIRECTS = (301, 302, 303, 307, 308)
GONE = (403, 404, 410, 451)
TRANSIENT = (408, 425, 429)  # and all from 500: retried
HEADERS = {"User-Agent": "showcases (research corpus)", "Accept": "image/*", "Accept-Encoding": "identity"}


class RefusalError(Exception):
    """A failed try: the photo's status, the reason, whether to retry, and after how many seconds."""

    def __init__(self, status: str, reason: str, again: bool = False, after: float = 0.0) -> None:
        super().__init__(reason)
        self.status, self.reason, self.again, self.after = status, reason, again, after


class Urls:
    """Photos from the URLs of the table `photos`.

    Args:
        config: options of downloading.
        max_bytes: reading a body stops there.
    """

    def __init__(self, config: HttpConfig, max_bytes: int) -> None:
        self.config, self.max_bytes = config, max_bytes
        self.guard = Guard(config.hosts, config.allow_private)

    def rows(self, wanted: pa.Table, take: Take) -> list[dict[str, Any]]:
        pairs = list(zip(wanted["photo_id"].to_pylist(), wanted["url"].to_pylist(), strict=True))
        return asyncio.run(self._rows(pairs, take))

    async def _rows(self, pairs: list[tuple[str, str | None]], take: Take) -> list[dict[str, Any]]:
        config = self.config
        connector = aiohttp.TCPConnector(
            limit=config.connections,
            limit_per_host=config.per_host,
            resolver=GuardedResolver(self.guard, config.addresses),
        )
        with ThreadPoolExecutor(1) as decoder:
            async with aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=HEADERS,
                timeout=aiohttp.ClientTimeout(total=None),  # Fetch enforces the timeouts
                auto_decompress=False,  # guards against decompression bombs
            ) as session:
                fetch = Fetch(session, self.guard, config, self.max_bytes)
                slots = _slots(config.connections)
                hosts: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: _slots(config.per_host))
                loop = asyncio.get_running_loop()

                async def row(name: str, url: str | None) -> dict[str, Any]:
                    async with hosts[_host(url)], slots:  # held until the photo is decoded, to bound memory
                        return await loop.run_in_executor(decoder, take, name, await fetch(url))

                return await asyncio.gather(*(row(*pair) for pair in pairs))


class Fetch:
    """Downloads one photo, with retries, redirects and deadlines."""

    def __init__(self, session: aiohttp.ClientSession, guard: Guard, config: HttpConfig, max_bytes: int) -> None:
        self.session, self.guard, self.config, self.max_bytes = session, guard, config, max_bytes

    async def __call__(self, url: str | None) -> Raw:
        """Download the URL; failures are results, never exceptions."""
        now = asyncio.get_running_loop().time
        end, received = now() + self.config.seconds, [0]
        for number in range(1, self.config.tries + 1):
            try:
                async with asyncio.timeout_at(min(end, now() + self.config.try_seconds)):
                    data = await self._follow(_parsed(url), received)
                    return Raw(data, received=received[0])
            except Exception as error:  # must fail this photo only
                refusal = _refusal(error)
            wait = refusal.after + random.uniform(0, self.config.backoff * 2 ** (number - 1))  # full jitter
            if not refusal.again or number == self.config.tries or now() + wait >= end:
                break
            await asyncio.sleep(wait)
        reason = refusal.reason + (f" ({number} {'try' if number == 1 else 'tries'})" if refusal.again else "")
        return Raw(None, refusal.status, reason, received[0])

    async def _follow(self, url: URL, received: list[int]) -> bytes:
        for _ in range(MAX_REDIRECTS + 1):
            self.guard.check_url(url)
            async with self.session.get(url, allow_redirects=False) as response:
                if response.status not in REDIRECTS:
                    return await self._body(response, received)
                url = _redirected(url, response.headers.get("Location"))
        raise RefusalError("failed", f"more than {MAX_REDIRECTS} redirects")

    async def _body(self, response: aiohttp.ClientResponse, received: list[int]) -> bytes:
        _check_status(response)
        announced = response.content_length or 0
        if announced > self.max_bytes:
            raise RefusalError("too_large", f"announces {announced} bytes; at most {self.max_bytes}")
        body = bytearray()
        async for chunk in response.content.iter_chunked(CHUNK):
            body += chunk
            received[0] += len(chunk)
            if len(body) > self.max_bytes:
                raise RefusalError("too_large", f"more than {self.max_bytes} bytes")
        return bytes(body)


def retry_after(value: str | None, now: float) -> float:
    """Seconds to wait by a Retry-After header, which is a number of seconds or a date; 0 if invalid."""
    if value is None:
        return 0.0
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, OverflowError):
        return 0.0


def _check_status(response: aiohttp.ClientResponse) -> None:
    status = response.status
    if status in GONE:
        raise RefusalError("expired", f"HTTP {status}")
    if status in TRANSIENT or status >= 500:
        after = retry_after(response.headers.get("Retry-After"), time.time())
        wait = f", Retry-After: {after:.0f} s" if after else ""
        raise RefusalError("failed", f"HTTP {status}{wait}", again=True, after=after)
    if status != 200:
        raise RefusalError("failed", f"HTTP {status}")


def _refusal(error: Exception) -> RefusalError:
    match error:
        case RefusalError():
            return error
        case BlockedError():
            return RefusalError("blocked", str(error))
        case aiohttp.InvalidURL():
            return RefusalError("blocked", f"invalid URL: {error}")
        case UnicodeError():
            return RefusalError("blocked", "invalid URL: invalid host name")
        case TimeoutError():
            return RefusalError("failed", "timed out", again=True)
        case aiohttp.ClientError() | OSError():
            return RefusalError("failed", _broken(error), again=True)
        case _:
            return RefusalError("failed", f"invalid response ({type(error).__name__})")


def _broken(error: Exception) -> str:
    """Why a connection failed, in fixed words without text from the server."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return f"can't resolve host {error.host}"
        case aiohttp.ClientConnectorCertificateError():
            return f"the certificate of {error.host} is not valid"
        case aiohttp.ClientSSLError():
            return f"TLS handshake with {error.host} failed"
        case aiohttp.ClientConnectorError():
            return f"can't connect to {error.host}: {_system(error.os_error)}"
        case aiohttp.ServerDisconnectedError():
            return "the server closed the connection before it responded"
        case aiohttp.ClientPayloadError():
            return "the connection closed before the end of the body"
        case aiohttp.ClientResponseError():
            return f"invalid HTTP response: {_first_line(error)}"
        case OSError():
            return f"the connection broke: {_system(error)}"
    return f"the connection broke ({type(error).__name__})"


def _system(error: OSError) -> str:
    return (error.errno and os.strerror(error.errno)) or "unknown reason"


def _first_line(error: aiohttp.ClientResponseError) -> str:
    """The parser's message without the server's text, which may be long and arbitrary."""
    return error.message.partition("\n")[0].partition("\\n")[0].partition("b'")[0].strip(" :'\"")[:120]


def _parsed(text: str | None) -> URL:
    """Parse a URL; its path and query are sent byte for byte as written, its host is normalised.

    A signature is valid for one spelling only, so percent-encoding is left as it is. Only characters that can't be
    sent (spaces, control characters, non-ASCII letters) are encoded.

    Raises:
        BlockedError: it is no URL.
    """
    if not text:
        raise BlockedError("invalid URL")
    try:
        known, exact = URL(text), URL(_sendable(text), encoded=True)
        query = exact.raw_query_string
        path = exact.raw_path + ("?" if not query and "?" in text.partition("#")[0] else "")
        return URL.build(
            scheme=known.scheme, authority=known.raw_authority, path=path, query_string=query, encoded=True
        )
    except ValueError as error:
        raise BlockedError(f"invalid URL: {error}") from error


def _redirected(url: URL, location: str | None) -> URL:
    """Resolve a Location header against `url`, as exactly as `_parsed` (URL.join would decode).

    Raises:
        BlockedError: it is no URL.
    """
    if not location:
        raise BlockedError("invalid URL")
    target = _sendable(location).partition("#")[0]
    if _SCHEME.match(target):
        return _parsed(location)
    if target.startswith("//"):
        return _parsed(f"{url.scheme}:{location.strip(_AROUND)}")
    if not target.startswith("/"):
        path, _, query = target.partition("?")
        folder = url.raw_path.partition("?")[0].rpartition("/")[0]
        path = _without_dots(f"{folder}/{path}") if path else url.raw_path.partition("?")[0]
        target = path + ("?" + query if "?" in target else "")
    return _parsed(f"{url.scheme}://{url.raw_authority}{target}")


def _without_dots(path: str) -> str:
    """RFC 3986, section 5.2.4; nothing is decoded."""
    output: list[str] = []
    parts = path.split("/")[1:]
    for part in parts:
        if part == "..":
            del output[-1:]
        elif part != ".":
            output.append(part)
    if parts[-1] in (".", ".."):
        output.append("")
    return "/" + "/".join(output)


def _sendable(text: str) -> str:
    """As browsers send it: without tabs, line breaks and surrounding space; encodes all but printable ASCII."""
    text = _DROPPED.sub("", text.strip(_AROUND))
    return _UNSENDABLE.sub(lambda found: quote(found.group().encode("utf-8", "surrogateescape")), text)


def _host(url: str | None) -> str:
    try:
        return _parsed(url).raw_host or ""
    except BlockedError:
        return ""


def _slots(count: int) -> asyncio.Semaphore:
    return asyncio.Semaphore(max(1, count))
