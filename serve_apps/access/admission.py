"""Bounded queues before the models: who finds no place is told so at once, and when to come back.

One `Admission` a stage (selector, generator) in a gateway process. A handler runs the stage's work inside `slot`.
"""

import asyncio
import contextlib
import math
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from typing import Literal

from serve_apps.access.asgi import RefusedError
from serve_apps.access.config import StageLimits
from serve_apps.operations import metrics

Reason = Literal["full", "share", "deadline"]
MAX_RETRY_S = 60
WEIGHT = 0.2  # of the newest duration in the mean
_SAID = {
    "full": "the {stage} has all the work that it can hold",
    "share": "this key has its share of the {stage}'s places taken",
    "deadline": "the {stage} would not come to it before the request's deadline",
}


class SaturatedError(RefusedError):
    """No place in a stage: 429 where it is the key's own doing, else 503."""

    def __init__(self, stage: str, reason: Reason, retry_after: int) -> None:
        detail = f"{_SAID[reason].format(stage=stage)}; try again in {retry_after} s"
        status, code = (429, "share_exceeded") if reason == "share" else (503, "overloaded")
        super().__init__(status, detail, {"retry-after": str(retry_after)}, code=code)
        self.stage, self.reason, self.retry_after = stage, reason, retry_after


class Admission:
    """Of one stage.

    Places go to keys in turn, not to requests in the order they came: a key with a hundred waiting delays another's
    first by one place. Of all places, running and waiting, one key may hold its share: half, or 1/n where n > 2 keys
    are present. Requests without a key (an open service) have no share and wait in one queue.

    The service rate is running / mean duration (Little's law), which needs no guess whether a stage was idle between
    two completions; the mean is exponentially weighted.
    """

    def __init__(self, stage: str, limits: StageLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self.stage, self.limits, self.clock = stage, limits, clock
        self.running = 0
        self.mean_s = limits.expected_s
        self._held: Counter[str] = Counter()  # by key: running and waiting
        self._turns: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()  # the key whose turn it is first

    @property
    def waiting(self) -> int:
        return sum(len(queue) for queue in self._turns.values())

    @property
    def rate(self) -> float:
        """Requests/s that the stage finishes while it is busy."""
        return self.limits.running / self.mean_s

    @property
    def retry_after(self) -> int:
        """Seconds after which there should be a place: (waiting + 1) / rate, from 1 to 60."""
        return min(MAX_RETRY_S, max(1, math.ceil((self.waiting + 1) / self.rate)))

    def saturated(self, key_id: str | None = None, deadline: float | None = None) -> SaturatedError | None:
        """Why there is no place for such a request now; None where there is. Takes no place.

        Args:
            deadline: s, on the clock (`request.state.deadline`).
        """
        if self.running + self.waiting >= self.limits.running + self.limits.waiting:
            return SaturatedError(self.stage, "full", self.retry_after)
        if key_id is not None and self._held[key_id] >= self._share(key_id):
            return SaturatedError(self.stage, "share", self.retry_after)
        # A free place is given whatever the mean says: else an outdated mean could keep out all who would correct it.
        late = deadline is not None and self.clock() + self._expected_wait(key_id or "") > deadline
        if self.running >= self.limits.running and late:
            return SaturatedError(self.stage, "deadline", self.retry_after)
        return None

    @contextlib.asynccontextmanager
    async def slot(self, key_id: str | None = None, deadline: float | None = None) -> AsyncIterator[None]:
        """Hold a place inside the block; wait for it before.

        Raises:
            SaturatedError: at once, where there is none.
        """
        if (refused := self.saturated(key_id, deadline)) is not None:
            metrics.REFUSALS.record(stage=self.stage, reason=refused.reason)
            raise refused
        name = key_id or ""
        self._held[name] += 1
        try:
            await self._enter(name)
            began = self.clock()
            try:
                yield
                self._learn(self.clock() - began)
            except asyncio.CancelledError:  # it would have taken longer still
                self._learn(max(self.mean_s, self.clock() - began))
                raise
            finally:
                self._leave()
        finally:
            self._held[name] -= 1
            if not self._held[name]:
                del self._held[name]

    def _share(self, key_id: str) -> int:
        present = len(self._held.keys() | {key_id})
        return math.ceil((self.limits.running + self.limits.waiting) / max(2, present))

    def _expected_wait(self, name: str) -> float:
        """Seconds until its turn: with m of its own waiting, every other key has at most m + 1 turns before."""
        own = len(self._turns.get(name, ()))
        others = sum(min(len(queue), own + 1) for key, queue in self._turns.items() if key != name)
        return (own + others + 1) / self.rate

    async def _enter(self, name: str) -> None:
        if self.running < self.limits.running:
            self.running += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns.setdefault(name, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # called in the very moment that it was given up
                self._leave()
            else:
                self._drop(name, turn)
            raise

    def _drop(self, name: str, turn: asyncio.Future[None]) -> None:
        self._turns[name].remove(turn)
        if not self._turns[name]:
            del self._turns[name]

    def _leave(self) -> None:
        """Give the place to the key whose turn it is, which then goes to the end of the line."""
        self.running -= 1
        while self._turns and self.running < self.limits.running:
            name, queue = self._turns.popitem(last=False)
            turn = queue.popleft()
            if queue:
                self._turns[name] = queue
            if not turn.done():
                self.running += 1
                turn.set_result(None)

    def _learn(self, seconds: float) -> None:
        self.mean_s += WEIGHT * (max(seconds, 1e-3) - self.mean_s)
