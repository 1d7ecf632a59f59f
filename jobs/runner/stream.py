"""Resumable streaming into an artifact's shards, with progress.

A unit is a fixed list of rows. Its shard is written atomically and named by the rows' hash, so repeating a unit writes
the same file, and a new run only processes rows that are in no shard.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from showcases.storage.artifacts import Workspace
from showcases.storage.shards import read_shard

SECONDS_BETWEEN_LINES = 10.0


def done_ids(workspace: Workspace, artifact: str, column: str) -> pa.Array:
    """(n,) values of `column` in all existing shards, finished or not; reads in parallel."""

    def read(path: str) -> pa.ChunkedArray:
        return read_shard(workspace, path, [column])[column]

    with ThreadPoolExecutor(8) as pool:
        chunks = [chunk for found in pool.map(read, workspace.shards(artifact)) for chunk in found.chunks]
    return pa.chunked_array(chunks, pa.string()).combine_chunks()


def unit_name(ids: Iterable[str]) -> str:
    """Shard name of these rows, by hash."""
    digest = hashlib.sha256()
    for name in ids:
        digest.update(name.encode())
        digest.update(b"\n")
    return f"part-{digest.hexdigest()[:20]}.parquet"


def without(ids: pa.Array | pa.ChunkedArray, done: pa.Array) -> pa.Array:
    """The ids not done yet, in order."""
    left = pc.filter(ids, pc.invert(pc.is_in(ids, value_set=done)))
    return left.combine_chunks() if isinstance(left, pa.ChunkedArray) else left


def cut(rows: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Pieces of at most `size` rows."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


@dataclass
class Tally:
    """Totals of a stream of finished units.

    Attributes:
        rows: finished in this run.
        outcomes: rows by outcome, e.g. ok, expired.
        amounts: sums of the units' measurements, e.g. bytes_in, bytes_out, decode_cpu_s, encode_gpu_s.
        seconds: wall-clock time of the stream.
    """

    rows: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    amounts: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Rows per second."""
        return self.rows / self.seconds if self.seconds else 0.0

    def add(self, unit: dict[str, Any]) -> None:
        """Add one unit: `rows`, and any `outcome.<name>` and `amount.<name>`."""
        self.rows += int(unit["rows"])
        for name, value in unit.items():
            kind, _, key = name.partition(".")
            if kind == "outcome" and value:
                self.outcomes[key] += int(value)
            elif kind == "amount" and value:
                self.amounts[key] = self.amounts.get(key, 0.0) + float(value)


def follow(
    units: Iterable[dict[str, Any]],
    total: int,
    noun: str,
    say: Callable[[str], None],
    note: Callable[[Tally], str] = lambda _: "",
) -> Tally:
    """Consume finished units and log progress every few seconds.

    Args:
        units: one dict per finished unit (see Tally.add), e.g. `dataset.iter_rows()`.
        total: rows expected.
        noun: plural name of a row, for messages.
        note: extra text beside rate and ETA, e.g. the bottleneck.
    """
    tally, started, logged_at = Tally(), time.monotonic(), time.monotonic()
    for unit in units:
        tally.add(unit)
        now = time.monotonic()
        tally.seconds = now - started
        if now - logged_at >= SECONDS_BETWEEN_LINES and tally.rows < total:
            eta = (total - tally.rows) / tally.rate if tally.rate else float("inf")
            extra = note(tally)
            say(
                f"{tally.rows:,} of {total:,} {noun}, {tally.rate:,.1f} a second, {eta:,.0f} s to go"
                + (f"; {extra}" if extra else "")
            )
            logged_at = now
    tally.seconds = time.monotonic() - started
    return tally
