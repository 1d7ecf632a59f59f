"""A gateway's view of the keys: read at the start, looked at again every `refresh_s`, old for `stale_s` at most."""

import asyncio
import logging
import time
from collections.abc import Callable

from serve_apps.access.keys import Key
from serve_apps.access.store import Fingerprint, KeyStore, KeyStoreError
from serve_apps.http.asgi import RefusedError
from showcases.errors import ShowcasesError

logger = logging.getLogger("ray.serve")


class KeyRing:
    """All keys in memory. Nothing runs in the background: a request that finds them old has them read first."""

    def __init__(
        self, store: KeyStore, refresh_s: float, stale_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.store, self.refresh_s, self.stale_s, self.clock = store, refresh_s, stale_s, clock
        self._keys: dict[str, Key] = {}
        self._seen: dict[str, tuple[Fingerprint, bool]] = {}  # and whether it was read again after it settled
        self._tried = self._read = clock()
        self._lock = asyncio.Lock()
        self._refresh(strict=True)

    def __len__(self) -> int:
        return len(self._keys)

    async def find(self, key_id: str) -> Key | None:
        """The key, as its file was at most refresh_s ago.

        Raises:
            RefusedError: 503, the files could not be read for stale_s.
        """
        if self.clock() - self._tried >= self.refresh_s:
            async with self._lock:
                if self.clock() - self._tried >= self.refresh_s:  # unless who held the lock has just done it
                    await self._again()
        if self.clock() - self._read > self.stale_s:
            detail = "keys can't be checked at present; try again in 30 s"
            raise RefusedError(503, detail, {"retry-after": "30"}, code="not_ready")
        return self._keys.get(key_id)

    async def _again(self) -> None:
        try:
            await asyncio.to_thread(self._refresh)
            self._read = self.clock()
        except (OSError, ShowcasesError) as error:
            logger.error("keys can't be read, those known count for %.0f s more: %s", self._left(), error)
        finally:
            self._tried = self.clock()

    def _left(self) -> float:
        return max(0.0, self._read + self.stale_s - self.clock())

    def _refresh(self, strict: bool = False) -> None:
        """Read what has changed. A file that isn't a key's refuses that key alone, but keeps a gateway from starting.

        S3 tells times in seconds: two changes within one look the same. So a changed file is read once more later.
        """
        found = self.store.ids()
        for key_id in self._keys.keys() - found.keys():
            del self._keys[key_id]
        self._seen = {key_id: mark for key_id, mark in self._seen.items() if key_id in found}
        for key_id, mark in found.items():
            before = self._seen.get(key_id)
            if before == (mark, True):
                continue
            try:
                self._keys[key_id] = self.store.read(key_id)
            except KeyStoreError as error:
                if strict:
                    raise
                self._keys.pop(key_id, None)
                logger.error("%s", error)
            self._seen[key_id] = (mark, before is not None and before[0] == mark)
