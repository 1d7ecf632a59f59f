"""Index of the tenants that have rows in a side table: most have none, and their lookups can skip it.

The absence of a tenant is cached for FRESH_S, then rechecked if the table has a new version. A tenant's first PUT
returns FRESH_S after its rows are written, when every process's cached absence has expired. Presence is cached forever:
a tenant that deletes all its rows pays for the lookups until the process ends.
"""

import time
from typing import TYPE_CHECKING

from showcases.catalog import filters
from showcases.catalog.tables import find

if TYPE_CHECKING:
    from lancedb.table import Table

FRESH_S = 0.25  # how long a cached absence is valid, s


class ExistenceIndex:
    """Index of one table; thread-safe: at worst two threads look up the same tenant."""

    def __init__(self, table: "Table") -> None:
        self._table = table
        self._absent: dict[str, tuple[int, float]] = {}  # by tenant: table version and time of the check
        self._present: dict[str, float] = {}  # by tenant: time when rows were first seen

    def has(self, tenant: str) -> bool:
        """Whether the tenant has rows, including rows that a later PUT replaced."""
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
        """Record that the tenant has rows; returns the seconds until every process sees them."""
        since = self._present.setdefault(tenant, time.monotonic())
        self._absent.pop(tenant, None)
        return max(0.0, since + FRESH_S - time.monotonic())
