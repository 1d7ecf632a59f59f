"""The bytes of all uploads under way, bounded: each is held whole, and many at once must not fill the memory."""

from collections.abc import Iterator
from contextlib import contextmanager

from serve_apps.http.asgi import RefusedError

RETRY_S = 5  # an upload's usual time


class Held:
    """What one request holds."""

    def __init__(self, room: "Room") -> None:
        self.room, self.bytes = room, 0

    def cover(self, total: int) -> None:
        """Hold so many bytes in all, if it holds fewer.

        Raises:
            RefusedError: 503, there is no room for them now.
        """
        more = max(0, total - self.bytes)
        if self.room.taken + more > self.room.size:
            headers = {"retry-after": str(RETRY_S), "connection": "close"}
            said = f"uploads under way fill the memory kept for them; try again in {RETRY_S} s"
            raise RefusedError(503, said, headers)
        self.bytes += more
        self.room.taken += more


class Room:
    """Of one gateway process.

    What a request announces is held before a byte is read: else many would begin, and most be refused half way.
    """

    def __init__(self, size: int) -> None:
        self.size, self.taken = size, 0

    @contextmanager
    def held(self) -> Iterator[Held]:
        """Room that is given back when the block ends."""
        held = Held(self)
        try:
            yield held
        finally:
            self.taken -= held.bytes
