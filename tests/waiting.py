"""Waits for what another process, thread or task does."""

import asyncio
import time
from collections.abc import Callable


def wait_until(there: Callable[[], object], seconds: float = 60) -> None:
    """Look again and again; fails where it isn't so in time."""
    deadline = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain"
        time.sleep(0.05)


async def other_tasks_end(seconds: float = 60) -> None:
    """Wait for every other task of the event loop, however it ends."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.wait_for(asyncio.gather(*others, return_exceptions=True), seconds)
