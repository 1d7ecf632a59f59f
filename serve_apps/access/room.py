"""The bytes of all uploads under way, bounded: each is held whole, and many at once must not fill the memory."""

from collections.abc import Iterator
from contextlib import contextmanager

from serve_apps.access.asgi import RefusedError

RETRY_S = 5  # an upload's usual time


class Held:
    """What one request holds."""

    def __init__(self, room: "Room") -> None:
        self.room, self.bytes = room, 0

    def add(self, count: int) -> None:
        """
        Raises:
            RefusedError: 503, there is no room for so many more.
        """
        self.room.require(count)
        self.bytes += count
        self.room.taken += count


class Room:
    """Of one gateway process.

    Bytes are counted as they come, not as they are announced: who announces much and sends slowly holds little.
    """

    def __init__(self, size: int) -> None:
        self.size, self.taken = size, 0

    def require(self, count: int) -> None:
        """
        Raises:
            RefusedError: 503, there is no room for so many now.
        """
        if self.taken + count > self.size:
            headers = {"retry-after": str(RETRY_S), "connection": "close"}
            raise RefusedError(
                503, f"uploads under way fill the memory kept for them; try again in {RETRY_S} s", headers
            )

    @contextmanager
    def held(self) -> Iterator[Held]:
        """Room that is given back when the block ends."""
        held = Held(self)
        try:
            yield held
        finally:
            self.taken -= held.bytes
