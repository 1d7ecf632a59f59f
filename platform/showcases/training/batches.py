"""Batching: the order depends only on seed and epoch, so that an interrupted run can resume.

Ranks split each batch, so N workers see the same batches as one.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from showcases.errors import ConfigError, ShowcasesError

Part = Any  # a rank's part of a batch: (n,) example indices, or a table of n rows


class Epochs(Protocol):
    """Batches of one rank."""

    rank: int
    world_size: int

    def __len__(self) -> int:
        """Batches per epoch."""

    def epoch(self, number: int) -> Iterator[tuple[Part, int]]:
        """Yield (this rank's part, size of the whole batch)."""


class Batches:
    """Example indices in random order.

    Args:
        examples: number of examples.
        batch_size: over all ranks.
        drop_last: drop an incomplete last batch, for losses that need equal shares of the batch.
        groups: (examples,) group of each example; up to `run` examples of one group stay consecutive, and these runs
            are shuffled instead of examples.
    """

    def __init__(
        self,
        examples: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        drop_last: bool = False,
        groups: np.ndarray | None = None,
        run: int = 1,
    ) -> None:
        self.steps = _steps(examples, batch_size, world_size, drop_last)
        self.examples, self.batch_size, self.seed = examples, batch_size, seed
        self.rank, self.world_size = rank, world_size
        self.groups, self.run = groups, run
        _require_run(run)

    def __len__(self) -> int:
        return self.steps

    def epoch(self, number: int) -> Iterator[tuple[np.ndarray, int]]:
        """Yield (this rank's example indices, size of the whole batch)."""
        order = _order(self.examples, np.random.default_rng([self.seed, number]), self.groups, self.run)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            batch = order[start : start + self.batch_size]
            yield batch[self.rank :: self.world_size], len(batch)


@dataclass(frozen=True)
class Stream:
    """Examples that are read while they are trained on.

    Attributes:
        rows: per epoch.
        epoch: maps an epoch's number, from 0, to tables with these rows, in an order that depends only on the number;
            equal on all ranks. Column `review_id` identifies rows.
    """

    rows: int
    epoch: Callable[[int], Iterable[pa.Table]]


def in_memory(table: pa.Table, seed: int, run: int = 1) -> Stream:
    """The rows of a table, in random order; runs are of the same `business_id`."""

    def epoch(number: int) -> Iterator[pa.Table]:
        return shuffled([table], np.random.default_rng([seed, number]), table.num_rows, run)

    return Stream(table.num_rows, epoch)


def shuffled(tables: Iterable[pa.Table], rng: np.random.Generator, buffer: int, run: int = 1) -> Iterator[pa.Table]:
    """Shuffle rows within a buffer.

    Args:
        tables: rows in random order on scales larger than `buffer`.
        rng: determines the order.
        buffer: rows.
        run: see `Batches`; of rows with the same `business_id`.
    """
    _require_run(run)
    for rows in _rebatch(tables, buffer):
        codes = rows["business_id"].combine_chunks().dictionary_encode().indices.to_numpy() if run > 1 else None
        yield rows.take(_order(rows.num_rows, rng, codes, run))


def _order(examples: int, rng: np.random.Generator, groups: np.ndarray | None, run: int) -> np.ndarray:
    order = rng.permutation(examples)
    return order if groups is None or run == 1 else _in_runs(order, groups, run, rng)


def _in_runs(order: np.ndarray, groups: np.ndarray, run: int, rng: np.random.Generator) -> np.ndarray:
    """Split each group's indices, in `order`, into runs, and shuffle the runs."""
    order = order[np.argsort(groups[order], kind="stable")]
    group = groups[order]
    begins = np.flatnonzero(np.concatenate([[True], group[1:] != group[:-1]]))
    sizes = np.diff(np.append(begins, len(order)))
    place = np.arange(len(order)) - np.repeat(begins, sizes)  # within the group
    number = np.cumsum(place % run == 0) - 1  # of the run
    return order[np.argsort(rng.permutation(number[-1] + 1)[number], kind="stable")]


def _require_run(run: int) -> None:
    if run < 1:
        raise ConfigError(f"run is {run}; it must be at least 1, which is a plain shuffle")


class StreamedBatches:
    """A stream cut into batches; arguments as of `Batches`."""

    def __init__(
        self, stream: Stream, batch_size: int, rank: int = 0, world_size: int = 1, drop_last: bool = False
    ) -> None:
        self.steps = _steps(stream.rows, batch_size, world_size, drop_last)
        self.stream, self.batch_size = stream, batch_size
        self.rank, self.world_size = rank, world_size

    def __len__(self) -> int:
        return self.steps

    def epoch(self, number: int) -> Iterator[tuple[pa.Table, int]]:
        """Yield (this rank's rows, size of the whole batch).

        Raises:
            ShowcasesError: the stream has another number of rows than announced.
        """
        rows = 0
        for step, batch in enumerate(_rebatch(self.stream.epoch(number), self.batch_size)):
            rows += batch.num_rows
            if step < len(self):
                yield batch.take(np.arange(self.rank, batch.num_rows, self.world_size)), batch.num_rows
        if rows != self.stream.rows:
            raise ShowcasesError(f"read {rows} training examples, but {self.stream.rows} were prepared: rerun the step")


def part_of(part: Part, numbers: np.ndarray) -> Part:
    """Some examples of a part."""
    return part.take(numbers) if isinstance(part, pa.Table) else part[numbers]


def names_of(part: Part) -> list[Any]:
    """Ids of a part's examples, or their indices without ids."""
    return part["review_id"].to_pylist() if isinstance(part, pa.Table) else part.tolist()  # type: ignore[no-any-return]


def _rebatch(tables: Iterable[pa.Table], size: int) -> Iterator[pa.Table]:
    rest: pa.Table | None = None
    for table in tables:
        rest = table if rest is None else pa.concat_tables([rest, table])
        while rest.num_rows >= size:
            yield rest.slice(0, size)
            rest = rest.slice(size)
    if rest is not None and rest.num_rows:
        yield rest


def _steps(examples: int, batch_size: int, world_size: int, drop_last: bool) -> int:
    if examples < 1:
        raise ConfigError("no training examples: the training split is empty; is the corpus large enough?")
    if batch_size < world_size:
        raise ConfigError(f"batch_size {batch_size} is less than the {world_size} workers; raise it")
    full, rest = divmod(examples, batch_size)
    if drop_last and full:
        return full
    return full + (rest >= world_size)  # a last batch smaller than the world would leave ranks idle
