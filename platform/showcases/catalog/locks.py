"""Locks shared by processes on several machines: small files beside the catalog, acquired by compare-and-swap.

The lock of a dead holder expires after LEASE_S.
"""

import hashlib
import json
import random
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from showcases.catalog.filters import CatalogError
from showcases.catalog.location import root_at
from showcases.storage.conditional import Cell, LocalCell, S3Cell

FOLDER = "locks"
SLOTS = 64  # lock files; names are hashed to slots, so two names may share one
LEASE_S = 60.0  # lifetime of a lock whose holder died; far above clock skew
WAIT_S = 20.0  # timeout for acquiring a lock
POLL_S = 0.01, 0.25  # first and longest interval between polls


class BusyError(CatalogError):
    """The lock was not free within WAIT_S."""


class _HeldError(Exception):
    """Another holder's token is in the file."""


@dataclass
class Held:
    """A lock that is held.

    Attributes:
        token: random; identifies this holder in the file.
        taken: time of acquisition, by `time.monotonic`.
    """

    cell: Cell
    token: str
    taken: float

    def is_safe(self) -> bool:
        """Whether the lock is still ours; reads the file only after half of the lease."""
        return time.monotonic() < self.taken + LEASE_S / 2 or _read(self.cell.read())[0] == self.token


class Locks:
    """Locks by name under one location; safe for concurrent threads and processes.

    Args:
        uri: folder, or s3://bucket/prefix.
        storage_options: LanceDB's, for object stores.
    """

    def __init__(self, uri: str, storage_options: Mapping[str, str] | None = None) -> None:
        self._root = root_at(uri, storage_options or {})
        self._objects: dict[str, S3Cell] = {}  # each has its own connection

    @contextmanager
    def hold(self, name: str) -> Iterator[Held]:
        """Hold the lock inside the block.

        Raises:
            BusyError: the lock was not free within WAIT_S.
        """
        cell, token = self._cell(f"{FOLDER}/{slot_of(name)}.json"), secrets.token_hex(8)
        deadline, pause = time.monotonic() + WAIT_S, POLL_S[0]
        while not _take(cell, token):
            if time.monotonic() > deadline:
                raise BusyError(f"timed out after {WAIT_S:g} s waiting for other writers; retry the request")
            time.sleep(pause * (0.5 + random.random()))
            pause = min(2 * pause, POLL_S[1])
        try:
            yield Held(cell, token, time.monotonic())
        finally:
            _give_back(cell, token)

    def _cell(self, key: str) -> Cell:
        if "://" not in self._root:
            return LocalCell(Path(self._root, key))  # one per holder
        return self._objects.setdefault(key, S3Cell(self._root, key))


def slot_of(name: str) -> int:
    """Name of a lock's file, the same in every process."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % SLOTS


def _take(cell: Cell, token: str) -> bool:
    """Try to acquire the lock; returns whether it is ours now."""

    def taken(content: bytes | None) -> bytes:
        if _read(content)[1] > time.time():
            raise _HeldError
        return _written(token, time.time() + LEASE_S)

    with suppress(_HeldError):
        cell.update(taken)
        return True
    return False


def _give_back(cell: Cell, token: str) -> None:
    def freed(content: bytes | None) -> bytes:
        if _read(content)[0] != token:
            raise _HeldError
        return _written(token, 0.0)

    with suppress(_HeldError):
        cell.update(freed)


def _written(holder: str, until: float) -> bytes:
    return json.dumps({"holder": holder, "until": until}).encode()


def _read(content: bytes | None) -> tuple[str, float]:
    """Holder's token and expiry (Unix time, s)."""
    found = json.loads(content or b'{"holder": "", "until": 0}')
    return found["holder"], found["until"]
