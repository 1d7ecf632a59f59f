"""Rate limit and daily quota per key, with the `limits` library: in memory, or in Redis shared by all gateways."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from limits import RateLimitItemPerDay, RateLimitItemPerSecond
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import ConfigurationError, StorageError
from limits.storage import storage_from_string

from serve_apps.access.keys import Key, utc_now
from serve_apps.http.asgi import Headers, RefusedError
from showcases.errors import ConfigError

logger = logging.getLogger("ray.serve")
NAMESPACE = "showcases"  # prefix of the counters in Redis
TIMEOUT_S = 1.0  # per Redis command
RETRY_S = 5.0  # pause after a Redis failure


@dataclass(frozen=True)
class Window:
    """Values of the X-RateLimit-* headers.

    Attributes:
        resource: "rate" or "day" (the quota).
        reset: seconds since the epoch when the oldest request leaves the window, or the quota resets.
    """

    resource: str
    limit: int
    remaining: int
    reset: float

    def headers(self) -> Headers:
        """Header names as GitHub uses them."""
        return {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(self.remaining),
            "x-ratelimit-used": str(self.limit - self.remaining),
            "x-ratelimit-reset": str(math.ceil(self.reset)),
            "x-ratelimit-resource": self.resource,
        }


class KeyLimiter:
    """Counts requests per key. Falls back to memory if Redis fails, so an outage blocks nobody."""

    def __init__(self, redis_url: str | None = None, now: Callable[[], datetime] = utc_now) -> None:
        """
        Raises:
            ConfigError: the package `redis` is missing.
        """
        self.now = now
        self._own = MovingWindowRateLimiter(storage_from_string("async+memory://"))
        self._shared = _in_redis(redis_url) if redis_url else None
        self._retry_at = -math.inf

    async def take(self, key: Key) -> Window:
        """Count a request.

        Raises:
            RefusedError: 429, with the seconds until another request is accepted.
        """
        if self._shared is not None and time.monotonic() >= self._retry_at:
            try:
                return await self._take(self._shared, key)
            except StorageError as error:
                self._retry_at = time.monotonic() + RETRY_S
                logger.error("Redis failed; counting requests in this gateway only for %g s: %s", RETRY_S, error)
        return await self._take(self._own, key)

    async def _take(self, windows: MovingWindowRateLimiter, key: Key) -> Window:
        rate = rate_of(key)
        accepted = await windows.hit(rate, key.id)
        if accepted and key.quota is not None:
            return await self._take_quota(windows, key.id, key.quota)
        reset, remaining = await windows.get_window_stats(rate, key.id)
        window = Window("rate", rate.amount, max(0, remaining), reset)
        if not accepted:
            what = f"the rate of {rate.amount} requests in {rate.get_expiry()} s"
            raise _too_many(window, reset - time.time(), what)
        return window

    async def _take_quota(self, windows: MovingWindowRateLimiter, key_id: str, quota: int) -> Window:
        """The counter's name contains the date, so it resets at midnight UTC."""
        item, now = RateLimitItemPerDay(quota, namespace=NAMESPACE), self.now()
        midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
        counter = item.key_for(key_id, now.date().isoformat())
        used = await windows.storage.incr(counter, item.get_expiry())
        window = Window("day", quota, max(0, quota - used), midnight.timestamp())
        if used > quota:
            raise _too_many(window, (midnight - now).total_seconds(), f"the quota of {quota} requests a day")
        return window


def rate_of(key: Key) -> RateLimitItemPerSecond:
    """The key's rate as requests per moving window of whole seconds.

    The window is burst / rate, rounded up: it allows a burst of at least `burst` requests and a long-run rate of at
    most `rate` (or one request per window, if a whole window can't express the rate).
    """
    seconds = max(1, math.ceil(key.burst / key.rate))
    return RateLimitItemPerSecond(max(key.burst, math.floor(key.rate * seconds)), seconds, namespace=NAMESPACE)


def _in_redis(url: str) -> MovingWindowRateLimiter:
    options = {"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S}
    try:
        storage = storage_from_string(f"async+{url}", implementation="redispy", wrap_exceptions=True, **options)
    except ConfigurationError as error:
        raise ConfigError(f"access.redis_url: {error}; `pip install 'showcases[redis]'` installs the client") from error
    return MovingWindowRateLimiter(storage)


def _too_many(window: Window, wait_s: float, what: str) -> RefusedError:
    seconds = max(1, math.ceil(wait_s))
    headers = {"retry-after": str(seconds), **window.headers()}
    code = "rate_exceeded" if window.resource == "rate" else "quota_exceeded"
    return RefusedError(429, f"{what} of this key is exhausted; try again in {seconds} s", headers, code=code)
