"""Photos from their URLs: asynchronous HTTP, bounded in all it takes, trusting nothing that the other side says."""

import asyncio
import email.utils
import random
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
import pyarrow as pa
from yarl import URL

from showcases.gest.config import HttpConfig
from showcases.gest.sources.addresses import BlockedError, Guard, GuardedResolver
from showcases.gest.sources.base import Raw, Take

MAX_REDIRECTS = 5
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
                url = url.join(_parsed(response.headers.get("Location")))
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
        case TimeoutError():
            return RefusalError("failed", "timed out", again=True)
        case aiohttp.ClientError() | OSError():
            return RefusalError("failed", f"{type(error).__name__}: {_first_line(error)}", again=True)
        case _:
            return RefusalError("failed", f"not understood: {type(error).__name__}: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    """Without what the other side sent, which may be long and anything."""
    return str(error).partition("\n")[0].partition("\\n")[0][:120]


def _parsed(url: str | None) -> URL:
    """
    Raises:
        BlockedError: it is no URL.
    """
    if not url:
        raise BlockedError("no URL")
    try:
        return URL(url)
    except ValueError as error:
        raise BlockedError(f"no URL: {error}") from error


def _host(url: str | None) -> str:
    try:
        return _parsed(url).raw_host or ""
    except BlockedError:
        return ""


def _slots(count: int) -> asyncio.Semaphore:
    return asyncio.Semaphore(max(1, count))
