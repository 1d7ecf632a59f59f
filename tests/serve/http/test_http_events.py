"""Server-sent events as line readers see them: cut at every character that some reader takes for a line's end."""

import asyncio
import contextvars
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve_apps.access.config import AccessConfig, Limits
from serve_apps.api.app import create_api
from serve_apps.api.feedback import FeedbackStore
from serve_apps.deployments.generator import CitedSentence, Draft, TextOptions
from serve_apps.deployments.lookup import Selection
from serve_apps.http import events
from serve_apps.rollout.models import Bundle
from showcases.storage.artifacts import Workspace
from tests.serve.content import Models, tiny_encoder
from tests.unit.catalog.made_up import write

ODD = "Line\u2028paragraph\u2029next\x85feed\x0b\x0c\x1c\x1d\x1e tab\t \r\n end 😀 \ud800"
WISH = {"keywords": ["soup"], "business_id": "b0"}
STREAM = {"accept": "text/event-stream"}


def read(lines: list[str]) -> list[tuple[str, str, Any]]:
    """(id, event, data) of a stream in lines, by the rules of the HTML standard, section 9.2.6."""
    found, fields = [], {}
    for line in lines:
        if not line:
            found += [(fields["id"], fields["event"], json.loads(fields["data"]))] if "data" in fields else []
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            assert name in ("id", "event", "data"), line
            fields[name] = value
    return found


class Odd(Models):
    """Says ODD; waits in the middle of a stream until `go`."""

    def __init__(self, root: Path) -> None:
        write(str(root / "catalog"))
        super().__init__(str(root / "catalog"), tiny_encoder())
        self.feedback = FeedbackStore(Workspace(str(root)))
        self.go, self.cancelled = asyncio.Event(), False

    async def write(self, selection: Selection, how: TextOptions, bundle: Bundle) -> list[Draft]:
        return [Draft([CitedSentence(ODD.replace("\ud800", ""), selection.photo_ids[:1], 0.9)], 0, [])] * how.n

    async def stream(self, selection: Selection, how: TextOptions, bundle: Bundle) -> AsyncIterator[str]:
        yield ODD
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        yield " More."


async def streamed(models: Odd, limits: Limits, **options: Any) -> httpx.Response:
    transport = httpx.ASGITransport(create_api(models, AccessConfig(limits=limits)))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        headers = STREAM | options.pop("headers", {})
        return await client.post("/v1/showcases", json=WISH | options, headers=headers)


def test_lines_are_lines_for_every_reader(tmp_path: Path) -> None:
    models = Odd(tmp_path)
    models.go.set()
    answer = asyncio.run(streamed(models, Limits()))
    told = read(answer.content.decode().splitlines())  # ends lines at U+0085, U+2028, U+2029 and more
    assert told == read(answer.content.decode().split("\n"))
    assert [number for number, _, _ in told] == [str(1 + place) for place in range(len(told))]
    assert [name for _, name, _ in told] == ["photos", "text", "text", "showcase"]
    assert told[1][2] == {"piece": ODD}
    assert answer.headers["x-accel-buffering"] == "no" and answer.headers["vary"] == "Accept"
    assert {"no-cache", "no-store"} <= set(answer.headers["cache-control"].split(", "))
    assert "etag" not in answer.headers


def test_a_comment_comes_while_nothing_does(tmp_path: Path) -> None:
    models, parts = Odd(tmp_path), []

    async def scene() -> None:
        events_ = events.encoded(_scripted(models.go), 0.02)
        async for part in events_:
            parts.append(part.decode())
            if parts[-2:] == [": ping\n\n"] * 2:
                models.go.set()

    asyncio.run(asyncio.wait_for(scene(), 20))
    assert parts[0].startswith("event: first") and parts[-1].startswith("event: second")
    assert len(parts) >= 4 and set(parts[1:-1]) == {": ping\n\n"}
    assert [number for number, _, _ in read("".join(parts).split("\n"))] == ["1", "2"]  # comments have no number


async def _scripted(go: asyncio.Event) -> AsyncIterator[events.Event]:
    yield "first", {}
    await go.wait()
    yield "second", {}


def test_the_service_sends_comments_at_its_option(tmp_path: Path) -> None:
    """Until the deadline, which a last event names."""
    models = Odd(tmp_path)
    answer = asyncio.run(streamed(models, Limits(heartbeat_s=0.02), headers={"prefer": "wait=1"}))
    assert answer.text.count("\n: ping\n\n") > 2 and models.cancelled
    number, name, problem = read(answer.text.split("\n"))[-1]
    assert (number, name, problem["status"], problem["code"]) == ("3", "problem", 504, "deadline_exceeded")


def test_what_ends_events_ends_the_stream_and_who_leaves_ends_the_events() -> None:
    variable, ended = contextvars.ContextVar("x", default=0), []

    async def breaking() -> AsyncIterator[events.Event]:
        token = variable.set(1)  # as spans do: it must be reset in the context that set it
        try:
            yield "one", {}
            raise ValueError("broken")
        finally:
            variable.reset(token)
            ended.append("breaking")

    async def waiting() -> AsyncIterator[events.Event]:
        try:
            yield "one", {}
            await asyncio.Event().wait()
        finally:
            ended.append("waiting")

    async def scene() -> None:
        with pytest.raises(ValueError, match="broken"):
            [event async for event in events.with_idle(breaking(), 10)]
        stream = events.with_idle(waiting(), 10)
        assert await anext(stream) == ("one", {})
        await stream.aclose()

    asyncio.run(asyncio.wait_for(scene(), 20))
    assert ended == ["breaking", "waiting"]


@pytest.mark.parametrize("more", [{"n": 2}, {"n": 5, "tone": "brief"}])
def test_what_a_stream_can_not_give_is_refused(tmp_path: Path, more: dict[str, Any]) -> None:
    models = Odd(tmp_path)
    answer = asyncio.run(streamed(models, Limits(), **more))
    assert answer.status_code == 422 and answer.headers["vary"] == "Accept" and not models.queries
    [error] = answer.json()["errors"]
    assert (error["location"], error["pointer"], error["code"]) == ("body", "/n", "stream_single_text")
    models.go.set()
    plain = asyncio.run(streamed(models, Limits(), headers={"accept": "application/json"}, **more))
    assert plain.status_code == 200 and len(plain.json()["alternatives"]) == more["n"] - 1
