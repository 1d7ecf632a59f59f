"""A service in a process of its own, whom to ask it for, and clients that wait for their answers."""

import asyncio
import contextlib
import math
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

START_SECONDS = 180
Visit = tuple[str, str]  # user, business


@dataclass(frozen=True)
class Load:
    """What came of some seconds of load."""

    clients: int
    rate: float  # showcases/s
    p50: float  # ms
    p99: float  # ms
    failed: int

    def __str__(self) -> str:
        return f"{self.rate:6.1f} showcases/s, p50 {self.p50:6.1f} ms, p99 {self.p99:6.1f} ms, {self.failed} failed"


def free_port() -> int:
    """A port that Ray takes none of: its workers' are below 20,000, what the system hands out is above 32,000."""
    for port in random.sample(range(20_000, 30_000), 100):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise SystemExit("error: none of 100 ports between 20,000 and 30,000 is free")


def is_ready(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{url}/readyz", timeout=10).status_code == 200
    return False


@contextlib.contextmanager
def started(module: str, root: str, *more: str, log: Path | None = None) -> Iterator[tuple[str, int]]:
    """The URL of a service in a process of its own, and that process' id.

    Args:
        more: flags.
        log: file for what it prints; by default that goes where ours goes.
    """
    port = free_port()
    command = [sys.executable, "-m", module, "--root", root, "--port", str(port), *more]
    with contextlib.nullcontext() if log is None else log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT if log else None)
    url, began = f"http://127.0.0.1:{port}", time.monotonic()
    try:
        while not is_ready(url):
            if process.poll() is not None or time.monotonic() - began > START_SECONDS:
                raise SystemExit(f"error: {module} did not become ready; does {root} hold what `make demo` makes?")
            time.sleep(0.5)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(60)


def visits(url: str, seed: int, count: int = 500) -> list[Visit]:
    """Random users at random businesses of the catalog."""
    users, places = (
        [row[key] for row in httpx.get(f"{url}/v1/{kind}", params={"limit": 200}).json()["items"]]
        for kind, key in (("users", "user_id"), ("businesses", "business_id"))
    )
    rng = random.Random(seed)
    return [(rng.choice(users), rng.choice(places)) for _ in range(count)]


def body_of(visit: Visit) -> dict[str, str | int]:
    """Of a request for a showcase."""
    return {"user_id": visit[0], "business_id": visit[1], "k": 3}


def load(url: str, workload: Sequence[Visit], clients: int, seconds: float, warm_up: float = 0) -> Load:
    """Clients that ask without a pause; what is answered after the time is up does not count.

    Args:
        warm_up: seconds of the same load before, which do not count.
    """
    if warm_up:
        asyncio.run(_load(url, workload, clients, warm_up))
    return asyncio.run(_load(url, workload, clients, seconds))


async def _load(url: str, workload: Sequence[Visit], clients: int, seconds: float) -> Load:
    took: list[float] = []
    failed, turn = 0, 0
    ends = time.perf_counter() + seconds

    async def client(session: httpx.AsyncClient) -> None:
        nonlocal failed, turn
        while (started := time.perf_counter()) < ends:
            body = body_of(workload[turn % len(workload)])
            turn += 1
            answer = await session.post(f"{url}/v1/showcases", json=body, timeout=60)
            done = time.perf_counter()
            failed += answer.status_code != 200
            if answer.status_code == 200 and done <= ends:
                took.append(1000 * (done - started))

    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx.AsyncClient(limits=limits) as session:
        await asyncio.gather(*(client(session) for _ in range(clients)))
    p50 = statistics.median(took) if took else math.nan  # a machine so busy that no answer came in time
    return Load(clients, len(took) / seconds, p50, quantile(took, 0.99), failed)


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least such a share does not pass; NaN of nothing."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan
