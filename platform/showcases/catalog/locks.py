"""Locks that processes on several machines share: rows of a LanceDB table, each taken by a conditional update.

Of two updates that touch one row LanceDB commits one and evaluates the other's condition again, on a disk and on S3
alike, so only one of them finds the row free. A holder that dies loses its lock after LEASE_S.
"""

import datetime
import hashlib
import random
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from showcases.catalog.filters import CatalogError, literal
from showcases.catalog.tables import connect, find, open_or_create, retry_conflicts, tidy

if TYPE_CHECKING:
    from lancedb.table import Table

FOLDER, TABLE = "locks", "locks"
SLOTS = 64  # rows; names are hashed to them, so two names may wait for each other
LEASE_S = 60.0  # after which another process may take the lock of one that died; far above the skew of two clocks
WAIT_S = 20.0  # that a writer waits for a lock
POLL_S = 0.01, 0.25  # first and longest pause between two looks
OLD = datetime.timedelta(minutes=5)  # states of the table that are older are removed: nobody reads them
SCHEMA = pa.schema([("slot", pa.int64()), ("holder", pa.string()), ("until", pa.float64())])  # until: Unix time, s


class BusyError(CatalogError):
    """Other writers kept the lock for all the time that this one waited."""


@dataclass
class Held:
    """A lock while it is held.

    Attributes:
        token: random, names this holder in the table.
        taken: when, by `time.monotonic`.
    """

    table: "Table"
    slot: int
    token: str
    taken: float

    def is_safe(self) -> bool:
        """Whether nobody else can have taken the lock since; reads the table only after half of the lease."""
        if time.monotonic() < self.taken + LEASE_S / 2:
            return True
        return find(self.table, f"slot = {self.slot}", ["holder"])["holder"].to_pylist() == [self.token]


class Locks:
    """Locks by name under one place; safe to use from several threads and processes.

    Args:
        uri: folder, or s3://bucket/prefix; the table is made there when the first lock is taken.
        storage_options: LanceDB's, for object stores.
    """

    def __init__(self, uri: str, storage_options: Mapping[str, str] | None = None) -> None:
        self._place = f"{uri.rstrip('/')}/{FOLDER}", storage_options
        self._opened: Table | None = None
        self._opening = threading.Lock()

    @contextmanager
    def hold(self, name: str) -> Iterator[Held]:
        """Hold a lock inside the block.

        Raises:
            BusyError: it was not free within WAIT_S.
        """
        table, slot, token = self._table(), slot_of(name), secrets.token_hex(8)
        deadline, pause = time.monotonic() + WAIT_S, POLL_S[0]
        while not _take(table, slot, token):
            if time.monotonic() > deadline:
                raise BusyError(f"other writers kept this one waiting for {WAIT_S:g} s: send it again")
            time.sleep(pause * (0.5 + random.random()))
            pause = min(2 * pause, POLL_S[1])
        held = Held(table, slot, token, time.monotonic())
        try:
            yield held
        finally:
            _set(table, f"slot = {slot} AND holder = {literal(token)}", "", 0.0)
            tidy(table, OLD)

    def _table(self) -> "Table":
        with self._opening:
            if self._opened is None:
                self._opened = _open(*self._place)
            return self._opened


def slot_of(name: str) -> int:
    """The row that stands for a lock's name, the same in every process."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % SLOTS


def _take(table: "Table", slot: int, token: str) -> bool:
    """Whether the lock was free and is ours now."""
    free = f"slot = {slot} AND until < {time.time()}"
    if not find(table, free, ["slot"]).num_rows:  # an update of no row would be a commit, too
        return False
    return _set(table, free, token, time.time() + LEASE_S) == 1


def _set(table: "Table", where: str, holder: str, until: float) -> int:
    """Rows that were changed."""
    changed = retry_conflicts(lambda: table.update(where=where, values={"holder": holder, "until": until}))
    return int(changed.rows_updated)


def _open(uri: str, storage_options: Mapping[str, str] | None) -> "Table":
    rows = {"slot": list(range(SLOTS)), "holder": [""] * SLOTS, "until": [0.0] * SLOTS}
    return open_or_create(connect(uri, storage_options, live=True), TABLE, pa.table(rows, schema=SCHEMA))
