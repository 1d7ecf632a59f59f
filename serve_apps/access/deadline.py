"""The layer that ends work nobody waits for: at the request's deadline (504), or when its client has gone.

A client asks for an answer within N seconds by `Prefer: wait=N` (RFC 7240), at most `deadline_s`. The handler sees the
moment as `request.state.deadline`, in seconds of time.monotonic. Then its awaits raise CancelledError. Ray's
DeploymentResponse does not pass that on by itself: await it through `cancelling`.
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
    """Work elsewhere that one may wait for and may call off, e.g. ray.serve's DeploymentResponse."""

    def cancel(self) -> object: ...


async def cancelling(work: Cancellable[_T]) -> _T:
    """Wait for work elsewhere; where the waiting is cancelled, call the work off too."""
    try:
        return await work
    except asyncio.CancelledError:
        work.cancel()
        raise


def asked_seconds(scope: Scope, at_most: float) -> float:
    """What `Prefer: wait=` asks for, whole seconds or not, at most so many; a preference not understood is ignored."""
    found = re.search(
        r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6}(?:\.\d{1,3})?)", header(scope, "prefer") or "", re.IGNORECASE
    )
    return min(float(found.group(1)), at_most) if found else at_most


class Deadline:
    """ASGI. Answers at the deadline even where a handler's thread can't be interrupted; that goes on unseen."""

    def __init__(self, app: App, deadline_s: float) -> None:
        self.app, self.deadline_s = app, deadline_s
        self._unseen: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        seconds = asked_seconds(scope, self.deadline_s)
        state(scope)["deadline"] = time.monotonic() + seconds
        outlet, inlet = _Outlet(send), _Inlet(receive)
        call = asyncio.ensure_future(self.app(scope, inlet, outlet))
        watch = asyncio.create_task(inlet.watch())
        try:
            await asyncio.wait({call, watch}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if watch.done() and outlet.finished:  # gone after its answer: what runs after answers may go on
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
            logger.info("request %s: the client has gone, its work is called off", state(scope).get("request_id"))
            self._call_off(call, outlet)
        else:
            self._call_off(call, outlet)
            raise RefusedError(504, f"no answer within {seconds:g} s; its work was called off")

    def _call_off(self, call: "asyncio.Future[None]", outlet: "_Outlet") -> None:
        outlet.closed = True
        call.cancel()
        self._unseen.add(call)  # type: ignore[arg-type]  # somebody must hold a task
        call.add_done_callback(self._ended)

    def _ended(self, call: "asyncio.Future[None]") -> None:
        self._unseen.discard(call)  # type: ignore[arg-type]
        if not call.cancelled() and (error := call.exception()) is not None:
            logger.info("work that was called off ended with %s", type(error).__name__)


class _Outlet:
    """The handler's `send`; says nothing more once it is closed."""

    def __init__(self, send: Send) -> None:
        self.send, self.closed, self.finished = send, False, False

    async def __call__(self, message: Message) -> None:
        if self.closed:
            return
        last = message["type"] == "http.response.body" and not message.get("more_body", False)
        self.finished = self.finished or last
        await self.send(message)


class _Inlet:
    """The handler's `receive`, and a watch for the disconnect that the handler itself may never ask for."""

    def __init__(self, receive: Receive) -> None:
        self.receive = receive
        self.heard: asyncio.Queue[Message] = asyncio.Queue()
        self.last: Message | None = None

    async def __call__(self) -> Message:
        if self.last is not None and self.heard.empty():
            return self.last
        return await self.heard.get()

    async def watch(self) -> None:
        """Until the client has gone. The body lies whole in memory by now, so nothing piles up."""
        while self.last is None:
            message = await self.receive()
            self.heard.put_nowait(message)
            if message["type"] == "http.disconnect":
                self.last = message
