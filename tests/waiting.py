"""Waits for what another process or thread does."""

import time
from collections.abc import Callable


def wait_until(there: Callable[[], object], seconds: float = 60) -> None:
    """Look again and again; fails where it isn't so in time."""
    deadline = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain"
        time.sleep(0.05)
