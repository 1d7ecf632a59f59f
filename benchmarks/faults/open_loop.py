"""Load that does not wait for answers: requests come at random moments at a given rate, from a process of its own.

    python -m benchmarks.faults.open_loop --url http://127.0.0.1:8000 --rate 20 --seconds 30

A client that asks again when it was answered goes easy on a slow service; real visitors come all the same. Arrivals are
a Poisson process. Every answer is one line of JSON on standard output; the tools that use it read those (`open_load`).
"""

import asyncio
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import aiohttp  # not httpx: its pool costs more with each connection, and the client shares the service's cores

from benchmarks.harness import parse
from benchmarks.service import Visit, body_of, visits

PATIENCE_S = 120  # of the client itself: far beyond any deadline of the service
CONNECTIONS = 1000
BROKEN = 0  # the status of a request that got no answer


@dataclass(frozen=True)
class Answer:
    """What became of one request.

    Attributes:
        sent, done: s, of time.monotonic, which all processes of a machine share.
        status: 0 where the connection broke.
        retry_after: as sent.
        degraded: photos without text.
        version: of the bundle that it names.
        said: why it broke, or what the problem says.
    """

    sent: float
    done: float
    status: int
    retry_after: str | None = None
    degraded: bool = False
    version: str | None = None
    said: str = ""

    @property
    def took(self) -> float:
        return self.done - self.sent


@contextlib.contextmanager
def open_load(url: str, rate: float, seconds: float, seed: int = 0) -> Iterator[list[Answer]]:
    """Load while the block runs and until `seconds` are over; the list has the answers after the block.

    Raises:
        RuntimeError: the client's process failed.
    """
    command = [sys.executable, "-m", "benchmarks.faults.open_loop", "--url", url]
    numbers = ["--rate", str(rate), "--seconds", str(seconds), "--seed", str(seed)]
    answers: list[Answer] = []
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen([*command, *numbers], stdout=output)
        try:
            yield answers
            if process.wait(seconds + 2 * PATIENCE_S):
                raise RuntimeError(f"the client of the open loop ended with {process.returncode}")
        finally:
            process.kill()
            process.wait()
        output.seek(0)
        answers += [Answer(**json.loads(line)) for line in output]


def statuses(answers: Sequence[Answer]) -> str:
    """Counts by status, e.g. `200: 480 (12 degraded), 503: 20`."""
    counts, degraded = Counter(answer.status for answer in answers), sum(answer.degraded for answer in answers)
    counted = [f"{status or 'broken'}: {count}" for status, count in sorted(counts.items())]
    return ", ".join(counted).replace(f"200: {counts[200]}", f"200: {counts[200]} ({degraded} degraded)")


async def ask(session: aiohttp.ClientSession, url: str, visit: Visit) -> Answer:
    """One showcase."""
    sent = time.monotonic()
    try:
        async with session.post(f"{url}/v1/showcases", json=body_of(visit)) as answer:
            text = await answer.text()
            found = json.loads(text) if "json" in answer.content_type else {"detail": text[:200]}
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        return Answer(sent, time.monotonic(), BROKEN, said=f"{type(error).__name__}: {error}")
    return _read(answer, found, sent, time.monotonic())


def _read(answer: aiohttp.ClientResponse, found: dict[str, Any], sent: float, done: float) -> Answer:
    version = found.get("models", {}).get("bundle", {}).get("version")
    degraded, said = found.get("degraded") is not None, str(found.get("detail", ""))
    return Answer(sent, done, answer.status, answer.headers.get("retry-after"), degraded, version, said)


async def arrive(url: str, workload: Sequence[Visit], rate: float, seconds: float, rng: random.Random) -> list[Answer]:
    """Requests at the moments of a Poisson process, whatever the answers take; returns when all are answered."""
    tasks: list[asyncio.Task[Answer]] = []
    patience = aiohttp.ClientTimeout(total=PATIENCE_S)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS), timeout=patience) as session:
        started, due = time.monotonic(), 0.0
        while (due := due + rng.expovariate(rate)) < seconds:
            await asyncio.sleep(max(0.0, started + due - time.monotonic()))
            tasks.append(asyncio.create_task(ask(session, url, workload[len(tasks) % len(workload)])))
        return await asyncio.gather(*tasks)


def main(argv: Sequence[str] | None = None) -> None:
    flags = {"url": ((str,), None), "rate": ((float,), "requests/s, in the mean")}
    options = parse(__doc__, argv, **flags, seconds=(30.0, None), seed=(0, None))
    rng, workload = random.Random(options.seed), visits(options.url, options.seed)
    for answer in asyncio.run(arrive(options.url, workload, options.rate, options.seconds, rng)):
        print(json.dumps(asdict(answer)))


if __name__ == "__main__":
    main()
