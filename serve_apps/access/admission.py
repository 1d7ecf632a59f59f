"""Bounded queues before the models: a request that finds no place is refused at once, with the time to come back.

One `Admission` a stage (selector, generator) in a gateway process. A handler runs the stage's work inside `slot`.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Callable
from typing import Literal

from serve_apps.access.asgi import RefusedError
from serve_apps.access.config import StageLimits
from serve_apps.operations import metrics

Reason = Literal["full", "deadline"]
MAX_RETRY_S = 60
WEIGHT = 0.2  # of the newest duration in the mean
_DETAILS = {
    "full": "the {stage} has all the work that it can hold",
    "deadline": "the {stage} would not come to it before the request's deadline",
}


class SaturatedError(RefusedError):
    """503: no place in a stage."""

    def __init__(self, stage: str, reason: Reason, retry_after: int) -> None:
        detail = f"{_DETAILS[reason].format(stage=stage)}; try again in {retry_after} s"
        super().__init__(503, detail, {"retry-after": str(retry_after)}, code="overloaded")
        self.stage, self.reason, self.retry_after = stage, reason, retry_after


class Admission:
    """Of one stage; places go to requests in the order they came.

    The service rate is running / mean duration (Little's law), which needs no guess whether a stage was idle between
    two completions; the mean is exponentially weighted.
    """

    def __init__(self, stage: str, limits: StageLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self.stage, self.limits, self.clock = stage, limits, clock
        self.running = self.waiting = 0
        self.mean_s = limits.expected_s
        self._places = asyncio.Semaphore(limits.running)

    @property
    def rate(self) -> float:
        """Requests/s that the stage finishes while it is busy."""
        return self.limits.running / self.mean_s

    @property
    def retry_after(self) -> int:
        """Seconds after which there should be a place: (waiting + 1) / rate, from 1 to 60."""
        return min(MAX_RETRY_S, max(1, math.ceil((self.waiting + 1) / self.rate)))

    def saturated(self, deadline: float | None = None) -> SaturatedError | None:
        """Why there is no place for such a request now; None if there is. Takes no place.

        Args:
            deadline: s, on the clock (`request.state.deadline`).
        """
        if self.running + self.waiting >= self.limits.running + self.limits.waiting:
            return SaturatedError(self.stage, "full", self.retry_after)
        # A free place is given whatever the mean says: else an outdated mean could keep out all who would correct it.
        late = deadline is not None and self.clock() + (self.waiting + 1) / self.rate > deadline
        if self.running >= self.limits.running and late:
            return SaturatedError(self.stage, "deadline", self.retry_after)
        return None

    @contextlib.asynccontextmanager
    async def slot(self, deadline: float | None = None) -> AsyncIterator[None]:
        """Hold a place inside the block; wait for it before.

        Raises:
            SaturatedError: at once, if there is none.
        """
        if (refused := self.saturated(deadline)) is not None:
            metrics.REFUSALS.record(stage=self.stage, reason=refused.reason)
            raise refused
        self.waiting += 1
        try:
            await self._places.acquire()
        finally:
            self.waiting -= 1
        self.running += 1
        began = self.clock()
        try:
            yield
            self._learn(self.clock() - began)
        except asyncio.CancelledError:  # it would have taken longer still
            self._learn(max(self.mean_s, self.clock() - began))
            raise
        finally:
            self.running -= 1
            self._places.release()

    def _learn(self, seconds: float) -> None:
        self.mean_s += WEIGHT * (max(seconds, 1e-3) - self.mean_s)
