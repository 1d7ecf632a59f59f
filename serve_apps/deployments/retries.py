"""Calls to model replicas: one retry if a replica is lost, 503 if the model's queue is full.

All calls are read-only, so retrying is safe. If no replica is running, Serve waits for one until the request's
deadline cancels the call.
"""

import contextlib
import logging
import math
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TypeVar

from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError

from serve_apps.access.deadline import Cancellable, cancelling
from serve_apps.http.asgi import OverloadedError, RefusedError
from serve_apps.observability import metrics

logger = logging.getLogger("ray.serve")
RETRY_AFTER_S = 5
T = TypeVar("T")


async def call(stage: str, start: Callable[[], Cancellable[T]]) -> T:
    """Call a replica.

    Args:
        stage: selector or generator.
        start: starts the call.

    Raises:
        OverloadedError: the model's queue is full.
        RefusedError: 503, the replica was lost, also on retry.
    """
    with _refusing(stage):
        try:
            return await cancelling(start())
        except RayActorError as error:
            _log_retry(stage, error)
            return await cancelling(start())


async def stream(stage: str, start: Callable[[], AsyncIterator[str]]) -> AsyncIterator[str]:
    """Stream a text in pieces. A retry generates it again and skips what was already yielded.

    Args:
        start: starts generating; deterministic.

    Raises:
        See `call`.
    """
    yielded = 0  # characters
    with _refusing(stage):
        for is_retry in (False, True):
            written = 0
            try:
                async for piece in start():
                    written += len(piece)
                    if written > yielded:
                        yield piece[yielded - written :]
                        yielded = written
                return
            except RayActorError as error:
                if is_retry:
                    raise
                _log_retry(stage, error)


@contextlib.contextmanager
def _refusing(stage: str) -> Iterator[None]:
    """Translate Serve's errors into 503 responses."""
    try:
        yield
    except BackPressureError as error:
        metrics.REFUSALS.record(stage=stage, reason="full")
        raise OverloadedError(stage, math.ceil(error.retry_after_s or RETRY_AFTER_S)) from None
    except RayActorError as error:
        detail = f"replicas of the {stage} were lost during this request; try again in {RETRY_AFTER_S} s"
        raise RefusedError(503, detail, {"retry-after": str(RETRY_AFTER_S)}, code="replica_lost") from error


def _log_retry(stage: str, error: RayActorError) -> None:
    logger.warning("a replica of the %s was lost (%s); calling another one", stage, type(error).__name__)
