"""Showcases over HTTP: our service on Ray Serve against the same models in one bare FastAPI process, 1 to 32 clients.

    python -m benchmarks.speed.serve --root workspace [--seconds 20] [--clients 1 8 32]

Both are started here, one after the other, and asked for the same showcases by clients that each send the next request
when the last is answered. The first line compares showcases/s with most clients; the second says what HTTP, gateway and
the two hops cost one client, over calling the two models in this process: by turns, while our service runs.

Use a workspace that nothing was PUT into: a tenant's own rows are read at every request, and the models called here
have no tenant.
"""

import argparse
import asyncio
import contextlib
import http.client
import itertools
import json
import math
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import torch

from benchmarks.line import cores, print_line
from benchmarks.speed.bare_service import Pair

START_SECONDS = 180
ALONE = 100  # visits of the one client whose hops are measured
TURN = 10  # of them, before the models are called for as many
Visit = tuple[str, str]  # user, business


@dataclass(frozen=True)
class Load:
    """What came of some seconds of load."""

    clients: int
    rate: float  # showcases/s
    p50: float  # ms
    p99: float  # ms
    failed: int

    def told(self) -> str:
        return f"{self.rate:6.1f} showcases/s, p50 {self.p50:6.1f} ms, p99 {self.p99:6.1f} ms, {self.failed} failed"


def free_port() -> int:
    """A port that Ray takes none of: its workers' are below 20,000, what the system hands out is above 32,000."""
    for port in random.sample(range(20_000, 30_000), 100):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise SystemExit("error: none of 100 ports between 20,000 and 30,000 is free")


@contextlib.contextmanager
def running(module: str, root: str) -> Iterator[str]:
    """The URL of a service in a process of its own."""
    with started(module, root) as (url, _):
        yield url


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
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{url}/readyz", timeout=5).status_code == 200:
                    break
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


async def load(url: str, asked: Sequence[Visit], clients: int, seconds: float) -> Load:
    """Clients that ask without a pause; what is answered after the time is up does not count."""
    took: list[float] = []
    failed, turn = 0, 0
    ends = time.perf_counter() + seconds

    async def client(session: httpx.AsyncClient) -> None:
        nonlocal failed, turn
        while (started := time.perf_counter()) < ends:
            user, business = asked[turn % len(asked)]
            turn += 1
            answer = await session.post(
                f"{url}/v1/showcases", json={"user_id": user, "business_id": business, "k": 3}, timeout=60
            )
            done = time.perf_counter()
            failed += answer.status_code != 200
            if answer.status_code == 200 and done <= ends:
                took.append(done - started)

    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx.AsyncClient(limits=limits) as session:
        await asyncio.gather(*(client(session) for _ in range(clients)))
    if not took:  # a machine so busy that no answer came in time
        return Load(clients, 0.0, math.nan, math.nan, failed)
    ordered = sorted(took)
    p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    return Load(clients, len(took) / seconds, 1000 * statistics.median(took), 1000 * p99, failed)


def hops(url: str, root: str, asked: Sequence[Visit], seconds: float) -> dict[str, float]:
    """p50 in ms of one client over HTTP ("http"), and of calling the two models in this process: on as many threads as
    PyTorch takes ("models"), as the bare service does, and on one ("one_thread"), as Ray gives our replicas.

    By turns of a few, so that all meet the machine in the same mood; and all have looked everything up once before.
    """
    pair, threads = Pair(root), torch.get_num_threads()
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)

    def over_http(visit: Visit) -> None:
        body = json.dumps({"user_id": visit[0], "business_id": visit[1], "k": 3})
        connection.request("POST", "/v1/showcases", body, {"content-type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"error: POST /v1/showcases got {answer.status}")

    def models(visit: Visit) -> None:
        pair(*visit, 3)

    ways: dict[str, tuple[int, Callable[[Visit], None]]] = {
        "http": (threads, over_http),
        "models": (threads, models),
        "one_thread": (1, models),
    }
    for _, way in ways.values():
        for visit in asked:
            way(visit)
    took: dict[str, list[float]] = {name: [] for name in ways}
    ends = time.perf_counter() + seconds
    with contextlib.closing(connection):
        for start in itertools.cycle(range(0, len(asked), TURN)):
            for name, (count, way) in ways.items():
                torch.set_num_threads(count)
                for visit in asked[start : start + TURN]:
                    began = time.perf_counter()
                    way(visit)
                    took[name].append(time.perf_counter() - began)
            if time.perf_counter() > ends:
                break
    return {name: 1000 * statistics.median(times) for name, times in took.items()}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default="workspace", help="of `make demo`")
    parser.add_argument("--seconds", type=float, default=20, help="of load at each number of clients")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--seed", type=int, default=0, help="of who is asked for")
    options = parser.parse_args(argv)
    found: dict[str, dict[int, Load]] = {"ours": {}, "bare": {}}
    asked: list[Visit] = []
    for name, module in (("ours", "serve_apps.run"), ("bare", "benchmarks.speed.bare_service")):
        with running(module, options.root) as url:
            asked = asked or visits(url, options.seed)
            asyncio.run(load(url, asked, 4, 3))  # warms up
            for clients in options.clients:
                found[name][clients] = asyncio.run(load(url, asked, clients, options.seconds))
                print(f"{name}, {clients:>2} clients: {found[name][clients].told()}", flush=True)
            if name == "ours":
                alone = hops(url, options.root, asked[:ALONE], 2 * options.seconds)
    most = max(options.clients)
    ours, bare = found["ours"][most], found["bare"][most]
    print_line("serve", ours.rate / bare.rate, ours.rate, bare.rate, "showcases/s", cores(), clients=float(most))
    over, least = alone["http"] - alone["models"], alone["http"] - alone["one_thread"]
    print(
        f"one client: {alone['http']:.1f} ms over HTTP; by calling the models {alone['models']:.1f} ms, on one thread "
        f"{alone['one_thread']:.1f} ms: {over:.1f} and {least:.1f} ms of hops"
    )
    print_line("serve_overhead", None, over, None, "ms", cores(), over_one_thread=least, **alone)


if __name__ == "__main__":
    main()
