"""The real routes before a stub of the models: what is answered while a model has all the work that it can hold."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from types import SimpleNamespace

import httpx
import numpy as np
import pytest

from serve_apps.api.app import create_api
from serve_apps.deployments.generator import CitedSentence, Draft, TextOptions
from serve_apps.deployments.lookup import Selection, SelectionQuery
from serve_apps.http.asgi import OverloadedError
from serve_apps.rollout.models import Bundle, ModelRef
from showcases.catalog import NotFoundError

WISH = {"keywords": ["soup"], "business_id": "b", "k": 1}


class Models:
    """Answers at once; while `full`, the generator's queue is."""

    def __init__(self) -> None:
        refs = (ModelRef(name, "1", "champion", "nowhere", "nowhere") for name in ("selector", "generator"))
        bundle = Bundle(*refs, "space")
        self.champions = SimpleNamespace(answering=lambda key: bundle)
        self.catalog = SimpleNamespace()
        self.feedback = self.idempotency = SimpleNamespace()
        self.full = False

    async def select(self, query: SelectionQuery, bundle: Bundle) -> Selection:
        return Selection(["p1"], [1.0], np.zeros((1, 2)), np.zeros((0, 2)), 1, 0, 0, 3.0)

    async def write(self, selection: Selection, how: TextOptions, bundle: Bundle) -> list[Draft]:
        self.require_room()
        return [Draft([CitedSentence("The soup.", ["p1"], 0.9)], 0, [])]

    async def stream(self, selection: Selection, how: TextOptions, bundle: Bundle) -> AsyncIterator[str]:
        self.require_room()
        yield "The soup."

    async def finish(self, text: str, selection: Selection, how: TextOptions, bundle: Bundle) -> Draft:
        return Draft([CitedSentence(text, ["p1"], 0.9)], 0, [])

    def require_room(self) -> None:
        if self.full:
            raise OverloadedError("generator", 7)

    async def models_ready(self) -> bool:
        return True


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_photos_come_without_text_while_the_generator_is_full(accept: str) -> None:
    async def scene() -> None:
        models = Models()
        models.full = True
        transport = httpx.ASGITransport(create_api(models))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            second = await client.post("/v1/showcases", json=WISH, headers={"Accept": accept})
            answer = (
                second.json() if accept.endswith("json") else json.loads(second.text.split("data: ")[-1].split("\n")[0])
            )
            assert second.status_code == 200 and [photo["photo_id"] for photo in answer["photos"]] == ["p1"]
            assert answer["sentences"] == [] and answer["degraded"] == {"stage": "generator", "retry_after": 7}
            alone = await client.post("/v1/explanations", json={"keywords": ["soup"], "photo_ids": ["p1"]})
            assert alone.status_code == 503 and alone.headers["retry-after"] == "7"  # no text, no answer
            models.full = False
            whole = (await client.post("/v1/showcases", json=WISH)).json()
            assert whole["degraded"] is None and [row["text"] for row in whole["sentences"]] == ["The soup."]

    asyncio.run(scene())


class Failing(Models):
    """Its candidate can't select, or can't write."""

    def __init__(self, at: str) -> None:
        super().__init__()
        self.at, self.champion = at, self.champions.answering("")
        self.candidate = Bundle(
            *(replace(ref, version="2") for ref in (self.champion.selector, self.champion.generator)), "space"
        )
        self.champions = SimpleNamespace(answering=lambda key: self.candidate, champion=self.champion)

    async def select(self, query: SelectionQuery, bundle: Bundle) -> Selection:
        self.require("select", bundle)
        return await super().select(query, bundle)

    async def write(self, selection: Selection, how: TextOptions, bundle: Bundle) -> list[Draft]:
        self.require("write", bundle)
        return await super().write(selection, how, bundle)

    def require(self, step: str, bundle: Bundle) -> None:
        if step == self.at and bundle is self.candidate:
            raise RuntimeError("the candidate is broken")


@pytest.mark.parametrize("at", ["select", "write"])
def test_where_the_candidate_fails_the_champion_answers_it_all(at: str) -> None:
    async def scene() -> None:
        transport = httpx.ASGITransport(create_api(Failing(at)))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            answer = await client.post("/v1/showcases", json=WISH)
            assert answer.status_code == 200 and answer.json()["sentences"]
            assert {role: model["version"] for role, model in answer.json()["models"].items()} == {
                "selector": "1",
                "generator": "1",
            }

    asyncio.run(scene())


def test_what_is_refused_is_refused_before_a_stream_begins() -> None:
    class Knowing(Models):
        async def select(self, query: SelectionQuery, bundle: Bundle) -> Selection:
            raise NotFoundError("no business 'b' in the catalog")

    async def scene() -> None:
        transport = httpx.ASGITransport(create_api(Knowing()))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            answer = await client.post("/v1/showcases", json=WISH, headers={"Accept": "text/event-stream"})
            assert answer.status_code == 404 and answer.json()["detail"] == "no business 'b' in the catalog"

    asyncio.run(scene())


def test_a_stream_that_can_not_be_finished_ends_with_a_problem() -> None:
    """What was streamed already can't be taken back, so it is not a showcase without text."""

    class FullAtTheEnd(Models):
        async def finish(self, text: str, selection: Selection, how: TextOptions, bundle: Bundle) -> Draft:
            raise OverloadedError("generator", 7)

    async def scene() -> None:
        transport = httpx.ASGITransport(create_api(FullAtTheEnd()))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            answer = await client.post("/v1/showcases", json=WISH, headers={"Accept": "text/event-stream"})
            last = json.loads(answer.text.split("data: ")[-1].split("\n")[0])
            assert "event: problem" in answer.text and "event: showcase" not in answer.text
            assert (last["code"], last["retry_after"]) == ("overloaded", 7)

    asyncio.run(scene())
