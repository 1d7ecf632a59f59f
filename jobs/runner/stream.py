"""Streaming work into an artifact's shards: each unit of rows once, whatever dies, with progress as they land.

A unit is a fixed list of rows; its shard is named by what is in it and appears whole or not at all. So work that is
done twice writes the same file, and a new run asks only for rows that no shard holds.
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
    """(n,) values of `column` in the shards that stand, finished or not; one column is read, in parallel."""

    def read(path: str) -> pa.ChunkedArray:
        return read_shard(workspace, path, [column])[column]

    with ThreadPoolExecutor(8) as pool:
        chunks = [chunk for found in pool.map(read, workspace.shards(artifact)) for chunk in found.chunks]
    return pa.chunked_array(chunks, pa.string()).combine_chunks()


def unit_name(ids: Iterable[str]) -> str:
    """Name of the shard that holds these rows: the same rows always give the same name."""
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
    """What a stream of finished units amounts to.

    Attributes:
        rows: finished in this run.
        outcomes: rows by outcome, e.g. ok, expired.
        amounts: sums of what units measured, e.g. bytes_in, bytes_out, decode_cpu_s, encode_gpu_s.
        seconds: of the whole stream, wall clock.
    """

    rows: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    amounts: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds if self.seconds else 0.0

    def add(self, unit: dict[str, Any]) -> None:
        """Count one unit: `rows`, and any of `outcome.<name>` and `amount.<name>`."""
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
    """Take in finished units as they come; a line of progress every few seconds.

    Args:
        units: one dict a finished unit (see Tally.add), e.g. `dataset.iter_rows()` of what a writer returns.
        total: rows to come.
        noun: what a row is, plural.
        note: more to say beside rate and ETA, such as which stage is the bottleneck.
    """
    tally, started, spoken = Tally(), time.monotonic(), time.monotonic()
    for unit in units:
        tally.add(unit)
        now = time.monotonic()
        tally.seconds = now - started
        if now - spoken >= SECONDS_BETWEEN_LINES and tally.rows < total:
            eta = (total - tally.rows) / tally.rate if tally.rate else float("inf")
            extra = note(tally)
            say(
                f"{tally.rows:,} of {total:,} {noun}, {tally.rate:,.1f} a second, {eta:,.0f} s to go"
                + (f"; {extra}" if extra else "")
            )
            spoken = now
    tally.seconds = time.monotonic() - started
    return tally
