"""Middleware that cancels work at the request's deadline (504) or when its client disconnects.

`Prefer: wait=N` (RFC 7240) sets a deadline of N seconds, at most `deadline_s`. Handlers find it as
`request.state.deadline`, in seconds of time.monotonic. At the deadline their awaits raise CancelledError. Ray's
DeploymentResponse doesn't propagate cancellation: await it through `cancelling`.
"""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable
from typing import Protocol, TypeVar

from serve_apps.http.asgi import App, Message, Receive, RefusedError, Scope, Send, header, state

logger = logging.getLogger("ray.serve")
_T = TypeVar("_T", covariant=True)


class Cancellable(Awaitable[_T], Protocol[_T]):
    """A remote call that can be awaited and cancelled, e.g. ray.serve's DeploymentResponse."""

    def cancel(self) -> object: ...


async def cancelling(work: Cancellable[_T]) -> _T:
    """Await a remote call; if the wait is cancelled, cancel the call too."""
    try:
        return await work
    except asyncio.CancelledError:
        work.cancel()
        raise


def requested_seconds(scope: Scope, at_most: float) -> float:
    """Seconds of `Prefer: wait=`, at most `at_most`; a malformed preference is ignored."""
    found = re.search(
        r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6}(?:\.\d{1,3})?)", header(scope, "prefer") or "", re.IGNORECASE
    )
    return min(float(found.group(1)), at_most) if found else at_most


class Deadline:
    """ASGI. Responds at the deadline even if a handler's thread can't be interrupted; it goes on in the background."""

    def __init__(self, app: App, deadline_s: float) -> None:
        self.app, self.deadline_s = app, deadline_s
        self._abandoned: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        seconds = requested_seconds(scope, self.deadline_s)
        state(scope)["deadline"] = time.monotonic() + seconds
        outlet, inlet = _Outlet(send), _Inlet(receive)
        call = asyncio.ensure_future(self.app(scope, inlet, outlet))
        watch = asyncio.create_task(inlet.watch())
        try:
            await asyncio.wait({call, watch}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if watch.done() and outlet.finished:  # disconnected after the response: background tasks may finish
                await asyncio.wait({call}, timeout=seconds)
        except asyncio.CancelledError:
            call.cancel()
            await asyncio.wait({call})
            raise
        finally:
            watch.cancel()
        if call.done():
            call.result()
        elif watch.done() and not outlet.finished:
            logger.info("request %s: the client disconnected, cancelling its work", state(scope).get("request_id"))
            self._abandon(call, outlet)
        else:
            self._abandon(call, outlet)
            raise RefusedError(504, f"no response within {seconds:g} s; the work was cancelled")

    def _abandon(self, call: "asyncio.Future[None]", outlet: "_Outlet") -> None:
        outlet.closed = True
        call.cancel()
        self._abandoned.add(call)  # type: ignore[arg-type]  # the loop holds tasks only weakly
        call.add_done_callback(self._ended)

    def _ended(self, call: "asyncio.Future[None]") -> None:
        self._abandoned.discard(call)  # type: ignore[arg-type]
        if not call.cancelled() and (error := call.exception()) is not None:
            logger.info("cancelled work ended with %s", type(error).__name__)


class _Outlet:
    """The handler's `send`; drops messages once closed."""

    def __init__(self, send: Send) -> None:
        self.send, self.closed, self.finished = send, False, False

    async def __call__(self, message: Message) -> None:
        if self.closed:
            return
        last = message["type"] == "http.response.body" and not message.get("more_body", False)
        self.finished = self.finished or last
        await self.send(message)


class _Inlet:
    """The handler's `receive`, which also watches for a disconnect."""

    def __init__(self, receive: Receive) -> None:
        self.receive = receive
        self.messages: asyncio.Queue[Message] = asyncio.Queue()
        self.last: Message | None = None

    async def __call__(self) -> Message:
        if self.last is not None and self.messages.empty():
            return self.last
        return await self.messages.get()

    async def watch(self) -> None:
        """Receive until the client disconnects. The body has been read already, so the queue stays short."""
        while self.last is None:
            message = await self.receive()
            self.messages.put_nowait(message)
            if message["type"] == "http.disconnect":
                self.last = message
