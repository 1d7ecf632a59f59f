"""Middleware that assigns request ids and turns every error into a problem response without a stack trace."""

import logging
from http import HTTPStatus

from serve_apps.access.config import Limits
from serve_apps.http.asgi import (
    App,
    Message,
    Receive,
    RefusedError,
    Scope,
    Send,
    answer_problem,
    head_bytes,
    identify,
    state,
)
from serve_apps.observability import logs, metrics

logger = logging.getLogger("ray.serve")


class Front:
    """ASGI. Refuses WebSockets, which no other middleware checks."""

    def __init__(self, app: App, limits: Limits) -> None:
        self.app, self.limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def noticing(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        scope = dict(scope)
        with logs.request(identify(scope)) as request_id:
            try:
                self._require_small_head(scope)
                await self.app(scope, receive, noticing)
            except RefusedError as refused:
                metrics.REFUSALS.record(stage="gateway", reason=HTTPStatus(refused.status).name.lower())
                whose = state(scope).get("key_id") or "none"
                logger.info("request %s, key %s, refused: %d %s", request_id, whose, refused.status, refused.detail)
                if not started:
                    await answer_problem(scope, send, refused)
            except Exception:
                logger.exception("request %s failed", request_id)
                if started:
                    return  # the server closes the connection of an incomplete response
                detail = "internal error; see the service's log for this request id"
                await answer_problem(scope, send, RefusedError(500, detail))

    def _require_small_head(self, scope: Scope) -> None:
        target = len(scope.get("raw_path") or scope["path"].encode()) + len(scope["query_string"])
        if target > self.limits.target_bytes:
            raise RefusedError(414, f"path and query have {target} bytes; the limit is {self.limits.target_bytes}")
        head = head_bytes(scope)
        if head > self.limits.head_bytes:
            raise RefusedError(431, f"the headers have {head} bytes; the limit is {self.limits.head_bytes}")
