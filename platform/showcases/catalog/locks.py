"""Locks that processes on several machines share: small files beside the catalog, each taken by compare-and-swap.

A holder that dies loses its lock after LEASE_S.
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
SLOTS = 64  # files; names are hashed to them, so two names may wait for each other
LEASE_S = 60.0  # after which another process may take the lock of one that died; far above the skew of two clocks
WAIT_S = 20.0  # that a writer waits for a lock
POLL_S = 0.01, 0.25  # first and longest pause between two looks


class BusyError(CatalogError):
    """Other writers kept the lock for all the time that this one waited."""


class _HeldError(Exception):
    """Another holder's token is in the file."""


@dataclass
class Held:
    """A lock while it is held.

    Attributes:
        token: random, names this holder in the file.
        taken: when, by `time.monotonic`.
    """

    cell: Cell
    token: str
    taken: float

    def is_safe(self) -> bool:
        """Whether nobody else can have taken the lock since; reads the file only after half of the lease."""
        return time.monotonic() < self.taken + LEASE_S / 2 or _read(self.cell.read())[0] == self.token


class Locks:
    """Locks by name under one place; safe to use from several threads and processes.

    Args:
        uri: folder, or s3://bucket/prefix.
        storage_options: LanceDB's, for object stores.
    """

    def __init__(self, uri: str, storage_options: Mapping[str, str] | None = None) -> None:
        self._root = root_at(uri, storage_options or {})
        self._objects: dict[str, S3Cell] = {}  # each has a connection

    @contextmanager
    def hold(self, name: str) -> Iterator[Held]:
        """Hold a lock inside the block.

        Raises:
            BusyError: it was not free within WAIT_S.
        """
        cell, token = self._cell(f"{FOLDER}/{slot_of(name)}.json"), secrets.token_hex(8)
        deadline, pause = time.monotonic() + WAIT_S, POLL_S[0]
        while not _take(cell, token):
            if time.monotonic() > deadline:
                raise BusyError(f"other writers kept this one waiting for {WAIT_S:g} s: send it again")
            time.sleep(pause * (0.5 + random.random()))
            pause = min(2 * pause, POLL_S[1])
        try:
            yield Held(cell, token, time.monotonic())
        finally:
            _give_back(cell, token)

    def _cell(self, key: str) -> Cell:
        if "://" not in self._root:
            return LocalCell(Path(self._root, key))  # one for each holder
        return self._objects.setdefault(key, S3Cell(self._root, key))


def slot_of(name: str) -> int:
    """The file that stands for a lock's name, the same in every process."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % SLOTS


def _take(cell: Cell, token: str) -> bool:
    """Whether the lock was free and is ours now."""

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
    """Who holds the lock, and until when (Unix time, s)."""
    found = json.loads(content or b'{"holder": "", "until": 0}')
    return found["holder"], found["until"]
