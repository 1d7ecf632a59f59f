"""Calls of a model's replicas that outlive a replica: what only reads may be asked again, of another one.

Ray Serve starts a lost replica anew and sends it no more requests, but the calls under way on it fail.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from ray.exceptions import RayActorError

from serve_apps.access.asgi import RefusedError
from serve_apps.access.deadline import Cancellable, cancelling

logger = logging.getLogger("ray.serve")
WAITS_S = (0.05, 0.2, 1.0, 5.0)  # before another try; within a try Serve waits for a replica, up to the deadline
T = TypeVar("T")


async def insisting(stage: str, call: Callable[[], Cancellable[T]]) -> T:
    """What a replica answers; `call` starts a call that changes nothing.

    Raises:
        RefusedError: 503, one replica after the other was lost.
    """
    for wait in WAITS_S:
        try:
            return await cancelling(call())
        except RayActorError as error:
            await _pause(stage, error, wait)
    raise _lost(stage)


async def resumed(stage: str, start: Callable[[], AsyncIterator[str]]) -> AsyncIterator[str]:
    """A text piece by piece; where a replica is lost, the next one writes it anew, from where the first one ended.

    Args:
        start: begins to write the text, always the same one.

    Raises:
        RefusedError: 503, one replica after the other was lost, or the next one writes another text.
    """
    told = ""
    for wait in WAITS_S:
        said = ""
        try:
            async for piece in start():
                said += piece
                if not (said.startswith(told) or told.startswith(said)):
                    raise _lost(stage)
                if len(said) > len(told):
                    yield said[len(told) :]
                    told = said
            return
        except RayActorError as error:
            await _pause(stage, error, wait)
    raise _lost(stage)


async def _pause(stage: str, error: RayActorError, seconds: float) -> None:
    logger.warning("a replica of the %s was lost (%s), asking another one", stage, type(error).__name__)
    await asyncio.sleep(seconds)


def _lost(stage: str) -> RefusedError:
    seconds = int(WAITS_S[-1])
    detail = f"replicas of the {stage} were lost while they worked on this; try again in {seconds} s"
    return RefusedError(503, detail, {"retry-after": str(seconds)}, code="replica_lost")
