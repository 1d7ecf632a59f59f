"""The real routes before a stub of the models: what is answered while a model has all the work that it can hold."""

import asyncio
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace

import httpx
import numpy as np
import pytest

from serve_apps.access.config import AccessConfig, StageLimits
from serve_apps.api import create_api
from serve_apps.generator import Candidate, How, Written
from serve_apps.models import Bundle, ModelRef
from serve_apps.selector import Selection, Wish

WISH = {"keywords": ["soup"], "business_id": "b", "k": 1}


class Models:
    """Answers at once, but writes only when told to."""

    def __init__(self) -> None:
        refs = (ModelRef(name, "1", "champion", "nowhere", "nowhere") for name in ("selector", "generator"))
        bundle = Bundle(*refs, "space")
        self.champions = SimpleNamespace(answering=lambda key: bundle)
        self.catalog = SimpleNamespace(
            **dict.fromkeys(("business", "user", "photos"), lambda *_: None)
        )  # all are known
        self.feedback = SimpleNamespace()
        self.may_write = asyncio.Event()

    async def select(self, wish: Wish, bundle: Bundle) -> Selection:
        return Selection(["p1"], [1.0], np.zeros((1, 2)), np.zeros((0, 2)), 1, 0, 0)

    async def write(self, selection: Selection, how: How, bundle: Bundle) -> list[Candidate]:
        await self.may_write.wait()
        return [Candidate([Written("The soup.", ["p1"], 0.9)], 0, [])]

    async def stream(self, selection: Selection, how: How, bundle: Bundle) -> AsyncIterator[str]:
        yield "The soup."

    async def finish(self, text: str, selection: Selection, how: How, bundle: Bundle) -> Candidate:
        return Candidate([Written(text, ["p1"], 0.9)], 0, [])

    async def models_ready(self) -> bool:
        return True


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_photos_come_without_text_while_the_generator_is_full(accept: str) -> None:
    async def scene() -> None:
        models = Models()
        full = StageLimits(running=1, waiting=0, expected_s=7)
        api = create_api(models, AccessConfig(generator=full))
        transport = httpx.ASGITransport(api)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            first = asyncio.create_task(client.post("/v1/showcases", json=WISH))
            while not api.state.stages["generator"].running:
                await asyncio.sleep(0.01)
            second = await client.post("/v1/showcases", json=WISH, headers={"Accept": accept})
            answer = second.json() if accept.endswith("json") else json.loads(second.text.split("data: ")[-1])
            assert second.status_code == 200 and [photo["photo_id"] for photo in answer["photos"]] == ["p1"]
            assert answer["sentences"] == [] and answer["degraded"] == {"stage": "generator", "retry_after": 7}
            alone = await client.post("/v1/explanations", json={"keywords": ["soup"], "photo_ids": ["p1"]})
            assert alone.status_code == 503 and alone.headers["retry-after"] == "7"  # no text, no answer
            models.may_write.set()
            whole = (await first).json()
            assert whole["degraded"] is None and [row["text"] for row in whole["sentences"]] == ["The soup."]
            assert (await client.post("/v1/showcases", json=WISH)).json()["degraded"] is None

    asyncio.run(scene())
