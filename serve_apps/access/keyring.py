"""A gateway's cache of the keys: refreshed every `refresh_s`, used for at most `stale_s` if unreadable."""

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
    """All keys in memory. No background task: the first request after `refresh_s` refreshes them."""

    def __init__(
        self, store: KeyStore, refresh_s: float, stale_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.store, self.refresh_s, self.stale_s, self.clock = store, refresh_s, stale_s, clock
        self._keys: dict[str, Key] = {}
        self._seen: dict[str, tuple[Fingerprint, bool]] = {}  # and whether it was re-read after its last change
        self._tried = self._read = clock()
        self._lock = asyncio.Lock()
        self._refresh(strict=True)

    def __len__(self) -> int:
        return len(self._keys)

    async def find(self, key_id: str) -> Key | None:
        """The key; at most refresh_s old.

        Raises:
            RefusedError: 503 if the files were unreadable for stale_s.
        """
        if self.clock() - self._tried >= self.refresh_s:
            async with self._lock:
                if self.clock() - self._tried >= self.refresh_s:  # unless another task just did
                    await self._try_refresh()
        if self.clock() - self._read > self.stale_s:
            detail = "keys can't be checked; try again in 30 s"
            raise RefusedError(503, detail, {"retry-after": "30"}, code="not_ready")
        return self._keys.get(key_id)

    async def _try_refresh(self) -> None:
        try:
            await asyncio.to_thread(self._refresh)
            self._read = self.clock()
        except (OSError, ShowcasesError) as error:
            logger.error("can't read keys, using the cached ones for %.0f s more: %s", self._left(), error)
        finally:
            self._tried = self.clock()

    def _left(self) -> float:
        return max(0.0, self._read + self.stale_s - self.clock())

    def _refresh(self, strict: bool = False) -> None:
        """Read changed files. An invalid file disables its key; at startup (strict) it is an error.

        S3's timestamps have a resolution of 1 s and can hide a second change, so a changed file is read again later.
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
