"""Calls that outlive a lost replica: what is asked again, how often, and that a stream goes on where it ended."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError

from serve_apps import calls
from serve_apps.access.asgi import RefusedError

LOST = ActorDiedError(), ActorUnavailableError("gone", b"0" * 16)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "WAITS_S", (0, 0, 0))


class Replicas:
    """Each call meets the next fate: an error, or a text that it writes in pieces; an error may cut a text off."""

    def __init__(self, *fates: object) -> None:
        self.fates, self.called = list(fates), 0

    def __call__(self) -> "asyncio.Task[str]":
        self.called += 1
        return asyncio.ensure_future(self._answer(self.fates.pop(0)))

    async def _answer(self, fate: object) -> str:
        if isinstance(fate, Exception):
            raise fate
        return str(fate)

    async def pieces(self) -> AsyncIterator[str]:
        self.called += 1
        for piece in self.fates.pop(0):  # type: ignore[attr-defined]
            if isinstance(piece, Exception):
                raise piece
            yield piece


def test_a_lost_replica_s_work_is_asked_of_another_one() -> None:
    replicas = Replicas(*LOST, "text")
    assert asyncio.run(calls.insisting("generator", replicas)) == "text" and replicas.called == 3


def test_what_the_model_raises_is_not_asked_again() -> None:
    replicas = Replicas(ValueError("shapes"), "text")
    with pytest.raises(ValueError, match="shapes"):
        asyncio.run(calls.insisting("selector", replicas))
    assert replicas.called == 1


def test_replicas_that_die_of_a_request_are_not_fed_with_it_for_ever() -> None:
    replicas = Replicas(*LOST, *LOST)
    with pytest.raises(RefusedError, match="replicas of the selector were lost") as refused:
        asyncio.run(calls.insisting("selector", replicas))
    assert refused.value.status == 503 and int(refused.value.headers["retry-after"]) >= 0 and replicas.called == 3


async def read(replicas: Replicas) -> list[str]:
    return [piece async for piece in calls.resumed("generator", replicas.pieces)]


def test_a_stream_goes_on_where_it_ended() -> None:
    replicas = Replicas(["The ", "so", LOST[0]], ["The s", LOST[1]], ["The", " soup ", "was fine."])
    told = asyncio.run(read(replicas))
    assert "".join(told) == "The soup was fine." and told[:2] == ["The ", "so"] and replicas.called == 3


def test_another_text_is_not_told_as_the_rest_of_the_first() -> None:
    told: list[str] = []

    async def listen() -> None:
        async for piece in calls.resumed("generator", Replicas(["The soup", LOST[0]], ["The s", "alad."]).pieces):
            told.append(piece)

    with pytest.raises(RefusedError, match="lost while they worked"):
        asyncio.run(listen())
    assert told == ["The soup"]
