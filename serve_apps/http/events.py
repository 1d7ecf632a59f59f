"""Server-sent events, encoded to survive line readers and buffering proxies."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

MEDIA_TYPE = "text/event-stream"
HEADERS = {
    "Cache-Control": "no-cache, no-store, no-transform",  # caches and compressing proxies would buffer events
    "X-Accel-Buffering": "no",  # nginx and compatible proxies
}
Event = tuple[str, Mapping[str, Any]]  # name, data


async def encoded(events: AsyncIterator[Event], heartbeat_s: float) -> AsyncIterator[bytes]:
    """The events in wire format with ids 1, 2, ...; a comment after every `heartbeat_s` without an event."""
    number = 0
    async for event in with_idle(events, heartbeat_s):
        if event is None:
            yield KEEPALIVE_COMMENT
            continue
        number += 1
        # ASCII JSON: str.splitlines and similar readers treat U+0085, U+2028 and U+2029 as line breaks
        yield format_sse_event(event=event[0], data_str=json.dumps(event[1]), id=str(number))


async def with_idle(events: AsyncIterator[Event], seconds: float) -> AsyncIterator[Event | None]:
    """The events, and None after every `seconds` without one.

    A single task iterates `events`, so that context variables are set and reset in the same context.
    """
    queue: asyncio.Queue[Event | None] = asyncio.Queue()

    async def pump() -> None:
        try:
            async for event in events:
                queue.put_nowait(event)
        finally:
            queue.put_nowait(None)

    task = asyncio.create_task(pump())
    try:
        while True:
            try:
                async with asyncio.timeout(seconds):
                    event = await queue.get()
            except TimeoutError:
                yield None
                continue
            if event is None:
                break
            yield event
        await task  # raises what ended the events
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
