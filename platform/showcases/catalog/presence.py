"""Which tenants have rows in a side table: most have none, and their lookups need not read it.

A tenant that has none is remembered for FRESH_S, then by the table's version. A tenant's first PUT is answered only
FRESH_S after its rows are written, when no process can still take it for one without rows. One that has rows is never
looked up again; if it takes them all back, it pays for the lookups until the process ends.
"""

import time
from typing import TYPE_CHECKING

from showcases.catalog import filters
from showcases.catalog.tables import find

if TYPE_CHECKING:
    from lancedb.table import Table

FRESH_S = 0.25  # seconds for which the absence of a tenant is believed


class Presence:
    """Of one table; safe to use from several threads: at worst two look at the same time."""

    def __init__(self, table: "Table") -> None:
        self._table = table
        self._absent: dict[str, tuple[int, float]] = {}  # by tenant: the table's version, and when it was read
        self._present: dict[str, float] = {}  # by tenant: since when this process knows that it has rows

    def has(self, tenant: str) -> bool:
        """Whether the tenant has rows, perhaps some that a later PUT has replaced."""
        if tenant in self._present:
            return True
        version, checked = self._absent.get(tenant, (-1, -FRESH_S))
        now = time.monotonic()
        if now < checked + FRESH_S:
            return False
        newest = self._table.version
        if newest != version and find(self._table, filters.equals("tenant", tenant, "tenant"), ["put"], 1).num_rows:
            self.note(tenant)
            return True
        self._absent[tenant] = newest, now
        return False

    def note(self, tenant: str) -> float:
        """It has rows from now on, if it had none; returns the seconds until every process knows."""
        since = self._present.setdefault(tenant, time.monotonic())
        self._absent.pop(tenant, None)
        return max(0.0, since + FRESH_S - time.monotonic())
