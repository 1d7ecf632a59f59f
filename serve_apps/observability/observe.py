"""Outermost middleware: a span, a log line and two metrics per request, including refused ones."""

import asyncio
import contextlib
import logging
import re
import time
from functools import partial
from typing import Any

from fastapi import FastAPI
from starlette.routing import Route

from serve_apps.http.asgi import App, Message, Receive, Scope, Send, header, identify, state
from serve_apps.observability import lines, metrics, traces
from serve_apps.observability.context import RequestContext, use_context
from serve_apps.observability.samples import sampling

logger = logging.getLogger("ray.serve")
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
UNMATCHED = "unmatched"
GONE = 499  # nginx's code for a client that disconnected early


class Routes:
    """Maps paths to route templates, which bounds the cardinality of the `route` label."""

    def __init__(self, api: FastAPI) -> None:
        known = [(route.path, route.path_regex) for route in api.router.routes if isinstance(route, Route)]
        self._plain = {path for path, _ in known if "{" not in path}
        self._patterns: dict[re.Pattern[str], str] = {regex: path for path, regex in known if "{" in path}

    def template(self, scope: Scope) -> str:
        path = str(scope["path"]).removeprefix(str(scope.get("root_path", "")).rstrip("/"))
        if path in self._plain:
            return path
        return next((known for regex, known in self._patterns.items() if regex.match(path)), UNMATCHED)


class Observe:
    """ASGI. Observes requests, and samples gauges during the application's lifespan."""

    def __init__(self, app: App, api: FastAPI, backend: Any) -> None:
        self.app, self.backend = app, backend
        self.routes = Routes(api)
        self._sampling: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, status, route = time.perf_counter(), GONE, self.routes.template(scope)
        method = scope["method"] if scope["method"] in METHODS else "other"

        async def noticing(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        context = _incoming(scope)
        about = {"http.request.method": method, "http.route": route, "showcases.request_id": context["request_id"]}
        with use_context(context), traces.span(f"{method} {route}", server=True, **about) as found:
            try:
                await self.app(scope, receive, noticing)
            finally:
                found["http.response.status_code"] = status
                took = time.perf_counter() - began
                lines.after_answer(partial(_record, scope, method, route, status, took))

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sample gauges during the application's lifespan."""
        task = asyncio.create_task(sampling(self.backend))
        try:
            await self.app(scope, receive, send)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            traces.close()  # threads can't be started later


def _incoming(scope: Scope) -> RequestContext:
    """The request's id, and the caller's span if it has one."""
    context = {"request_id": identify(scope)}
    for name in ("traceparent", "tracestate"):
        if given := header(scope, name):
            context[name] = given
    return context


def _record(scope: Scope, method: str, route: str, status: int, seconds: float) -> None:
    metrics.REQUESTS.record(method=method, route=route, status=str(status))
    metrics.REQUEST_SECONDS.record(seconds, route=route)
    values = state(scope)
    fields: dict[str, Any] = {"method": method, "route": route, "status": status}
    fields |= {"duration_ms": round(1000 * seconds, 2), "tenant": values.get("tenant"), "key_id": values.get("key_id")}
    if (inference := values.get("inference")) is not None:
        fields["stages_ms"] = {name: round(1000 * took, 2) for name, took in inference.took.items()}
        bundle = inference.bundle
        parts = {"selector": bundle.selector, "generator": bundle.generator, "bundle": bundle.registered}
        fields["models"] = {role: f"{one.name}:{one.version}@{one.alias}" for role, one in parts.items() if one}
    logger.info("%s %s %d in %.1f ms", method, route, status, 1000 * seconds, extra=lines.extra(fields))
