"""How much of its rate and of its day's quota a key has used, and what it is told about that.

Rate: a token bucket a key in every gateway process, each with the key's rate / gateways. Quota: every process counts,
writes its count down every `flush_s`, and adds what the others wrote. So a restart forgets at most the requests of the
last flush_s, and `n` gateways may together pass a quota by what the others served in 2 flush_s.
"""

import asyncio
import logging
import math
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from serve_apps.access.asgi import Headers, RefusedError
from serve_apps.access.bucket import TokenBucket
from serve_apps.access.config import AccessConfig
from serve_apps.access.keys import Key, utc_now
from serve_apps.access.store import KeyStore, Usage, day_of
from showcases.errors import ShowcasesError

logger = logging.getLogger("ray.serve")
KEPT_DAYS = 31


@dataclass(frozen=True)
class Window:
    """What X-RateLimit-* tell: `resource` is "rate" (the bucket) or "day" (the quota)."""

    resource: str
    limit: int
    remaining: int
    reset: datetime  # when all of `limit` is there again

    def headers(self) -> Headers:
        """GitHub's names: reset in UTC epoch seconds."""
        return {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(self.remaining),
            "x-ratelimit-used": str(self.limit - self.remaining),
            "x-ratelimit-reset": str(math.ceil(self.reset.timestamp())),
            "x-ratelimit-resource": self.resource,
        }


class Meter:
    """Of one gateway process."""

    def __init__(
        self,
        store: KeyStore,
        config: AccessConfig,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.store, self.config, self.clock, self.now = store, config, clock, now
        self._process = uuid.uuid4().hex
        self._buckets: dict[str, TokenBucket] = {}
        self._day = day_of(now())
        self._own: dict[str, Usage] = {}
        self._others = store.usage(self._day)
        self._timer: asyncio.TimerHandle | None = None
        self._flushing: asyncio.Task[None] | None = None
        store.forget_usage(day_of(now() - timedelta(days=KEPT_DAYS)))

    def take(self, key: Key) -> Window:
        """Count a request.

        Raises:
            RefusedError: 429, with the seconds until another will do; it is not counted.
        """
        rate = self._take_rate(key)
        used = self._used(key)
        if key.quota is not None and used >= key.quota:
            day = self._day_window(key, key.quota, used)
            raise _too_many(day, (day.reset - self.now()).total_seconds(), f"the quota of {key.quota} requests a day")
        minute = self.now().strftime("%Y-%m-%dT%H:%MZ")
        self._own[key.id] = self._own.get(key.id, Usage()) + Usage(1, minute)
        self._flush_later()
        return rate if key.quota is None else self._day_window(key, key.quota, used + 1)

    def _take_rate(self, key: Key) -> Window:
        share, burst = key.rate / self.config.gateways, max(1.0, key.burst / self.config.gateways)
        now = self.clock()
        bucket = self._buckets.get(key.id) or TokenBucket(share, burst, at=now)
        if (bucket.rate, bucket.burst) != (share, burst):
            bucket = bucket.resized(share, burst, now)
        self._buckets[key.id] = bucket
        wait = bucket.take(now)
        reset = self.now() + timedelta(seconds=bucket.seconds_to_full(now))
        window = Window("rate", int(burst), int(bucket.level), reset)
        if wait:
            raise _too_many(window, wait, f"the rate of {key.rate:g} requests/s, {key.burst} at once,")
        return window

    def _used(self, key: Key) -> int:
        if (today := day_of(self.now())) != self._day:
            self._day, self._own, self._others = today, {}, {}
        return (self._own.get(key.id, Usage()) + self._others.get(key.id, Usage())).requests

    def _day_window(self, key: Key, quota: int, used: int) -> Window:
        midnight = self.now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        return Window("day", quota, max(0, quota - used), midnight)

    def _flush_later(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.config.flush_s, self._flush_now)

    def _flush_now(self) -> None:
        self._timer = None
        self._flushing = asyncio.create_task(self.flush())

    async def flush(self) -> None:
        """Write this process' count down, and read what the others have."""
        day, own = self._day, {key_id: replace(used) for key_id, used in self._own.items()}
        if not own:
            return
        try:
            await asyncio.to_thread(self.store.write_usage, day, self._process, own)
            others = await asyncio.to_thread(self.store.usage, day, self._process)
        except (OSError, ShowcasesError) as error:
            logger.error("the use of keys could not be written down, a restart would forget it: %s", error)
            return
        if day == self._day:
            self._others = others


def _too_many(window: Window, wait_s: float, what: str) -> RefusedError:
    seconds = max(1, math.ceil(wait_s))
    headers = {"retry-after": str(seconds), **window.headers()}
    code = "rate_exceeded" if window.resource == "rate" else "quota_exceeded"
    return RefusedError(429, f"{what} of this key is used up; try again in {seconds} s", headers, code=code)
