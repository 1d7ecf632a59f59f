"""More requests at once than the queues hold: photos without text, or 503 with Retry-After; then all is as before."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator

import httpx
import pytest

from benchmarks.processes import command, family

pytestmark = pytest.mark.ray
AT_ONCE = 300  # the Selector's queue and replica hold 128, the Generator's 48
HELD = 48


@contextlib.contextmanager
def stopped_generator() -> Iterator[None]:
    """The Generator's replicas do nothing inside the block, so that its queue fills however fast the machine is."""
    pids = [pid for pid in family(os.getpid()) if "ServeReplica:showcases:Generator" in command(pid)]
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_more_than_the_queues_hold_is_refused_or_has_no_text(service: str) -> None:
    async def run() -> tuple[list[httpx.Response], httpx.Response]:
        limits = httpx.Limits(max_connections=AT_ONCE)
        async with httpx.AsyncClient(base_url=service, timeout=120, limits=limits) as client:
            [place] = (await client.get("/v1/businesses?limit=1")).json()["items"]
            wish = {"keywords": ["soup"], "business_id": place["business_id"], "k": 2}
            with stopped_generator():
                asked = [asyncio.create_task(client.post("/v1/showcases", json=wish)) for _ in range(AT_ONCE)]
                until = time.monotonic() + 15  # all that the Generator has no place for are answered meanwhile
                while sum(task.done() for task in asked) < AT_ONCE - HELD and time.monotonic() < until:
                    await asyncio.sleep(0.1)
                assert (await client.get("/readyz")).status_code == 200
            return await asyncio.gather(*asked), await client.post("/v1/showcases", json=wish)

    answers, afterwards = asyncio.run(run())
    whole = [one for one in answers if one.status_code == 200 and one.json()["degraded"] is None]
    textless = [one for one in answers if one.status_code == 200 and one.json()["degraded"]]
    refused = [one for one in answers if one.status_code == 503]
    assert len(whole) + len(textless) + len(refused) == AT_ONCE
    assert 0 < len(whole) <= AT_ONCE - len(textless) and textless
    assert all(one.json()["degraded"] == {"stage": "generator", "retry_after": 5} for one in textless)
    assert all(one.json()["code"] == "overloaded" and one.headers["retry-after"] == "5" for one in refused)
    assert afterwards.json()["degraded"] is None and afterwards.json()["sentences"]
