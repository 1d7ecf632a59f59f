"""More requests at once than the queues hold: photos without text, or 503 with Retry-After; then all is as before."""

import asyncio

import httpx
import pytest

pytestmark = pytest.mark.ray
AT_ONCE = 300  # the Selector's queue and replica hold 128, the Generator's 48


def test_more_than_the_queues_hold_is_refused_or_has_no_text(service: str) -> None:
    async def run() -> tuple[list[httpx.Response], httpx.Response]:
        limits = httpx.Limits(max_connections=AT_ONCE)
        async with httpx.AsyncClient(base_url=service, timeout=120, limits=limits) as client:
            [place] = (await client.get("/v1/businesses?limit=1")).json()["items"]
            wish = {"keywords": ["soup"], "business_id": place["business_id"], "k": 2}
            answers = await asyncio.gather(*(client.post("/v1/showcases", json=wish) for _ in range(AT_ONCE)))
            assert (await client.get("/readyz")).status_code == 200
            return answers, await client.post("/v1/showcases", json=wish)

    answers, afterwards = asyncio.run(run())
    whole = [one for one in answers if one.status_code == 200 and one.json()["degraded"] is None]
    textless = [one for one in answers if one.status_code == 200 and one.json()["degraded"]]
    refused = [one for one in answers if one.status_code == 503]
    assert len(whole) + len(textless) + len(refused) == AT_ONCE and whole and textless
    assert all(one.json()["degraded"] == {"stage": "generator", "retry_after": 5} for one in textless)
    assert all(one.json()["code"] == "overloaded" and one.headers["retry-after"] == "5" for one in refused)
    assert afterwards.json()["degraded"] is None and afterwards.json()["sentences"]
