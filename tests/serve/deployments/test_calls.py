"""Calls of replicas: one retry if the replica is lost, none of anything else, and a stream goes on where it ended."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError
from ray.serve.exceptions import BackPressureError

from serve_apps.deployments import retries
from serve_apps.http.asgi import OverloadedError, RefusedError

LOST = ActorDiedError(), ActorUnavailableError("gone", b"0" * 16)
FULL = BackPressureError(16, 16, 503, 6.2)


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


async def read(replicas: Replicas) -> list[str]:
    return [piece async for piece in retries.stream("generator", replicas.pieces)]


@pytest.mark.parametrize("lost", LOST)
def test_a_lost_replica_s_call_is_made_once_more(lost: Exception) -> None:
    replicas = Replicas(lost, "text")
    assert asyncio.run(retries.call("generator", replicas)) == "text" and replicas.called == 2


def test_what_the_model_raises_is_not_retried() -> None:
    replicas = Replicas(ValueError("shapes"), "text")
    with pytest.raises(ValueError, match="shapes"):
        asyncio.run(retries.call("selector", replicas))
    assert replicas.called == 1


def test_there_is_one_retry() -> None:
    replicas, streams = Replicas(*LOST, "text"), Replicas([LOST[0]], ["The ", LOST[1]], ["The soup."])
    for work in (retries.call("selector", replicas), read(streams)):
        with pytest.raises(RefusedError) as refused:
            asyncio.run(work)
        assert (refused.value.status, refused.value.code) == (503, "replica_lost")
        assert int(refused.value.headers["retry-after"]) >= 1
    assert replicas.called == streams.called == 2


def test_a_full_queue_is_not_retried_and_says_when_to_come_back() -> None:
    replicas, streams = Replicas(FULL, "text"), Replicas([FULL], ["text"])
    for work in (retries.call("generator", replicas), read(streams)):
        with pytest.raises(OverloadedError) as refused:
            asyncio.run(work)
        assert (refused.value.status, refused.value.code) == (503, "overloaded")
        assert refused.value.headers == {"retry-after": "7"} and refused.value.stage == "generator"
    assert replicas.called == streams.called == 1


@pytest.mark.parametrize(
    "again", [["The s", "oup ", "was fine."], ["The", " ", "soup was ", "fine."], list("The soup was fine.")]
)
def test_a_stream_goes_on_where_it_ended(again: list[str]) -> None:
    replicas = Replicas(["The ", "so", LOST[0]], again)
    told = asyncio.run(read(replicas))
    assert "".join(told) == "The soup was fine." and told[:2] == ["The ", "so"] and replicas.called == 2
