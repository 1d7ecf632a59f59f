"""Photos from their URLs: asynchronous HTTP, bounded in all it takes, trusting nothing that the other side says."""

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
PASSING = (408, 425, 429)  # and everything from 500: worth another try
HEADERS = {"User-Agent": "showcases (research corpus)", "Accept": "image/*", "Accept-Encoding": "identity"}


class RefusalError(Exception):
    """A try that gave no photo: the status it would have, why, whether to try again, and after how many seconds."""

    def __init__(self, status: str, reason: str, again: bool = False, after: float = 0.0) -> None:
        super().__init__(reason)
        self.status, self.reason, self.again, self.after = status, reason, again, after


class Urls:
    """Photos from the URLs of the table `photos`.

    Args:
        config: manners.
        max_bytes: a body is read no further.
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
                timeout=aiohttp.ClientTimeout(total=None),  # the clock is kept in Fetch
                auto_decompress=False,  # a small body may unpack to a large one
            ) as session:
                fetch = Fetch(session, self.guard, config, self.max_bytes)
                slots = _slots(config.connections)
                hosts: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: _slots(config.per_host))
                loop = asyncio.get_running_loop()

                async def row(name: str, url: str | None) -> dict[str, Any]:
                    async with hosts[_host(url)], slots:  # until it is decoded, so that few lie in memory whole
                        return await loop.run_in_executor(decoder, take, name, await fetch(url))

                return await asyncio.gather(*(row(*pair) for pair in pairs))


class Fetch:
    """One photo's bytes by its URL, with tries, redirects and deadlines."""

    def __init__(self, session: aiohttp.ClientSession, guard: Guard, config: HttpConfig, max_bytes: int) -> None:
        self.session, self.guard, self.config, self.max_bytes = session, guard, config, max_bytes

    async def __call__(self, url: str | None) -> Raw:
        """What came of it; never raises for anything that the other side does."""
        now = asyncio.get_running_loop().time
        end, received = now() + self.config.seconds, [0]
        for number in range(1, self.config.tries + 1):
            try:
                async with asyncio.timeout_at(min(end, now() + self.config.try_seconds)):
                    data = await self._follow(_parsed(url), received)
                    return Raw(data, received=received[0])
            except Exception as error:  # whatever it is, it is this one photo's
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
    """Seconds to wait by a Retry-After header: a number of them, or a date; 0 where it is neither."""
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
    if status in PASSING or status >= 500:
        after = retry_after(response.headers.get("Retry-After"), time.time())
        asked = f", asked to wait {after:.0f} s" if after else ""
        raise RefusalError("failed", f"HTTP {status}{asked}", again=True, after=after)
    if status != 200:
        raise RefusalError("failed", f"HTTP {status}")


def _refusal(error: Exception) -> RefusalError:
    match error:
        case RefusalError():
            return error
        case BlockedError():
            return RefusalError("blocked", str(error))
        case aiohttp.InvalidURL():
            return RefusalError("blocked", f"no URL: {error}")
        case UnicodeError():
            return RefusalError("blocked", "no URL: its host can't be the name of one")
        case TimeoutError():
            return RefusalError("failed", "timed out", again=True)
        case aiohttp.ClientError() | OSError():
            return RefusalError("failed", _broken(error), again=True)
        case _:
            return RefusalError("failed", f"the answer is not understood ({type(error).__name__})")


def _broken(error: Exception) -> str:
    """Why a connection gave no answer, in the same words each time and without what the other side sent."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return f"the host {error.host} is not known to DNS"
        case aiohttp.ClientConnectorCertificateError():
            return f"the certificate of {error.host} is not valid"
        case aiohttp.ClientSSLError():
            return f"no TLS connection to {error.host}"
        case aiohttp.ClientConnectorError():
            return f"can't connect to {error.host}: {_system(error.os_error)}"
        case aiohttp.ServerDisconnectedError():
            return "the server hung up before it answered"
        case aiohttp.ClientPayloadError():
            return "the connection ended before the body did"
        case aiohttp.ClientResponseError():
            return f"the answer is not HTTP as it should be: {_first_line(error)}"
        case OSError():
            return f"the connection broke: {_system(error)}"
    return f"the connection broke ({type(error).__name__})"


def _system(error: OSError) -> str:
    return (error.errno and os.strerror(error.errno)) or "no reason is given"


def _first_line(error: aiohttp.ClientResponseError) -> str:
    """Without what the other side sent, which may be long and anything."""
    return error.message.partition("\n")[0].partition("\\n")[0].partition("b'")[0].strip(" :'\"")[:120]


def _parsed(text: str | None) -> URL:
    """A URL whose path and query go out byte for byte as they are written; its host is normalised.

    A signature holds for one spelling alone, so what is percent-encoded stays, and what isn't is not. Only what can't
    be sent (spaces, control characters, letters beyond ASCII) is encoded.

    Raises:
        BlockedError: it is no URL.
    """
    if not text:
        raise BlockedError("no URL")
    try:
        known, exact = URL(text), URL(_sendable(text), encoded=True)
        query = exact.raw_query_string
        path = exact.raw_path + ("?" if not query and "?" in text.partition("#")[0] else "")
        return URL.build(
            scheme=known.scheme, authority=known.raw_authority, path=path, query_string=query, encoded=True
        )
    except ValueError as error:
        raise BlockedError(f"no URL: {error}") from error


def _redirected(url: URL, location: str | None) -> URL:
    """Where a Location header leads from `url`, as exact as `_parsed` (URL.join would decode what is encoded).

    Raises:
        BlockedError: it is no URL.
    """
    if not location:
        raise BlockedError("no URL")
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
    kept: list[str] = []
    parts = path.split("/")[1:]
    for part in parts:
        if part == "..":
            del kept[-1:]
        elif part != ".":
            kept.append(part)
    if parts[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def _sendable(text: str) -> str:
    """As browsers send it: without tabs, line breaks and space around it; what isn't printable ASCII is encoded."""
    text = _DROPPED.sub("", text.strip(_AROUND))
    return _UNSENDABLE.sub(lambda found: quote(found.group().encode("utf-8", "surrogateescape")), text)


def _host(url: str | None) -> str:
    try:
        return _parsed(url).raw_host or ""
    except BlockedError:
        return ""


def _slots(count: int) -> asyncio.Semaphore:
    return asyncio.Semaphore(max(1, count))
