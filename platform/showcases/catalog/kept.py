"""Rows that were looked up lately, of one version of the catalog: published rows never change within a version."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

import pyarrow as pa


class Kept:
    """Tables by what was asked, the ones asked for longest ago given up first; safe to use from several threads.

    Args:
        most_bytes: of all tables kept, as `pyarrow.Table.nbytes` counts; 0 keeps none.
    """

    def __init__(self, most_bytes: int = 0) -> None:
        self.most_bytes, self.bytes = most_bytes, 0
        self._tables: OrderedDict[Hashable, pa.Table] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, asked: Hashable, look_up: Callable[[], pa.Table]) -> pa.Table:
        """What is kept for this question, else what `look_up` finds."""
        with self._lock:
            if asked in self._tables:
                self._tables.move_to_end(asked)
                return self._tables[asked]
        table = look_up()
        if table.nbytes <= self.most_bytes:
            self._keep(asked, table)
        return table

    def _keep(self, asked: Hashable, table: pa.Table) -> None:
        with self._lock:
            if asked in self._tables:  # two asked at the same time
                return
            self._tables[asked] = table
            self.bytes += table.nbytes
            while self.bytes > self.most_bytes:
                _, oldest = self._tables.popitem(last=False)
                self.bytes -= oldest.nbytes
