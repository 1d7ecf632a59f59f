"""The proxy's layer that refuses what is more than it can pass on, before it costs a gateway anything.

A gateway refuses what finds no place before a model, in some 15 ms of its core. Where there comes more than it can
even refuse, requests would wait before it for as long as there come more.
"""

import logging
import math
import time
from collections.abc import Callable

from serve_apps.access.asgi import App, Receive, RefusedError, Scope, Send, answer_problem, identify
from serve_apps.operations import metrics

logger = logging.getLogger("ray.serve")
LET_IN = frozenset(("/healthz", "/readyz", "/-/healthz", "/-/routes"))  # else a busy service looks like a dead one
MAX_RETRY_S = 60
WEIGHT = 0.02  # of the newest duration in the mean
SAY_EVERY_S = 10.0


class Crowd:
    """ASGI. 503 with Retry-After for requests beyond `at_most` under way.

    By Little's law as many as are under way are answered in the mean time that one takes: after so long a client may
    come again.
    """

    def __init__(self, app: App, at_most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.app, self.at_most, self.clock = app, at_most, clock
        self.under_way = self.refused = 0
        self.mean_s = 1.0
        self._said = -math.inf

    @property
    def retry_after(self) -> int:
        """Seconds, from 1 to 60."""
        return min(MAX_RETRY_S, max(1, math.ceil(self.mean_s)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in LET_IN:
            await self.app(scope, receive, send)
        elif self.under_way >= self.at_most:
            await self._refuse(scope, send)
        else:
            self.under_way += 1
            began = self.clock()
            try:
                await self.app(scope, receive, send)
            finally:
                self.under_way -= 1
                self.mean_s += WEIGHT * (self.clock() - began - self.mean_s)

    async def _refuse(self, scope: Scope, send: Send) -> None:
        metrics.REFUSALS.record(stage="proxy", reason="full")
        self.refused += 1
        if self.clock() - self._said > SAY_EVERY_S:
            self._said = self.clock()
            logger.warning("%d requests are under way, as many as may be; %d refused", self.under_way, self.refused)
        seconds = self.retry_after
        detail = f"the service has all the requests that it can take; try again in {seconds} s"
        headers = {"retry-after": str(seconds), "x-request-id": identify(scope)}
        await answer_problem(scope, send, RefusedError(503, detail, headers))
