"""Rate and quota of a key: how many requests pass, what the others are told, in memory and in a real Redis."""

import asyncio
import contextlib
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serve_apps.access import limits
from serve_apps.access.config import AccessConfig
from serve_apps.access.keys import Key
from serve_apps.access.limits import KeyLimiter, rate_of
from serve_apps.http.asgi import RefusedError
from tests.serve.access.helpers import ask, create, make_api, request

NOW = datetime(2026, 3, 1, 23, 59, 50, tzinfo=UTC)


def key(rate: float = 1000, burst: int = 1000, quota: int | None = None, key_id: str = "0123456789ab") -> Key:
    secret = {"digest": "0" * 64, "created": NOW}
    fields = {"id": key_id, "tenant": "acme", "scopes": ["read"], "rate": rate, "burst": burst, "quota": quota}
    return Key.model_validate({**fields, "created": NOW, "expires": None, "secrets": [secret]})


async def accepted(limiter: KeyLimiter, key: Key, requests: int) -> int:
    """How many of so many requests pass."""
    passed = 0
    for _ in range(requests):
        with contextlib.suppress(RefusedError):
            await limiter.take(key)
            passed += 1
    return passed


async def refused(limiter: KeyLimiter, key: Key) -> RefusedError:
    with pytest.raises(RefusedError) as found:
        await limiter.take(key)
    assert found.value.status == 429
    return found.value


@pytest.mark.parametrize(
    ("rate", "burst", "amount", "seconds"),
    [(10, 20, 20, 2), (0.01, 6, 6, 600), (1, 40, 40, 40), (10, 15, 20, 2), (10, 5, 10, 1), (0.3, 1, 1, 4)],
)
def test_a_window_holds_the_burst_and_keeps_the_rate(rate: float, burst: int, amount: int, seconds: int) -> None:
    window = rate_of(key(rate, burst))
    assert (window.amount, window.get_expiry()) == (amount, seconds)
    assert window.amount >= burst and window.amount / window.get_expiry() <= rate


def test_no_window_passes_more_than_it_holds_and_retry_after_holds() -> None:
    async def run() -> list[float]:
        limiter, busy, rng, passed = KeyLimiter(), key(5, 5), random.Random(1), []
        ends = time.time() + 2.5
        while time.time() < ends:
            before = time.time()
            try:
                await limiter.take(busy)
                passed.append(before)
            except RefusedError as error:
                assert error.headers["retry-after"] == "1" and error.code == "rate_exceeded"
            await asyncio.sleep(rng.uniform(0, 0.06))
        with contextlib.suppress(RefusedError):
            await accepted(limiter, busy, 5)
            error = await refused(limiter, busy)
            await asyncio.sleep(int(error.headers["retry-after"]))
        await limiter.take(busy)
        return passed

    passed = asyncio.run(run())
    assert len(passed) >= 10  # two windows' worth at least
    assert all(later - first >= 0.99 for first, later in zip(passed, passed[5:], strict=False))


def test_the_rate_is_a_keys_own_and_answers_say_what_is_left(tmp_path: Path, capsys) -> None:
    busy, calm = (create(tmp_path, capsys, "--rate", "0.01", "--burst", "3") for _ in range(2))
    api = make_api(AccessConfig(keys=str(tmp_path)))
    answers = ask(api, *[request(busy, "GET", "/v1/photos/p") for _ in range(5)], request(calm, "GET", "/v1/photos/p"))
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429, 200]
    headers = answers[3].headers
    assert answers[3].json()["code"] == "rate_exceeded"
    assert headers["content-type"] == "application/problem+json"
    assert 295 <= int(headers["retry-after"]) <= 300  # 3 requests in 300 s
    found = [headers[f"x-ratelimit-{name}"] for name in ("limit", "remaining", "used", "resource")]
    assert found == ["3", "0", "3", "rate"]
    assert abs(int(headers["x-ratelimit-reset"]) - time.time() - int(headers["retry-after"])) <= 2
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers[:3]] == ["2", "1", "0"]


def test_the_quota_starts_anew_at_midnight_utc() -> None:
    now = [NOW]

    async def run() -> None:
        limiter, limited = KeyLimiter(now=lambda: now[0]), key(quota=3)
        assert [(await limiter.take(limited)).remaining for _ in range(3)] == [2, 1, 0]
        error = await refused(limiter, limited)
        assert "quota of 3 requests a day" in error.detail and error.code == "quota_exceeded"
        assert error.headers["retry-after"] == "10" and error.headers["x-ratelimit-resource"] == "day"
        assert error.headers["x-ratelimit-reset"] == str(int((NOW + timedelta(seconds=10)).timestamp()))
        assert (await limiter.take(key(quota=3, key_id="ba9876543210"))).remaining == 2
        now[0] = NOW + timedelta(seconds=10)
        assert (await limiter.take(limited)).remaining == 2

    asyncio.run(run())


def test_without_redis_each_gateway_counts_for_itself() -> None:
    async def run() -> list[int]:
        return [await accepted(KeyLimiter(), key(0.01, 4), 6) for _ in range(2)]

    assert asyncio.run(run()) == [4, 4]


class Redis:
    """A server of this test's own, without a file."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder, self.url = folder, f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        flags = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]
        self.process = subprocess.Popen(["redis-server", *flags], stdout=subprocess.DEVNULL)
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.05)
        raise TimeoutError("redis-server did not start")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed (apt-get install redis-server)")
    pytest.importorskip("redis", reason="pip install 'showcases[redis]'")
    server = Redis(tmp_path)
    yield server
    server.stop()


def test_redis_counts_for_all_gateways_and_outlives_them(redis: Redis) -> None:
    async def run() -> None:
        now = lambda: NOW  # noqa: E731
        both, busy, limited = [KeyLimiter(redis.url, now) for _ in range(2)], key(0.01, 5), key(quota=3)
        taken = await asyncio.gather(*(accepted(one, busy, 8) for one in both))
        assert sum(taken) == 5
        for gateway in (*both, KeyLimiter(redis.url, now)):  # the last one was started later
            assert 400 <= int((await refused(gateway, busy)).headers["retry-after"]) <= 500
        assert [
            (await gateway.take(limited)).remaining for gateway in (both[0], both[1], KeyLimiter(redis.url, now))
        ] == [2, 1, 0]
        assert (await refused(both[0], limited)).code == "quota_exceeded"

    asyncio.run(run())


def test_while_redis_is_away_gateways_count_for_themselves(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RETRY_S", 0.5)

    async def run() -> None:
        first, second = (KeyLimiter(redis.url) for _ in range(2))
        busy = key(0.01, 4)
        assert await accepted(first, busy, 3) == 3
        redis.stop()
        assert [await accepted(one, busy, 6) for one in (first, second)] == [4, 4]
        redis.start()
        await asyncio.sleep(0.6)
        assert await accepted(first, busy, 3) + await accepted(second, busy, 3) == 4

    asyncio.run(run())


def test_a_redis_that_hangs_delays_one_request_only(redis: Redis) -> None:
    async def run() -> list[float]:
        limiter, took = KeyLimiter(redis.url), []
        await limiter.take(key())
        redis.process.send_signal(signal.SIGSTOP)
        for _ in range(5):
            began = time.monotonic()
            await limiter.take(key())
            took.append(time.monotonic() - began)
        return took

    first, *others = asyncio.run(run())
    assert first < limits.TIMEOUT_S + 1 and max(others) < 0.5


def test_a_service_with_redis(redis: Redis, tmp_path: Path, capsys) -> None:
    token = create(tmp_path, capsys, "--rate", "0.01", "--burst", "3")
    config = AccessConfig(keys=str(tmp_path), redis_url=redis.url)
    gateways = [make_api(config), make_api(config)]
    answers = [ask(api, *[request(token, "GET", "/v1/photos/p") for _ in range(2)]) for api in gateways]
    assert [answer.status_code for pair in answers for answer in pair] == [200, 200, 200, 429]
    assert answers[1][0].headers["x-ratelimit-remaining"] == "0"
